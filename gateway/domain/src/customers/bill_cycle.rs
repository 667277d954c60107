//! Bill cycles: the schedules on which accounts are billed.

mod upcoming;

use billwire_schemas::{clock::Timestamp, events::envelope::Parameters, ids::BillCycleId, refusal::Code};
use serde::{Deserialize, Serialize};

use crate::{
    calendar::{BillingSchedule, PeriodUnit},
    change::{Change, Entity, entity_members},
    customers::billing_settings::BillingSettings,
    patch::Patch,
    rejected::{Rejected, Violation},
};

pub use upcoming::{Announcement, AutoRun, DueAction, NextRun, announce, plan_next_run};

/// A configured bill cycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BillCycle {
    /// Object id.
    pub id: BillCycleId,
    /// Object version, starting at 1.
    pub version: i64,
    /// The object's id in the external system.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub external_id: Option<String>,
    /// Display name.
    pub name: String,
    /// Unit of the billing period.
    pub period: PeriodUnit,
    /// Units per period.
    pub length: u32,
    /// Whether each account has its own billing day.
    pub individual: bool,
    /// The billing day of every account on this cycle; absent for individual cycles and for the unit day.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub billing_day: Option<u32>,
    /// The billing month; for years only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub billing_month: Option<u32>,
    /// Days before each billing date at which `bill_run.upcoming` is published; absent: it is not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub announce_days: Option<u32>,
    /// The next announcement.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub announcement: Option<Announcement>,
    /// When its bill runs start by themselves; absent: they do not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub auto_run: Option<AutoRun>,
    /// The next bill run that starts by itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next_run: Option<NextRun>,
    /// Creation time.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// `createBillCycle`.
#[derive(Debug, Clone)]
pub struct Create {
    /// The new cycle's id.
    pub id: BillCycleId,
    /// See [`BillCycle::external_id`].
    pub external_id: Option<String>,
    /// See [`BillCycle::name`].
    pub name: String,
    /// See [`BillCycle::period`].
    pub period: PeriodUnit,
    /// See [`BillCycle::length`].
    pub length: u32,
    /// See [`BillCycle::individual`].
    pub individual: bool,
    /// See [`BillCycle::billing_day`].
    pub billing_day: Option<u32>,
    /// See [`BillCycle::billing_month`].
    pub billing_month: Option<u32>,
    /// See [`BillCycle::announce_days`].
    pub announce_days: Option<u32>,
    /// See [`BillCycle::auto_run`].
    pub auto_run: Option<AutoRun>,
}

/// `updateBillCycle`; absent members stay unchanged.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// See [`BillCycle::external_id`].
    pub external_id: Patch<String>,
    /// See [`BillCycle::name`].
    pub name: Option<String>,
    /// See [`BillCycle::announce_days`].
    pub announce_days: Patch<u32>,
    /// See [`BillCycle::auto_run`].
    pub auto_run: Patch<AutoRun>,
}

/// Checks that `day` is in the range of `unit`; returns the violation otherwise.
fn day_in_range(unit: PeriodUnit, day: u32) -> Option<Violation> {
    let range = unit.billing_days()?;
    (!range.contains(&day)).then(|| {
        let message = format!("billingDay is {day}; for a cycle by {} it must be from {} to {}.", unit.name(), range.start(), range.end());
        Violation::new("/billingDay", Code::BillingDayOutOfRange, message)
    })
}

/// Decides `createBillCycle`.
///
/// # Errors
/// Every violated rule about the billing day and month, and about what an individual cycle cannot have.
pub fn create(command: Create, now: Timestamp) -> Result<Change<BillCycle>, Rejected> {
    let mut broken = Vec::new();
    let takes_day = command.period.billing_days().is_some() && !command.individual;
    match command.billing_day {
        Some(day) if takes_day => broken.extend(day_in_range(command.period, day)),
        Some(_) if command.individual => broken.push(Violation::new(
            "/billingDay",
            Code::BillingDayNotAllowed,
            "An individual cycle has no billingDay; each account sets its own.",
        )),
        Some(_) => broken.push(Violation::new("/billingDay", Code::BillingDayNotAllowed, "A cycle by day has no billingDay.")),
        None if takes_day => broken.push(Violation::new(
            "/billingDay",
            Code::BillingDayRequired,
            format!("A cycle by {} needs a billingDay, unless it is individual.", command.period.name()),
        )),
        None => {}
    }
    match (command.period, command.billing_month) {
        (PeriodUnit::Year, None) => {
            broken.push(Violation::new("/billingMonth", Code::BillingMonthRequired, "A cycle by year needs a billingMonth."));
        }
        (PeriodUnit::Year, Some(_)) | (_, None) => {}
        (_, Some(_)) => {
            broken.push(Violation::new("/billingMonth", Code::BillingMonthNotAllowed, "Only a cycle by year takes a billingMonth."));
        }
    }
    broken.extend(not_of_individual(command.individual, command.announce_days, command.auto_run));
    if let Some(rejected) = Rejected::from_violations(broken) {
        return Err(rejected);
    }
    Ok(Change::created(BillCycle {
        id: command.id,
        version: 1,
        external_id: command.external_id,
        name: command.name,
        period: command.period,
        length: command.length,
        individual: command.individual,
        billing_day: command.billing_day,
        billing_month: command.billing_month,
        announce_days: command.announce_days,
        announcement: None,
        auto_run: command.auto_run,
        next_run: None,
        created_at: now,
        updated_at: now,
    }))
}

