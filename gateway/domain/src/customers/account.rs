//! Accounts and their bill cycle.
//!
//! State machine of a bill cycle change (OCS.io "Update Account's Bill Cycle"): none -> planned (update with a future
//! `validFrom`) -> changed (by the clock or by perform) or cancelled. An update without `validFrom` takes effect at once.

mod details;
mod history;
mod payer;
mod status;

use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{AccountId, BillCycleId, ContactId},
    money::Currency,
    refusal::Code,
};
use chrono::{NaiveDate, SecondsFormat};
use serde::{Deserialize, Serialize};

use crate::{
    amounts::currency_of,
    attributes::Attributes,
    calendar::BillingSchedule,
    change::{Change, Entity, Lifecycle, entity_members},
    customers::{bill_cycle::BillCycle, billing_settings::BillingSettings},
    history::History,
    rejected::Rejected,
    time_bounds::ensure_planned,
};

pub use details::{Company, Update, delete, update};
pub use history::{CurrentBillCycle, CycleInForce, StatusInForce, period_on, running_period};
pub use payer::{
    PAID_FOR_MAX, assign_payer, billed_to_payer, ensure_can_end, ensure_owes_correction, ensure_owes_itself, payer_invoice_cancelled,
    remove_payer,
};
pub use status::{
    PlannedStart, PlannedStatusChange, Status, StatusChange, all_ended, cancel_status_change, change_status, ensure_not_deactivated,
    perform_due_status_change, perform_status_change, plan_status_change,
};

/// A planned change of bill cycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedChange {
    /// The new cycle.
    pub bill_cycle_id: BillCycleId,
    /// The account's own billing day, on an individual cycle.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub billing_day: Option<u32>,
    /// When the change takes effect.
    pub valid_from: Timestamp,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Object id.
    pub id: AccountId,
    /// Object version, starting at 1.
    pub version: i64,
    /// The object's id in the external system.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub external_id: Option<String>,
    /// Display name.
    pub name: String,
    /// Current status.
    pub status: Status,
    /// Reason for the status.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status_reason: Option<String>,
    /// ISO 4217 currency code.
    pub currency: String,
    /// The billed company.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub company: Option<Company>,
    /// The contact that receives the bills.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub billing_contact_id: Option<ContactId>,
    /// Days from an invoice's posting to its due date; absent: the default of the billing settings.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payment_term_days: Option<u32>,
    /// The account that owes what this one uses; absent: this one itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payer_id: Option<AccountId>,
    /// When the payer was last set, changed or removed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payer_changed_at: Option<Timestamp>,
    /// Custom attributes.
    #[serde(skip_serializing_if = "Attributes::is_empty", default)]
    pub attributes: Attributes,
    /// The current bill cycle.
    pub bill_cycle: CurrentBillCycle,
    /// The planned change of cycle.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub planned_bill_cycle_change: Option<PlannedChange>,
    /// The planned change of status.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub planned_status_change: Option<PlannedStatusChange>,
    /// When the account was deactivated.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub deactivated_at: Option<Timestamp>,
    /// Whether some of what belongs to the deactivated account is still to be ended by the clock.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub ending: bool,
    /// The status by day. Inactive and deactivated accounts owe no fees. Empty for accounts that have not changed since a version without it.
    #[serde(skip_serializing_if = "History::is_empty", default)]
    pub status_history: History<StatusInForce>,
    /// The bill cycles by day, from which the billing periods follow. Empty as above.
    #[serde(skip_serializing_if = "History::is_empty", default)]
    pub bill_cycle_history: History<CycleInForce>,
    /// Creation time.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// `createAccount`; the bill cycle is already loaded.
