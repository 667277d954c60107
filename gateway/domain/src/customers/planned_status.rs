//! Planned changes of the status of package subscriptions and services, which follow a status model of the billing settings.
//!
//! State machine: none -> planned -> performed (by the clock or ahead of time), cancelled, or withdrawn by a change at once that it cannot follow.

use billwire_schemas::{clock::Timestamp, refusal::Code};
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Entity},
    customers::{
        account::{Account, PlannedStart, ensure_not_deactivated},
        billing_settings::{BillingSettings, StatusModel},
    },
    rejected::Rejected,
};

/// A planned change of status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedStatus {
    /// The new status.
    pub status: String,
    /// Reason for the status.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// When the change takes effect.
    pub valid_from: Timestamp,
}

/// A requested status.
#[derive(Debug, Clone)]
pub struct WantedStatus {
    /// The status.
    pub status: String,
    /// Reason for it.
    pub reason: Option<String>,
}

/// An object whose change of status can be planned.
pub trait StatusPlan: Entity + Clone + PartialEq {
    /// Noun in messages.
    const NOUN: &'static str;
    /// The event type of a plan.
    const PLANNED: &'static str;
    /// The event type of a plan that is cancelled or withdrawn.
    const CANCELLED: &'static str;

    /// The planned change.
    fn planned(&self) -> Option<&PlannedStatus>;
    /// Sets the planned change.
    fn set_planned(&mut self, planned: Option<PlannedStatus>);
    /// The current status.
    fn current(&self) -> &str;
    /// The statuses there are.
    fn model(settings: &BillingSettings) -> &StatusModel;
    /// Changes the status at once.
    fn moved(self, settings: &BillingSettings, to: String, reason: Option<String>, now: Timestamp) -> Change<Self>;
}

/// Refuses a status that the object cannot change to. The table of transitions does not apply to the cancelled status if `is_cancellation`.
fn ensure_can_become<T: StatusPlan>(object: &T, settings: &BillingSettings, to: &str, is_cancellation: bool) -> Result<(), Rejected> {
    let model = T::model(settings);
    if is_cancellation && to == model.cancelled && object.current() != to {
        return Ok(());
    }
    model.check_transition(T::NOUN, object.current(), to)
}

/// Plans a change of status. Replaces a planned change. The end of the period is the one known now.
///
/// # Errors
/// `account_deactivated`, `status_unknown`, `status_unchanged`, `status_transition_not_allowed`; `valid_from_in_past` at `/validFrom`.
pub fn plan<T: StatusPlan>(
    object: T,
    account: &Account,
    settings: &BillingSettings,
    (wanted, is_cancellation): (WantedStatus, bool),
    start: PlannedStart,
    now: Timestamp,
) -> Result<Change<T>, Rejected> {
    ensure_not_deactivated(account)?;
    ensure_can_become(&object, settings, &wanted.status, is_cancellation)?;
    let valid_from = start.moment(account, settings, now)?;
    let mut after = object.next_version(now);
    after.set_planned(Some(PlannedStatus { status: wanted.status, reason: wanted.reason, valid_from }));
    Ok(Change::updated(object, after, vec![T::PLANNED]))
}

/// Cancels the planned change.
///
/// # Errors
/// `account_deactivated`, `no_status_change_in_progress`.
pub fn cancel<T: StatusPlan>(object: T, account: &Account, now: Timestamp) -> Result<Change<T>, Rejected> {
    ensure_not_deactivated(account)?;
    withdraw(object, now).ok_or_else(none_planned::<T>)
}

/// Performs the planned change now.
///
/// # Errors
/// `account_deactivated`, `no_status_change_in_progress`, and the rules of the status model.
pub fn perform<T: StatusPlan>(object: T, account: &Account, settings: &BillingSettings, now: Timestamp) -> Result<Change<T>, Rejected> {
    ensure_not_deactivated(account)?;
    let PlannedStatus { status, reason, .. } = object.planned().cloned().ok_or_else(none_planned::<T>)?;
    ensure_can_become(&object, settings, &status, true)?;
    let mut unplanned = object.clone();
    unplanned.set_planned(None);
    Ok(Change { before: Some(object), ..unplanned.moved(settings, status, reason, now) })
}

/// Performs a planned change that the clock has picked up, or withdraws it if the account is deactivated. `None` if no change is due.
///
/// # Errors
/// The rules of the status model.
pub fn perform_due<T: StatusPlan>(
    object: T,
    account: &Account,
    settings: &BillingSettings,
    now: Timestamp,
) -> Result<Option<Change<T>>, Rejected> {
    if object.planned().is_none_or(|planned| planned.valid_from > now) {
        return Ok(None);
    }
    if account.ended_at().is_some() {
        return Ok(withdraw(object, now));
    }
    perform(object, account, settings, now).map(Some)
}

/// Withdraws the planned change, if there is one.
pub fn withdraw<T: StatusPlan>(object: T, now: Timestamp) -> Option<Change<T>> {
    object.planned()?;
    let mut after = object.next_version(now);
    after.set_planned(None);
    Some(Change::updated(object, after, vec![T::CANCELLED]))
}

/// Withdraws a planned change that cannot follow the new status of `after`. Returns the event to publish.
pub(super) fn withdraw_contradicted<T: StatusPlan>(after: &mut T, settings: &BillingSettings) -> Option<&'static str> {
    let (model, planned) = (T::model(settings), after.planned()?);
    let is_cancellation = planned.status == model.cancelled && after.current() != model.cancelled;
    if is_cancellation || model.allows(after.current(), &planned.status) {
        return None;
    }
    after.set_planned(None);
    Some(T::CANCELLED)
}

fn none_planned<T: StatusPlan>() -> Rejected {
    Rejected::conflict(Code::NoStatusChangeInProgress, format!("The {} has no planned status change.", T::NOUN))
}

#[cfg(test)]
mod tests;
