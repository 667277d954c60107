//! `createTenant`, `updateTenant`, `suspendTenant`, `resumeTenant`, `deleteTenant`: by keys of the operator's own tenant, whose configuration tenants are.

use async_trait::async_trait;
use billwire_domain::{
    Rejected,
    access::{
        api_key::{self, Granter},
        grant::Grant,
        tenant::{self, Limits, Tenant},
    },
    customers::billing_settings::{self, BillingSettings},
    events::retention::{self, Retention, RetentionLimits, RetentionSettings},
};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::{ApiKeyId, BillingSettingsId, RetentionSettingsId, TenantId, TenantObjectId, fresh},
    refusal::Code,
};
use billwire_store::{ConfigurationKind as Kind, TenantDeletion, Tx, commit::Failure};
use serde_json::value::to_raw_value;

use crate::{
    App, Caller, RequestContext,
    access::{api_keys::Text, key_text},
    configuration::{ConfigurationObject, ConfigurationUseCase, changed, created},
    customers::billing_settings::NAME as BILLING_SETTINGS,
    events::retention::NAME as RETENTION_SETTINGS,
    execute::{UseCase, json},
    record::Record,
};

impl ConfigurationObject for Tenant {
    const KIND: Kind = Kind::Tenant;
    const NAME: &'static str = "tenant";
    const NOT_FOUND: Code = Code::TenantNotFound;
    const DELETE: &'static str = "deleteTenant";
    fn name(&self) -> &str {
        self.tenant_id.as_str()
    }
}

/// Name of a new tenant's first key.
const FIRST_KEY: &str = "admin";

/// What a new tenant begins with.
#[derive(Debug, Clone, Default)]
pub struct NewTenant {
    /// Its name for people.
    pub name: String,
    /// Its time zone, an IANA name; absent: UTC.
    pub time_zone: Option<String>,
    /// Its own limits.
    pub limits: Limits,
    /// The currency of accounts that are created without one.
    pub default_currency: Option<String>,
    /// For how long its history is kept; absent: for as long as the installation keeps it.
    pub retention: Option<Retention>,
}

/// Creates a tenant with a first API key, which has every scope. Only the reply shows the key's text.
#[derive(Debug, Clone)]
pub struct CreateTenant {
    id: TenantObjectId,
    tenant: TenantId,
    asked: NewTenant,
    limits: RetentionLimits,
    actor: String,
    key: ApiKeyId,
    text: Text,
}

#[async_trait]
impl UseCase for CreateTenant {
    const OPERATION: &'static str = "createTenant";
    const STATUS: u16 = 201;

    fn further_tenants(&self) -> Vec<TenantId> {
        vec![self.tenant.clone()]
    }

    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let (now, tenant) = (SystemClock.now(), self.tenant.as_str());
        if tx.has_configuration(Kind::Tenant, tenant).await? {
            let message = format!("There is a tenant '{tenant}' already, or there was: the name of a deleted tenant is not used again.");
            return Err(Rejected::conflict(Code::TenantExists, message).into());
        }
        self.save_settings(tx, now)?;
        let change = tenant::create(self.id, self.tenant.clone(), self.asked.name.clone(), self.asked.limits, now);
        let every = Grant::everything();
        let starts_with = Some(key_text::beginning(&self.text.text, &self.tenant));
        let command = api_key::Create {
            id: self.key,
            name: FIRST_KEY.to_owned(),
            starts_with,
            scopes: every.scopes.clone(),
            roles: Vec::new(),
            expires_at: None,
            allowed_networks: Vec::new(),
        };
        let key = api_key::create(command, Granter { actor: self.actor.clone(), grant: every }, &[], now)?.after;
        tx.save_key_of(&self.tenant, &key, &self.text.hash)?;
        let record = created(tx, &change, None).await?;
        let mut shown = serde_json::to_value(&change.after).map_err(json)?;
        shown["adminKey"] = self.text.text.as_str().into();
        Ok(Some(record.reveal(to_raw_value(&shown).map_err(json)?)))
    }
}

impl CreateTenant {
    /// Saves the settings that the tenant begins with, as if it had set them itself.
    fn save_settings(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<(), Failure> {
        let NewTenant { time_zone, default_currency, retention, .. } = &self.asked;
        let mut broken = Vec::new();
        if time_zone.is_some() || default_currency.is_some() {
            let mut command = billing_settings::Update::defaults(BillingSettingsId(fresh()));
            command.time_zone = time_zone.clone().unwrap_or(command.time_zone);
            command.default_currency = default_currency.clone();
            match billing_settings::update(BillingSettings::default(), command, now) {
                Ok(change) => tx.save_configuration_of(&self.tenant, Kind::BillingSettings, BILLING_SETTINGS, &change.after)?,
                Err(rejected) => broken.extend(rejected.violations),
            }
        }
        if let Some(chosen) = retention {
            let command = retention::Update { id: RetentionSettingsId(fresh()), chosen: *chosen };
            match retention::update(RetentionSettings::default(), command, &self.limits, now) {
                Ok(change) => tx.save_configuration_of(&self.tenant, Kind::RetentionSettings, RETENTION_SETTINGS, &change.after)?,
                Err(rejected) => broken.extend(rejected.under("/retention").violations),
            }
        }
        Rejected::from_violations(broken).map_or(Ok(()), |rejected| Err(rejected.into()))
    }
}

/// Changes a tenant.
#[derive(Debug, Clone)]
pub struct UpdateTenant {
    /// The new name, if any.
    pub name: Option<String>,
    /// The new limits, if any.
    pub limits: Option<Limits>,
}

#[async_trait]
impl ConfigurationUseCase for UpdateTenant {
    type Object = Tenant;
    const OPERATION: &'static str = "updateTenant";