#[derive(Debug, Clone)]
pub struct Create {
    /// The new account's id.
    pub id: AccountId,
    /// See [`Account::external_id`].
    pub external_id: Option<String>,
    /// See [`Account::name`].
    pub name: String,
    /// ISO 4217 currency code; absent: the default currency of the billing settings.
    pub currency: Option<String>,
    /// Whether the account starts active instead of inactive.
    pub active: bool,
    /// The account's own billing day, on an individual cycle.
    pub billing_day: Option<u32>,
    /// See [`Account::company`].
    pub company: Option<Company>,
    /// See [`Account::payment_term_days`].
    pub payment_term_days: Option<u32>,
    /// See [`Account::attributes`].
    pub attributes: Attributes,
}

/// Decides `createAccount`. The first period ends on the first billing date and may be short.
///
/// # Errors
/// `currency_unknown`, `currency_required`, `country_unknown`, `payment_term_out_of_range`, the bounds of [`Attributes`], and the billing day rules of
/// [`BillCycle::schedule`].
pub fn create(command: Create, cycle: &BillCycle, settings: &BillingSettings, now: Timestamp) -> Result<Change<Account>, Rejected> {
    let mut broken = details::violations(command.company.as_ref(), command.payment_term_days);
    broken.extend(command.attributes.violations());
    let currency = currency(command.currency.as_deref(), settings);
    let schedule = cycle.schedule(command.billing_day);
    for wrong in [currency.as_ref().err(), schedule.as_ref().err()].into_iter().flatten() {
        broken.extend(wrong.violations.iter().cloned());
    }
    if let Some(rejected) = Rejected::from_violations(broken) {
        return Err(rejected);
    }
    let (currency, schedule) = (currency?, schedule?);
    let (today, status) = (settings.date_of(now), if command.active { Status::Active } else { Status::Inactive });
    Ok(Change::created(Account {
        id: command.id,
        version: 1,
        external_id: command.external_id,
        name: command.name,
        status,
        status_reason: None,
        currency: currency.to_string(),
        company: command.company,
        billing_contact_id: None,
        payment_term_days: command.payment_term_days,
        payer_id: None,
        payer_changed_at: None,
        attributes: command.attributes,
        bill_cycle: CurrentBillCycle {
            bill_cycle_id: cycle.id,
            billing_day: command.billing_day,
            period: schedule.period_from(today),
            short_period: None,
        },
        planned_bill_cycle_change: None,
        planned_status_change: None,
        deactivated_at: None,
        ending: false,
        status_history: History::starting(today, StatusInForce { status }),
        bill_cycle_history: History::starting(today, CycleInForce { bill_cycle_id: cycle.id, schedule }),
        created_at: now,
        updated_at: now,
    }))
}

/// The currency of a new account: as asked for, or the tenant's default.
fn currency(asked: Option<&str>, settings: &BillingSettings) -> Result<Currency, Rejected> {
    match (asked, settings.default_currency) {
        (Some(code), _) => currency_of("/currency", code).map_err(Rejected::from),
        (None, Some(default)) => Ok(default),
        (None, None) => {
            let message = "currency is required, since the billing settings have no default currency.";
            Err(Rejected::violation("/currency", Code::CurrencyRequired, message))
        }
    }
}

/// Decides `updateAccountBillCycle` to `cycle`, at once or at `valid_from`. Replaces a planned change.
///
/// # Errors
/// `account_deactivated`, the billing day rules, `valid_from_in_past`, `time_out_of_range`.
pub fn update_bill_cycle(
    account: Account,
    cycle: &BillCycle,
    billing_day: Option<u32>,
    valid_from: Option<Timestamp>,
    settings: &BillingSettings,
    now: Timestamp,
) -> Result<Change<Account>, Rejected> {
    ensure_not_deactivated(&account)?;
    let schedule = cycle.schedule(billing_day)?;
    match valid_from {
        Some(valid_from) => {
            let valid_from = ensure_in_future(valid_from, now)?;
            let mut after = account.next_version(now);
            after.planned_bill_cycle_change = Some(PlannedChange { bill_cycle_id: cycle.id, billing_day, valid_from });
            Ok(Change::updated(account, after, vec!["account.bill_cycle_change_planned"]))
        }
        None => Ok(switch(account, cycle.id, billing_day, schedule, now, Start::AtOnce(settings.date_of(now)))),
    }
}

