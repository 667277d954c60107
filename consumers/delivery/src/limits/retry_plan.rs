//! The retry plan: when a delivery is attempted again. Pure: no clock, no randomness of its own.

use std::time::Duration;

use billwire_schemas::ids::DeliveryId;

/// The wait before each attempt; there are as many attempts as waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPlan(Vec<Duration>);

/// How far a wait is spread around its plan, in percent, so that deliveries that failed together do not return together.
const JITTER_PERCENT: u32 = 20;

/// The longest Retry-After of a receiver that is honoured.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// A plan that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not a wait; a retry plan is a list like 0s,5s,5m,2h")]
pub struct BadPlan(String);

impl Default for RetryPlan {
    /// The schedule of Standard Webhooks 1.0: ten attempts over three days.
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 3600;
        let waits = [0, 5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
        Self(waits.map(Duration::from_secs).to_vec())
    }
}

impl std::str::FromStr for RetryPlan {
    type Err = BadPlan;

    fn from_str(text: &str) -> Result<Self, BadPlan> {
        let wait = |part: &str| humantime::parse_duration(part.trim()).map_err(|_| BadPlan(part.trim().to_owned()));
        text.split(',').map(wait).collect::<Result<Vec<_>, _>>().map(Self)
    }
}

impl RetryPlan {
    /// A first attempt at once, and further ones after these waits.
    pub fn of_waits(waits: impl IntoIterator<Item = Duration>) -> Self {
        Self(std::iter::once(Duration::ZERO).chain(waits).collect())
    }

    /// How long to wait after `made` attempts have failed; `None`: no attempt is left. The wait that the receiver asked for (`after`) is a
    /// lower bound. The spread comes from the delivery's id, which is as good as random between deliveries.
    pub fn wait(&self, delivery: DeliveryId, made: u32, after: Option<Duration>) -> Option<Duration> {
        let planned = self.0.get(made as usize)?;
        let bytes = delivery.0.as_bytes();
        // The part of the id behind the bytes that deliveries of the same time share.
        let at = 9 + made as usize * 2 % 6;
        let draw = u32::from(bytes[at]) * 256 + u32::from(bytes[at + 1]);
        // From 80 % to 120 % in 65 535 steps.
        let share = f64::from(100 - JITTER_PERCENT) / 100.0 + f64::from(draw) / 65_535.0 * f64::from(2 * JITTER_PERCENT) / 100.0;
        let spread = planned.mul_f64(share);
        Some(spread.max(after.unwrap_or_default().min(RETRY_AFTER_MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use billwire_schemas::ids::{EventId, SubscriptionId, fresh};

    fn delivery() -> DeliveryId {
        DeliveryId::of(EventId(fresh()), SubscriptionId(fresh()))
    }

    #[test]
    fn the_default_plan_makes_ten_attempts_within_a_fifth_of_each_wait() {
        let plan = RetryPlan::default();
        for _ in 0..1000 {
            let id = delivery();
            for made in 1..10u32 {
                let (wait, planned) = (plan.wait(id, made, None).expect("another attempt"), plan.0[made as usize]);
                assert!(wait >= planned.mul_f64(0.79) && wait <= planned.mul_f64(1.21), "{wait:?} for {planned:?}");
            }
            assert_eq!(plan.wait(id, 10, None), None);
        }
    }

    #[test]
    fn deliveries_that_failed_together_are_spread() {
        let plan: RetryPlan = "0s,100s".parse().expect("a plan");
        let waits: std::collections::BTreeSet<_> = (0..100).filter_map(|_| plan.wait(delivery(), 1, None)).collect();
        assert!(waits.len() > 80, "{}", waits.len());
    }

    #[test]
    fn retry_after_is_a_floor_with_a_ceiling() {
        let plan: RetryPlan = "0s,5s".parse().expect("a plan");
        assert_eq!(plan.wait(delivery(), 1, Some(Duration::from_secs(60))), Some(Duration::from_secs(60)));
        assert_eq!(plan.wait(delivery(), 1, Some(Duration::from_secs(1_000_000_000))), Some(RETRY_AFTER_MAX));
    }

    #[test]
    fn a_plan_is_read_or_refused_by_its_bad_part() {
        assert_eq!("0s,250ms,5m".parse::<RetryPlan>().expect("a plan").0[1], Duration::from_millis(250));
        for bad in ["", "5", "5x", "s", "1s,,2s", "-1s"] {
            assert!(bad.parse::<RetryPlan>().is_err(), "{bad:?}");
        }
    }
}
