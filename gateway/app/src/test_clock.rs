//! `setTestClock`: sets business time, if the installation allows it.

use billwire_domain::{Rejected, time_bounds};
use billwire_schemas::clock::{ShiftedClock, Timestamp};
use billwire_schemas::refusal::Code;
use billwire_store::commit::Failure;

use crate::App;

/// Setting that stores the offset across restarts, in microseconds.
const SETTING: &str = "test_clock_offset_us";

impl App {
    /// Sets business time to `now`, from where it advances. Returns the new business time.
    ///
    /// # Errors
    /// `test_clock_not_allowed`, `time_out_of_range`, or a database failure.
    pub async fn set_test_clock(&self, now: Timestamp) -> Result<Timestamp, Failure> {
        if !self.test_clock_allowed {
            return Err(Rejected::forbidden(Code::TestClockNotAllowed, "This installation runs without BILLWIRE_TEST_CLOCK.").into());
        }
        if let Some(rejected) = Rejected::from_violations(time_bounds::clock("/now", now).into_iter().collect()) {
            return Err(rejected.into());
        }
        let _shifting = self.shifting.lock().await;
        let offset = ShiftedClock::offset_to(now);
        self.store.set(SETTING, &offset.to_string()).await?;
        self.clock.shift(offset);
        Ok(self.now())
    }

    /// Applies the offset set by another process or before a restart.
    ///
    /// # Errors
    /// A database failure.
    pub async fn follow_test_clock(&self) -> Result<(), Failure> {
        if self.test_clock_allowed {
            // An offset that was read before it is set anew must not be applied after.
            let _shifting = self.shifting.lock().await;
            let offset = self.store.setting(SETTING).await?.and_then(|text| text.parse().ok()).unwrap_or(0);
            self.clock.shift(offset);
        }
        Ok(())
    }
}
