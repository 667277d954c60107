//! Planned status changes of package subscriptions and services: planned, cancelled, performed, and performing due changes.

use std::marker::PhantomData;

use async_trait::async_trait;
use billwire_domain::customers::{
    account::PlannedStart,
    package_subscription::PackageSubscription,
    planned_status::{self, StatusPlan, WantedStatus},
    service::Service,
};
use billwire_schemas::{clock::Timestamp, events::envelope::Parameters, ids::OrderingKey};
use billwire_store::{Tx, commit::Failure};
use uuid::Uuid;

use crate::{
    billing::invoicing::with_bill_cycle_history,
    customers::billing_settings::settings,
    events::event_parameters::{around_service, of_package, recorded},
    execute::UseCase,
    execute_on::{ObjectUseCase, owner},
    objects::Object,
    record::Record,
};

/// An object whose change of status can be planned.
#[async_trait]
pub trait Plannable: Object + StatusPlan {
    /// The operationId that cancels a planned change.
    const CANCEL: &'static str;
    /// The operationId that performs a planned change.
    const PERFORM: &'static str;

    /// The parameters of related objects that its events offer.
    ///
    /// # Errors
    /// A database failure.
    async fn related(&self, tx: &mut Tx<'_>) -> Result<Parameters, Failure>;
}

#[async_trait]
impl Plannable for PackageSubscription {
    const CANCEL: &'static str = "cancelPackageSubscriptionStatusChange";
    const PERFORM: &'static str = "performPackageSubscriptionStatusChange";

    async fn related(&self, tx: &mut Tx<'_>) -> Result<Parameters, Failure> {
        of_package(tx, self).await
    }
}

#[async_trait]
impl Plannable for Service {
    const CANCEL: &'static str = "cancelServiceStatusChange";
    const PERFORM: &'static str = "performServiceStatusChange";

    async fn related(&self, tx: &mut Tx<'_>) -> Result<Parameters, Failure> {
        around_service(tx, self).await
    }
}

/// Cancels a planned change.
#[derive(Debug, Clone)]
pub struct CancelStatusChange<T>(PhantomData<T>);

/// Performs a planned change now.
#[derive(Debug, Clone)]
pub struct PerformStatusChange<T>(PhantomData<T>);

impl<T> Default for CancelStatusChange<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T> Default for PerformStatusChange<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

/// Performs a planned change that is due.
#[derive(Debug, Clone)]
pub(crate) struct PerformDueStatus<T> {
    pub key: OrderingKey,
    pub id: Uuid,
    pub of: PhantomData<T>,
}

/// Plans a change of status; the flag: whether it is a cancellation, to which the table of transitions does not apply.
///
/// # Errors
/// The refusals of [`planned_status::plan`], or a database failure.
pub(crate) async fn plan<T: Plannable>(
    tx: &mut Tx<'_>,
    object: T,
    wanted: (WantedStatus, bool),
    start: PlannedStart,
    now: Timestamp,
) -> Result<Option<Record>, Failure> {
    let owner = owner(tx, &object).await?;
    let (account, related) = (with_bill_cycle_history(tx, owner).await?, object.related(tx).await?);
    recorded(tx, &planned_status::plan(object, &account, &settings(tx).await?, wanted, start, now)?, related).await
}

#[async_trait]
impl<T: Plannable> ObjectUseCase for CancelStatusChange<T> {
    type Object = T;
    const OPERATION: &'static str = T::CANCEL;

    async fn run(&self, tx: &mut Tx<'_>, object: T, now: Timestamp) -> Result<Option<Record>, Failure> {
        let (account, related) = (owner(tx, &object).await?, object.related(tx).await?);
        recorded(tx, &planned_status::cancel(object, &account, now)?, related).await
    }
}

#[async_trait]
impl<T: Plannable> ObjectUseCase for PerformStatusChange<T> {
    type Object = T;
    const OPERATION: &'static str = T::PERFORM;

    async fn run(&self, tx: &mut Tx<'_>, object: T, now: Timestamp) -> Result<Option<Record>, Failure> {
        let (account, related) = (owner(tx, &object).await?, object.related(tx).await?);
        recorded(tx, &planned_status::perform(object, &account, &settings(tx).await?, now)?, related).await
    }
}

#[async_trait]
impl<T: Plannable> UseCase for PerformDueStatus<T> {
    const OPERATION: &'static str = T::PERFORM;

    fn key(&self) -> OrderingKey {
        self.key.clone()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let Some(object) = tx.load::<T>(self.id).await? else { return Ok(None) };
        let (account, related) = (owner(tx, &object).await?, object.related(tx).await?);
        match planned_status::perform_due(object, &account, &settings(tx).await?, now)? {
            Some(change) => recorded(tx, &change, related).await,
            None => Ok(None),
        }
    }
}
