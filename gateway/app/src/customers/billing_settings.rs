//! `getBillingSettings`, `updateBillingSettings`.

use async_trait::async_trait;
use billwire_domain::{
    Rejected,
    customers::billing_settings::{self, BillingSettings},
};
use billwire_schemas::{clock::Timestamp, ids::TenantId};
use billwire_store::{ConfigurationKind as Kind, Tx, commit::Failure};

use crate::{
    App,
    configuration::{only, save_only},
    execute::UseCase,
    record::Record,
};

/// Their configuration name; since names are unique, each tenant has at most one.
pub(crate) const NAME: &str = "billing settings";

/// The tenant's billing settings, or the defaults.
///
/// # Errors
/// A database failure.
pub(crate) async fn settings(tx: &Tx<'_>) -> Result<BillingSettings, Failure> {
    only(tx, Kind::BillingSettings).await
}

impl App {
    /// The tenant's billing settings, or the defaults.
    ///
    /// # Errors
    /// A database failure.
    pub async fn billing_settings(&self, tenant: &TenantId) -> Result<BillingSettings, Failure> {
        self.only(tenant, Kind::BillingSettings).await
    }
}

/// Replaces the billing settings.
#[derive(Debug, Clone)]
pub struct UpdateBillingSettings {
    /// The new settings.
    pub command: billing_settings::Update,
    /// The required version, if any; 0 while the defaults apply.
    pub if_match: Option<i64>,
}

#[async_trait]
impl UseCase for UpdateBillingSettings {
    const OPERATION: &'static str = "updateBillingSettings";

    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let present = settings(tx).await?;
        Rejected::ensure_current(self.if_match, present.version)?;
        let change = billing_settings::update(present, self.command.clone(), now)?;
        save_only(tx, Kind::BillingSettings, NAME, &change).await
    }
}
