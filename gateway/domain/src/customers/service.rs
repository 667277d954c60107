//! Services: what an account uses, each in a status that the billing settings define.

use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{AccountId, PackageSubscriptionId, ServiceId},
    refusal::Code,
};
use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};

use crate::{
    attributes::{Attributes, Changes},
    change::{Change, Entity, Lifecycle, entity_members},
    customers::{
        account::{Account, Status, ensure_not_deactivated},
        billing_settings::{BillingSettings, StatusByDay, StatusModel},
        package_subscription::PackageSubscription,
        planned_status::{PlannedStatus, StatusPlan, withdraw_contradicted},
    },
    history::History,
    patch::Patch,
    rejected::{Rejected, Violation},
};

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Object id.
    pub id: ServiceId,
    /// Object version, starting at 1.
    pub version: i64,
    /// The object's id in the external system.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub external_id: Option<String>,
    /// The owning account.
    pub account_id: AccountId,
    /// The package subscription that includes the service, if any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub package_subscription_id: Option<PackageSubscriptionId>,
    /// Display name.
    pub name: String,
    /// Kind of service; free text.
    pub service_type: String,
    /// Custom attributes.
    #[serde(skip_serializing_if = "Attributes::is_empty", default)]
    pub attributes: Attributes,
    /// Current status, one of the service statuses of the billing settings.
    pub status: String,
    /// Reason for the status.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status_reason: Option<String>,
    /// When the status last changed.
    pub status_changed_at: Timestamp,
    /// The planned change of status.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub planned_status_change: Option<PlannedStatus>,
    /// The status by day, and whether it was billable then. Empty for services that have not changed since a version without it.
    #[serde(skip_serializing_if = "History::is_empty", default)]
    pub status_history: History<StatusByDay>,
    /// Whether the account's suspension suspended the service, so that the account's reactivation reactivates it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub suspended_with_account: bool,
    /// Creation time.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// `createService`.
#[derive(Debug, Clone)]
pub struct Create {
    /// The new service's id.
    pub id: ServiceId,
    /// See [`Service::external_id`].
    pub external_id: Option<String>,
    /// See [`Service::name`].
    pub name: String,
    /// See [`Service::service_type`].
    pub service_type: String,
    /// See [`Service::attributes`].
    pub attributes: Attributes,
}

/// Decides `createService`; the service starts in the initial status.
///
/// # Errors
/// `account_deactivated`; `package_subscription_of_other_account`, `package_subscription_ended` at `/packageSubscription`, and the bounds of
/// [`Attributes`].
pub fn create(
    command: Create,
    account: &Account,
    subscription: Option<&PackageSubscription>,
    settings: &BillingSettings,
    now: Timestamp,
) -> Result<Change<Service>, Rejected> {
    ensure_not_deactivated(account)?;
    let mut broken = command.attributes.violations();
    if let Some(subscription) = subscription {
        if subscription.account_id != account.id {
            let message = "The package subscription belongs to another account.";
            broken.push(Violation::new("/packageSubscription", Code::PackageSubscriptionOfOtherAccount, message));
        } else if subscription.is_cancelled(settings) {
            let message = "The package subscription is cancelled; a new service needs a running one.";
            broken.push(Violation::new("/packageSubscription", Code::PackageSubscriptionEnded, message));
        }
    }
    if let Some(rejected) = Rejected::from_violations(broken) {
        return Err(rejected);
    }
    Ok(Change::created(Service {
        id: command.id,
        version: 1,
        external_id: command.external_id,
        account_id: account.id,
        package_subscription_id: subscription.map(|subscription| subscription.id),
        name: command.name,
        service_type: command.service_type,
        attributes: command.attributes,
        status: settings.service_statuses.initial.clone(),
        status_reason: None,
        status_changed_at: now,
        planned_status_change: None,
        status_history: History::starting(settings.date_of(now), settings.service_statuses.by_day(&settings.service_statuses.initial)),
        suspended_with_account: false,
        created_at: now,
        updated_at: now,
    }))
}

/// `updateService`; absent members stay unchanged.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// See [`Service::external_id`].
    pub external_id: Patch<String>,
    /// See [`Service::name`].
    pub name: Option<String>,
    /// See [`Service::attributes`].
    pub attributes: Changes,
}