/// Decides `cancelAccountBillCycleChange`.
///
/// # Errors
/// `account_deactivated`, `no_bill_cycle_change_in_progress`.
pub fn cancel_bill_cycle_change(account: Account, now: Timestamp) -> Result<Change<Account>, Rejected> {
    ensure_not_deactivated(&account)?;
    let cancelled = Lifecycle { kind: "account.bill_cycle_change_cancelled", parameters: planned(&account)?.parameters() };
    let mut after = account.next_version(now);
    after.planned_bill_cycle_change = None;
    Ok(Change::updated(account, after, vec![cancelled]))
}

/// Decides `performAccountBillCycleChange`: the planned change takes effect now. `cycle` must be the planned cycle.
///
/// # Errors
/// `account_deactivated`, `no_bill_cycle_change_in_progress`, the billing day rules.
pub fn perform_bill_cycle_change(
    account: Account,
    cycle: &BillCycle,
    settings: &BillingSettings,
    now: Timestamp,
) -> Result<Change<Account>, Rejected> {
    ensure_not_deactivated(&account)?;
    let change = planned(&account)?.clone();
    let schedule = cycle.schedule(change.billing_day)?;
    Ok(switch(account, cycle.id, change.billing_day, schedule, now, Start::AtOnce(settings.date_of(now))))
}

/// Decides a planned change that the clock has picked up. Returns `None` if no change is planned or due, so a second clock, a
/// restart or a late run has no effect.
///
/// # Errors
/// The billing day rules.
pub fn perform_due_bill_cycle_change(
    account: Account,
    cycle: &BillCycle,
    settings: &BillingSettings,
    now: Timestamp,
) -> Result<Option<Change<Account>>, Rejected> {
    let Some(change) = account.planned_bill_cycle_change.clone() else { return Ok(None) };
    if account.status == Status::Deactivated || change.valid_from > now || change.bill_cycle_id != cycle.id {
        return Ok(None);
    }
    let schedule = cycle.schedule(change.billing_day)?;
    let due = Start::AfterRunningPeriod(settings.date_of(change.valid_from));
    Ok(Some(switch(account, cycle.id, change.billing_day, schedule, now, due)))
}

/// How a change of cycle treats the period that runs then (OCS.io bill cycle change, "immediate" and "standard").
enum Start {
    /// The period ends on this day.
    AtOnce(NaiveDate),
    /// The period that this day is in runs to its end; one that begins on this day does not begin.
    AfterRunningPeriod(NaiveDate),
}

fn switch(
    account: Account,
    cycle: BillCycleId,
    billing_day: Option<u32>,
    schedule: BillingSchedule,
    now: Timestamp,
    start: Start,
) -> Change<Account> {
    let mut after = account.next_version(now);
    let (day, from) = match start {
        Start::AtOnce(today) => (today, today),
        Start::AfterRunningPeriod(day) => {
            let running = running_period(&account.bill_cycle_history, day).map_or(account.bill_cycle.period, |(period, _)| period);
            (day, if running.start == day { day } else { running.end })
        }
    };
    after.bill_cycle_history.set(from, CycleInForce { bill_cycle_id: cycle, schedule });
    // A bill run may have gone on already to the period after the one that the change leaves whole.
    let shown = account.bill_cycle.period.start.clamp(day, from);
    let (period, short_period) = running_period(&after.bill_cycle_history, shown).unwrap_or((schedule.period_from(day), None));
    after.bill_cycle = CurrentBillCycle { bill_cycle_id: cycle, billing_day, period, short_period };
    after.planned_bill_cycle_change = None;
    Change::updated(account, after, vec!["account.bill_cycle_changed"])
}

