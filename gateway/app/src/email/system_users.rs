//! `createSystemUser`, `updateSystemUser`.

use async_trait::async_trait;
use billwire_domain::email::system_user::{self, Settings, SystemUser};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::{OrderingKey, SystemUserId},
};
use billwire_store::{Configuration, ConfigurationKind as Kind, Store, Tx, commit::Failure};

use crate::{configuration::addressed, ensure_name_free, execute::UseCase, record::Record};

/// Creates a system user.
#[derive(Debug, Clone)]
pub struct CreateSystemUser {
    /// The new user's id.
    pub id: SystemUserId,
    /// What to create.
    pub settings: Settings,
}

/// Changes a system user.
#[derive(Debug, Clone)]
pub struct UpdateSystemUser {
    /// The id, as the client sent it.
    pub id: String,
    /// The changes.
    pub settings: Settings,
    /// The required version, if any.
    pub if_match: Option<i64>,
}

#[async_trait]
impl UseCase for CreateSystemUser {
    const OPERATION: &'static str = "createSystemUser";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        ensure_name_free(tx, Kind::SystemUser, self.settings.name.as_deref().unwrap_or_default()).await?;
        let change = system_user::create(self.id, self.settings.clone(), now)?;
        let (id, name, body) = (change.after.id.0, change.after.name.clone(), change.after.clone());
        let created_at = SystemClock.now();
        tx.save_configuration(Configuration { id, kind: Kind::SystemUser, name, body, secrets: None, created_at }).await?;
        Record::of(&change).map(Some)
    }
}

#[async_trait]
impl UseCase for UpdateSystemUser {
    const OPERATION: &'static str = "updateSystemUser";

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let last: SystemUser = addressed(tx, &self.id, self.if_match).await?;
        if let Some(name) = self.settings.name.as_ref().filter(|name| **name != last.name) {
            ensure_name_free(tx, Kind::SystemUser, name).await?;
        }
        let change = system_user::update(last, self.settings.clone())?;
        let after = &change.after;
        tx.change_configuration(after.id.0, after.version, after.name.clone(), after)?;
        Record::of(&change).map(Some)
    }
}
