//! Writes the results as a page.

use std::{fmt::Write, process::Command, time::Duration};

use billwire_tests::root;

pub struct Report {
    text: String,
}

/// A quantile of sorted values.
pub fn quantile(sorted: &[Duration], q: f64) -> Duration {
    if sorted.is_empty() {
        return Duration::ZERO;
    }
    sorted[((sorted.len() - 1) as f64 * q) as usize]
}

pub fn ms(d: Duration) -> String {
    format!("{:.1} ms", d.as_secs_f64() * 1000.0)
}

fn tool(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(|_| "?".to_owned(), |o| String::from_utf8_lossy(&o.stdout).trim().to_owned())
}

impl Report {
    pub fn start() -> Self {
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu.lines().find_map(|l| l.strip_prefix("model name\t: ")).unwrap_or("?").to_owned();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let nats = tool(&billwire_tests::required("BILLWIRE_NATS_SERVER"), &["-v"]);
        let (rust, psql, date) = (tool("rustc", &["-V"]), tool("psql", &["-V"]), tool("date", &["-u", "+%Y-%m-%d"]));
        let mut text = String::new();
        let _ = writeln!(text, "# What it does and what the machine would allow\n");
        let _ =
            writeln!(text, "Made by `make bench` on {date}: {cores} cores ({model}), {rust}, {nats}, {psql}. Load generator, databases,");
        let _ = writeln!(text, "nats-server, receiver and gateway share the cores, for our figures and for the limits alike.\n");
        let _ = writeln!(text, "| what | ours | limit in the same run | share | target |\n| --- | --- | --- | --- | --- |");
        Self { text }
    }

    pub fn row(&mut self, what: &str, ours: &str, limit: &str, share: &str, target: &str) {
        println!("{what}: {ours} (limit {limit}, {share}; target {target})");
        let _ = writeln!(self.text, "| {what} | {ours} | {limit} | {share} | {target} |");
    }

    pub fn write(self) {
        let path = root().join("tests/bench/RESULTS.md");
        std::fs::write(&path, self.text).expect("the results are written");
        println!("written to tests/bench/RESULTS.md");
    }
}
