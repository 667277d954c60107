//! `createRole`, `updateRole`.

use std::sync::Arc;

use async_trait::async_trait;
use billwire_domain::{
    Rejected,
    access::{
        api_key::ApiKey,
        grant::Grant,
        identity_provider::IdentityProvider,
        role::{self, Role, Settings, Update},
    },
};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::RoleId,
    refusal::Code,
};
use billwire_store::{ConfigurationKind as Kind, Tx, commit::Failure};

use crate::{
    configuration::{ConfigurationObject, ConfigurationUseCase, changed, created},
    ensure_name_free,
    execute::UseCase,
    name_taken,
    record::Record,
};

#[async_trait]
impl ConfigurationObject for Role {
    const KIND: Kind = Kind::Role;
    const NAME: &'static str = "role";
    const NOT_FOUND: Code = Code::RoleNotFound;
    const DELETE: &'static str = "deleteRole";
    fn name(&self) -> &str {
        &self.name
    }
    async fn before_deletion(&self, tx: &mut Tx<'_>) -> Result<(), Failure> {
        let (keys, now): (Vec<ApiKey>, _) = (tx.configurations(Kind::ApiKey).await?, SystemClock.now());
        if let Some(key) = keys.iter().find(|key| key.roles.contains(&self.name) && key.ensure_ended(now).is_err()) {
            let message = format!("API key '{}' has this role; revoke the key first.", key.name);
            return Err(Rejected::conflict(Code::StillInUse, message).into());
        }
        let providers: Vec<IdentityProvider> = tx.configurations(Kind::IdentityProvider).await?;
        if let Some(provider) = providers.iter().find(|provider| provider.gives(&self.name)) {
            let message = format!("Identity provider '{}' gives this role; change the provider first.", provider.name);
            return Err(Rejected::conflict(Code::StillInUse, message).into());
        }
        Ok(())
    }
}

/// Creates a role.
#[derive(Debug, Clone)]
pub struct CreateRole {
    /// The new role's id.
    pub id: RoleId,
    /// See [`Role::name`].
    pub name: String,
    /// What it is to grant.
    pub settings: Settings,
    /// What the caller may do.
    pub granter: Arc<Grant>,
}

#[async_trait]
impl UseCase for CreateRole {
    const OPERATION: &'static str = "createRole";
    const STATUS: u16 = 201;

    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        // Wall-clock time, as in keys.
        let change = role::create(self.id, self.name.clone(), self.settings.clone(), &self.granter, SystemClock.now())?;
        if role::is_predefined(&self.name) {
            return Err(name_taken(&self.name).into());
        }
        ensure_name_free(tx, Kind::Role, &self.name).await?;
        created(tx, &change, None).await.map(Some)
    }
}

/// Changes what a role grants, for all keys that have it.
#[derive(Debug, Clone)]
pub struct UpdateRole {
    /// What changes.
    pub update: Update,
    /// What the caller may do.
    pub granter: Arc<Grant>,
}

#[async_trait]
impl ConfigurationUseCase for UpdateRole {
    type Object = Role;
    const OPERATION: &'static str = "updateRole";

    async fn run(&self, tx: &mut Tx<'_>, role: Role, _: Timestamp) -> Result<Record, Failure> {
        changed(tx, &role::update(role, self.update.clone(), &self.granter, SystemClock.now())?)
    }
}
