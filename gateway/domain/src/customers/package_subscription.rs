//! Package subscriptions: the packages of an account, their start, and the date up to which their recurring fee is billed.

use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{AccountId, PackageId, PackageSubscriptionId},
    refusal::Code,
};
use chrono::{Months, NaiveDate, SecondsFormat};
use serde::{Deserialize, Serialize};

use crate::{
    attributes::{Attributes, Changes},
    change::{Change, Entity, entity_members},
    customers::{
        account::{Account, ensure_not_deactivated},
        billing_settings::{BillingSettings, StatusByDay, StatusModel},
        package::Package,
        planned_status::{PlannedStatus, StatusPlan, withdraw_contradicted},
    },
    history::History,
    patch::Patch,
    rejected::{Rejected, Violation},
};

/// How far a start date may lie in the past. The limit bounds the lines of a bill run, which has one line per period since the
/// start.
const BACKDATED_MAX: Months = Months::new(12);
/// How far a start date may lie in the future.
const AHEAD_MAX: Months = Months::new(120);

/// A package subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageSubscription {
    /// Object id.
    pub id: PackageSubscriptionId,
    /// Object version, starting at 1.
    pub version: i64,
    /// The object's id in the external system.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub external_id: Option<String>,
    /// The owning account.
    pub account_id: AccountId,
    /// The package.
    pub package_id: PackageId,
    /// Custom attributes.
    #[serde(skip_serializing_if = "Attributes::is_empty", default)]
    pub attributes: Attributes,
    /// Current status, one of the package statuses of the billing settings.
    pub status: String,
    /// Reason for the status.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status_reason: Option<String>,
    /// The first day the fee is charged for.
    pub start_date: NaiveDate,
    /// The first day the fee is no longer charged for. Cancelling sets it, never before the start date.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub end_date: Option<NaiveDate>,
    /// The first day not yet billed; initially the start date.
    pub fee_billed_until: NaiveDate,
    /// The planned change of status.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub planned_status_change: Option<PlannedStatus>,
    /// The status by day, and whether it was billable then. Empty for subscriptions that have not changed since a version without it.
    #[serde(skip_serializing_if = "History::is_empty", default)]
    pub status_history: History<StatusByDay>,
    /// Creation time.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// `subscribePackage`.
#[derive(Debug, Clone)]
pub struct Subscribe {
    /// The new subscription's id.
    pub id: PackageSubscriptionId,
    /// See [`PackageSubscription::external_id`].
    pub external_id: Option<String>,
    /// See [`PackageSubscription::start_date`]; absent: today in the tenant's time zone.
    pub start_date: Option<NaiveDate>,
    /// The status from the first day on; absent: the initial one.
    pub status: Option<String>,
    /// See [`PackageSubscription::attributes`].
    pub attributes: Attributes,
}

/// `updatePackageSubscription`; absent members stay unchanged.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// See [`PackageSubscription::external_id`].
    pub external_id: Patch<String>,
    /// See [`PackageSubscription::attributes`].
    pub attributes: Changes,
}

