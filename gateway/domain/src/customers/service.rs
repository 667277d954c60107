//! Services: what an account uses, each in one of the statuses the billing settings define.

use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{AccountId, PackageSubscriptionId, ServiceId},
    refusal::Code,
};
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Entity, Lifecycle, entity_members},
    customers::{
        account::{Account, Status, ensure_not_deactivated},
        billing_settings::BillingSettings,
        package_subscription::PackageSubscription,
    },
    rejected::{Rejected, Violation},
};

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Its id.
    pub id: ServiceId,
    /// Its version, from 1.
    pub version: i64,
    /// Its id in the outside system.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub external_id: Option<String>,
    /// Whose it is.
    pub account_id: AccountId,
    /// The package subscription it came with, where it did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub package_subscription_id: Option<PackageSubscriptionId>,
    /// Its name.
    pub name: String,
    /// What kind of service it is; free text.
    pub service_type: String,
    /// Its status, one of the service statuses of the billing settings.
    pub status: String,
    /// Why it has this status.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status_reason: Option<String>,
    /// Since when it has this status.
    pub status_changed_at: Timestamp,
    /// Whether its account's suspension suspended it, so that the account's re-activation brings it back.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub suspended_with_account: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
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
}

/// Decides `createService`; it starts in the initial status.
///
/// # Errors
/// `account_deactivated`; `package_subscription_of_other_account`, `package_subscription_ended` at `/packageSubscription`.
pub fn create(
    command: Create,
    account: &Account,
    subscription: Option<&PackageSubscription>,
    settings: &BillingSettings,
    now: Timestamp,
) -> Result<Change<Service>, Rejected> {
    ensure_not_deactivated(account)?;
    let mut broken = Vec::new();
    if let Some(subscription) = subscription {
        if subscription.account_id != account.id {
            let message = "The package subscription belongs to another account.";
            broken.push(Violation::new("/packageSubscription", Code::PackageSubscriptionOfOtherAccount, message));
        } else if subscription.is_cancelled(settings) {
            let message = "The package subscription is cancelled, and takes no new services.";
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
        status: settings.service_statuses.initial.clone(),
        status_reason: None,
        status_changed_at: now,
        suspended_with_account: false,
        created_at: now,
        updated_at: now,
    }))
}

/// Decides `updateService`; an absent name stays.
///
/// # Errors
/// `account_deactivated`.
pub fn update(service: Service, account: &Account, name: Option<String>, now: Timestamp) -> Result<Change<Service>, Rejected> {
    ensure_not_deactivated(account)?;
    let mut after = service.next_version(now);
    after.name = name.unwrap_or(after.name);
    Ok(Change::updated(service, after, Vec::<&'static str>::new()))
}

/// Decides `deleteService`; `in_use` tells whether usage identifiers, buckets or charges hang on it.
///
/// # Errors
/// `account_deactivated`, `service_not_initial`, `still_in_use`.
pub fn delete(service: Service, account: &Account, settings: &BillingSettings, in_use: bool) -> Result<Change<Service>, Rejected> {
    ensure_not_deactivated(account)?;
    let initial = &settings.service_statuses.initial;
    if service.status != *initial {
        let message = format!("The service is {}; only one that is still {initial} can be deleted. Cancel it instead.", service.status);
        return Err(Rejected::conflict(Code::ServiceNotInitial, message));
    }
    if in_use {
        let message = "Usage identifiers, buckets or charges belong to the service, so it must stay.";
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

/// What an account's change to status `to`, with its services, does to one of them; `None`: it stays as it is.
///
/// Suspended: the service is suspended where the table allows it. Active again: it comes back, if the account's suspension
/// suspended it. Deactivated: it is cancelled, also where the table has no way, since the account takes no later change.
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
    let after = Service {
        version: service.version + 1,
        status: to,
        status_reason: reason,
        status_changed_at: now,
        suspended_with_account: false,
        updated_at: now,
        ..service.clone()
    };
    let parameters = Parameters::from([
        ("service.previousStatus".to_owned(), service.status.clone().into()),
        ("service.billable".to_owned(), settings.service_statuses.billable(&after.status).into()),
    ]);
    Change::updated(service, after, vec![Lifecycle { kind: "service.state_changed", parameters }])
}

impl Service {
    /// Whether it has ended.
    pub fn is_cancelled(&self, settings: &BillingSettings) -> bool {
        self.status == settings.service_statuses.cancelled
    }
}

impl Entity for Service {
    const TYPE: &'static str = "service";
    const EVENT_OBJECT: Option<&'static str> = Some("service");

    entity_members!(updated_at, external_id, account_id);
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
        let mut put = |name: &str, value: &Option<String>| {
            if let Some(value) = value {
                parameters.insert(name.to_owned(), value.clone().into());
            }
        };
        put("service.externalId", &self.external_id);
        put("service.statusReason", &self.status_reason);
        parameters
    }
}

#[cfg(test)]
mod tests;
