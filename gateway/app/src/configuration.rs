//! Configuration objects: their types, storage and lookup.

use billwire_domain::{
    Entity, Rejected,
    delivery::{
        queue::Queue,
        subscription::{Action, Subscription},
        webhook_endpoint::WebhookEndpoint,
    },
    email::{
        notification_template::NotificationTemplate, smtp_account::SmtpAccount, suppressed_address::SuppressedAddress,
        system_user::SystemUser,
    },
};
use billwire_schemas::{ids::SmtpAccountId, recipient::Recipient, refusal::Code};
use billwire_store::{ConfigurationKind as Kind, Tx, commit::Failure};
use serde::de::DeserializeOwned;

use crate::email::notification_templates;

/// A type of configuration object, with its storage kind and refusal codes.
pub trait ConfigurationObject: Entity + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Kind of the stored rows.
    const KIND: Kind;
    /// Name in messages.
    const NAME: &'static str;
    /// Code of the refusal for a missing object.
    const NOT_FOUND: Code;
    /// The operationId of its deletion.
    const DELETE: &'static str;
    /// Whether `subscription` uses the object.
    fn carries(&self, subscription: &Subscription) -> bool;
    /// The refusal to change or delete the object `id`, if it is predefined.
    fn fixed(_id: &str) -> Option<Rejected> {
        None
    }
}

impl ConfigurationObject for Queue {
    const KIND: Kind = Kind::Queue;
    const NAME: &'static str = "queue";
    const NOT_FOUND: Code = Code::QueueNotFound;
    const DELETE: &'static str = "deleteQueue";
    fn carries(&self, subscription: &Subscription) -> bool {
        subscription.queue_id == self.id || subscription.action.forwards_to() == Some(self.id)
    }
}

impl ConfigurationObject for Subscription {
    const KIND: Kind = Kind::Subscription;
    const NAME: &'static str = "subscription";
    const NOT_FOUND: Code = Code::SubscriptionNotFound;
    const DELETE: &'static str = "deleteSubscription";
    fn carries(&self, _: &Subscription) -> bool {
        false
    }
}

impl ConfigurationObject for WebhookEndpoint {
    const KIND: Kind = Kind::WebhookEndpoint;
    const NAME: &'static str = "webhook endpoint";
    const NOT_FOUND: Code = Code::WebhookEndpointNotFound;
    const DELETE: &'static str = "deleteWebhookEndpoint";
    fn carries(&self, subscription: &Subscription) -> bool {
        matches!(&subscription.action, Action::Webhook { webhook_endpoint_id, .. } if *webhook_endpoint_id == self.id)
    }
}

impl ConfigurationObject for SmtpAccount {
    const KIND: Kind = Kind::SmtpAccount;
    const NAME: &'static str = "SMTP account";
    const NOT_FOUND: Code = Code::SmtpAccountNotFound;
    const DELETE: &'static str = "deleteSmtpAccount";
    fn carries(&self, subscription: &Subscription) -> bool {
        let named = |id: Option<SmtpAccountId>| id.map_or(self.is_default, |id| id == self.id);
        matches!(&subscription.action, Action::Email { smtp_account_id, .. } if named(*smtp_account_id))
    }
}

impl ConfigurationObject for NotificationTemplate {
    const KIND: Kind = Kind::NotificationTemplate;
    const NAME: &'static str = "notification template";
    const NOT_FOUND: Code = Code::NotificationTemplateNotFound;
    const DELETE: &'static str = "deleteNotificationTemplate";
    fn carries(&self, subscription: &Subscription) -> bool {
        matches!(&subscription.action, Action::Email { notification_template_id, .. } if *notification_template_id == self.id)
    }
    fn fixed(id: &str) -> Option<Rejected> {
        let message = "This template is predefined and cannot be changed; create your own template from its parts.";
        id.parse().ok().and_then(notification_templates::predefined).map(|_| Rejected::conflict(Code::TemplatePredefined, message))
    }
}

impl ConfigurationObject for SystemUser {
    const KIND: Kind = Kind::SystemUser;
    const NAME: &'static str = "system user";
    const NOT_FOUND: Code = Code::SystemUserNotFound;
    const DELETE: &'static str = "deleteSystemUser";
    fn carries(&self, subscription: &Subscription) -> bool {
        subscription.action.recipients().any(|(_, recipient)| *recipient == Recipient::User(self.id))
    }
}

impl ConfigurationObject for SuppressedAddress {
    const KIND: Kind = Kind::SuppressedAddress;
    const NAME: &'static str = "suppressed address";
    const NOT_FOUND: Code = Code::SuppressedAddressNotFound;
    const DELETE: &'static str = "deleteSuppressedAddress";
    fn carries(&self, _: &Subscription) -> bool {
        false
    }
}

/// The configuration object named in the path, at the required version.
///
/// # Errors
/// `<object>_not_found`, `stale_version`, the refusal of [`ConfigurationObject::fixed`], or a database failure.
pub(crate) async fn addressed<T: ConfigurationObject>(tx: &Tx<'_>, id: &str, if_match: Option<i64>) -> Result<T, Failure> {
    T::fixed(id).map_or(Ok(()), Err)?;
    let missing = || Rejected::not_found(T::NOT_FOUND, T::NAME, id);
    let uuid = id.parse().map_err(|_| missing())?;
    let found: T = tx.configuration(T::KIND, uuid).await?.ok_or_else(missing)?;
    Rejected::ensure_current(if_match, found.version())?;
    Ok(found)
}

/// The configuration object that a body refers to at `pointer`.
///
/// # Errors
/// `code`, or a database failure.
pub(crate) async fn referenced<T: ConfigurationObject>(tx: &Tx<'_>, pointer: &'static str, code: Code, id: &str) -> Result<T, Failure> {
    let found = match id.parse() {
        Ok(id) => tx.configuration(T::KIND, id).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| Rejected::violation(pointer, code, format!("There is no {} '{id}'.", T::NAME)).into())
}
