//! A tenant's catalogue: built-in and custom event types, and data sources.

use billwire_domain::{
    Rejected,
    events::{catalogue::Catalogue, custom_event_type::CustomEventType, sample},
};
use billwire_schemas::{ids::TenantId, refusal::Code};
use billwire_store::{ConfigurationKind as Kind, Tx, commit::Failure};
use serde_json::Value;

use crate::App;

/// The catalogue, read under the configuration lock of `tx`.
///
/// # Errors
/// A database failure.
pub(crate) async fn of(tx: &Tx<'_>) -> Result<Catalogue, Failure> {
    Ok(Catalogue::new(tx.configurations(Kind::EventType).await?, tx.configurations(Kind::DataSource).await?))
}

/// The configuration name of an earlier version of a custom event type.
pub(crate) fn name_of_version(name: &str, version: i64) -> String {
    format!("{name}/v{version}")
}

impl App {
    /// The tenant's current catalogue.
    ///
    /// # Errors
    /// A database failure.
    pub async fn catalogue(&self, tenant: &TenantId) -> Result<Catalogue, Failure> {
        let custom = self.store.configurations(tenant, Kind::EventType).await?;
        Ok(Catalogue::new(custom, self.store.configurations(tenant, Kind::DataSource).await?))
    }

    /// Sample data of a custom event type, if valid data can be generated.
    pub fn sample_of(&self, kind: &CustomEventType) -> Option<Value> {
        let sample = sample::of(&kind.schema);
        self.compiled.of(kind).ok().filter(|validator| validator.is_valid(&sample))?;
        Some(sample)
    }

    /// A version of a custom event type; deleted types included.
    ///
    /// # Errors
    /// `event_type_not_found`, or a database failure.
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
