//! `createIdentityProvider`, `updateIdentityProvider`.

use std::sync::Arc;

use async_trait::async_trait;
use billwire_domain::{
    Change, Rejected,
    access::{
        grant::Grant,
        identity_provider::{self, IdentityProvider, Settings, Update},
    },
};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::IdentityProviderId,
    refusal::Code,
};
use billwire_store::{ConfigurationKind as Kind, Tx, commit::Failure};

use crate::{
    configuration::{ConfigurationObject, ConfigurationUseCase, changed, created},
    ensure_name_free,
    execute::UseCase,
    record::Record,
};

#[async_trait]
impl ConfigurationObject for IdentityProvider {
    const KIND: Kind = Kind::IdentityProvider;
    const NAME: &'static str = "identity provider";
    const NOT_FOUND: Code = Code::IdentityProviderNotFound;
    const DELETE: &'static str = "deleteIdentityProvider";
    fn name(&self) -> &str {
        &self.name
    }
    async fn before_deletion(&self, tx: &mut Tx<'_>) -> Result<(), Failure> {
        tx.delete_issuer(self.id);
        Ok(())
    }
}

/// Registers the issuer for the audience. Whether another tenant has it is not told.
async fn register(tx: &mut Tx<'_>, change: &Change<IdentityProvider>) -> Result<(), Failure> {
    if tx.is_issuer_taken(&change.after).await? {
        let message = "An identity provider with this issuer and audience is registered already.";
        return Err(Rejected::conflict(Code::IdentityProviderTaken, message).into());
    }
    tx.save_issuer(&change.after);
    Ok(())
}

/// Creates an identity provider.
#[derive(Debug, Clone)]
pub struct CreateIdentityProvider {
    /// The new provider's id.
    pub id: IdentityProviderId,
    /// What it is to be.
    pub settings: Settings,
    /// What the caller may do.
    pub granter: Arc<Grant>,
}

#[async_trait]
impl UseCase for CreateIdentityProvider {
    const OPERATION: &'static str = "createIdentityProvider";
    const STATUS: u16 = 201;

    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        // Wall-clock time, as in keys.
        let (own_roles, now) = (tx.configurations(Kind::Role).await?, SystemClock.now());
        let change = identity_provider::create(self.id, self.settings.clone(), &self.granter, &own_roles, now)?;
        ensure_name_free(tx, Kind::IdentityProvider, &self.settings.name).await?;
        register(tx, &change).await?;
        created(tx, &change, None).await.map(Some)
    }
}

/// Changes an identity provider, for all who sign in through it.
#[derive(Debug, Clone)]
pub struct UpdateIdentityProvider {
    /// What changes.
    pub update: Update,
    /// What the caller may do.
    pub granter: Arc<Grant>,
}

#[async_trait]
impl ConfigurationUseCase for UpdateIdentityProvider {
    type Object = IdentityProvider;
    const OPERATION: &'static str = "updateIdentityProvider";

    fn name(&self) -> Option<&str> {
        self.update.name.as_deref()
    }

    async fn run(&self, tx: &mut Tx<'_>, provider: IdentityProvider, _: Timestamp) -> Result<Record, Failure> {
        let (own_roles, now) = (tx.configurations(Kind::Role).await?, SystemClock.now());
        let change = identity_provider::update(provider, self.update.clone(), &self.granter, &own_roles, now)?;
        register(tx, &change).await?;
        changed(tx, &change)
    }
}
