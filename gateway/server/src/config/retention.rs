//! The settings of retention.

use super::Settings;
use crate::domain::events::retention::{Retention, RetentionLimits};

impl Settings {
    /// For how long the history is kept at most.
    ///
    /// # Errors
    /// When SQL would keep less than the stream.
    pub fn retention(&self) -> Result<RetentionLimits, String> {
        let whole = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let stream_days = whole(self.retention_stream_days.max(1));
        let mut kept = [None; 3];
        for (kept, (name, days)) in kept.iter_mut().zip([
            ("EVENTS", self.retention_events_days),
            ("BUSINESS_TRANSACTIONS", self.retention_business_transactions_days),
            ("DELIVERIES", self.retention_deliveries_days),
        ]) {
            *kept = (days > 0).then_some(whole(days));
            if kept.is_some_and(|days| days <= stream_days) {
                return Err(format!(
                    "BILLWIRE_RETENTION_{name}_DAYS is {days}; it must be above BILLWIRE_RETENTION_STREAM_DAYS, which is {stream_days}, or 0"
                ));
            }
        }
        let [events_days, business_transactions_days, deliveries_days] = kept;
        let longest = Retention {
            events_days,
            business_transactions_days,
            deliveries_days,
            attempts_days: Some(whole(self.attempts_days)),
            answers_days: (self.retention_answers_days > 0).then_some(whole(self.retention_answers_days)),
            idempotency_hours: Some(whole(self.idempotency_hours)),
        };
        let audit_days = (self.retention_audit_days > 0).then_some(whole(self.retention_audit_days));
        Ok(RetentionLimits { longest, stream_days, audit_days })
    }
}
