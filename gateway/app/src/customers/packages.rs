//! `createPackage`, `updatePackage`, `deletePackage`.

use async_trait::async_trait;
use billwire_domain::customers::package::{self, Package};
use billwire_schemas::{
    clock::Timestamp,
    ids::{OrderingKey, PackageId},
};
use billwire_store::{
    Tx,
    commit::{Failure, Prefetch},
};

use crate::{execute::UseCase, objects::addressed, record::Record, references};

/// Makes a package.
#[derive(Debug, Clone)]
pub struct CreatePackage(pub package::Create);

/// Changes a package.
#[derive(Debug, Clone)]
pub struct UpdatePackage {
    /// Which.
    pub package: PackageId,
    /// Only at this version.
    pub if_match: Option<i64>,
    /// What shall change.
    pub command: package::Update,
}

/// Deletes a package that nobody has subscribed.
#[derive(Debug, Clone)]
pub struct DeletePackage {
    /// Which.
    pub package: PackageId,
    /// Only at this version.
    pub if_match: Option<i64>,
}

#[async_trait]
impl UseCase for CreatePackage {
    const OPERATION: &'static str = "createPackage";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        self.0.id.0.into()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        tx.ensure_external_id_free::<Package>(self.0.external_id.as_deref()).await?;
        let change = package::create(self.0.clone(), now)?;
        tx.save(&change)?;
        Record::of(&change).map(Some)
    }
}

#[async_trait]
impl UseCase for UpdatePackage {
    const OPERATION: &'static str = "updatePackage";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.package.0.into()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        vec![Prefetch::of::<Package>(self.package.0)]
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let package = addressed::<Package>(tx, self.package.0, self.if_match).await?;
        let change = package::update(package, self.command.clone(), now)?;
        tx.save(&change)?;
        Record::of(&change).map(Some)
    }
}

#[async_trait]
impl UseCase for DeletePackage {
    const OPERATION: &'static str = "deletePackage";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.package.0.into()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        vec![Prefetch::of::<Package>(self.package.0)]
    }
    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let package = addressed::<Package>(tx, self.package.0, self.if_match).await?;
        let change = package::delete(package, references::package(tx, self.package.0).await?)?;
        tx.save(&change)?;
        Record::of(&change).map(Some)
    }
}
