//! Bill cycles: the schedules on which accounts are billed.

use billwire_schemas::{clock::Timestamp, events::envelope::Parameters, ids::BillCycleId, refusal::Code};
use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::{
    calendar::{BillingSchedule, PeriodUnit},
    change::{Change, Entity, Lifecycle, entity_members},
    customers::billing_settings::{BillingSettings, TimeOfDay, local_moment},
    patch::Patch,
    rejected::{Rejected, Violation},
};

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
    /// Creation time.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// The announcement of a billing date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Announcement {
    /// The billing date.
    pub billing_date: NaiveDate,
    /// When it is announced: at the start of a day, in the tenant's time zone at the time this was computed.
    pub at: Timestamp,
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
}

/// `updateBillCycle`; absent members stay unchanged.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// See [`BillCycle::name`].
    pub name: Option<String>,
    /// See [`BillCycle::announce_days`].
    pub announce_days: Patch<u32>,
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
/// Every violated rule about the billing day and month.
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
    if command.announce_days.is_some() && command.individual {
        broken.push(announcement_not_allowed());
    }
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
        created_at: now,
        updated_at: now,
    }))
}

fn announcement_not_allowed() -> Violation {
    let message = "The accounts of an individual cycle have billing dates of their own, so there is none to announce.";
    Violation::new("/announceDays", Code::AnnouncementNotAllowed, message)
}

