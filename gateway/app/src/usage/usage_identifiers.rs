//! `createUsageIdentifier`, `updateUsageIdentifier`, `deleteUsageIdentifier`, and the clock that finds one dormant.

use async_trait::async_trait;
use billwire_domain::{
    customers::{account::Account, service::Service},
    usage::usage_identifier::{self, UsageIdentifier},
};
use billwire_schemas::{
    clock::Timestamp,
    ids::{OrderingKey, UsageIdentifierId},
};
use billwire_store::{
    Filter, Tx,
    commit::{Failure, Prefetch},
};

use crate::{
    account_object::AccountObject,
    events::event_parameters::{of_service, recorded},
    execute::UseCase,
    objects::{addressed, referenced},
    record::Record,
};

/// Makes a usage identifier of a service.
#[derive(Debug, Clone)]
pub struct CreateUsageIdentifier {
    /// The service, and the account that it belongs to.
    pub service: AccountObject,
    /// What it shall be.
    pub command: usage_identifier::Create,
}

/// Changes a usage identifier.
#[derive(Debug, Clone)]
pub struct UpdateUsageIdentifier {
    /// Which.
    pub identifier: AccountObject,
    /// After how many days without usage it is dormant; absent: as before.
    pub dormant_after_days: Option<u32>,
}

/// Deletes a usage identifier.
#[derive(Debug, Clone)]
pub struct DeleteUsageIdentifier(pub AccountObject);

/// What the clock does with one that may be dormant.
#[derive(Debug, Clone)]
pub(crate) struct FindDormant {
    pub key: OrderingKey,
    pub id: UsageIdentifierId,
}

#[async_trait]
impl UseCase for CreateUsageIdentifier {
    const OPERATION: &'static str = "createUsageIdentifier";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        self.service.key()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        self.service.prefetch::<Service>()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let service = referenced::<Service>(tx, "/service", self.service.id).await?;
        let account = addressed::<Account>(tx, service.account_id.0, None).await?;
        tx.ensure_external_id_free::<UsageIdentifier>(self.command.external_id.as_deref()).await?;
        let same = Filter::new().is("kind", Some(&self.command.kind)).is("value", Some(&self.command.value));
        let taken = !tx.select::<UsageIdentifier>(same, 1).await?.is_empty();
        let related = of_service(tx, service.id).await?;
        let change = usage_identifier::create(self.command.clone(), &service, &account, taken, now)?;
        recorded(tx, &change, related).await
    }
}

#[async_trait]
impl UseCase for UpdateUsageIdentifier {
    const OPERATION: &'static str = "updateUsageIdentifier";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.identifier.key()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        self.identifier.prefetch::<UsageIdentifier>()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let (identifier, account) = self.identifier.load::<UsageIdentifier>(tx).await?;
        let related = of_service(tx, identifier.service_id).await?;
        recorded(tx, &usage_identifier::update(identifier, &account, self.dormant_after_days, now)?, related).await
    }
}

#[async_trait]
impl UseCase for DeleteUsageIdentifier {
    const OPERATION: &'static str = "deleteUsageIdentifier";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.0.key()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        self.0.prefetch::<UsageIdentifier>()
    }
    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let (identifier, account) = self.0.load::<UsageIdentifier>(tx).await?;
        let related = of_service(tx, identifier.service_id).await?;
        recorded(tx, &usage_identifier::delete(identifier, &account)?, related).await
    }
}

#[async_trait]
impl UseCase for FindDormant {
    const OPERATION: &'static str = "findDormantUsageIdentifier";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.key.clone()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let Some(identifier) = tx.load::<UsageIdentifier>(self.id.0).await? else { return Ok(None) };
        let related = of_service(tx, identifier.service_id).await?;
        match usage_identifier::due(identifier, now) {
            Some(change) => recorded(tx, &change, related).await,
            None => Ok(None),
        }
    }
}