/// What needs billing dates of the cycle, which an individual one does not have.
fn not_of_individual(individual: bool, announce_days: Option<u32>, auto_run: Option<AutoRun>) -> Vec<Violation> {
    let mut broken = Vec::new();
    let own_dates = "The accounts of an individual cycle have billing dates of their own, so there is none";
    if individual && announce_days.is_some() {
        broken.push(Violation::new("/announceDays", Code::AnnouncementNotAllowed, format!("{own_dates} to announce.")));
    }
    if individual && auto_run.is_some() {
        broken.push(Violation::new("/autoRun", Code::AutoRunNotAllowed, format!("{own_dates} on which a bill run could start by itself.")));
    }
    broken
}

/// Decides `updateBillCycle`. The schedule is immutable because accounts are in its periods.
///
/// # Errors
/// `announcement_not_allowed`, `auto_run_not_allowed`.
pub fn update(cycle: BillCycle, command: Update, settings: &BillingSettings, now: Timestamp) -> Result<Change<BillCycle>, Rejected> {
    let broken = not_of_individual(cycle.individual, command.announce_days.value(), command.auto_run.value());
    if let Some(rejected) = Rejected::from_violations(broken) {
        return Err(rejected);
    }
    let mut after = cycle.next_version(now);
    after.external_id = command.external_id.apply(after.external_id);
    after.name = command.name.unwrap_or(after.name);
    after.announce_days = command.announce_days.apply(after.announce_days);
    if after.announce_days != cycle.announce_days {
        after = after.announced(settings, now);
    }
    after.auto_run = command.auto_run.apply(after.auto_run);
    if after.auto_run != cycle.auto_run {
        after = after.with_next_run(settings, now);
    }
    Ok(Change::updated(cycle, after, Vec::<&'static str>::new()))
}

/// Decides `deleteBillCycle`; `in_use` is true if an account is on the cycle or plans to change to it.
///
/// # Errors
/// `still_in_use`.
pub fn delete(cycle: BillCycle, in_use: bool) -> Result<Change<BillCycle>, Rejected> {
    if in_use {
        return Err(Rejected::conflict(Code::StillInUse, "Accounts use the bill cycle or plan to change to it, so it cannot be deleted."));
    }
    Ok(Change::deleted(cycle))
}

impl BillCycle {
    /// The schedule of an account on this cycle; `billing_day` is the account's own day (individual cycles only).
    ///
    /// # Errors
    /// `billing_day_required`, `billing_day_not_allowed`, `billing_day_out_of_range`.
    pub fn schedule(&self, billing_day: Option<u32>) -> Result<BillingSchedule, Rejected> {
        let day = match (self.individual, billing_day) {
            (false, None) => self.billing_day.unwrap_or(1),
            (false, Some(_)) => {
                return Err(Rejected::violation(
                    "/billingDay",
                    Code::BillingDayNotAllowed,
                    format!("Bill cycle '{}' is not individual and sets the billing day itself; omit billingDay.", self.name),
                ));
            }
            (true, Some(day)) => match day_in_range(self.period, day) {
                Some(broken) => return Err(Rejected::violation("/billingDay", broken.code, broken.message)),
                None => day,
            },
            (true, None) if self.period.billing_days().is_none() => 1,
            (true, None) => {
                return Err(Rejected::violation(
                    "/billingDay",
                    Code::BillingDayRequired,
                    format!("Bill cycle '{}' is individual; the account needs a billingDay.", self.name),
                ));
            }
        };
        Ok(BillingSchedule { unit: self.period, length: self.length, day, month: self.billing_month.unwrap_or(1) })
    }
}

impl Entity for BillCycle {
    const TYPE: &'static str = "billCycle";
    const EVENT_OBJECT: Option<&'static str> = Some("bill_cycle");

    entity_members!(updated_at, external_id);
    fn due_at(&self) -> Option<Timestamp> {
        self.next_due().map(|(at, _)| at)
    }
    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::from([
            ("billCycle.id".to_owned(), self.id.to_string().into()),
            ("billCycle.name".to_owned(), self.name.clone().into()),
            ("billCycle.period".to_owned(), self.period.name().into()),
        ]);
        if let Some(external_id) = &self.external_id {
            parameters.insert("billCycle.externalId".to_owned(), external_id.clone().into());
        }
        parameters
    }
}

#[cfg(test)]
mod tests;