/// Decides `updateBillCycle`. The schedule is immutable because accounts are in its periods.
///
/// # Errors
/// `announcement_not_allowed`.
pub fn update(cycle: BillCycle, command: Update, settings: &BillingSettings, now: Timestamp) -> Result<Change<BillCycle>, Rejected> {
    if cycle.individual && command.announce_days.value().is_some() {
        let broken = announcement_not_allowed();
        return Err(Rejected::violation(broken.pointer, broken.code, broken.message));
    }
    let mut after = cycle.next_version(now);
    after.name = command.name.unwrap_or(after.name);
    after.announce_days = command.announce_days.apply(after.announce_days);
    if after.announce_days != cycle.announce_days {
        after = after.announced(settings, now);
    }
    Ok(Change::updated(cycle, after, Vec::<&'static str>::new()))
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
    /// The cycle with its next announcement: the first that is still to come.
    #[must_use]
    pub fn announced(mut self, settings: &BillingSettings, now: Timestamp) -> Self {
        let mut next = self.announcement_after(settings.date_of(now), settings);
        while let Some(passed) = next.as_ref().filter(|announcement| announcement.at <= now) {
            next = self.announcement_after(passed.billing_date, settings);
        }
        self.announcement = next;
        self
    }

    /// The announcement of the first billing date after `date`, if billing dates are announced.
    fn announcement_after(&self, date: NaiveDate, settings: &BillingSettings) -> Option<Announcement> {
        let (days, schedule) = (self.announce_days?, self.schedule(None).ok()?);
        let billing_date = schedule.next_billing_date(date);
        let on = billing_date.checked_sub_days(Days::new(u64::from(days)))?;
        Some(Announcement { billing_date, at: local_moment(settings.zone(), on, TimeOfDay::MIDNIGHT) })
    }

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
        self.announcement.as_ref().map(|announcement| announcement.at)
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
mod tests {
    use super::*;
    use billwire_schemas::ids::fresh;

    fn command(period: PeriodUnit, individual: bool, billing_day: Option<u32>, billing_month: Option<u32>) -> Create {
        Create {
            id: BillCycleId(fresh()),
            external_id: None,
            name: "c".into(),
            period,
            length: 1,
            individual,
            billing_day,
            billing_month,
            announce_days: None,
        }
    }

    fn codes(command: Create) -> Vec<&'static str> {
        match create(command, Timestamp::UNIX_EPOCH) {
            Ok(_) => vec![],
            Err(rejected) => rejected.violations.iter().map(|v| v.code.as_str()).collect(),
        }
    }

    #[test]
    fn each_rule_about_day_and_month_has_its_code() {
        use PeriodUnit::{Day, Month, Week, Year};
        assert_eq!(codes(command(Month, false, Some(28), None)), Vec::<&str>::new());
        assert_eq!(codes(command(Month, false, Some(29), None)), ["billing_day_out_of_range"]);
        assert_eq!(codes(command(Week, false, Some(8), None)), ["billing_day_out_of_range"]);
        assert_eq!(codes(command(Month, false, None, None)), ["billing_day_required"]);
        assert_eq!(codes(command(Month, true, Some(3), None)), ["billing_day_not_allowed"]);
        assert_eq!(codes(command(Day, false, Some(3), None)), ["billing_day_not_allowed"]);
        assert_eq!(codes(command(Month, false, Some(3), Some(4))), ["billing_month_not_allowed"]);
        assert_eq!(codes(command(Year, false, None, None)), ["billing_day_required", "billing_month_required"], "every violation is named");
    }

    #[test]
    fn an_individual_cycle_takes_the_day_from_the_account() {
        let cycle = create(command(PeriodUnit::Month, true, None, None), Timestamp::UNIX_EPOCH).expect("a cycle").after;
        assert_eq!(cycle.schedule(Some(9)).map(|r| r.day), Ok(9));
        assert_eq!(cycle.schedule(None).unwrap_err().code.as_str(), "billing_day_required");
        assert_eq!(cycle.schedule(Some(0)).unwrap_err().code.as_str(), "billing_day_out_of_range");
        let shared = create(command(PeriodUnit::Month, false, Some(5), None), Timestamp::UNIX_EPOCH).expect("a cycle").after;
        assert_eq!(shared.schedule(Some(9)).unwrap_err().code.as_str(), "billing_day_not_allowed");
    }

    #[test]
    fn an_update_changes_the_name_alone() {
        let cycle = create(command(PeriodUnit::Month, false, Some(5), None), Timestamp::UNIX_EPOCH).expect("a cycle").after;
        let updated = |command| update(cycle.clone(), command, &BillingSettings::default(), Timestamp::UNIX_EPOCH).expect("updated").after;
        let renamed = updated(Update { name: Some("d".into()), ..Update::default() });
        assert_eq!(renamed, BillCycle { version: 2, name: "d".into(), ..cycle.clone() });
        assert_eq!(updated(Update::default()).name, "c");
    }

    #[test]
    fn each_billing_date_is_announced_once_some_days_before() {
        let settings = BillingSettings { time_zone: chrono_tz::Europe::Berlin, ..BillingSettings::default() };
        let at = |text: &str| text.parse::<Timestamp>().expect("a moment");
        let asked = Create { announce_days: Some(3), ..command(PeriodUnit::Month, false, Some(5), None) };
        // Of 5 March, the announcement has passed.
        let cycle = create(asked, at("2027-03-02T12:00:00Z")).expect("a cycle").after.announced(&settings, at("2027-03-02T12:00:00Z"));
        assert_eq!(cycle.due_at(), Some(at("2027-04-01T22:00:00Z")), "midnight of 2 April in Berlin");
        assert_eq!(announce(cycle.clone(), &settings, at("2027-04-01T21:59:59Z")), None);
        let told = announce(cycle.clone(), &settings, at("2027-04-01T22:00:00Z")).expect("due");
        assert_eq!(told.lifecycle, ["bill_run.upcoming"]);
        let parameters = &told.lifecycle[0].parameters;
        assert_eq!((&parameters["billCycle.billingDate"], &parameters["billCycle.daysUntilBilling"]), (&"2027-04-05".into(), &3.into()));
        assert_eq!(told.after.due_at(), Some(at("2027-05-01T22:00:00Z")));
        let never = Update { announce_days: Patch::Unset, ..Update::default() };
        assert_eq!(update(cycle, never, &settings, at("2027-03-03T00:00:00Z")).expect("updated").after.due_at(), None);
        let individual = Create { announce_days: Some(3), ..command(PeriodUnit::Month, true, None, None) };
        assert_eq!(codes(individual), ["announcement_not_allowed"]);
    }

    #[test]
    fn a_cycle_in_use_stays() {
        let cycle = create(command(PeriodUnit::Month, false, Some(5), None), Timestamp::UNIX_EPOCH).expect("a cycle").after;
        assert_eq!(delete(cycle.clone(), true).unwrap_err().code.as_str(), "still_in_use");
        assert!(delete(cycle, false).is_ok());
    }
}
