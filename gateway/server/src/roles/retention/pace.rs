//! How much is purged at once, and how long the pause is before the next step.

use std::time::Duration;

/// How long a step may hold the writer before the next ones get smaller. The promise is 50 ms; a step is measured only once it is over.
const SHRINK_ABOVE: Duration = Duration::from_millis(16);
/// Below this the next steps get larger.
const GROW_BELOW: Duration = Duration::from_millis(8);
/// Rows of a step: powers of two, since each size is a statement of its own. Fewer would cost as much, since each step waits for the disk.
const ROWS: (usize, usize) = (32, 1024);
/// The pause after a step, in times of what it took: of every ten milliseconds of the writer, operations have nine.
const PAUSE: u32 = 9;
/// The same while more arrives than is purged.
const PAUSE_IN_HURRY: u32 = 1;
/// The shortest and the longest pause.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_secs(1));

/// The size of the steps of a kind, and the pauses between them.
#[derive(Debug)]
pub struct Pace {
    rows: usize,
    hurry: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self { rows: ROWS.0, hurry: false }
    }
}

impl Pace {
    /// Rows of the next step.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adapts to how long a step took; gives the pause after it.
    pub fn pause_after(&mut self, took: Duration) -> Duration {
        if took > SHRINK_ABOVE {
            let halves = (took.as_micros() / SHRINK_ABOVE.as_micros()).ilog2() + 1;
            self.rows = (self.rows >> halves.min(16)).max(ROWS.0);
        } else if took < GROW_BELOW {
            self.rows = (self.rows * 2).min(ROWS.1);
        }
        (took * if self.hurry { PAUSE_IN_HURRY } else { PAUSE }).clamp(PAUSES.0, PAUSES.1)
    }

    /// Shortens the pauses if a turn got `ahead` by fewer microseconds of history than twice the time it took: as much arrives meanwhile.
    pub fn hurry_if_behind(&mut self, ahead: i64, took: Duration) {
        self.hurry = u128::try_from(ahead).unwrap_or(0) < 2 * took.as_micros();
    }

    /// Nothing is left: the pauses are long again.
    pub fn relax(&mut self) {
        self.hurry = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn steps_grow_while_they_are_short_and_shrink_at_once_when_they_are_long() {
        let mut pace = Pace::default();
        for _ in 0..20 {
            pace.pause_after(ms(1));
        }
        assert_eq!(pace.rows(), 1024);
        pace.pause_after(ms(12));
        assert_eq!(pace.rows(), 1024);
        pace.pause_after(ms(20));
        assert_eq!(pace.rows(), 512);
        pace.pause_after(ms(100));
        assert_eq!(pace.rows(), 64, "six times too long");
        pace.pause_after(ms(60_000));
        assert_eq!(pace.rows(), 32);
    }

    #[test]
    fn pauses_leave_the_writer_to_operations_unless_more_arrives_than_is_purged() {
        let mut pace = Pace::default();
        assert_eq!(pace.pause_after(ms(10)), ms(90));
        assert_eq!(pace.pause_after(Duration::ZERO), ms(2));
        assert_eq!(pace.pause_after(ms(3_000)), ms(1_000));
        pace.hurry_if_behind(15_000_000, ms(10_000));
        assert_eq!(pace.pause_after(ms(10)), ms(10));
        pace.hurry_if_behind(86_400_000_000, ms(10_000));
        assert_eq!(pace.pause_after(ms(10)), ms(90));
        pace.hurry_if_behind(0, ms(10_000));
        pace.relax();
        assert_eq!(pace.pause_after(ms(10)), ms(90));
    }
}
