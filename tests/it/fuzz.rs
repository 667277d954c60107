//! What tenants write ends, fills and stops no process: the inputs that once did, and new ones for a fixed time. `make fuzz` has more time.

use std::process::Command;

/// Time for new inputs, in seconds.
const SECONDS: &str = "40";

#[test]
fn no_template_expression_schema_or_path_aborts_takes_long_or_fills_the_memory() {
    let output = Command::new(env!("CARGO_BIN_EXE_fuzz")).arg(SECONDS).output().expect("the fuzzer");
    let report = String::from_utf8_lossy(&output.stdout);
    println!("{report}");
    assert!(output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
}
