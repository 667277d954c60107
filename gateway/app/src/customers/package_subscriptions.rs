//! `subscribePackage`, `changePackageSubscriptionStatus`, `cancelPackageSubscription`.

use async_trait::async_trait;
use billwire_domain::{
    Entity,
    customers::{
        account::Account,
        package::Package,
        package_subscription::{self, PackageSubscription},
    },
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
    events::event_parameters::{of_package, recorded},
    execute::UseCase,
    objects::{found, referenced},
    record::Record,
};

/// Subscribes an account to a package.
#[derive(Debug, Clone)]
pub struct SubscribePackage {
    /// Whose subscription it shall be.
    pub account: AccountId,
    /// Id or external id of the package.
    pub package: String,
    /// What it shall be.
    pub command: package_subscription::Subscribe,
}

/// Moves a package subscription along its table of statuses.
#[derive(Debug, Clone)]
pub struct ChangePackageSubscriptionStatus {
    /// Which.
    pub subscription: AccountObject,
    /// Where to.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
}

/// Ends a package subscription.
#[derive(Debug, Clone)]
pub struct CancelPackageSubscription {
    /// Which.
    pub subscription: AccountObject,
    /// Why.
    pub reason: Option<String>,
}

#[async_trait]
impl UseCase for SubscribePackage {
    const OPERATION: &'static str = "subscribePackage";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        self.account.into()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        vec![Prefetch::of::<Account>(self.account.0)]
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = referenced::<Account>(tx, "/account", self.account.0).await?;
        let package = found::<Package>(tx, "/package", &self.package).await?;
        tx.ensure_external_id_free::<PackageSubscription>(self.command.external_id.as_deref()).await?;
        let change = package_subscription::subscribe(self.command.clone(), &account, &package, &settings(tx).await?, now)?;
        recorded(tx, &change, package.parameters()).await
    }
}

#[async_trait]
impl UseCase for ChangePackageSubscriptionStatus {
    const OPERATION: &'static str = "changePackageSubscriptionStatus";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.subscription.key()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        self.subscription.prefetch::<PackageSubscription>()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let (subscription, account) = self.subscription.load::<PackageSubscription>(tx).await?;
        let package = of_package(tx, &subscription).await?;
        let (to, reason) = (self.status.clone(), self.reason.clone());
        let change = package_subscription::change_status(subscription, &account, &settings(tx).await?, to, reason, now)?;
        recorded(tx, &change, package).await
    }
}

#[async_trait]
impl UseCase for CancelPackageSubscription {
    const OPERATION: &'static str = "cancelPackageSubscription";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.subscription.key()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        self.subscription.prefetch::<PackageSubscription>()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let (subscription, account) = self.subscription.load::<PackageSubscription>(tx).await?;
        let package = of_package(tx, &subscription).await?;
        let change = package_subscription::cancel(subscription, &account, &settings(tx).await?, self.reason.clone(), now)?;
        recorded(tx, &change, package).await
    }
}
