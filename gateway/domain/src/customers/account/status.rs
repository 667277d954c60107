//! Statuses of an account: changes at once, and changes planned ahead.
//!
//! State machine of a planned change, the same as that of a bill cycle change: none -> planned -> performed (by the clock or ahead of time),
//! cancelled, or withdrawn by a change at once that it contradicts.

use billwire_schemas::{clock::Timestamp, events::envelope::Parameters, refusal::Code};
use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};

use super::{Account, StatusInForce, ensure_in_future, running_period};
use crate::{
    change::{Change, Entity, Lifecycle},
    customers::billing_settings::{BillingSettings, TimeOfDay, local_moment},
    rejected::Rejected,
};

/// An account's status. Deactivated is terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// Not yet billed.
    Inactive,
    /// Billed.
    Active,
    /// Billed, with services suspended.
    Suspended,
    /// Terminated; terminal.
    Deactivated,
}

impl Status {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deactivated => "deactivated",
        }
    }

    /// The statuses an account can change to from this one.
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::Inactive => &[Self::Active, Self::Deactivated],
            Self::Active => &[Self::Suspended, Self::Deactivated],
            Self::Suspended => &[Self::Active, Self::Deactivated],
            Self::Deactivated => &[],
        }
    }
}

/// A planned change of status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedStatusChange {
    /// The new status.
    pub status: Status,
    /// Reason for the status.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Whether the change includes the account's services.
    pub services: bool,
    /// When the change takes effect.
    pub valid_from: Timestamp,
}

impl PlannedStatusChange {
    /// The parameters of the plan, as listed in the catalogue.
    pub(super) fn parameters(&self) -> Parameters {
        Parameters::from([
            ("account.plannedStatus".to_owned(), self.status.name().into()),
            ("account.plannedStatusFrom".to_owned(), self.valid_from.to_rfc3339_opts(SecondsFormat::AutoSi, true).into()),
        ])
    }
}

/// A requested change of status.
#[derive(Debug, Clone)]
pub struct StatusChange {
    /// The new status.
    pub status: Status,
    /// Reason for the status.
    pub reason: Option<String>,
    /// Whether the change includes the account's services.
    pub services: bool,
}

/// When a planned change takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlannedStart {
    /// At this moment.
    At(Timestamp),
    /// At the end of the running billing period, in the tenant's time zone.
    EndOfPeriod,
}

impl PlannedStart {
    /// The start that a request asks for; `None`: at once.
    ///
    /// # Errors
    /// `valid_from_ambiguous`.
    pub fn of(valid_from: Option<Timestamp>, end_of_period: bool) -> Result<Option<Self>, Rejected> {
        match (valid_from, end_of_period) {
            (Some(_), true) => {
                let message = "validFrom and endOfPeriod exclude each other; give one of them, or neither to change at once.";
                Err(Rejected::violation("/endOfPeriod", Code::ValidFromAmbiguous, message))
            }
            (Some(valid_from), false) => Ok(Some(Self::At(valid_from))),
            (None, true) => Ok(Some(Self::EndOfPeriod)),
            (None, false) => Ok(None),
        }
    }

    pub(in crate::customers) fn moment(self, account: &Account, settings: &BillingSettings, now: Timestamp) -> Result<Timestamp, Rejected> {
        match self {
            Self::At(valid_from) => ensure_in_future(valid_from, now),
            Self::EndOfPeriod => {
                let today = settings.date_of(now);
                let running = running_period(&account.bill_cycle_history, today).map_or(account.bill_cycle.period, |(period, _)| period);
                // A bill run may be late, and the known period with it.
                let tomorrow = today.succ_opt().unwrap_or(today);
                Ok(local_moment(settings.zone(), running.end.max(tomorrow), TimeOfDay::MIDNIGHT))
            }
        }
    }
}

/// Decides `changeAccountStatus` and, for deactivated, `cancelAccount`, at once. Withdraws a planned status change that cannot follow the new
/// status. Deactivating also withdraws a planned bill cycle change.
///
/// # Errors
/// `account_deactivated`, `status_unchanged`, `status_transition_not_allowed`.
pub fn change_status(
    account: Account,
    to: Status,
    reason: Option<String>,
    settings: &BillingSettings,
    now: Timestamp,
) -> Result<Change<Account>, Rejected> {
    ensure_can_become(&account, to)?;
    let mut after = account.next_version(now);
    after.status = to;
    after.status_reason = reason;
    let (before, status) = (StatusInForce { status: account.status }, StatusInForce { status: to });
    after.status_history.set_after(settings.date_of(account.created_at), before, settings.date_of(now), status);
    let mut lifecycle: Vec<Lifecycle> = vec!["account.status_changed".into()];
    if to == Status::Deactivated {
        after.deactivated_at = Some(now);
        lifecycle.push("account.cancelled".into());
        if let Some(planned) = after.planned_bill_cycle_change.take() {
            lifecycle.push(Lifecycle { kind: "account.bill_cycle_change_cancelled", parameters: planned.parameters() });
        }
    }
    if let Some(planned) = after.planned_status_change.take_if(|planned| !to.next().contains(&planned.status)) {
        lifecycle.push(Lifecycle { kind: "account.status_change_cancelled", parameters: planned.parameters() });
    }
    Ok(Change::updated(account, after, lifecycle))
}

