//! Deletes configuration objects: `deleteQueue`, `deleteWebhookEndpoint`, `deleteSmtpAccount`, `deleteNotificationTemplate`,
//! `deleteSystemUser`, `deleteSuppressedAddress`. An object that a subscription uses is not deleted.

use std::marker::PhantomData;

use async_trait::async_trait;
use billwire_domain::{Change, Rejected, delivery::subscription::Subscription};
use billwire_schemas::{clock::Timestamp, ids::OrderingKey, refusal::Code};
use billwire_store::{ConfigurationKind as Kind, Store, Tx, commit::Failure};

use crate::{
    configuration::{ConfigurationObject, addressed},
    execute::UseCase,
    record::Record,
};

/// Deletes a configuration object.
#[derive(Debug, Clone)]
pub struct DeleteConfiguration<T> {
    /// The id, as the client sent it.
    pub id: String,
    /// The required version, if any.
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
impl<T: ConfigurationObject> UseCase for DeleteConfiguration<T> {
    const OPERATION: &'static str = T::DELETE;

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let last: T = addressed(tx, &self.id, self.if_match).await?;
        let subscriptions: Vec<Subscription> = tx.configurations(Kind::Subscription).await?;
        if let Some(user) = subscriptions.iter().find(|s| last.carries(s)) {
            let message = format!("Subscription '{}' uses this {}; delete the subscription first.", user.name, T::NAME);
            return Err(Rejected::conflict(Code::StillInUse, message).into());
        }
        tx.delete_configuration(last.id());
        tx.delete_health(last.id());
        Record::of(&Change::deleted(last)).map(Some)
    }
}
