//! Logs: for people on a terminal, JSON otherwise.
//!
//! A thread of its own writes the lines. A disk that is full, or a pipe that nobody reads, delays nothing else: lines that cannot be written
//! are lost and counted, and [`crate::roles::log_watch`] reports them.

use std::{
    io::{ErrorKind, IsTerminal, Result as IoResult, Write, stderr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// Lines that wait to be written; more are lost.
const WAITING_MAX: usize = 4_096;

/// The log of this process. Dropping it writes what waits, for a second at most.
pub struct Log {
    /// What became of its lines.
    pub lines: Lines,
    _writer: WorkerGuard,
}

/// What became of the lines of the log.
#[derive(Clone)]
pub struct Lines {
    no_room: ErrorCounter,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    written: AtomicU64,
    failed: AtomicU64,
}

impl Lines {
    /// How many were written.
    pub fn written(&self) -> u64 {
        self.counts.written.load(Ordering::Relaxed)
    }

    /// How many were lost because the write failed.
    pub fn failed(&self) -> u64 {
        self.counts.failed.load(Ordering::Relaxed)
    }

    /// How many were lost because too many waited to be written.
    pub fn no_room(&self) -> u64 {
        u64::try_from(self.no_room.dropped_lines()).unwrap_or(u64::MAX)
    }
}

/// Starts logging to standard error.
///
/// # Errors
/// When `filter` cannot be parsed.
pub fn start(filter: &str) -> Result<Log, String> {
    // Libraries log too much of their internals at `info`.
    let quiet = format!("{filter},sqlx=warn,async_nats=warn,sea_orm_migration=warn,hyper=warn,rustls=warn");
    let filter = EnvFilter::try_new(quiet).map_err(|e| format!("BILLWIRE_LOG: {e}"))?;
    let counts = Arc::<Counts>::default();
    let lines = LineWriter { to: stderr(), counts: counts.clone(), cut: false };
    let (writer, guard) = NonBlockingBuilder::default().buffered_lines_limit(WAITING_MAX).lossy(true).thread_name("log").finish(lines);
    let no_room = writer.error_counter();
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let terminal = stderr().is_terminal();
    let started = if terminal {
        logs.with_ansi(true).with_target(false).compact().try_init()
    } else {
        logs.with_ansi(false).json().flatten_event(true).try_init()
    };
    started.map_err(|e| e.to_string())?;
    // The standard hook writes to standard error itself, and would wait there.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, reason = panic.payload_as_str().unwrap_or_default(), "panicked");
    }));
    Ok(Log { lines: Lines { no_room, counts }, _writer: guard })
}

/// Writes line by line. A line that cannot be written is counted and given up, so that the next one is tried.
struct LineWriter<W> {
    to: W,
    counts: Arc<Counts>,
    /// Whether the last line was cut: the next one begins with a line break.
    cut: bool,
}

impl<W: Write> LineWriter<W> {
    /// Writes all of `text`; gives how much of it was written.
    fn put(&mut self, text: &[u8]) -> usize {
        let mut written = 0;
        while written < text.len() {
            match self.to.write(&text[written..]) {
                Ok(0) => break,
                Ok(more) => written += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        written
    }
}

impl<W: Write> Write for LineWriter<W> {
    fn write(&mut self, line: &[u8]) -> IoResult<usize> {
        if self.cut && self.put(b"\n") == 1 {
            self.cut = false;
        }
        let written = if self.cut { 0 } else { self.put(line) };
        self.cut |= written > 0 && written < line.len();
        let count = if written == line.len() { &self.counts.written } else { &self.counts.failed };
        count.fetch_add(1, Ordering::Relaxed);
        Ok(line.len())
    }

    fn flush(&mut self) -> IoResult<()> {
        // Standard error is not buffered.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file on a disk with this much room.
    struct Disk {
        room: usize,
        text: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, text: &[u8]) -> IoResult<usize> {
            if self.room == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            let fits = text.len().min(self.room);
            self.room -= fits;
            self.text.extend(&text[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> IoResult<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_is_cut_or_lost_is_counted_and_later_ones_are_whole() {
        let mut lines = LineWriter { to: Disk { room: 8, text: Vec::new() }, counts: Arc::default(), cut: false };
        for line in ["first\n", "second\n", "third\n"] {
            lines.write_all(line.as_bytes()).expect("never an error");
        }
        lines.to.room = 100;
        lines.write_all(b"fourth\n").expect("never an error");
        assert_eq!(String::from_utf8_lossy(&lines.to.text), "first\nse\nfourth\n");
        let counts = [&lines.counts.written, &lines.counts.failed].map(|count| count.load(Ordering::Relaxed));
        assert_eq!(counts, [2, 2]);
    }
}
