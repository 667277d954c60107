//! Configuration nouns: what is configured, where it rests, and how it is found.

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

/// A configuration noun: where it rests and what its refusals are called.
pub trait ConfigurationObject: Entity + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Where it rests.
    const KIND: Kind;
    /// For people.
    const NAME: &'static str;
    /// Code of its 404.
    const NOT_FOUND: Code;
    /// The operation that deletes it.
    const DELETE: &'static str;
    /// Whether `subscription` stands on it.
    fn carries(&self, subscription: &Subscription) -> bool;
    /// Why what is addressed as `id` can be neither changed nor deleted, where it comes with the product.
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
        let message = "This template comes with the product and stays as it is; create one of your own from its parts.";
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

/// The configuration object a path names, at the version that is asked for.
///
/// # Errors
/// `<noun>_not_found`, `stale_version`, why it is [`ConfigurationObject::fixed`], or the database's failure.
pub(crate) async fn addressed<T: ConfigurationObject>(tx: &Tx<'_>, id: &str, if_match: Option<i64>) -> Result<T, Failure> {
    T::fixed(id).map_or(Ok(()), Err)?;
    let missing = || Rejected::not_found(T::NOT_FOUND, T::NAME, id);
    let uuid = id.parse().map_err(|_| missing())?;
    let found: T = tx.configuration(T::KIND, uuid).await?.ok_or_else(missing)?;
    Rejected::ensure_current(if_match, found.version())?;
    Ok(found)
}

/// The configuration object a body refers to, or the 422 that names the field.
///
/// # Errors
/// `code`, or the database's failure.
pub(crate) async fn referenced<T: ConfigurationObject>(tx: &Tx<'_>, pointer: &'static str, code: Code, id: &str) -> Result<T, Failure> {
    let found = match id.parse() {
        Ok(id) => tx.configuration(T::KIND, id).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| Rejected::violation(pointer, code, format!("There is no {} '{id}'.", T::NAME)).into())
}