/// Decides `updateService`.
///
/// # Errors
/// `account_deactivated`, and the bounds of [`Attributes`].
pub fn update(service: Service, account: &Account, command: Update, now: Timestamp) -> Result<Change<Service>, Rejected> {
    ensure_not_deactivated(account)?;
    let mut after = service.next_version(now);
    after.attributes = service.attributes.changed(&command.attributes)?;
    after.external_id = command.external_id.apply(after.external_id);
    after.name = command.name.unwrap_or(after.name);
    Ok(Change::updated(service, after, Vec::<&'static str>::new()))
}

/// Decides `deleteService`; `in_use` is true if usage identifiers, buckets or charges belong to the service.
///
/// # Errors
/// `account_deactivated`, `service_not_initial`, `still_in_use`.
pub fn delete(service: Service, account: &Account, settings: &BillingSettings, in_use: bool) -> Result<Change<Service>, Rejected> {
    ensure_not_deactivated(account)?;
    let initial = &settings.service_statuses.initial;
    if service.status != *initial {
        let message =
            format!("The service is {}; only a service that is {initial} can be deleted. Cancel the service instead.", service.status);
        return Err(Rejected::conflict(Code::ServiceNotInitial, message));
    }
    if in_use {
        let message = "Usage identifiers, buckets or charges belong to the service, so it cannot be deleted.";
        return Err(Rejected::conflict(Code::StillInUse, message));
    }
    Ok(Change::deleted(service))
}

/// Decides `transitionService`.
///
/// # Errors
/// `account_deactivated`, and the rules of
/// [`StatusModel::check_transition`](crate::customers::billing_settings::StatusModel::check_transition).
pub fn transition(
    service: Service,
    account: &Account,
    settings: &BillingSettings,
    to: String,
    reason: Option<String>,
    now: Timestamp,
) -> Result<Change<Service>, Rejected> {
    ensure_not_deactivated(account)?;
    settings.service_statuses.check_transition("service", &service.status, &to)?;
    Ok(moved(service, settings, to, reason, now))
}

/// Applies an account's change to status `to` to one of its services. Returns `None` if the service stays unchanged.
///
/// Suspended: the service is suspended if the table of transitions allows it. Active: the service is reactivated if the
/// account's suspension suspended it. Deactivated: the service is cancelled regardless of the table, because a deactivated account
/// accepts no later change.
pub fn follow_account(
    service: Service,
    to: Status,
    settings: &BillingSettings,
    reason: Option<String>,
    now: Timestamp,
) -> Option<Change<Service>> {
    let model = &settings.service_statuses;
    match to {
        Status::Inactive => None,
        Status::Suspended => {
            let suspended = model.suspended.clone().filter(|status| model.allows(&service.status, status))?;
            let mut change = moved(service, settings, suspended, reason, now);
            change.after.suspended_with_account = true;
            Some(change)
        }
        Status::Active => {
            let active = model.active.clone().filter(|status| service.suspended_with_account && model.allows(&service.status, status))?;
            Some(moved(service, settings, active, reason, now))
        }
        Status::Deactivated if service.status == model.cancelled => None,
        Status::Deactivated => Some(moved(service, settings, model.cancelled.clone(), reason, now)),
    }
}

fn moved(service: Service, settings: &BillingSettings, to: String, reason: Option<String>, now: Timestamp) -> Change<Service> {
    let mut status_history = service.status_history.clone();
    let (created, today) = (settings.date_of(service.created_at), settings.date_of(now));
    settings.service_statuses.note(&mut status_history, &service.status, created, &to, today);
    let mut after = Service {
        version: service.version + 1,
        status: to,
        status_reason: reason,
        status_changed_at: now,
        status_history,
        suspended_with_account: false,
        updated_at: now,
        ..service.clone()
    };
    let parameters = Parameters::from([
        ("service.previousStatus".to_owned(), service.status.clone().into()),
        ("service.billable".to_owned(), settings.service_statuses.billable(&after.status).into()),
    ]);
    let withdrawn = withdraw_contradicted(&mut after, settings);
    let mut lifecycle = vec![Lifecycle { kind: "service.state_changed", parameters }];
    lifecycle.extend(withdrawn.map(Lifecycle::from));
    Change::updated(service, after, lifecycle)
}

impl Service {
    /// Whether the service has ended.
    pub fn is_cancelled(&self, settings: &BillingSettings) -> bool {
        self.status == settings.service_statuses.cancelled
    }
}

impl StatusPlan for Service {
    const NOUN: &'static str = "service";
    const PLANNED: &'static str = "service.state_change_planned";
    const CANCELLED: &'static str = "service.state_change_cancelled";

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
        &settings.service_statuses
    }
    fn moved(self, settings: &BillingSettings, to: String, reason: Option<String>, now: Timestamp) -> Change<Self> {
        moved(self, settings, to, reason, now)
    }
}

impl Entity for Service {
    const TYPE: &'static str = "service";
    const EVENT_OBJECT: Option<&'static str> = Some("service");

    entity_members!(updated_at, external_id, account_id, attributes);
    fn due_at(&self) -> Option<Timestamp> {
        self.planned_status_change.as_ref().map(|planned| planned.valid_from)
    }
    fn status(&self) -> Option<&str> {
        Some(&self.status)
    }
    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::from([
            ("service.id".to_owned(), self.id.to_string().into()),
            ("service.name".to_owned(), self.name.clone().into()),
            ("service.type".to_owned(), self.service_type.clone().into()),
            ("service.status".to_owned(), self.status.clone().into()),
        ]);
        let mut put = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                parameters.insert(name.to_owned(), value.into());
            }
        };
        put("service.externalId", self.external_id.clone());
        put("service.statusReason", self.status_reason.clone());
        let planned = self.planned_status_change.as_ref();
        put("service.plannedStatus", planned.map(|planned| planned.status.clone()));
        put("service.plannedStatusFrom", planned.map(|planned| planned.valid_from.to_rfc3339_opts(SecondsFormat::AutoSi, true)));
        self.attributes.offer("service.attributes", &mut parameters);
        parameters
    }
}

#[cfg(test)]
mod tests;
