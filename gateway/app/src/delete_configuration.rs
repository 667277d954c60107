//! Deletes configuration objects: `deleteQueue`, `deleteSubscription`, `deleteWebhookEndpoint`, `deleteSmtpAccount`,
//! `deleteNotificationTemplate`, `deleteSystemUser`, `deleteSuppressedAddress`, `deleteDataSource`, `deleteStreamSubscription`
//! and others. An object in use is not deleted.

use std::marker::PhantomData;

use async_trait::async_trait;
use billwire_domain::Change;
use billwire_schemas::clock::Timestamp;
use billwire_store::{Tx, commit::Failure};

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

    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let last: T = addressed(tx, &self.id, self.if_match).await?;
        last.before_deletion(tx).await?;
        tx.delete_configuration(last.id());
        Record::of(&Change::deleted(last)).map(Some)
    }
}
