//! `createApiKey`, `rotateApiKey`, `revokeApiKey`, and the key of `BILLWIRE_ADMIN_KEY`.

use std::collections::HashMap;

use async_trait::async_trait;
use billwire_domain::access::{
    api_key::{self, ApiKey, Create, Granter, Rotate},
    grant::Grant,
};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::{ApiKeyId, TenantId, fresh},
    refusal::Code,
};
use billwire_store::{ADMIN_KEY, ConfigurationKind as Kind, CredentialHash, Tx, commit::Failure};
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    App, Caller, RequestContext,
    access::key_text,
    configuration::{ConfigurationObject, ConfigurationUseCase, changed, created},
    ensure_name_free,
    execute::{UseCase, json},
    record::Record,
};

#[async_trait]
impl ConfigurationObject for ApiKey {
    const KIND: Kind = Kind::ApiKey;
    const NAME: &'static str = "API key";
    const NOT_FOUND: Code = Code::ApiKeyNotFound;
    const DELETE: &'static str = "deleteApiKey";
    fn name(&self) -> &str {
        &self.name
    }
    async fn before_deletion(&self, tx: &mut Tx<'_>) -> Result<(), Failure> {
        self.ensure_ended(SystemClock.now())?;
        tx.delete_credentials(self.id.0);
        Ok(())
    }
}

/// The text of a key, and its hash. Only the reply shows the text.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub text: String,
    pub hash: CredentialHash,
}

/// The key with its text, for the reply.
fn shown(key: &ApiKey, text: &str) -> Result<Box<RawValue>, Failure> {
    let mut shown = serde_json::to_value(key).map_err(json)?;
    shown["key"] = text.into();
    to_raw_value(&shown).map_err(json)
}

/// Creates an API key.
#[derive(Debug, Clone)]
pub struct CreateApiKey {
    command: Create,
    granter: Granter,
    text: Text,
    /// Whether its text is that of `BILLWIRE_ADMIN_KEY`.
    is_admin_key: bool,
}

/// What an API key is to be.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Names of its roles.
    pub roles: Vec<String>,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// The networks it may be used from; empty: any.
    pub allowed_networks: Vec<String>,
}

#[async_trait]
impl UseCase for CreateApiKey {
    const OPERATION: &'static str = "createApiKey";
    const STATUS: u16 = 201;

    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        // Wall-clock time, as everywhere here: keys protect real data, whatever the business clock is set to.
        let own_roles = tx.configurations(Kind::Role).await?;
        let change = api_key::create(self.command.clone(), self.granter.clone(), &own_roles, SystemClock.now())?;
        ensure_name_free(tx, Kind::ApiKey, &self.command.name).await?;
        tx.save_credential(&self.text.hash, change.after.id);
        if self.is_admin_key {
            tx.set(ADMIN_KEY, change.after.id.to_string());
        }
        let record = created(tx, &change, None).await?;
        Ok(Some(record.reveal(shown(&change.after, &self.text.text)?)))
    }
}

/// Gives an API key another text.
#[derive(Debug, Clone)]
pub struct RotateApiKey {
    overlap: u32,
    caller: Caller,
    text: Text,
}

#[async_trait]
impl ConfigurationUseCase for RotateApiKey {
    type Object = ApiKey;
    const OPERATION: &'static str = "rotateApiKey";

    async fn run(&self, tx: &mut Tx<'_>, key: ApiKey, _: Timestamp) -> Result<Record, Failure> {
        // Who sees the new text can use it.
        self.caller.grant.ensure_holds(&key.grant(&tx.configurations(Kind::Role).await?))?;
        let now = SystemClock.now();
        let starts_with = key_text::beginning(&self.text.text, &self.caller.tenant);
        let change = api_key::rotate(key, Rotate { starts_with, overlap: self.overlap }, now)?;
        tx.end_credentials(change.after.id, change.after.former_works_until.unwrap_or(now));
        tx.save_credential(&self.text.hash, change.after.id);
        Ok(changed(tx, &change)?.reveal(shown(&change.after, &self.text.text)?))
    }
}

