//! The time of the purge. A clock that jumps forward must not delete a year's history: the purge follows the system clock at a bounded speed,
//! also over restarts, so that there is time to notice and to set the clock right.

use std::time::{Duration, Instant};

use billwire_schemas::clock::{Clock, SystemClock, Timestamp};
use billwire_store::Store;
use chrono::TimeDelta;

use crate::adapters::delivery_store::text;

/// The setting with the last time of the purge, in microseconds.
const SETTING: &str = "purge_time_us";
/// How often it is stored.
const STORE_EVERY: Duration = Duration::from_secs(60);
/// How much faster than real time the time of the purge follows a clock that is ahead: a day in an hour.
const SPEED: i32 = 24;
/// How far the clock may be ahead before the log says so.
const AHEAD_MAX: TimeDelta = TimeDelta::hours(2);

/// The time of the purge.
pub struct Past {
    time: Timestamp,
    at: Instant,
    stored: Option<Instant>,
    ahead: bool,
}

impl Past {
    /// Continues with the stored time; begins with the system clock.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn load(store: &Store) -> Result<Self, String> {
        let stored = store.setting(SETTING).await.map_err(text)?.and_then(|text| text.parse().ok());
        let time = stored.and_then(Timestamp::from_timestamp_micros).unwrap_or_else(|| SystemClock.now());
        Ok(Self { time, at: Instant::now(), stored: None, ahead: false })
    }

    /// The time now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn now(&mut self, store: &Store) -> Result<Timestamp, String> {
        let system = SystemClock.now();
        self.time = follow(self.time, system, self.at.elapsed());
        self.at = Instant::now();
        let ahead = system - self.time > AHEAD_MAX;
        if ahead != std::mem::replace(&mut self.ahead, ahead) {
            if ahead {
                tracing::error!(clock = %system, purge_time = %self.time, "the clock is ahead of the purge: it has jumped, or nothing was purged \
                                for long; the purge follows by a day in an hour");
            } else {
                tracing::info!(clock = %system, "the purge follows the clock again");
            }
        }
        if self.stored.is_none_or(|stored| stored.elapsed() >= STORE_EVERY) {
            store.set(SETTING, &self.time.timestamp_micros().to_string()).await.map_err(text)?;
            self.stored = Some(Instant::now());
        }
        Ok(self.time)
    }
}

/// The time of the purge `elapsed` after it was `time`, while the system clock shows `system`.
fn follow(time: Timestamp, system: Timestamp, elapsed: Duration) -> Timestamp {
    let fastest =
        TimeDelta::from_std(elapsed).ok().and_then(|elapsed| elapsed.checked_mul(SPEED)).and_then(|most| time.checked_add_signed(most));
    fastest.map_or(system, |fastest| fastest.min(system))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_is_followed_slowly_and_one_that_goes_back_at_once() {
        let (start, second) = (SystemClock.now(), TimeDelta::seconds(1));
        let one = Duration::from_secs(1);
        assert_eq!(follow(start, start + second, one), start + second);
        assert_eq!(follow(start, start + TimeDelta::days(3650), one), start + second * 24);
        assert_eq!(follow(start, start - TimeDelta::days(1), one), start - TimeDelta::days(1));
        let day = Duration::from_secs(86_400);
        assert_eq!(
            follow(start, start + TimeDelta::days(20), day),
            start + TimeDelta::days(20),
            "a machine that was off for long catches up"
        );
    }
}
