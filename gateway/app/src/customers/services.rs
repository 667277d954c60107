//! `createService`, `updateService`, `deleteService`, `transitionService`.

use async_trait::async_trait;
use billwire_domain::customers::{
    account::Account,
    package_subscription::PackageSubscription,
    service::{self, Service},
};
use billwire_schemas::{
    clock::Timestamp,
    ids::{AccountId, OrderingKey},
};
use billwire_store::{
    Tx,
    commit::{Failure, Prefetch},
};

use crate::{
    account_object::AccountObject,
    customers::billing_settings::settings,
    events::event_parameters::{around_service, recorded},
    execute::UseCase,
    objects::{found, referenced},
    record::Record,
    references,
};

/// Makes a service.
#[derive(Debug, Clone)]
pub struct CreateService {
    /// Whose it shall be.
    pub account: AccountId,
    /// Id or external id of the package subscription it comes with.
    pub package_subscription: Option<String>,
    /// What it shall be.
    pub command: service::Create,
}

/// Renames a service.
#[derive(Debug, Clone)]
pub struct UpdateService {
    /// Which.
    pub service: AccountObject,
    /// Its new name.
    pub name: Option<String>,
}

/// Deletes a service that never began.
#[derive(Debug, Clone)]
pub struct DeleteService(pub AccountObject);

/// Moves a service along its table of statuses.
#[derive(Debug, Clone)]
pub struct TransitionService {
    /// Which.
    pub service: AccountObject,
    /// Where to.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
}

#[async_trait]
impl UseCase for CreateService {
    const OPERATION: &'static str = "createService";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        self.account.into()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        vec![Prefetch::of::<Account>(self.account.0)]
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = referenced::<Account>(tx, "/account", self.account.0).await?;
        let subscription = match &self.package_subscription {
            Some(reference) => Some(found::<PackageSubscription>(tx, "/packageSubscription", reference).await?),
            None => None,
        };
        tx.ensure_external_id_free::<Service>(self.command.external_id.as_deref()).await?;
        let change = service::create(self.command.clone(), &account, subscription.as_ref(), &settings(tx).await?, now)?;
        let package = around_service(tx, &change.after).await?;
        recorded(tx, &change, package).await
    }
}

#[async_trait]
impl UseCase for UpdateService {
    const OPERATION: &'static str = "updateService";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.service.key()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        self.service.prefetch::<Service>()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let (service, account) = self.service.load::<Service>(tx).await?;
        let package = around_service(tx, &service).await?;
        recorded(tx, &service::update(service, &account, self.name.clone(), now)?, package).await
    }
}

#[async_trait]
impl UseCase for DeleteService {
    const OPERATION: &'static str = "deleteService";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.0.key()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        self.0.prefetch::<Service>()
    }
    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let (service, account) = self.0.load::<Service>(tx).await?;
        let package = around_service(tx, &service).await?;
        let in_use = references::service(tx, self.0.id).await?;
        recorded(tx, &service::delete(service, &account, &settings(tx).await?, in_use)?, package).await
    }
}

#[async_trait]
impl UseCase for TransitionService {
    const OPERATION: &'static str = "transitionService";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.service.key()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        self.service.prefetch::<Service>()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let (service, account) = self.service.load::<Service>(tx).await?;
        let package = around_service(tx, &service).await?;
        let (to, reason) = (self.status.clone(), self.reason.clone());
        let change = service::transition(service, &account, &settings(tx).await?, to, reason, now)?;
        recorded(tx, &change, package).await
    }
}
