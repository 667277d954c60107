//! Contracts with commit tiers: the spend an account has committed to per period.
//!
//! At the end of a period the clock compares the spend with each tier's commitment; an event reports each shortfall.

use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{AccountId, ContractId},
    money::{Decimal, Money},
    refusal::Code,
};
use chrono::{Months, NaiveDate};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::{
    calendar::Period,
    change::{Change, Entity, Lifecycle, entity_members},
    customers::{
        account::{Account, ensure_not_deactivated},
        billing_settings::{TimeOfDay, local_moment},
    },
    patch::Patch,
    rejected::{Rejected, Violation},
    time_bounds::{ensure_planned, planned},
};

/// Status of a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// In force.
    Active,
    /// The end date is reached, or the account is deactivated.
    Ended,
}

impl Status {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Ended => "ended",
        }
    }
}

/// A tier: a minimum spend per period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// Display name.
    pub name: String,
    /// The committed amount.
    pub commit: Money,
}

/// A contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contract {
    /// Object id.
    pub id: ContractId,
    /// Object version, starting at 1.
    pub version: i64,
    /// The object's id in the external system.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub external_id: Option<String>,
    /// The owning account.
    pub account_id: AccountId,
    /// Display name.
    pub name: String,
    /// Current status.
    pub status: Status,
    /// First day.
    pub start_date: NaiveDate,
    /// Months per period, counted from the start date.
    pub period_months: u32,
    /// The first day after the contract.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub end_date: Option<NaiveDate>,
    /// Tiers in ascending order.
    pub tiers: Vec<Tier>,
    /// The current period, or the last one.
    pub period: Period,
    /// Start of the current period, in the tenant's time zone at the time it was computed.
    pub period_starts_at: Timestamp,
    /// End of the current period in the tenant's time zone, when the clock processes the contract.
    pub period_ends_at: Timestamp,
    /// Creation time.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// `createContract`.
#[derive(Debug, Clone)]
pub struct Create {
    /// The new contract's id.
    pub id: ContractId,
    /// See [`Contract::external_id`].
    pub external_id: Option<String>,
    /// See [`Contract::name`].
    pub name: String,
    /// See [`Contract::start_date`].
    pub start_date: NaiveDate,
    /// See [`Contract::period_months`].
    pub period_months: u32,
    /// See [`Contract::end_date`].
    pub end_date: Option<NaiveDate>,
    /// See [`Contract::tiers`].
    pub tiers: Vec<Tier>,
}

/// Midnight at the start of a date.
fn midnight(zone: Tz, date: NaiveDate) -> Timestamp {
    local_moment(zone, date, TimeOfDay::MIDNIGHT)
}

/// Period `number`, from 0. Each is counted from the start date, so that a start on the 31st does not drift.
fn period(start: NaiveDate, months: u32, number: u32, end: Option<NaiveDate>) -> Option<Period> {
    let from = start.checked_add_months(Months::new(months.checked_mul(number)?))?;
    let to = start.checked_add_months(Months::new(months.checked_mul(number.checked_add(1)?)?))?;
    Some(Period { start: from, end: end.map_or(to, |end| to.min(end)) })
}

