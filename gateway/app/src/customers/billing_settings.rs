//! `getBillingSettings`, `updateBillingSettings`.

use async_trait::async_trait;
use billwire_domain::{
    Rejected,
    customers::billing_settings::{self, BillingSettings},
};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::TenantId,
};
use billwire_store::{Configuration, ConfigurationKind as Kind, Tx, commit::Failure, page::PageRequest};

use crate::{App, execute::UseCase, record::Record};

/// Their configuration name; since names are unique, each tenant has at most one.
const NAME: &str = "billing settings";

/// The tenant's billing settings, or the defaults.
///
/// # Errors
/// A database failure.
pub(crate) async fn settings(tx: &Tx<'_>) -> Result<BillingSettings, Failure> {
    Ok(tx.configurations::<BillingSettings>(Kind::BillingSettings).await?.pop().unwrap_or_default())
}

impl App {
    /// The tenant's billing settings, or the defaults.
    ///
    /// # Errors
    /// A database failure.
    pub async fn billing_settings(&self, tenant: &TenantId) -> Result<BillingSettings, Failure> {
        let mut found = self.store.list_configurations(tenant, Kind::BillingSettings, PageRequest { limit: 1, after: None }).await?;
        Ok(found.items.pop().unwrap_or_default())
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
        let (id, body) = (billwire_domain::Entity::id(&change.after), change.after.clone());
        if change.before.is_none() {
            let (kind, name, created_at) = (Kind::BillingSettings, NAME.to_owned(), SystemClock.now());
            tx.save_configuration(Configuration { id, kind, name, body, secrets: None, created_at }).await?;
        } else {
            tx.change_configuration(id, body.version, NAME.to_owned(), &body)?;
        }
        Record::of(&change).map(Some)
    }
}