/// Decides `subscribePackage`.
///
/// # Errors
/// `account_deactivated`; `currency_mismatch` at `/package`, `start_date_out_of_range` at `/startDate`, `status_unknown` at `/status`,
/// `status_transition_not_allowed`, and the bounds of [`Attributes`].
pub fn subscribe(
    command: Subscribe,
    account: &Account,
    package: &Package,
    settings: &BillingSettings,
    now: Timestamp,
) -> Result<Change<PackageSubscription>, Rejected> {
    ensure_not_deactivated(account)?;
    let mut broken = command.attributes.violations();
    if package.currency.as_str() != account.currency {
        let message = format!("The package's currency is {}, but the account's is {}.", package.currency, account.currency);
        broken.push(Violation::new("/package", Code::CurrencyMismatch, message));
    }
    let today = settings.date_of(now);
    let start = command.start_date.unwrap_or(today);
    let (first, last) = (today.checked_sub_months(BACKDATED_MAX), today.checked_add_months(AHEAD_MAX));
    if first.is_some_and(|first| start < first) || last.is_some_and(|last| start > last) {
        let message = format!("startDate is {start}; it must be at most one year before and ten years after today, {today}.");
        broken.push(Violation::new("/startDate", Code::StartDateOutOfRange, message));
    }
    if let Some(rejected) = Rejected::from_violations(broken) {
        return Err(rejected);
    }
    let (model, initial) = (&settings.package_statuses, &settings.package_statuses.initial);
    let status = command.status.unwrap_or_else(|| initial.clone());
    if status == model.cancelled {
        return Err(Rejected::violation("/status", Code::StatusTransitionNotAllowed, "A package subscription cannot begin cancelled."));
    }
    if status != *initial {
        model.check_transition("package subscription", initial, &status)?;
    }
    Ok(Change::created(PackageSubscription {
        id: command.id,
        version: 1,
        external_id: command.external_id,
        account_id: account.id,
        package_id: package.id,
        attributes: command.attributes,
        // From its first day on: a change of today leaves the days before as they were.
        status_history: History::starting(start.min(today), model.by_day(&status)),
        status,
        status_reason: None,
        start_date: start,
        end_date: None,
        fee_billed_until: start,
        planned_status_change: None,
        created_at: now,
        updated_at: now,
    }))
}

