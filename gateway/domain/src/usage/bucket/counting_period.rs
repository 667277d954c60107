//! Buckets that count per billing period: their usage returns to zero when the account's next billing period begins.

use billwire_schemas::clock::Timestamp;
use serde::{Deserialize, Serialize};

use super::Bucket;
use crate::{
    calendar::Period,
    change::{Change, Entity},
    customers::{
        account::{Account, period_on},
        billing_settings::{BillingSettings, TimeOfDay, local_moment},
    },
};

/// When a bucket's usage returns to zero by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Resets {
    /// When the account's next billing period begins.
    BillingPeriod,
}

/// The billing period of an account that a day is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountingPeriod {
    period: Period,
    ends_at: Timestamp,
}

impl CountingPeriod {
    /// That of the day of `at`; `None` if no bill cycle of the account is known.
    pub fn of(account: &Account, settings: &BillingSettings, at: Timestamp) -> Option<Self> {
        let period = period_on(&account.bill_cycle_history, settings.date_of(at))?;
        Some(Self { period, ends_at: local_moment(settings.zone(), period.end, TimeOfDay::MIDNIGHT) })
    }
}

impl Bucket {
    /// Whether it takes usage of this period: not of one before its own.
    pub fn takes(&self, of: Option<CountingPeriod>) -> bool {
        let of = of.filter(|_| self.resets.is_some());
        of.zip(self.period).is_none_or(|(of, own)| of.period.end > own.start)
    }

    /// Whether usage of this period is in what it has counted: not of a period before or after its own.
    pub(super) fn has_counted(&self, of: Option<CountingPeriod>) -> bool {
        self.takes(of) && of.zip(self.period).is_none_or(|(of, own)| of.period.start <= own.start)
    }

    /// Goes on in this period. In one after its own, nothing is used yet; one that contains the start of its own is the same as the account's
    /// cycle has it now.
    pub(super) fn enter(&mut self, of: Option<CountingPeriod>) {
        let Some(of) = of.filter(|_| self.resets.is_some()) else { return };
        if self.period.is_some_and(|own| of.period.start > own.start) {
            (self.used, self.tiers_used_up) = (Default::default(), 0);
        }
        (self.period, self.resets_at) = (Some(of.period), Some(of.ends_at));
    }
}

/// Resets a bucket whose period has ended. `of` is the period of `now`. `None` if it is not due, so a second clock has no effect.
pub fn next_period(bucket: Bucket, of: Option<CountingPeriod>, now: Timestamp) -> Option<Change<Bucket>> {
    bucket.resets_at.filter(|at| *at <= now)?;
    let mut after = bucket.next_version(now);
    after.resets_at = None;
    after.enter(of);
    Some(Change::updated(bucket, after, Vec::<&'static str>::new()))
}