/// The start of a planned change.
///
/// # Errors
/// `valid_from_in_past`.
fn ensure_in_future(valid_from: Timestamp, now: Timestamp) -> Result<Timestamp, Rejected> {
    if valid_from > now {
        ensure_planned("/validFrom", valid_from.date_naive(), now)?;
        return Ok(valid_from);
    }
    let now = now.to_rfc3339_opts(SecondsFormat::Secs, true);
    let message = format!("validFrom must be in the future (now: {now}); omit it to change at once.");
    Err(Rejected::violation("/validFrom", Code::ValidFromInPast, message))
}

fn planned(account: &Account) -> Result<&PlannedChange, Rejected> {
    account
        .planned_bill_cycle_change
        .as_ref()
        .ok_or_else(|| Rejected::conflict(Code::NoBillCycleChangeInProgress, "The account has no planned bill cycle change."))
}

/// What the clock does with an account when it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DueAction {
    /// The planned bill cycle change takes effect.
    BillCycleChange,
    /// The planned status change takes effect.
    StatusChange,
    /// More of what belongs to the deactivated account ends.
    Ending,
}

impl Account {
    /// What the clock does next, and when. At one moment the bill cycle changes before the status, which may withdraw its change.
    pub fn next_due(&self) -> Option<(Timestamp, DueAction)> {
        let cycle = self.planned_bill_cycle_change.as_ref().map(|planned| (planned.valid_from, DueAction::BillCycleChange));
        let status = self.planned_status_change.as_ref().map(|planned| (planned.valid_from, DueAction::StatusChange));
        let ending = self.ended_at().filter(|_| self.ending).map(|at| (at, DueAction::Ending));
        [cycle, status, ending].into_iter().flatten().min()
    }
}

impl Entity for Account {
    const TYPE: &'static str = "account";
    const EVENT_OBJECT: Option<&'static str> = Some("account");

    entity_members!(updated_at, external_id, status, attributes);
    fn due_at(&self) -> Option<Timestamp> {
        self.next_due().map(|(at, _)| at)
    }
    fn account(&self) -> Option<AccountId> {
        Some(self.id)
    }
    fn parameters(&self) -> Parameters {
        let mut parameters = self.company.as_ref().map(Company::parameters).unwrap_or_default();
        let mut put = |name: &str, value: Option<serde_json::Value>| {
            if let Some(value) = value {
                parameters.insert(name.to_owned(), value);
            }
        };
        put("account.id", Some(self.id.to_string().into()));
        put("account.externalId", self.external_id.clone().map(Into::into));
        put("account.name", Some(self.name.clone().into()));
        put("account.status", Some(self.status.name().into()));
        put("account.statusReason", self.status_reason.clone().map(Into::into));
        put("account.currency", Some(self.currency.clone().into()));
        put("account.paymentTermDays", self.payment_term_days.map(Into::into));
        put("account.payer", self.payer_id.map(|id| id.to_string().into()));
        put("account.billCycle", Some(self.bill_cycle.bill_cycle_id.to_string().into()));
        let schedule = self.bill_cycle_history.last().map(|cycle| cycle.schedule).filter(|one| one.unit.billing_days().is_some());
        put("account.billingDay", self.bill_cycle.billing_day.or(schedule.map(|schedule| schedule.day)).map(Into::into));
        put("account.periodStart", Some(self.bill_cycle.period.start.to_string().into()));
        put("account.periodEnd", Some(self.bill_cycle.period.end.to_string().into()));
        parameters.extend(self.planned_bill_cycle_change.iter().flat_map(PlannedChange::parameters));
        parameters.extend(self.planned_status_change.iter().flat_map(PlannedStatusChange::parameters));
        self.attributes.offer("account.attributes", &mut parameters);
        parameters
    }
}

#[cfg(test)]
pub(crate) mod tests;