/// Decides `createContract`.
///
/// # Errors
/// `account_deactivated`; `end_date_before_start`, `contract_too_long_ago`, `currency_mismatch`, `amount_not_positive`,
/// `tiers_not_ascending`, `time_out_of_range`.
pub fn create(command: Create, account: &Account, zone: Tz, now: Timestamp) -> Result<Change<Contract>, Rejected> {
    ensure_not_deactivated(account)?;
    let mut broken = Vec::new();
    if command.end_date.is_some_and(|end| end <= command.start_date) {
        broken.push(Violation::new(
            "/endDate",
            Code::EndDateBeforeStart,
            "endDate, the first day after the contract, must be after startDate.",
        ));
    }
    broken.extend(planned("/startDate", command.start_date, now));
    broken.extend(command.end_date.and_then(|end| planned("/endDate", end, now)));
    let first = period(command.start_date, command.period_months, 0, command.end_date);
    let first = first.filter(|first| midnight(zone, first.end) > now);
    if first.is_none() {
        let message = "The contract's first period has already ended; set startDate to the start of the current period.";
        broken.push(Violation::new("/startDate", Code::ContractTooLongAgo, message));
    }
    let mut before = Decimal::ZERO;
    for (index, tier) in command.tiers.iter().enumerate() {
        if tier.commit.currency.as_str() != account.currency {
            let message = format!("The currency must be the account's, {}; it is {}.", account.currency, tier.commit.currency);
            broken.push(Violation::new(format!("/tiers/{index}/commit/currency"), Code::CurrencyMismatch, message));
        }
        let at = format!("/tiers/{index}/commit/amount");
        if !tier.commit.amount.is_positive() {
            broken.push(Violation::new(at, Code::AmountNotPositive, "The commitment must be greater than zero."));
        } else if tier.commit.amount <= before {
            broken.push(Violation::new(at, Code::TiersNotAscending, "Each tier's commitment must exceed the previous tier's."));
        }
        before = before.max(tier.commit.amount);
    }
    match (Rejected::from_violations(broken), first) {
        (None, Some(first)) => Ok(Change::created(Contract {
            id: command.id,
            version: 1,
            external_id: command.external_id,
            account_id: account.id,
            name: command.name,
            status: Status::Active,
            start_date: command.start_date,
            period_months: command.period_months,
            end_date: command.end_date,
            tiers: command.tiers,
            period: first,
            period_starts_at: midnight(zone, first.start),
            period_ends_at: midnight(zone, first.end),
            created_at: now,
            updated_at: now,
        })),
        (Some(rejected), _) => Err(rejected),
        (None, None) => Err(Rejected::violation("/startDate", Code::ContractTooLongAgo, "startDate is out of range for a contract.")),
    }
}

/// `updateContract`; absent members stay unchanged.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// See [`Contract::external_id`].
    pub external_id: Patch<String>,
    /// See [`Contract::name`].
    pub name: Option<String>,
    /// See [`Contract::end_date`].
    pub end_date: Patch<NaiveDate>,
}