/// Revokes an API key.
#[derive(Debug, Clone)]
pub struct RevokeApiKey;

#[async_trait]
impl ConfigurationUseCase for RevokeApiKey {
    type Object = ApiKey;
    const OPERATION: &'static str = "revokeApiKey";

    async fn run(&self, tx: &mut Tx<'_>, key: ApiKey, _: Timestamp) -> Result<Record, Failure> {
        changed(tx, &api_key::revoke(key, SystemClock.now())?)
    }
}

/// A key that was made without a request, and its text.
#[derive(Debug, Clone)]
pub struct IssuedKey {
    /// The key.
    pub id: ApiKeyId,
    /// Its text, which is not shown again.
    pub text: String,
}

impl RotateApiKey {
    /// The new text.
    pub fn text(&self) -> &str {
        &self.text.text
    }
}

impl App {
    /// Makes a key at once, for who works on the machine.
    ///
    /// # Errors
    /// The refusals of `createApiKey`, or a database failure.
    pub async fn issue_api_key(&self, caller: &Caller, new: NewApiKey) -> Result<IssuedKey, Failure> {
        let create = self.create_api_key(caller, new).await?;
        let issued = IssuedKey { id: create.command.id, text: create.text.text.clone() };
        self.execute(RequestContext::of(caller.clone()), create).await?;
        Ok(issued)
    }

    /// The keys of all tenants, each tenant's oldest first.
    ///
    /// # Errors
    /// A database failure.
    pub async fn all_api_keys(&self) -> Result<Vec<(TenantId, ApiKey)>, Failure> {
        let mut all = Vec::new();
        for tenant in self.store.tenants_with_keys().await? {
            let keys = self.store.configurations::<ApiKey>(&tenant, Kind::ApiKey).await?;
            all.extend(keys.into_iter().map(|key| (tenant.clone(), key)));
        }
        Ok(all)
    }

    /// Whether any tenant has an API key.
    ///
    /// # Errors
    /// A database failure.
    pub async fn has_api_keys(&self) -> Result<bool, Failure> {
        Ok(!self.store.tenants_with_keys().await?.is_empty())
    }

    pub(super) async fn fresh_text(&self, tenant: &TenantId) -> Result<Text, Failure> {
        let text = key_text::fresh(tenant)?;
        let hash = self.store.credential_hash(&text).await?;
        Ok(Text { text, hash })
    }

    /// `createApiKey`, granted by `caller`.
    ///
    /// # Errors
    /// A database failure, or one of the system's random generator.
    pub async fn create_api_key(&self, caller: &Caller, new: NewApiKey) -> Result<CreateApiKey, Failure> {
        let text = self.fresh_text(&caller.tenant).await?;
        let NewApiKey { name, scopes, roles, expires_at, allowed_networks } = new;
        let starts_with = Some(key_text::beginning(&text.text, &caller.tenant));
        let command = Create { id: ApiKeyId(fresh()), name, starts_with, scopes, roles, expires_at, allowed_networks };
        let granter = Granter { actor: caller.actor.clone(), grant: Grant::clone(&caller.grant) };
        Ok(CreateApiKey { command, granter, text, is_admin_key: false })
    }

    /// `rotateApiKey`: the current text keeps working for `overlap` seconds.
    ///
    /// # Errors
    /// See [`App::create_api_key`].
    pub async fn rotate_api_key(&self, caller: &Caller, overlap: u32) -> Result<RotateApiKey, Failure> {
        Ok(RotateApiKey { overlap, caller: caller.clone(), text: self.fresh_text(&caller.tenant).await? })
    }

    /// When the tenant's keys were last used, of those that ever were, to the hour.
    ///
    /// # Errors
    /// A database failure.
    pub async fn last_uses(&self, tenant: &TenantId) -> Result<HashMap<ApiKeyId, Timestamp>, Failure> {
        Ok(self.store.last_uses(tenant).await?.into_iter().collect())
    }
}

