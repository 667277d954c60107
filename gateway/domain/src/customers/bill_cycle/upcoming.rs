//! What the clock does for a bill cycle: it announces billing dates, and starts the bill runs of cycles whose runs start by themselves.

use billwire_schemas::{clock::Timestamp, events::envelope::Parameters};
use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};

use super::BillCycle;
use crate::{
    change::{Change, Entity, Lifecycle},
    customers::billing_settings::{BillingSettings, TimeOfDay, local_moment},
};

/// The announcement of a billing date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Announcement {
    /// The billing date.
    pub billing_date: NaiveDate,
    /// When it is announced: at the start of a day, in the tenant's time zone at the time this was computed.
    pub at: Timestamp,
}

/// When on a billing date the bill run starts by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoRun {
    /// The hour in the tenant's time zone, 0 to 23.
    pub hour: u32,
}

/// A bill run that starts by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NextRun {
    /// The run's billing date.
    pub billing_date: NaiveDate,
    /// When it starts: at an hour of the billing date, in the tenant's time zone at the time this was computed.
    pub at: Timestamp,
}

/// What is due for a bill cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DueAction {
    /// The announcement of a billing date.
    Announcement,
    /// The bill run of a billing date.
    Run,
}

/// Announces the billing date whose announcement is due, and sets the next one; `None` if none is due, so a second clock has no effect.
pub fn announce(cycle: BillCycle, settings: &BillingSettings, now: Timestamp) -> Option<Change<BillCycle>> {
    let due = cycle.announcement.clone().filter(|announcement| announcement.at <= now)?;
    let mut after = cycle.next_version(now);
    after.announcement = after.announcement_after(due.billing_date, settings);
    let parameters = Parameters::from([
        ("billCycle.billingDate".to_owned(), due.billing_date.to_string().into()),
        ("billCycle.daysUntilBilling".to_owned(), (due.billing_date - settings.date_of(due.at)).num_days().into()),
    ]);
    Some(Change::updated(cycle, after, vec![Lifecycle { kind: "bill_run.upcoming", parameters }]))
}

/// Sets the run after the one that was due, or the new moment of that run if the time zone has changed meanwhile; `None` if none was due, so a
/// second clock has no effect.
pub fn plan_next_run(cycle: BillCycle, settings: &BillingSettings, now: Timestamp) -> Option<Change<BillCycle>> {
    let due = cycle.next_run.clone().filter(|run| run.at <= now)?;
    let mut after = cycle.next_version(now);
    let moved = after.run_on(due.billing_date, settings).filter(|run| run.at > now);
    after.next_run = moved.or_else(|| after.run_after(due.billing_date, settings));
    Some(Change::updated(cycle, after, Vec::<&'static str>::new()))
}

impl BillCycle {
    /// What is due next, and when.
    pub fn next_due(&self) -> Option<(Timestamp, DueAction)> {
        let announcement = self.announcement.as_ref().map(|announcement| (announcement.at, DueAction::Announcement));
        let run = self.next_run.as_ref().map(|run| (run.at, DueAction::Run));
        announcement.into_iter().chain(run).min()
    }

    /// The billing date whose run has to start now: the hour has come also in the present time zone.
    pub fn due_run(&self, settings: &BillingSettings, now: Timestamp) -> Option<NaiveDate> {
        let date = self.next_run.as_ref().filter(|run| run.at <= now)?.billing_date;
        self.run_on(date, settings).filter(|run| run.at <= now).map(|run| run.billing_date)
    }

    /// The cycle with what the clock does next for it.
    #[must_use]
    pub fn planned(self, settings: &BillingSettings, now: Timestamp) -> Self {
        self.announced(settings, now).with_next_run(settings, now)
    }

    /// The cycle with its next announcement: the first that is still to come.
    pub(super) fn announced(mut self, settings: &BillingSettings, now: Timestamp) -> Self {
        let mut next = self.announcement_after(settings.date_of(now), settings);
        while let Some(passed) = next.as_ref().filter(|announcement| announcement.at <= now) {
            next = self.announcement_after(passed.billing_date, settings);
        }
        self.announcement = next;
        self
    }

    /// The cycle with its next run: that of the billing date it was planned for, at another hour and not before now, or else the first that is
    /// still to come.
    pub(super) fn with_next_run(mut self, settings: &BillingSettings, now: Timestamp) -> Self {
        let today = settings.date_of(now);
        self.next_run = match &self.next_run {
            Some(planned) => self.run_on(planned.billing_date, settings).map(|run| NextRun { at: run.at.max(now), ..run }),
            None => {
                let of_today = today.pred_opt().and_then(|eve| self.run_after(eve, settings)).filter(|run| run.at > now);
                of_today.or_else(|| self.run_after(today, settings))
            }
        };
        self
    }

    /// The announcement of the first billing date after `date`, if billing dates are announced.
    fn announcement_after(&self, date: NaiveDate, settings: &BillingSettings) -> Option<Announcement> {
        let (days, schedule) = (self.announce_days?, self.schedule(None).ok()?);
        let billing_date = schedule.next_billing_date(date);
        let on = billing_date.checked_sub_days(Days::new(u64::from(days)))?;
        Some(Announcement { billing_date, at: local_moment(settings.zone(), on, TimeOfDay::MIDNIGHT) })
    }

    /// The run of the first billing date after `date`, if runs start by themselves.
    fn run_after(&self, date: NaiveDate, settings: &BillingSettings) -> Option<NextRun> {
        self.run_on(self.schedule(None).ok()?.next_billing_date(date), settings)
    }

    fn run_on(&self, billing_date: NaiveDate, settings: &BillingSettings) -> Option<NextRun> {
        let time = TimeOfDay::full_hour(self.auto_run?.hour)?;
        Some(NextRun { billing_date, at: local_moment(settings.zone(), billing_date, time) })
    }
}