/// Decides `updateContract`. A new end date shortens or extends the current period; without one, the period
/// is a full one.
///
/// # Errors
/// `account_deactivated`, `contract_ended`, `end_date_in_past`, `time_out_of_range`.
pub fn update(contract: Contract, account: &Account, command: Update, zone: Tz, now: Timestamp) -> Result<Change<Contract>, Rejected> {
    ensure_not_deactivated(account)?;
    if contract.status == Status::Ended {
        return Err(Rejected::conflict(Code::ContractEnded, "The contract has ended and cannot be changed."));
    }
    let mut after = contract.next_version(now);
    after.external_id = command.external_id.apply(after.external_id);
    after.name = command.name.unwrap_or(after.name);
    if let Some(end) = command.end_date.value() {
        if end <= contract.period.start || midnight(zone, end) <= now {
            let message = "endDate must be in the future and after the start of the current period.";
            return Err(Rejected::violation("/endDate", Code::EndDateInPast, message));
        }
        ensure_planned("/endDate", end, now)?;
    }
    after.end_date = command.end_date.apply(after.end_date);
    if after.end_date != contract.end_date {
        let full = (0..).map_while(|number| period(contract.start_date, contract.period_months, number, after.end_date));
        if let Some(running) =
            full.take_while(|p| p.start < p.end && p.start <= contract.period.start).last().filter(|p| p.start == contract.period.start)
        {
            after.period = running;
            after.period_ends_at = midnight(zone, running.end);
        }
    }
    Ok(Change::updated(contract, after, Vec::<&'static str>::new()))
}

/// Decides `deleteContract`.
///
/// # Errors
/// `account_deactivated`, `contract_started`.
pub fn delete(contract: Contract, account: &Account, now: Timestamp) -> Result<Change<Contract>, Rejected> {
    ensure_not_deactivated(account)?;
    if contract.period_starts_at <= now {
        return Err(Rejected::conflict(Code::ContractStarted, "The contract has started and cannot be deleted; set an endDate instead."));
    }
    Ok(Change::deleted(contract))
}

/// Closes the current period, in which `spend` was spent; `None` if the period has not ended. Missed periods are closed one per
/// call.
pub fn due(contract: Contract, spend: Decimal, zone: Tz, now: Timestamp) -> Option<Change<Contract>> {
    if contract.due_at().is_none_or(|at| at > now) {
        return None;
    }
    let short = shortfalls(&contract, spend);
    let mut after = contract.next_version(now);
    let next = (0..)
        .map_while(|number| period(contract.start_date, contract.period_months, number, contract.end_date))
        .take_while(|p| p.start < p.end)
        .find(|p| p.start >= contract.period.end);
    match next {
        Some(next) => {
            after.period = next;
            after.period_starts_at = contract.period_ends_at;
            after.period_ends_at = midnight(zone, next.end);
        }
        None => after.status = Status::Ended,
    }
    Some(Change::updated(contract, after, short))
}

/// Ends a contract with its account, at `now`: the current period, in which `spend` was spent, ends then and is compared with the whole
/// commitments. A period that has not started is not compared.
pub fn end(contract: Contract, spend: Decimal, zone: Tz, now: Timestamp) -> Change<Contract> {
    let mut after = contract.next_version(now);
    let end = now.with_timezone(&zone).date_naive().max(contract.period.start);
    (after.status, after.end_date) = (Status::Ended, Some(end));
    if contract.period_starts_at >= now {
        return Change::updated(contract, after, Vec::<&'static str>::new());
    }
    (after.period.end, after.period_ends_at) = (end, now);
    let short = shortfalls(&after, spend);
    Change::updated(contract, after, short)
}

/// An event for each tier whose commitment exceeds the `spend` of the current period.
fn shortfalls(contract: &Contract, spend: Decimal) -> Vec<Lifecycle> {
    let short = contract.tiers.iter().filter(|tier| spend < tier.commit.amount).map(|tier| {
        let money = |amount: Decimal| Money::new(amount, tier.commit.currency).amount_text();
        let shortfall = tier.commit.amount.minus(spend).unwrap_or(tier.commit.amount);
        let parameters = Parameters::from([
            ("contract.tier".to_owned(), tier.name.clone().into()),
            ("contract.commit".to_owned(), money(tier.commit.amount).into()),
            ("contract.spend".to_owned(), money(spend).into()),
            ("contract.shortfall".to_owned(), money(shortfall).into()),
            ("contract.periodStart".to_owned(), contract.period.start.to_string().into()),
            ("contract.periodEnd".to_owned(), contract.period.end.to_string().into()),
        ]);
        Lifecycle { kind: "contract.under_commit", parameters }
    });
    short.collect()
}

impl Entity for Contract {
    const TYPE: &'static str = "contract";
    const EVENT_OBJECT: Option<&'static str> = Some("contract");

    entity_members!(updated_at, external_id, status, account_id);
    fn due_at(&self) -> Option<Timestamp> {
        (self.status == Status::Active).then_some(self.period_ends_at)
    }
    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::from([
            ("contract.id".to_owned(), self.id.to_string().into()),
            ("contract.name".to_owned(), self.name.clone().into()),
            ("contract.status".to_owned(), self.status.name().into()),
            ("contract.startDate".to_owned(), self.start_date.to_string().into()),
            ("contract.periodStart".to_owned(), self.period.start.to_string().into()),
            ("contract.periodEnd".to_owned(), self.period.end.to_string().into()),
        ]);
        if let Some(tier) = self.tiers.first() {
            parameters.insert("contract.currency".to_owned(), tier.commit.currency.as_str().into());
        }
        if let Some(end) = self.end_date {
            parameters.insert("contract.endDate".to_owned(), end.to_string().into());
        }
        if let Some(external_id) = &self.external_id {
            parameters.insert("contract.externalId".to_owned(), external_id.clone().into());
        }
        parameters
    }
}

#[cfg(test)]
mod tests;