/// The result of [`App::set_admin_key`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminKey {
    /// The same text was set before.
    Unchanged,
    /// The key with this text was revoked, and stays so.
    Revoked,
    /// The text works now.
    Set {
        /// Whether it replaces another one, which no longer works.
        replaced: bool,
    },
}

/// Name of the key that `BILLWIRE_ADMIN_KEY` sets, and of the one that a new installation makes.
const ADMIN: &str = "admin";
/// Name of the former where another key has that name.
const ADMIN_TOO: &str = "admin (BILLWIRE_ADMIN_KEY)";

/// Replaces the text of the key that `BILLWIRE_ADMIN_KEY` sets. A revoked one is in force again: its revoked text is not.
struct RotateAdminKey {
    /// The new text; `None`: it belongs to another key.
    hash: Option<CredentialHash>,
}

#[async_trait]
impl ConfigurationUseCase for RotateAdminKey {
    type Object = ApiKey;
    const OPERATION: &'static str = RotateApiKey::OPERATION;

    async fn run(&self, tx: &mut Tx<'_>, key: ApiKey, _: Timestamp) -> Result<Record, Failure> {
        let now = SystemClock.now();
        tx.end_credentials(key.id, now);
        if let Some(hash) = &self.hash {
            tx.save_credential(hash, key.id);
        }
        changed(tx, &api_key::set_anew(key, now))
    }
}

impl App {
    /// Makes a text that an operator chose work with every scope of the default tenant, and the one chosen before no longer. A text that
    /// somebody made as a key of its own stays that.
    ///
    /// # Errors
    /// A database failure.
    pub async fn set_admin_key(&self, text: &str) -> Result<AdminKey, Failure> {
        let (tenant, hash) = (TenantId::default_tenant(), self.store.credential_hash(text).await?);
        let former = match self.store.setting(ADMIN_KEY).await?.and_then(|id| id.parse().ok()) {
            Some(id) => self.store.configuration::<ApiKey>(&tenant, Kind::ApiKey, id).await?,
            None => None,
        };
        let present = self.store.credential(&hash).await?;
        let is_present = |former: &ApiKey| present.as_ref().is_some_and(|present| present.key.id == former.id && present.ends_at.is_none());
        let belongs_to_another = present.as_ref().is_some_and(|present| {
            let another = former.as_ref().is_none_or(|former| former.id != present.key.id);
            another && present.ends_at.is_none() && present.key.ensure_ended(SystemClock.now()).is_err()
        });
        let caller = Caller::part(tenant, "BILLWIRE_ADMIN_KEY", Grant::everything());
        match former {
            Some(former) if is_present(&former) => Ok(if former.revoked_at.is_some() { AdminKey::Revoked } else { AdminKey::Unchanged }),
            Some(former) => {
                let rotation = RotateAdminKey { hash: (!belongs_to_another).then_some(hash) };
                let context = RequestContext::of(caller);
                self.execute_on_configuration(context, &former.id.to_string(), None, rotation).await?;
                Ok(AdminKey::Set { replaced: true })
            }
            None if belongs_to_another => Ok(AdminKey::Unchanged),
            None => {
                self.create_admin_key(caller, Text { text: String::new(), hash }).await?;
                Ok(AdminKey::Set { replaced: false })
            }
        }
    }

    async fn create_admin_key(&self, caller: Caller, text: Text) -> Result<(), Failure> {
        let taken = self.store.configuration_named::<ApiKey>(&caller.tenant, Kind::ApiKey, ADMIN).await?.is_some();
        let command = Create {
            id: ApiKeyId(fresh()),
            name: if taken { ADMIN_TOO } else { ADMIN }.to_owned(),
            starts_with: None,
            scopes: caller.grant.scopes.clone(),
            roles: Vec::new(),
            expires_at: None,
            allowed_networks: Vec::new(),
        };
        let granter = Granter { actor: caller.actor.clone(), grant: Grant::clone(&caller.grant) };
        let create = CreateApiKey { command, granter, text, is_admin_key: true };
        self.execute(RequestContext::of(caller), create).await.map(|_| ())
    }
}
