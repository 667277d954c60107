//! A tenant's catalogue: the built-in event types, its own, and what its data sources add.

use billwire_domain::{
    Rejected,
    events::{catalogue::Catalogue, custom_event_type::CustomEventType, sample},
};
use billwire_schemas::{ids::TenantId, refusal::Code};
use billwire_store::{ConfigurationKind as Kind, Tx, commit::Failure};
use serde_json::Value;

use crate::App;

/// The catalogue as a configuring operation sees it under its lock.
///
/// # Errors
/// The database's failure.
pub(crate) async fn of(tx: &Tx<'_>) -> Result<Catalogue, Failure> {
    Ok(Catalogue::new(tx.configurations(Kind::EventType).await?, tx.configurations(Kind::DataSource).await?))
}

/// The name under which an earlier version of a custom event type is kept.
pub(crate) fn name_of_version(name: &str, version: i64) -> String {
    format!("{name}/v{version}")
}

impl App {
    /// The tenant's catalogue as it is now.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn catalogue(&self, tenant: &TenantId) -> Result<Catalogue, Failure> {
        let custom = self.store.configurations(tenant, Kind::EventType).await?;
        Ok(Catalogue::new(custom, self.store.configurations(tenant, Kind::DataSource).await?))
    }

    /// A sample of the data of a custom event type, if one that fits its schema can be made up.
    pub fn sample_of(&self, kind: &CustomEventType) -> Option<Value> {
        let sample = sample::of(&kind.schema);
        self.compiled.of(kind).ok().filter(|validator| validator.is_valid(&sample))?;
        Some(sample)
    }

    /// A version of a custom event type, also of one that is deleted.
    ///
    /// # Errors
    /// `event_type_not_found`, or the database's failure.
    pub async fn custom_event_type(&self, tenant: &TenantId, name: &str, version: i64) -> Result<CustomEventType, Failure> {
        let latest: Option<CustomEventType> = self.store.configuration_named(tenant, Kind::EventType, name).await?;
        if let Some(latest) = latest.filter(|latest| latest.version == version) {
            return Ok(latest);
        }
        let kept = name_of_version(name, version);
        let earlier = self.store.configuration_named(tenant, Kind::EventTypeVersion, &kept).await?;
        earlier.ok_or_else(|| Rejected::not_found(Code::EventTypeNotFound, "event type", &kept).into())
    }
}
