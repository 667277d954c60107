//! What people see. Plain lines always; colours and a moving sign only on a terminal that wants them.

use std::{
    future::Future,
    io::{IsTerminal, Write, stdout},
    pin::pin,
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};

/// Standard output, as it is.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    live: bool,
    colours: bool,
}

/// How a text is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// Beside the point.
    Faint,
    /// A heading.
    Strong,
}

const FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

impl Terminal {
    /// Looks at standard output. `NO_COLOR` (no-color.org) is a wish of the person, not a setting of the gateway.
    pub fn new() -> Self {
        let live = stdout().is_terminal();
        let plain =
            std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) || std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        Self { live, colours: live && !plain }
    }

    /// `text` in a tone.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Faint => "2",
            Tone::Strong => "1",
        };
        if self.colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Prints a line. Nobody reading any more (`| head`) is no reason to end.
    pub fn line(self, text: &str) {
        let clear = if self.live { "\r\u{1b}[2K" } else { "" };
        let mut out = stdout().lock();
        let _ = writeln!(out, "{clear}{text}").and_then(|()| out.flush());
    }

    /// A heading with an empty line before it.
    pub fn heading(self, text: &str) {
        self.line("");
        self.line(&self.paint(Tone::Strong, text));
    }

    /// A thing that was done, and what came of it.
    pub fn done(self, what: &str, outcome: &str) {
        self.line(&format!("  {} {what:<31} {outcome}", self.paint(Tone::Good, "✓")));
    }

    /// Waits for `work`; on a terminal, a moving sign and what `doing` says stand there meanwhile.
    pub async fn during<T>(self, doing: impl Fn() -> String, work: impl Future<Output = T>) -> T {
        if !self.live {
            return work.await;
        }
        let mut work = pin!(work);
        let mut ticks = interval(Duration::from_millis(80));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        // What takes no time needs no sign that it goes on.
        ticks.reset();
        for frame in FRAMES.iter().cycle() {
            tokio::select! {
                biased;
                done = &mut work => {
                    self.clear();
                    return done;
                }
                _ = ticks.tick() => {
                    let mut out = stdout().lock();
                    let _ = write!(out, "\r\u{1b}[2K  {} {}", self.paint(Tone::Faint, frame), doing()).and_then(|()| out.flush());
                }
            }
        }
        work.await
    }

    /// Takes away what [`Terminal::during`] left when it was cut off.
    pub fn clear(self) {
        if self.live {
            let mut out = stdout().lock();
            let _ = write!(out, "\r\u{1b}[2K").and_then(|()| out.flush());
        }
    }
}
