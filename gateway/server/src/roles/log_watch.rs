//! Reports lines of the log that were lost, because its disk is full or nobody reads it.

use std::{sync::Arc, time::Duration};

use billwire_monitoring::{
    metrics::{LostLine, METRICS},
    parts::{Part, Parts, Status},
};
use billwire_schemas::clock::{Clock, SystemClock};
use tokio::{sync::watch, time::interval};

use crate::telemetry::Lines;

/// How often the counts are read.
const EVERY: Duration = Duration::from_secs(1);

/// What was lost and written when it was looked at last.
#[derive(Debug, Default)]
struct Seen {
    failed: u64,
    no_room: u64,
    /// Lines written by the last time that lines were lost; `None`: no line is missing.
    written: Option<u64>,
}

impl Seen {
    /// Takes in new counts; gives how many lines were lost since the last time, for either reason.
    fn update(&mut self, failed: u64, no_room: u64, written: u64) -> (u64, u64) {
        let lost = (failed - self.failed.min(failed), no_room - self.no_room.min(no_room));
        (self.failed, self.no_room) = (failed, no_room);
        if lost != (0, 0) {
            self.written = Some(written);
        } else if self.written.is_some_and(|before| written > before) {
            self.written = None;
        }
        lost
    }
}

/// Reports the part `log` until `stop` turns true.
pub async fn run(lines: Lines, parts: Arc<Parts>, mut stop: watch::Receiver<bool>) {
    let (mut tick, mut seen) = (interval(EVERY), Seen::default());
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            _ = tick.tick() => {}
        }
        let (failed, no_room) = seen.update(lines.failed(), lines.no_room(), lines.written());
        for (reason, lost) in [("write_failed", failed), ("queue_full", no_room)] {
            METRICS.log_lines_lost.get_or_create(&LostLine { reason }).inc_by(lost);
        }
        let (now, lost) = (SystemClock.now(), seen.failed + seen.no_room);
        if seen.written.is_none() {
            parts.ok(Part::Log, now);
            continue;
        }
        let detail = format!("{lost} lines of the log were lost: is its disk full, or does nobody read it?");
        parts.report(Part::Log, Status::Degraded, detail, now);
        // Tries whether a line can be written; with it, the log says what it lacks.
        tracing::warn!(lost, "lines of the log were lost");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_missing_until_one_is_written_after_the_last_loss() {
        let mut seen = Seen::default();
        assert_eq!((seen.update(0, 0, 7), seen.written), ((0, 0), None));
        assert_eq!((seen.update(3, 1, 9), seen.written), ((3, 1), Some(9)));
        assert_eq!((seen.update(3, 1, 9), seen.written), ((0, 0), Some(9)), "nothing was tried");
        assert_eq!((seen.update(4, 1, 12), seen.written), ((1, 0), Some(12)), "some were written, and one was lost");
        assert_eq!((seen.update(4, 1, 13), seen.written), ((0, 0), None));
    }
}
