//! `getStreamSettings`, `updateStreamSettings`.

use async_trait::async_trait;
use billwire_domain::{
    Rejected,
    events::stream_settings::{self, StreamSettings},
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
const NAME: &str = "stream settings";

impl App {
    /// The tenant's stream settings, or the defaults.
    ///
    /// # Errors
    /// A database failure.
    pub async fn stream_settings(&self, tenant: &TenantId) -> Result<StreamSettings, Failure> {
        self.only(tenant, Kind::StreamSettings).await
    }
}

/// Replaces the stream settings.
#[derive(Debug, Clone)]
pub struct UpdateStreamSettings {
    /// The new settings.
    pub command: stream_settings::Update,
    /// The required version, if any; 0 until the settings are first set.
    pub if_match: Option<i64>,
}

#[async_trait]
impl UseCase for UpdateStreamSettings {
    const OPERATION: &'static str = "updateStreamSettings";

    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let present: StreamSettings = only(tx, Kind::StreamSettings).await?;
        Rejected::ensure_current(self.if_match, present.version)?;
        save_only(tx, Kind::StreamSettings, NAME, &stream_settings::update(present, &self.command, now)).await
    }
}
