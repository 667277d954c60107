//! The output that people see: plain lines always; colours and a spinner only on a terminal that supports them.

use std::{
    future::Future,
    io::{Write, stdout},
    time::Duration,
};

use console::style;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

/// Prints a line. A closed pipe (`| head`) is no reason to stop.
pub fn line(text: &str) {
    let mut out = stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Prints an empty line and a heading.
pub fn heading(text: &str) {
    line("");
    line(&style(text).bold().to_string());
}

/// Prints what was done and its outcome.
pub fn done(what: &str, outcome: &str) {
    line(&format!("  {} {what:<31} {outcome}", style("✓").green()));
}

/// Shows a spinner and `text` until the spinner is dropped; shows nothing where standard output is not a terminal.
pub fn spinner(text: &str) -> ProgressBar {
    let style = ProgressStyle::default_spinner().tick_strings(&["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"]);
    let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout())
        .with_style(style)
        .with_message(text.to_owned())
        .with_finish(ProgressFinish::AndClear);
    spinner.enable_steady_tick(Duration::from_millis(80));
    spinner
}

/// Shows a spinner and `text` while `work` runs.
pub async fn during<T>(text: &str, work: impl Future<Output = T>) -> T {
    let _spinner = spinner(text);
    work.await
}
