//! Third-party peers: Python and JavaScript programs that know the standards, but not the gateway.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc,
};

use serde_json::Value;

use crate::{PATIENCE, required, root};

/// The command of a peer: Python, or JavaScript if the script's name ends in `.cjs`.
fn program(script: &str) -> Command {
    let mut command = if script.ends_with(".cjs") {
        let folder = PathBuf::from(required("BILLWIRE_TEST_JS"));
        let mut node = Command::new(folder.join("node"));
        node.env("NODE_PATH", folder.join("node_modules"));
        node
    } else {
        Command::new(required("BILLWIRE_TEST_PYTHON"))
    };
    command.arg(root().join("tests/peers").join(script));
    command
}

/// Runs a peer to its end and returns the JSON it printed.
pub fn run(script: &str, arguments: &[&str]) -> Value {
    let output = program(script).args(arguments).output().expect("a peer");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{script}: {e}: {}", String::from_utf8_lossy(&output.stdout)))
}

/// The path of a browser, which is installed first where there is none.
pub fn chromium() -> String {
    let found = Command::new(root().join("tools/chromium")).output().expect("tools/chromium");
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    String::from_utf8_lossy(&found.stdout).trim().to_owned()
}

/// What Prometheus' own client library reads from metrics.
pub fn metrics(text: &str) -> Value {
    let mut child = program("read_metrics.py").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a peer");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success(), "the metrics cannot be read");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// What DuckDB reads from a warehouse folder.
pub fn warehouse(folder: &Path) -> Value {
    run("read_warehouse.py", &[folder.to_str().expect("a path")])
}

/// A long-running peer: JSON lines in, JSON lines out. It ends when its standard input closes.
pub struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<Value>,
}

impl Peer {
    pub fn start(script: &str, arguments: &[&str]) -> Self {
        let mut child = program(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a peer");
        let output: ChildStdout = child.stdout.take().expect("a pipe");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let Ok(value) = serde_json::from_str(&line) else { continue };
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        let input = child.stdin.take();
        Self { child, input, lines }
    }

    pub fn say(&mut self, line: &Value) {
        let input = self.input.as_mut().expect("open");
        writeln!(input, "{line}").expect("written");
        input.flush().expect("flushed");
    }

    pub fn hear(&self) -> Value {
        self.lines.recv_timeout(PATIENCE).expect("a line of the peer's")
    }

    pub fn heard(&self) -> Vec<Value> {
        self.lines.try_iter().collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
