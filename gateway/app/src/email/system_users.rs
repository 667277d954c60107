//! `createSystemUser`, `updateSystemUser`.

use async_trait::async_trait;
use billwire_domain::{
    delivery::subscription::Subscription,
    email::system_user::{self, Settings, SystemUser},
};
use billwire_schemas::{clock::Timestamp, ids::SystemUserId, recipient::Recipient, refusal::Code};
use billwire_store::{ConfigurationKind as Kind, Tx, commit::Failure};

use crate::{
    configuration::{ConfigurationObject, ConfigurationUseCase, changed, created},
    ensure_name_free,
    execute::UseCase,
    record::Record,
};

impl ConfigurationObject for SystemUser {
    const KIND: Kind = Kind::SystemUser;
    const NAME: &'static str = "system user";
    const NOT_FOUND: Code = Code::SystemUserNotFound;
    const DELETE: &'static str = "deleteSystemUser";
    fn name(&self) -> &str {
        &self.name
    }
    fn carries(&self, subscription: &Subscription) -> bool {
        subscription.action.recipients().any(|(_, recipient)| *recipient == Recipient::User(self.id))
    }
}

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
pub struct UpdateSystemUser(pub Settings);

#[async_trait]
impl UseCase for CreateSystemUser {
    const OPERATION: &'static str = "createSystemUser";
    const STATUS: u16 = 201;

    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        ensure_name_free(tx, Kind::SystemUser, self.settings.name.as_deref().unwrap_or_default()).await?;
        created(tx, &system_user::create(self.id, self.settings.clone(), now)?, None).await.map(Some)
    }
}

#[async_trait]
impl ConfigurationUseCase for UpdateSystemUser {
    type Object = SystemUser;
    const OPERATION: &'static str = "updateSystemUser";

    fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }
    async fn run(&self, tx: &mut Tx<'_>, user: SystemUser, _: Timestamp) -> Result<Record, Failure> {
        changed(tx, &system_user::update(user, self.0.clone())?)
    }
}
