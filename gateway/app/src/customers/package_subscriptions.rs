//! `subscribePackage`, `updatePackageSubscription`, `changePackageSubscriptionStatus`, `cancelPackageSubscription`.

use async_trait::async_trait;
use billwire_domain::{
    Entity, Rejected,
    customers::{
        account::{Account, PlannedStart},
        package::Package,
        package_subscription::{self, PackageSubscription},
        planned_status::WantedStatus,
    },
};
use billwire_schemas::clock::Timestamp;
use billwire_store::{Tx, commit::Failure};

use crate::{
    customers::{billing_settings::settings, planned_status::plan},
    events::event_parameters::{of_package, recorded},
    execute_on::{ObjectUseCase, owner},
    objects::{found, unknown},
    record::Record,
};

/// Subscribes an account to a package.
#[derive(Debug, Clone)]
pub struct SubscribePackage {
    /// Id or external id of the package.
    pub package: String,
    /// What to create.
    pub command: package_subscription::Subscribe,
}

/// Changes a package subscription.
#[derive(Debug, Clone)]
pub struct UpdatePackageSubscription {
    /// The changes.
    pub command: package_subscription::Update,
}

/// Changes a package subscription's status along the allowed transitions.
#[derive(Debug, Clone)]
pub struct ChangePackageSubscriptionStatus {
    /// The new status.
    pub status: String,
    /// Reason.
    pub reason: Option<String>,
    /// When it takes effect; absent: now.
    pub start: Option<PlannedStart>,
}

/// Cancels a package subscription.
#[derive(Debug, Clone)]
pub struct CancelPackageSubscription {
    /// Reason.
    pub reason: Option<String>,
    /// When it takes effect; absent: now.
    pub start: Option<PlannedStart>,
}

#[async_trait]
impl ObjectUseCase for SubscribePackage {
    type Object = Account;
    const OPERATION: &'static str = "subscribePackage";
    const STATUS: u16 = 201;

    fn missing(reference: &str) -> Rejected {
        unknown::<Account>("/account", reference)
    }
    async fn run(&self, tx: &mut Tx<'_>, account: Account, now: Timestamp) -> Result<Option<Record>, Failure> {
        let package = found::<Package>(tx, "/package", &self.package).await?;
        tx.ensure_external_id_free::<PackageSubscription>(self.command.external_id.as_deref()).await?;
        let change = package_subscription::subscribe(self.command.clone(), &account, &package, &settings(tx).await?, now)?;
        recorded(tx, &change, package.parameters()).await
    }
}

#[async_trait]
impl ObjectUseCase for UpdatePackageSubscription {
    type Object = PackageSubscription;
    const OPERATION: &'static str = "updatePackageSubscription";

    async fn run(&self, tx: &mut Tx<'_>, subscription: PackageSubscription, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = owner(tx, &subscription).await?;
        let package = of_package(tx, &subscription).await?;
        tx.ensure_external_id_can_change(&subscription, &self.command.external_id).await?;
        recorded(tx, &package_subscription::update(subscription, &account, self.command.clone(), now)?, package).await
    }
}

#[async_trait]
impl ObjectUseCase for ChangePackageSubscriptionStatus {
    type Object = PackageSubscription;
    const OPERATION: &'static str = "changePackageSubscriptionStatus";

    async fn run(&self, tx: &mut Tx<'_>, subscription: PackageSubscription, now: Timestamp) -> Result<Option<Record>, Failure> {
        if let Some(start) = self.start {
            let wanted = WantedStatus { status: self.status.clone(), reason: self.reason.clone() };
            return plan(tx, subscription, (wanted, false), start, now).await;
        }
        let account = owner(tx, &subscription).await?;
        let package = of_package(tx, &subscription).await?;
        let (to, reason) = (self.status.clone(), self.reason.clone());
        let change = package_subscription::change_status(subscription, &account, &settings(tx).await?, to, reason, now)?;
        recorded(tx, &change, package).await
    }
}

#[async_trait]
impl ObjectUseCase for CancelPackageSubscription {
    type Object = PackageSubscription;
    const OPERATION: &'static str = "cancelPackageSubscription";

    async fn run(&self, tx: &mut Tx<'_>, subscription: PackageSubscription, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = owner(tx, &subscription).await?;
        if let Some(start) = self.start {
            let settings = settings(tx).await?;
            package_subscription::ensure_can_be_cancelled(&subscription, &account, &settings)?;
            let wanted = WantedStatus { status: settings.package_statuses.cancelled, reason: self.reason.clone() };
            return plan(tx, subscription, (wanted, true), start, now).await;
        }
        let package = of_package(tx, &subscription).await?;
        let change = package_subscription::cancel(subscription, &account, &settings(tx).await?, self.reason.clone(), now)?;
        recorded(tx, &change, package).await
    }
}
