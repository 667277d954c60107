//! `make fuzz`: a grammar-based fuzzer for what tenants write: templates, expressions, JSON schemas with data, and paths.
//!
//! This program makes inputs and sends each to a child process, which is this program again, with an allocator that counts ([`child`]). An
//! input must not end the child, take more than [`SECONDS_MAX`] of processor time, or more than [`BYTES_MAX`] of memory. Templates are
//! rendered by `billwire sandbox` too, as at preview and delivery ([`sandbox`]). Inputs that once failed are in `tests/vectors/fuzz` and
//! run first. A new one is shrunk, written to `target/fuzz`, and ends the run: mend its kind, and move the file.
//!
//! `fuzz [SECONDS [SEED]]`; without a seed it is the time.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a testing program: a failed expectation ends the run")]

mod child;
mod dice;
mod expressions;
mod input;
mod paths;
mod sandbox;
mod schemas;
mod shrink;
mod templates;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant, SystemTime},
};

use billwire_tests::root;
use peak_alloc::PeakAlloc;

use crate::{
    child::Child,
    dice::Dice,
    input::{Failure, Input},
    sandbox::Sandbox,
};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Processor time of one input, in seconds; a build without optimization gets more.
const SECONDS_MAX: f64 = if cfg!(debug_assertions) { 8.0 } else { 1.0 };
/// Memory of one input, in bytes.
const BYTES_MAX: usize = 64 << 20;
/// Longest wait for an input, on a machine that does other things too.
const DEADLINE: Duration = Duration::from_secs(60);

/// What has been run, by kind of input.
#[derive(Default)]
struct Tally {
    inputs: u64,
    accepted: u64,
    seconds_max: f64,
    bytes_max: usize,
}

struct Fuzzer {
    child: Child,
    sandbox: Sandbox,
    tallies: BTreeMap<&'static str, Tally>,
}

impl Fuzzer {
    fn new() -> Self {
        Self { child: Child::start(), sandbox: Sandbox::default(), tallies: BTreeMap::new() }
    }

    /// Runs an input in all places that it reaches.
    fn run(&mut self, input: &Input) -> Result<(), Failure> {
        let outcome = self.child.run(input)?;
        let tally = self.tallies.entry(input.kind()).or_default();
        tally.inputs += 1;
        tally.accepted += u64::from(outcome.accepted);
        tally.seconds_max = tally.seconds_max.max(outcome.seconds);
        tally.bytes_max = tally.bytes_max.max(outcome.bytes);
        if outcome.seconds > SECONDS_MAX {
            return Err(Failure::Slow(outcome.seconds));
        }
        if outcome.bytes > BYTES_MAX {
            return Err(Failure::Large(outcome.bytes));
        }
        match input {
            Input::Template { template, parameters, .. } if outcome.accepted => self.sandbox.render(template, parameters),
            _ => Ok(()),
        }
    }

    /// Runs an input; on a failure shrinks it, writes it to a file and says so.
    fn judge(&mut self, input: Input, name: &str) -> bool {
        let Err(failure) = self.run(&input) else { return true };
        println!("{name}: {failure}; shrinking");
        let small = shrink::shrink(input, |smaller| self.run(smaller).is_err_and(|other| other.is_like(&failure)));
        let folder = root().join("target/fuzz");
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join(format!("{name}.json"));
        std::fs::write(&file, serde_json::to_string_pretty(&small).expect("JSON")).expect("written");
        println!("{name}: {failure}; the input is in {}", file.display());
        false
    }

    fn report(&self) {
        for (kind, tally) in &self.tallies {
            let Tally { inputs, accepted, seconds_max, bytes_max } = tally;
            println!("{kind:<11} {inputs:>7} inputs, {accepted:>7} accepted, at most {seconds_max:.2} s and {} kB", bytes_max / 1024);
        }
    }
}

/// The inputs that failed once.
fn known() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(root().join("tests/vectors/fuzz")).expect("a folder");
    let mut files: Vec<PathBuf> =
        folder.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
    files.sort();
    files
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|argument| argument == "child") {
        child::serve();
        return ExitCode::SUCCESS;
    }
    let number = |at: usize| arguments.get(at).map(|argument| argument.parse::<u64>().expect("a number"));
    let seconds = number(0).unwrap_or(60);
    let seed = number(1).unwrap_or_else(|| SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()));
    let (began, mut fuzzer, mut sound) = (Instant::now(), Fuzzer::new(), true);
    let files = known();
    for file in &files {
        let input = serde_json::from_str(&std::fs::read_to_string(file).expect("a file")).expect("an input");
        sound &= fuzzer.judge(input, &file.file_stem().expect("a name").to_string_lossy());
    }
    println!("{} inputs that failed once; {seconds} s of new ones, seed {seed}", files.len());
    let mut round = 0;
    while sound && began.elapsed() < Duration::from_secs(seconds) {
        let mut dice = Dice::new(seed, round);
        let input = match round % 8 {
            0 | 1 | 4 => expressions::input(&mut dice),
            2 | 5 => templates::input(&mut dice),
            3 | 6 => schemas::input(&mut dice),
            _ => paths::input(&mut dice),
        };
        sound = fuzzer.judge(input, &format!("{seed}-{round}"));
        round += 1;
    }
    fuzzer.report();
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
