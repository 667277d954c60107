//! `createPackage`, `updatePackage`, `deletePackage`.

use async_trait::async_trait;
use billwire_domain::customers::package::{self, Package};
use billwire_schemas::{clock::Timestamp, ids::OrderingKey};
use billwire_store::{Tx, commit::Failure};

use crate::{customers::billing_settings::settings, execute::UseCase, execute_on::ObjectUseCase, record::Record, references};

/// Creates a package.
#[derive(Debug, Clone)]
pub struct CreatePackage(pub package::Create);

/// Changes a package.
#[derive(Debug, Clone)]
pub struct UpdatePackage {
    /// The changes.
    pub command: package::Update,
}

/// Deletes a package that was never subscribed to.
#[derive(Debug, Clone)]
pub struct DeletePackage;

#[async_trait]
impl UseCase for CreatePackage {
    const OPERATION: &'static str = "createPackage";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        self.0.id.0.into()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        tx.ensure_external_id_free::<Package>(self.0.external_id.as_deref()).await?;
        let change = package::create(self.0.clone(), &settings(tx).await?, now)?;
        tx.save(&change)?;
        Record::of(&change).map(Some)
    }
}

#[async_trait]
impl ObjectUseCase for UpdatePackage {
    type Object = Package;
    const OPERATION: &'static str = "updatePackage";

    async fn run(&self, tx: &mut Tx<'_>, package: Package, now: Timestamp) -> Result<Option<Record>, Failure> {
        tx.ensure_external_id_can_change(&package, &self.command.external_id).await?;
        let change = package::update(package, self.command.clone(), &settings(tx).await?, now)?;
        tx.save(&change)?;
        Record::of(&change).map(Some)
    }
}

#[async_trait]
impl ObjectUseCase for DeletePackage {
    type Object = Package;
    const OPERATION: &'static str = "deletePackage";

    async fn run(&self, tx: &mut Tx<'_>, package: Package, _: Timestamp) -> Result<Option<Record>, Failure> {
        let in_use = references::package(tx, package.id.0).await?;
        let change = package::delete(package, in_use)?;
        tx.save(&change)?;
        Record::of(&change).map(Some)
    }
}
