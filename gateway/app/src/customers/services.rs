//! `createService`, `updateService`, `deleteService`, `transitionService`.

use async_trait::async_trait;
use billwire_domain::{
    Rejected,
    customers::{
        account::{Account, PlannedStart},
        package_subscription::PackageSubscription,
        planned_status::WantedStatus,
        service::{self, Service},
    },
};
use billwire_schemas::clock::Timestamp;
use billwire_store::{Tx, commit::Failure};

use crate::{
    customers::{billing_settings::settings, planned_status::plan},
    events::event_parameters::{around_service, recorded},
    execute_on::{ObjectUseCase, owner},
    objects::{found, unknown},
    record::Record,
    references,
};

/// Creates a service.
#[derive(Debug, Clone)]
pub struct CreateService {
    /// Id or external id of the package subscription that includes it.
    pub package_subscription: Option<String>,
    /// What to create.
    pub command: service::Create,
}

/// Changes a service.
#[derive(Debug, Clone)]
pub struct UpdateService {
    /// The changes.
    pub command: service::Update,
}

/// Deletes a service that is still in its initial status.
#[derive(Debug, Clone)]
pub struct DeleteService;

/// Changes a service's status along the allowed transitions.
#[derive(Debug, Clone)]
pub struct TransitionService {
    /// The new status.
    pub status: String,
    /// Reason.
    pub reason: Option<String>,
    /// When it takes effect; absent: now.
    pub start: Option<PlannedStart>,
}

#[async_trait]
impl ObjectUseCase for CreateService {
    type Object = Account;
    const OPERATION: &'static str = "createService";
    const STATUS: u16 = 201;

    fn missing(reference: &str) -> Rejected {
        unknown::<Account>("/account", reference)
    }
    async fn run(&self, tx: &mut Tx<'_>, account: Account, now: Timestamp) -> Result<Option<Record>, Failure> {
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
impl ObjectUseCase for UpdateService {
    type Object = Service;
    const OPERATION: &'static str = "updateService";

    async fn run(&self, tx: &mut Tx<'_>, service: Service, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = owner(tx, &service).await?;
        let package = around_service(tx, &service).await?;
        tx.ensure_external_id_can_change(&service, &self.command.external_id).await?;
        recorded(tx, &service::update(service, &account, self.command.clone(), now)?, package).await
    }
}

#[async_trait]
impl ObjectUseCase for DeleteService {
    type Object = Service;
    const OPERATION: &'static str = "deleteService";

    async fn run(&self, tx: &mut Tx<'_>, service: Service, _: Timestamp) -> Result<Option<Record>, Failure> {
        let account = owner(tx, &service).await?;
        let package = around_service(tx, &service).await?;
        let in_use = references::service(tx, service.id.0).await?;
        recorded(tx, &service::delete(service, &account, &settings(tx).await?, in_use)?, package).await
    }
}

#[async_trait]
impl ObjectUseCase for TransitionService {
    type Object = Service;
    const OPERATION: &'static str = "transitionService";

    async fn run(&self, tx: &mut Tx<'_>, service: Service, now: Timestamp) -> Result<Option<Record>, Failure> {
        if let Some(start) = self.start {
            let wanted = WantedStatus { status: self.status.clone(), reason: self.reason.clone() };
            return plan(tx, service, (wanted, false), start, now).await;
        }
        let account = owner(tx, &service).await?;
        let package = around_service(tx, &service).await?;
        let (to, reason) = (self.status.clone(), self.reason.clone());
        let change = service::transition(service, &account, &settings(tx).await?, to, reason, now)?;
        recorded(tx, &change, package).await
    }
}
