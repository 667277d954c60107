//! `createBucket`, `updateBucket`, `resetBucket`, `deleteBucket`.

use async_trait::async_trait;
use billwire_domain::{
    Rejected,
    customers::service::Service,
    usage::bucket::{self, Bucket},
};
use billwire_schemas::clock::Timestamp;
use billwire_store::{Tx, commit::Failure};

use crate::{
    events::event_parameters::{of_service, recorded},
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
        recorded(tx, &bucket::create(self.command.clone(), &service, &account, now)?, related).await
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
        recorded(tx, &bucket::update(bucket, &account, self.command.clone(), now)?, related).await
    }
}

#[async_trait]
impl ObjectUseCase for ResetBucket {
    type Object = Bucket;
    const OPERATION: &'static str = "resetBucket";

    async fn run(&self, tx: &mut Tx<'_>, bucket: Bucket, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = owner(tx, &bucket).await?;
        let related = of_service(tx, bucket.service_id).await?;
        recorded(tx, &bucket::reset(bucket, &account, now)?, related).await
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