/// Decides `changeAccountStatus` and `cancelAccount` with a start in the future. Replaces a planned change. The end of the period is the one
/// known now: a later change of bill cycle does not move it.
///
/// # Errors
/// `account_deactivated`, `status_unchanged`, `status_transition_not_allowed`; `valid_from_in_past` at `/validFrom`.
pub fn plan_status_change(
    account: Account,
    change: StatusChange,
    start: PlannedStart,
    settings: &BillingSettings,
    now: Timestamp,
) -> Result<Change<Account>, Rejected> {
    let StatusChange { status, reason, services } = change;
    ensure_can_become(&account, status)?;
    let valid_from = start.moment(&account, settings, now)?;
    let mut after = account.next_version(now);
    after.planned_status_change = Some(PlannedStatusChange { status, reason, services, valid_from });
    Ok(Change::updated(account, after, vec!["account.status_change_planned"]))
}

/// Decides `cancelAccountStatusChange`.
///
/// # Errors
/// `account_deactivated`, `no_status_change_in_progress`.
pub fn cancel_status_change(account: Account, now: Timestamp) -> Result<Change<Account>, Rejected> {
    let cancelled = Lifecycle { kind: "account.status_change_cancelled", parameters: planned(&account)?.parameters() };
    let mut after = account.next_version(now);
    after.planned_status_change = None;
    Ok(Change::updated(account, after, vec![cancelled]))
}

/// Decides `performAccountStatusChange`: the planned change takes effect now.
///
/// # Errors
/// `account_deactivated`, `no_status_change_in_progress`.
pub fn perform_status_change(account: Account, settings: &BillingSettings, now: Timestamp) -> Result<Change<Account>, Rejected> {
    let PlannedStatusChange { status, reason, .. } = planned(&account)?.clone();
    let unplanned = Account { planned_status_change: None, ..account.clone() };
    let change = change_status(unplanned, status, reason, settings, now)?;
    Ok(Change { before: Some(account), ..change })
}

/// Decides a planned change that the clock has picked up. Returns `None` if no change is planned or due, so a second clock, a restart or a
/// late run has no effect.
///
/// # Errors
/// The rules of [`change_status`].
pub fn perform_due_status_change(
    account: Account,
    settings: &BillingSettings,
    now: Timestamp,
) -> Result<Option<Change<Account>>, Rejected> {
    if account.planned_status_change.as_ref().is_none_or(|planned| planned.valid_from > now) {
        return Ok(None);
    }
    perform_status_change(account, settings, now).map(Some)
}

/// Marks that everything that belongs to a deactivated account has ended with it.
pub fn all_ended(account: Account, now: Timestamp) -> Change<Account> {
    let mut after = account.next_version(now);
    after.ending = false;
    Change::updated(account, after, Vec::<&'static str>::new())
}

/// Refuses any change under a deactivated account.
///
/// # Errors
/// `account_deactivated`.
pub fn ensure_not_deactivated(account: &Account) -> Result<(), Rejected> {
    if account.status == Status::Deactivated {
        return Err(Rejected::conflict(Code::AccountDeactivated, "The account is deactivated and cannot be changed."));
    }
    Ok(())
}

fn ensure_can_become(account: &Account, to: Status) -> Result<(), Rejected> {
    ensure_not_deactivated(account)?;
    if account.status == to {
        return Err(Rejected::conflict(Code::StatusUnchanged, format!("The account is already {}.", to.name())));
    }
    if !account.status.next().contains(&to) {
        let allowed: Vec<_> = account.status.next().iter().map(|s| s.name()).collect();
        let message = format!("An account cannot change from {} to {}; allowed: {}.", account.status.name(), to.name(), allowed.join(", "));
        return Err(Rejected::conflict(Code::StatusTransitionNotAllowed, message));
    }
    Ok(())
}

fn planned(account: &Account) -> Result<&PlannedStatusChange, Rejected> {
    ensure_not_deactivated(account)?;
    account
        .planned_status_change
        .as_ref()
        .ok_or_else(|| Rejected::conflict(Code::NoStatusChangeInProgress, "The account has no planned status change."))
}

impl Account {
    /// When the account was deactivated. An account that a version without [`Account::deactivated_at`] deactivated has not changed since.
    pub fn ended_at(&self) -> Option<Timestamp> {
        (self.status == Status::Deactivated).then(|| self.deactivated_at.unwrap_or(self.updated_at))
    }
}

#[cfg(test)]
mod tests;
