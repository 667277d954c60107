//! Makes cargo compile the crate anew when a file is added to the console, not only when one changes.

fn main() {
    println!("cargo:rerun-if-changed=assets/console");
}
