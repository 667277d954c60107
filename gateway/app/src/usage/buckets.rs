//! `createBucket`, `updateBucket`, `resetBucket`, `deleteBucket`.

use async_trait::async_trait;
use billwire_domain::{
    customers::{account::Account, service::Service},
    usage::bucket::{self, Bucket, Tier},
};
use billwire_schemas::{clock::Timestamp, ids::OrderingKey};
use billwire_store::{
    Tx,
    commit::{Failure, Prefetch},
};

use crate::{
    account_object::AccountObject,
    events::event_parameters::{of_service, recorded},
    execute::UseCase,
    objects::{addressed, referenced},
    record::Record,
};

/// Makes a bucket of a service.
#[derive(Debug, Clone)]
pub struct CreateBucket {
    /// The service, and the account that it belongs to.
    pub service: AccountObject,
    /// What it shall be.
    pub command: bucket::Create,
}

/// Changes a bucket; what is absent stays.
#[derive(Debug, Clone)]
pub struct UpdateBucket {
    /// Which.
    pub bucket: AccountObject,
    /// Its new name.
    pub name: Option<String>,
    /// Its new tiers.
    pub tiers: Option<Vec<Tier>>,
}

/// Sets a bucket back as if nothing had been used.
#[derive(Debug, Clone)]
pub struct ResetBucket(pub AccountObject);

/// Deletes a bucket.
#[derive(Debug, Clone)]
pub struct DeleteBucket(pub AccountObject);

#[async_trait]
impl UseCase for CreateBucket {
    const OPERATION: &'static str = "createBucket";
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
        tx.ensure_external_id_free::<Bucket>(self.command.external_id.as_deref()).await?;
        let related = of_service(tx, service.id).await?;
        recorded(tx, &bucket::create(self.command.clone(), &service, &account, now)?, related).await
    }
}

#[async_trait]
impl UseCase for UpdateBucket {
    const OPERATION: &'static str = "updateBucket";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.bucket.key()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        self.bucket.prefetch::<Bucket>()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let (bucket, account) = self.bucket.load::<Bucket>(tx).await?;
        let related = of_service(tx, bucket.service_id).await?;
        recorded(tx, &bucket::update(bucket, &account, self.name.clone(), self.tiers.clone(), now)?, related).await
    }
}

#[async_trait]
impl UseCase for ResetBucket {
    const OPERATION: &'static str = "resetBucket";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.0.key()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        self.0.prefetch::<Bucket>()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let (bucket, account) = self.0.load::<Bucket>(tx).await?;
        let related = of_service(tx, bucket.service_id).await?;
        recorded(tx, &bucket::reset(bucket, &account, now)?, related).await
    }
}

#[async_trait]
impl UseCase for DeleteBucket {
    const OPERATION: &'static str = "deleteBucket";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.0.key()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        self.0.prefetch::<Bucket>()
    }
    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let (bucket, account) = self.0.load::<Bucket>(tx).await?;
        let related = of_service(tx, bucket.service_id).await?;
        recorded(tx, &bucket::delete(bucket, &account)?, related).await
    }
}
