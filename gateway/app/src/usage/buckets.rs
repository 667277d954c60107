//! `createBucket`, `updateBucket`, `resetBucket`, `deleteBucket`, and buckets whose billing period ends.

use async_trait::async_trait;
use billwire_domain::{
    Rejected,
    customers::{account::Account, service::Service},
    usage::bucket::{self, Bucket, CountingPeriod, Resets},
};
use billwire_schemas::{
    clock::Timestamp,
    ids::{BucketId, OrderingKey},
};
use billwire_store::{Tx, commit::Failure};

use crate::{
    billing::invoicing::with_bill_cycle_history,
    customers::billing_settings::settings,
    events::event_parameters::{of_service, recorded},
    execute::UseCase,
    execute_on::{ObjectUseCase, owner},
    objects::unknown,
    record::Record,
};

/// Creates a bucket of a service.
#[derive(Debug, Clone)]
pub struct CreateBucket {
    /// What to create.
    pub command: bucket::Create,
}

/// Changes a bucket.
#[derive(Debug, Clone)]
pub struct UpdateBucket {
    /// The changes.
    pub command: bucket::Update,
}

/// Resets a bucket's usage to zero.
#[derive(Debug, Clone)]
pub struct ResetBucket;

/// Deletes a bucket.
#[derive(Debug, Clone)]
pub struct DeleteBucket;

/// Resets a bucket whose billing period has ended.
#[derive(Debug, Clone)]
pub(crate) struct EndBucketPeriod {
    pub key: OrderingKey,
    pub id: BucketId,
}

/// The account's billing period at a moment, for a bucket that counts by it.
///
/// # Errors
/// A billing day refusal, or a database failure.
pub(crate) async fn counting_period(
    tx: &mut Tx<'_>,
    resets: Option<Resets>,
    account: &Account,
    at: Timestamp,
) -> Result<Option<CountingPeriod>, Failure> {
    if resets.is_none() {
        return Ok(None);
    }
    let account = with_bill_cycle_history(tx, account.clone()).await?;
    Ok(CountingPeriod::of(&account, &settings(tx).await?, at))
}

#[async_trait]
impl ObjectUseCase for CreateBucket {
    type Object = Service;
    const OPERATION: &'static str = "createBucket";
    const STATUS: u16 = 201;

    fn missing(reference: &str) -> Rejected {
        unknown::<Service>("/service", reference)
    }
    async fn run(&self, tx: &mut Tx<'_>, service: Service, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = owner(tx, &service).await?;
        tx.ensure_external_id_free::<Bucket>(self.command.external_id.as_deref()).await?;
        let related = of_service(tx, service.id).await?;
        let of = counting_period(tx, self.command.resets, &account, now).await?;
        recorded(tx, &bucket::create(self.command.clone(), &service, &account, of, now)?, related).await
    }
}

#[async_trait]
impl ObjectUseCase for UpdateBucket {
    type Object = Bucket;
    const OPERATION: &'static str = "updateBucket";

    async fn run(&self, tx: &mut Tx<'_>, bucket: Bucket, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = owner(tx, &bucket).await?;
        let related = of_service(tx, bucket.service_id).await?;
        tx.ensure_external_id_can_change(&bucket, &self.command.external_id).await?;
        let of = counting_period(tx, self.command.resets.apply(bucket.resets), &account, now).await?;
        recorded(tx, &bucket::update(bucket, &account, self.command.clone(), of, now)?, related).await
    }
}

#[async_trait]
impl ObjectUseCase for ResetBucket {
    type Object = Bucket;
    const OPERATION: &'static str = "resetBucket";

    async fn run(&self, tx: &mut Tx<'_>, bucket: Bucket, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = owner(tx, &bucket).await?;
        let related = of_service(tx, bucket.service_id).await?;
        let of = counting_period(tx, bucket.resets, &account, now).await?;
        recorded(tx, &bucket::reset(bucket, &account, of, now)?, related).await
    }
}

#[async_trait]
impl ObjectUseCase for DeleteBucket {
    type Object = Bucket;
    const OPERATION: &'static str = "deleteBucket";

    async fn run(&self, tx: &mut Tx<'_>, bucket: Bucket, _: Timestamp) -> Result<Option<Record>, Failure> {
        let account = owner(tx, &bucket).await?;
        let related = of_service(tx, bucket.service_id).await?;
        recorded(tx, &bucket::delete(bucket, &account)?, related).await
    }
}

#[async_trait]
impl UseCase for EndBucketPeriod {
    const OPERATION: &'static str = "endBucketPeriod";

    fn key(&self) -> OrderingKey {
        self.key.clone()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let Some(bucket) = tx.load::<Bucket>(self.id.0).await? else { return Ok(None) };
        let account = owner(tx, &bucket).await?;
        let related = of_service(tx, bucket.service_id).await?;
        let of = counting_period(tx, bucket.resets, &account, now).await?;
        match bucket::next_period(bucket, of, now) {
            Some(change) => recorded(tx, &change, related).await,
            None => Ok(None),
        }
    }
}
