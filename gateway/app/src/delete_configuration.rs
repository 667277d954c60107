//! Deleting configuration: `deleteQueue`, `deleteSubscription`, `deleteWebhookEndpoint`, `deleteSmtpAccount`,
//! `deleteNotificationTemplate`. What a subscription stands on is not deleted from under it.

use std::marker::PhantomData;

use async_trait::async_trait;
use billwire_domain::{
    Change, Entity, Rejected,
    notification_template::NotificationTemplate,
    queue::Queue,
    smtp_account::SmtpAccount,
    subscription::{Action, Subscription},
    webhook_endpoint::WebhookEndpoint,
};
use billwire_schemas::{clock::Timestamp, ids::OrderingKey};
use billwire_store::{ConfigurationKind as Kind, Store, Tx, commit::Failure};
use serde::de::DeserializeOwned;

use crate::{once::UseCase, record::Record};

/// A configuration noun: where it rests and what its refusals are called.
pub trait Configured: Entity + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Where it rests.
    const KIND: Kind;
    /// For people.
    const NAME: &'static str;
    /// Code of its 404.
    const NOT_FOUND: &'static str;
    /// The operation that deletes it.
    const DELETE: &'static str;
    /// Whether `subscription` stands on it.
    fn carries(&self, subscription: &Subscription) -> bool;
}

impl Configured for Queue {
    const KIND: Kind = Kind::Queue;
    const NAME: &'static str = "queue";
    const NOT_FOUND: &'static str = "queue_not_found";
    const DELETE: &'static str = "deleteQueue";
    fn carries(&self, subscription: &Subscription) -> bool {
        subscription.queue_id == self.id
    }
}

impl Configured for Subscription {
    const KIND: Kind = Kind::Subscription;
    const NAME: &'static str = "subscription";
    const NOT_FOUND: &'static str = "subscription_not_found";
    const DELETE: &'static str = "deleteSubscription";
    fn carries(&self, _: &Subscription) -> bool {
        false
    }
}

impl Configured for WebhookEndpoint {
    const KIND: Kind = Kind::WebhookEndpoint;
    const NAME: &'static str = "webhook endpoint";
    const NOT_FOUND: &'static str = "webhook_endpoint_not_found";
    const DELETE: &'static str = "deleteWebhookEndpoint";
    fn carries(&self, subscription: &Subscription) -> bool {
        matches!(&subscription.action, Action::Webhook { webhook_endpoint_id } if *webhook_endpoint_id == self.id)
    }
}

impl Configured for SmtpAccount {
    const KIND: Kind = Kind::SmtpAccount;
    const NAME: &'static str = "SMTP account";
    const NOT_FOUND: &'static str = "smtp_account_not_found";
    const DELETE: &'static str = "deleteSmtpAccount";
    fn carries(&self, subscription: &Subscription) -> bool {
        matches!(&subscription.action, Action::Email { smtp_account_id, .. } if *smtp_account_id == self.id)
    }
}

impl Configured for NotificationTemplate {
    const KIND: Kind = Kind::NotificationTemplate;
    const NAME: &'static str = "notification template";
    const NOT_FOUND: &'static str = "notification_template_not_found";
    const DELETE: &'static str = "deleteNotificationTemplate";
    fn carries(&self, subscription: &Subscription) -> bool {
        matches!(&subscription.action, Action::Email { notification_template_id, .. } if *notification_template_id == self.id)
    }
}

/// Deletes a configuration object.
#[derive(Debug, Clone)]
pub struct DeleteConfiguration<T> {
    /// Its id, as the client wrote it.
    pub id: String,
    /// Only at this version.
    pub if_match: Option<i64>,
    noun: PhantomData<fn() -> T>,
}

impl<T> DeleteConfiguration<T> {
    /// Deletes the object with this id.
    pub fn new(id: String, if_match: Option<i64>) -> Self {
        Self { id, if_match, noun: PhantomData }
    }
}

#[async_trait]
impl<T: Configured> UseCase for DeleteConfiguration<T> {
    const OPERATION: &'static str = T::DELETE;
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let missing = || Rejected::not_found(T::NOT_FOUND, T::NAME, &self.id);
        let id = self.id.parse().map_err(|_| missing())?;
        let last: T = tx.configuration(T::KIND, id).await?.ok_or_else(missing)?;
        Rejected::unless_current(self.if_match, last.version())?;
        let subscriptions: Vec<Subscription> = tx.configurations(Kind::Subscription).await?;
        if let Some(user) = subscriptions.iter().find(|s| last.carries(s)) {
            let message = format!("Subscription '{}' stands on this {}; delete it first.", user.name, T::NAME);
            return Err(Rejected::conflict("still_in_use", message).into());
        }
        tx.delete_configuration(id);
        Record::of(&Change::deleted(last)).map(Some)
    }
}
