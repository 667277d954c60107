//! `createUsageIdentifier`, `updateUsageIdentifier`, `deleteUsageIdentifier`, and the detection of dormant ones.

use async_trait::async_trait;
use billwire_domain::{
    Rejected,
    customers::service::Service,
    usage::usage_identifier::{self, UsageIdentifier},
};
use billwire_schemas::{
    clock::Timestamp,
    ids::{OrderingKey, UsageIdentifierId},
};
use billwire_store::{Filter, Tx, commit::Failure};

use crate::{
    customers::billing_settings::settings,
    events::event_parameters::{of_service, recorded},
    execute::UseCase,
    execute_on::{ObjectUseCase, owner},
    objects::unknown,
    record::Record,
};

/// Creates a usage identifier of a service.
#[derive(Debug, Clone)]
pub struct CreateUsageIdentifier {
    /// What to create.
    pub command: usage_identifier::Create,
}

/// Changes a usage identifier.
#[derive(Debug, Clone)]
pub struct UpdateUsageIdentifier {
    /// The changes.
    pub command: usage_identifier::Update,
}

/// Deletes a usage identifier.
#[derive(Debug, Clone)]
pub struct DeleteUsageIdentifier;

/// Marks an identifier as dormant, if it is. That of a deactivated account ends instead.
#[derive(Debug, Clone)]
pub(crate) struct FindDormant {
    pub key: OrderingKey,
    pub id: UsageIdentifierId,
}

#[async_trait]
impl ObjectUseCase for CreateUsageIdentifier {
    type Object = Service;
    const OPERATION: &'static str = "createUsageIdentifier";
    const STATUS: u16 = 201;

    fn missing(reference: &str) -> Rejected {
        unknown::<Service>("/service", reference)
    }
    async fn run(&self, tx: &mut Tx<'_>, service: Service, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = owner(tx, &service).await?;
        tx.ensure_external_id_free::<UsageIdentifier>(self.command.external_id.as_deref()).await?;
        let same = Filter::new().is("kind", Some(&self.command.kind)).is("value", Some(&self.command.value));
        let taken = !tx.select::<UsageIdentifier>(same, 1).await?.is_empty();
        let related = of_service(tx, service.id).await?;
        let change = usage_identifier::create(self.command.clone(), &service, &account, taken, &settings(tx).await?, now)?;
        recorded(tx, &change, related).await
    }
}

#[async_trait]
impl ObjectUseCase for UpdateUsageIdentifier {
    type Object = UsageIdentifier;
    const OPERATION: &'static str = "updateUsageIdentifier";

    async fn run(&self, tx: &mut Tx<'_>, identifier: UsageIdentifier, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = owner(tx, &identifier).await?;
        let related = of_service(tx, identifier.service_id).await?;
        tx.ensure_external_id_can_change(&identifier, &self.command.external_id).await?;
        let change = usage_identifier::update(identifier, &account, self.command.clone(), &settings(tx).await?, now)?;
        recorded(tx, &change, related).await
    }
}

#[async_trait]
impl ObjectUseCase for DeleteUsageIdentifier {
    type Object = UsageIdentifier;
    const OPERATION: &'static str = "deleteUsageIdentifier";

    async fn run(&self, tx: &mut Tx<'_>, identifier: UsageIdentifier, _: Timestamp) -> Result<Option<Record>, Failure> {
        let account = owner(tx, &identifier).await?;
        let related = of_service(tx, identifier.service_id).await?;
        recorded(tx, &usage_identifier::delete(identifier, &account)?, related).await
    }
}

#[async_trait]
impl UseCase for FindDormant {
    const OPERATION: &'static str = "findDormantUsageIdentifier";

    fn key(&self) -> OrderingKey {
        self.key.clone()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let Some(identifier) = tx.load::<UsageIdentifier>(self.id.0).await? else { return Ok(None) };
        let related = of_service(tx, identifier.service_id).await?;
        let change = match owner(tx, &identifier).await?.ended_at() {
            Some(_) => usage_identifier::end_with_account(identifier, now),
            None => usage_identifier::due(identifier, now),
        };
        match change {
            Some(change) => recorded(tx, &change, related).await,
            None => Ok(None),
        }
    }
}