/// Decides `updatePackageSubscription`.
///
/// # Errors
/// `account_deactivated`, and the bounds of [`Attributes`].
pub fn update(
    subscription: PackageSubscription,
    account: &Account,
    command: Update,
    now: Timestamp,
) -> Result<Change<PackageSubscription>, Rejected> {
    ensure_not_deactivated(account)?;
    let mut after = subscription.next_version(now);
    after.attributes = subscription.attributes.changed(&command.attributes)?;
    after.external_id = command.external_id.apply(after.external_id);
    Ok(Change::updated(subscription, after, Vec::<&'static str>::new()))
}

/// Decides `changePackageSubscriptionStatus`. A change to the cancelled status also ends the subscription, as [`cancel`] does.
///
/// # Errors
/// `account_deactivated`, and the rules of
/// [`StatusModel::check_transition`](crate::customers::billing_settings::StatusModel::check_transition).
pub fn change_status(
    subscription: PackageSubscription,
    account: &Account,
    settings: &BillingSettings,
    to: String,
    reason: Option<String>,
    now: Timestamp,
) -> Result<Change<PackageSubscription>, Rejected> {
    ensure_not_deactivated(account)?;
    settings.package_statuses.check_transition("package subscription", &subscription.status, &to)?;
    Ok(moved(subscription, settings, to, reason, now))
}

/// Decides `cancelPackageSubscription`: the subscription ends today, in the tenant's time zone. The table of transitions does
/// not apply, so that every subscription can be cancelled.
///
/// # Errors
/// `account_deactivated`, `package_subscription_cancelled`.
pub fn cancel(
    subscription: PackageSubscription,
    account: &Account,
    settings: &BillingSettings,
    reason: Option<String>,
    now: Timestamp,
) -> Result<Change<PackageSubscription>, Rejected> {
    ensure_can_be_cancelled(&subscription, account, settings)?;
    let to = settings.package_statuses.cancelled.clone();
    Ok(moved(subscription, settings, to, reason, now))
}

/// Refuses the cancellation of a subscription that has ended.
///
/// # Errors
/// `account_deactivated`, `package_subscription_cancelled`.
pub fn ensure_can_be_cancelled(subscription: &PackageSubscription, account: &Account, settings: &BillingSettings) -> Result<(), Rejected> {
    ensure_not_deactivated(account)?;
    if subscription.is_cancelled(settings) {
        return Err(Rejected::conflict(Code::PackageSubscriptionCancelled, "The package subscription is already cancelled."));
    }
    Ok(())
}

/// Ends a subscription with its account, on the day of `now`. `None` if it has ended before.
pub fn end_with_account(
    subscription: PackageSubscription,
    settings: &BillingSettings,
    reason: Option<String>,
    now: Timestamp,
) -> Option<Change<PackageSubscription>> {
    let to = settings.package_statuses.cancelled.clone();
    (!subscription.is_cancelled(settings)).then(|| moved(subscription, settings, to, reason, now))
}

fn moved(
    subscription: PackageSubscription,
    settings: &BillingSettings,
    to: String,
    reason: Option<String>,
    now: Timestamp,
) -> Change<PackageSubscription> {
    let mut after = subscription.next_version(now);
    let mut lifecycle = vec!["package.status_changed"];
    if to == settings.package_statuses.cancelled {
        let end = after.end_date.unwrap_or(settings.date_of(now).max(after.start_date));
        after.end_date = Some(end);
        lifecycle.push("package.cancelled");
    }
    settings.package_statuses.note(
        &mut after.status_history,
        &after.status,
        settings.date_of(after.created_at),
        &to,
        settings.date_of(now),
    );
    after.status = to;
    after.status_reason = reason;
    lifecycle.extend(withdraw_contradicted(&mut after, settings));
    Change::updated(subscription, after, lifecycle)
}

/// Marks the fee as billed for the days before `until`, after a bill run.
pub fn fee_billed(subscription: PackageSubscription, until: NaiveDate, now: Timestamp) -> Change<PackageSubscription> {
    let mut after = subscription.next_version(now);
    after.fee_billed_until = until.max(after.fee_billed_until);
    Change::updated(subscription, after, Vec::<&'static str>::new())
}

/// Makes the days from `from` on billable again, after the invoice that billed them was cancelled.
pub fn fee_given_back(subscription: PackageSubscription, from: NaiveDate, now: Timestamp) -> Change<PackageSubscription> {
    let mut after = subscription.next_version(now);
    after.fee_billed_until = from.min(after.fee_billed_until);
    Change::updated(subscription, after, Vec::<&'static str>::new())
}

impl PackageSubscription {
    /// Whether the subscription has ended.
    pub fn is_cancelled(&self, settings: &BillingSettings) -> bool {
        self.end_date.is_some() || self.status == settings.package_statuses.cancelled
    }
}

impl StatusPlan for PackageSubscription {
    const NOUN: &'static str = "package subscription";
    const PLANNED: &'static str = "package.status_change_planned";
    const CANCELLED: &'static str = "package.status_change_cancelled";

    fn planned(&self) -> Option<&PlannedStatus> {
        self.planned_status_change.as_ref()
    }
    fn set_planned(&mut self, planned: Option<PlannedStatus>) {
        self.planned_status_change = planned;
    }
    fn current(&self) -> &str {
        &self.status
    }
    fn model(settings: &BillingSettings) -> &StatusModel {
        &settings.package_statuses
    }
    fn moved(self, settings: &BillingSettings, to: String, reason: Option<String>, now: Timestamp) -> Change<Self> {
        moved(self, settings, to, reason, now)
    }
}

impl Entity for PackageSubscription {
    const TYPE: &'static str = "packageSubscription";
    const EVENT_OBJECT: Option<&'static str> = Some("package_subscription");

    entity_members!(updated_at, external_id, account_id, attributes);
    fn due_at(&self) -> Option<Timestamp> {
        self.planned_status_change.as_ref().map(|planned| planned.valid_from)
    }
    fn status(&self) -> Option<&str> {
        Some(&self.status)
    }
    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::from([
            ("package.subscriptionId".to_owned(), self.id.to_string().into()),
            ("package.status".to_owned(), self.status.clone().into()),
            ("package.startDate".to_owned(), self.start_date.to_string().into()),
        ]);
        let mut put = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                parameters.insert(name.to_owned(), value.into());
            }
        };
        put("package.subscriptionExternalId", self.external_id.clone());
        put("package.statusReason", self.status_reason.clone());
        put("package.endDate", self.end_date.map(|date| date.to_string()));
        let planned = self.planned_status_change.as_ref();
        put("package.plannedStatus", planned.map(|planned| planned.status.clone()));
        put("package.plannedStatusFrom", planned.map(|planned| planned.valid_from.to_rfc3339_opts(SecondsFormat::AutoSi, true)));
        self.attributes.offer("package.attributes", &mut parameters);
        parameters
    }
}

#[cfg(test)]
mod tests;
