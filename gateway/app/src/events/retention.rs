//! `getRetentionSettings`, `updateRetentionSettings`; what applies to each tenant; and refusals of what was purged.

use std::collections::HashMap;

use async_trait::async_trait;
use billwire_domain::{
    Rejected,
    events::retention::{self, Retention, RetentionLimits, RetentionSettings},
};
use billwire_schemas::{clock::Timestamp, ids::TenantId, refusal::Code};
use billwire_store::{ConfigurationKind as Kind, Error, Tx, commit::Failure};

use crate::{
    App, Purgeable,
    configuration::{only, save_only},
    execute::UseCase,
    record::Record,
};

/// Their configuration name; since names are unique, each tenant has at most one.
pub(crate) const NAME: &str = "retention settings";

impl App {
    /// The limits of the installation.
    pub fn retention_limits(&self) -> RetentionLimits {
        self.retention
    }

    /// What the tenant has chosen.
    ///
    /// # Errors
    /// A database failure.
    pub async fn retention_settings(&self, tenant: &TenantId) -> Result<RetentionSettings, Failure> {
        self.only(tenant, Kind::RetentionSettings).await
    }

    /// The refusal of something that is not there: it was purged, or never was.
    ///
    /// # Errors
    /// A database failure.
    pub(crate) async fn absent(&self, tenant: &TenantId, kind: Purgeable, id: &str) -> Result<Rejected, Failure> {
        let (missing, noun) = match kind {
            Purgeable::BusinessTransactions => (Code::BusinessTransactionNotFound, "business transaction"),
            Purgeable::Deliveries => (Code::DeliveryNotFound, "delivery"),
            Purgeable::Replays => (Code::ReplayNotFound, "replay"),
            _ => (Code::EventNotFound, "event"),
        };
        if let Ok(parsed) = id.parse()
            && self.store.is_purged(tenant, kind, parsed).await?
        {
            return Ok(Rejected::purged(noun, id));
        }
        Ok(Rejected::not_found(missing, noun, id))
    }

    /// What applies to each of these tenants.
    ///
    /// # Errors
    /// A database failure.
    pub async fn retentions(&self, tenants: &[TenantId]) -> Result<HashMap<TenantId, Retention>, Error> {
        let mut applies: HashMap<TenantId, Retention> = tenants.iter().map(|tenant| (tenant.clone(), self.retention.longest)).collect();
        for own in self.store.configurations_of::<RetentionSettings>(tenants, Kind::RetentionSettings).await? {
            applies.insert(own.tenant, self.retention.of(&own.body.chosen));
        }
        Ok(applies)
    }
}

/// Replaces the retention settings.
#[derive(Debug, Clone)]
pub struct UpdateRetentionSettings {
    /// The new settings.
    pub command: retention::Update,
    /// The limits of the installation.
    pub limits: RetentionLimits,
    /// The required version, if any; 0 until the settings are first set.
    pub if_match: Option<i64>,
}

#[async_trait]
impl UseCase for UpdateRetentionSettings {
    const OPERATION: &'static str = "updateRetentionSettings";

    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let present: RetentionSettings = only(tx, Kind::RetentionSettings).await?;
        Rejected::ensure_current(self.if_match, present.version)?;
        let change = retention::update(present, self.command.clone(), &self.limits, now)?;
        save_only(tx, Kind::RetentionSettings, NAME, &change).await
    }
}
