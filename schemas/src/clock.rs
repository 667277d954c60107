//! Time as a parameter. Rules receive a [`Timestamp`]; only the outermost layers own a [`Clock`].

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// A moment in UTC.
pub type Timestamp = DateTime<Utc>;

/// A source of the current time.
pub trait Clock: Send + Sync + 'static {
    /// The current moment in UTC, with microsecond precision, as both databases store it.
    fn now(&self) -> Timestamp;
}

/// The system clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> Timestamp {
        Utc::now().trunc_subsecs(6)
    }
}

/// The system clock plus an offset, which `setTestClock` sets. The clock keeps running.
#[derive(Debug, Default)]
pub struct ShiftedClock {
    offset_us: AtomicI64,
}

impl ShiftedClock {
    /// A clock that is `offset_us` microseconds ahead of the system clock.
    pub fn new(offset_us: i64) -> Self {
        Self { offset_us: AtomicI64::new(offset_us) }
    }

    /// Sets the offset from the system clock to `offset_us` microseconds.
    pub fn shift(&self, offset_us: i64) {
        self.offset_us.store(offset_us, Ordering::SeqCst);
    }

    /// The offset in microseconds at which this clock shows `now`.
    pub fn offset_to(now: Timestamp) -> i64 {
        (now - SystemClock.now()).num_microseconds().unwrap_or(0)
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        SystemClock.now() + TimeDelta::microseconds(self.offset_us.load(Ordering::SeqCst))
    }
}

/// A stopped clock, for tests of rules and schedules.
#[derive(Debug)]
pub struct FixedClock(std::sync::Mutex<Timestamp>);

impl FixedClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(std::sync::Mutex::new(now))
    }

    /// Moves the clock forward by `by`.
    pub fn advance(&self, by: TimeDelta) {
        let mut now = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *now += by;
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