    async fn run(&self, tx: &mut Tx<'_>, tenant: Tenant, _: Timestamp) -> Result<Record, Failure> {
        changed(tx, &tenant::update(tenant, self.name.clone(), self.limits, SystemClock.now())?)
    }
}

/// Suspends a tenant.
#[derive(Debug, Clone)]
pub struct SuspendTenant {
    /// Why.
    pub because: Option<String>,
}

#[async_trait]
impl ConfigurationUseCase for SuspendTenant {
    type Object = Tenant;
    const OPERATION: &'static str = "suspendTenant";

    async fn run(&self, tx: &mut Tx<'_>, tenant: Tenant, _: Timestamp) -> Result<Record, Failure> {
        changed(tx, &tenant::suspend(tenant, self.because.clone(), SystemClock.now())?)
    }
}

/// Resumes a tenant.
#[derive(Debug, Clone)]
pub struct ResumeTenant;

#[async_trait]
impl ConfigurationUseCase for ResumeTenant {
    type Object = Tenant;
    const OPERATION: &'static str = "resumeTenant";

    async fn run(&self, tx: &mut Tx<'_>, tenant: Tenant, _: Timestamp) -> Result<Record, Failure> {
        changed(tx, &tenant::resume(tenant, SystemClock.now())?)
    }
}

/// Deletes a suspended tenant: first it is marked, then all it has goes in steps.
#[derive(Debug, Clone)]
pub struct DeleteTenant;

#[async_trait]
impl ConfigurationUseCase for DeleteTenant {
    type Object = Tenant;
    const OPERATION: &'static str = "deleteTenant";

    async fn run(&self, tx: &mut Tx<'_>, tenant: Tenant, _: Timestamp) -> Result<Record, Failure> {
        let change = tenant::delete(tenant, SystemClock.now())?;
        tx.begin_tenant_deletion(&change.after.tenant_id);
        changed(tx, &change)
    }
}

/// Marks a tenant as deleted, of which nothing is left.
#[derive(Debug, Clone)]
struct EndTenantDeletion(TenantObjectId);

#[async_trait]
impl UseCase for EndTenantDeletion {
    const OPERATION: &'static str = "endTenantDeletion";

    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let found: Option<Tenant> = tx.configuration(Kind::Tenant, self.0.0).await?;
        let Some(change) = found.and_then(|tenant| tenant::end_deletion(tenant, SystemClock.now())) else { return Ok(None) };
        tx.end_tenant_deletion(&change.after.tenant_id);
        changed(tx, &change).map(Some)
    }
}

impl App {
    /// Marks a tenant as deleted, of which nothing is left.
    ///
    /// # Errors
    /// A database failure.
    pub async fn end_tenant_deletion(&self, tenant: TenantObjectId) -> Result<(), Failure> {
        let caller = Caller::part(TenantId::default_tenant(), "tenant deletion", Grant::default());
        self.execute(RequestContext::of(caller), EndTenantDeletion(tenant)).await.map(drop)
    }

    /// How far the deletion of a tenant has got, for the operator.
    ///
    /// # Errors
    /// `tenant_not_found`; `tenant_deletion_not_found`: nobody has asked for it; or a database failure.
    pub async fn tenant_deletion(&self, reference: &str) -> Result<(Tenant, TenantDeletion), Failure> {
        let tenant = self.tenant(reference).await?;
        let found = self.store.tenant_deletion(&tenant.tenant_id).await?;
        let missing = || Rejected::not_found(Code::TenantDeletionNotFound, "deletion of the tenant", reference);
        Ok((tenant, found.ok_or_else(missing)?))
    }

    /// `createTenant`.
    ///
    /// # Errors
    /// A database failure, or one of the system's random generator.
    pub async fn create_tenant(&self, caller: &Caller, tenant: TenantId, asked: NewTenant) -> Result<CreateTenant, Failure> {
        let text = self.fresh_text(&tenant).await?;
        let (id, key) = (TenantObjectId(fresh()), ApiKeyId(fresh()));
        Ok(CreateTenant { id, tenant, asked, limits: self.retention_limits(), actor: caller.actor.clone(), key, text })
    }

    /// The tenant with this name or object id, for the operator.
    ///
    /// # Errors
    /// `tenant_not_found`, or a database failure.
    pub async fn tenant(&self, reference: &str) -> Result<Tenant, Failure> {
        let operator = TenantId::default_tenant();
        // No name is as long as an id.
        let found = match reference.parse() {
            Ok(id) => self.store.configuration(&operator, Kind::Tenant, id).await?,
            Err(_) => self.store.configuration_named(&operator, Kind::Tenant, reference).await?,
        };
        found.ok_or_else(|| Rejected::not_found(Code::TenantNotFound, Tenant::NAME, reference).into())
    }
}
