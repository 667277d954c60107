//! `createSubscription`.

use async_trait::async_trait;
use billwire_domain::{
    Rejected,
    notification_template::NotificationTemplate,
    queue::Queue,
    smtp_account::SmtpAccount,
    subscription::{self, Action},
    webhook_endpoint::WebhookEndpoint,
};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::{OrderingKey, SubscriptionId},
};
use billwire_store::{Configuration, ConfigurationKind as Kind, Store, Tx, commit::Failure};

use crate::{catalogue, delete_configuration::Configured, once::UseCase, record::Record, unless_named};

/// What a request asks to be done, references not yet resolved.
#[derive(Debug, Clone)]
pub enum NewAction {
    /// POST to this endpoint.
    Webhook {
        /// Its id.
        endpoint: String,
    },
    /// Mail by this account with this template.
    Email {
        /// Its id.
        smtp_account: String,
        /// Its id.
        template: String,
        /// The recipients' addresses.
        to: Vec<String>,
    },
}

/// Makes a subscription.
#[derive(Debug, Clone)]
pub struct CreateSubscription {
    /// The new subscription's id.
    pub id: SubscriptionId,
    /// Its name.
    pub name: String,
    /// The queue it is on.
    pub queue: String,
    /// The event types it wants; empty: all of the queue.
    pub event_types: Vec<String>,
    /// What is done.
    pub action: NewAction,
}

/// The object a body refers to, or the 422 that names the field.
async fn referenced<T: Configured>(tx: &Tx<'_>, pointer: &'static str, code: &'static str, id: &str) -> Result<T, Failure> {
    let found = match id.parse() {
        Ok(id) => tx.configuration(T::KIND, id).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| Rejected::violation(pointer, code, format!("There is no {} '{id}'.", T::NAME)).into())
}

#[async_trait]
impl UseCase for CreateSubscription {
    const OPERATION: &'static str = "createSubscription";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        unless_named(tx, Kind::Subscription, &self.name).await?;
        let queue: Queue = referenced(tx, "/queueId", "queue_unknown", &self.queue).await?;
        let (action, template) = match &self.action {
            NewAction::Webhook { endpoint } => {
                let endpoint: WebhookEndpoint = referenced(tx, "/action/webhookEndpointId", "webhook_endpoint_unknown", endpoint).await?;
                (Action::Webhook { webhook_endpoint_id: endpoint.id }, None)
            }
            NewAction::Email { smtp_account, template, to } => {
                let account: SmtpAccount = referenced(tx, "/action/smtpAccountId", "smtp_account_unknown", smtp_account).await?;
                let template: NotificationTemplate =
                    referenced(tx, "/action/notificationTemplateId", "notification_template_unknown", template).await?;
                let (smtp_account_id, notification_template_id) = (account.id, template.id);
                (Action::Email { smtp_account_id, notification_template_id, to: to.clone() }, Some(template))
            }
        };
        let command = subscription::Create { id: self.id, name: self.name.clone(), event_types: self.event_types.clone(), action };
        let change = subscription::create(command, &queue, template.as_ref(), &catalogue::of(tx).await?, now)?;
        let (id, name, body) = (self.id.0, self.name.clone(), change.after.clone());
        let kind = Kind::Subscription;
        tx.save_configuration(Configuration { id, kind, name, body, secrets: None, created_at: SystemClock.now() }).await?;
        Record::of(&change).map(Some)
    }
}
