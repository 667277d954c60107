//! `registerEventType` and `deleteEventType`: custom event types.

use async_trait::async_trait;
use billwire_domain::{
    Change, Entity, Rejected,
    delivery::{
        queue::Queue,
        subscription::{Action, Subscription},
    },
    email::notification_template::NotificationTemplate,
    events::{
        catalogue::Known,
        custom_event_type::{self, CustomEventType, PREFIX},
    },
};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::fresh,
    refusal::Code,
};
use billwire_store::{Configuration, ConfigurationKind as Kind, Error, Tx, commit::Failure};

use crate::{
    events::{
        catalogue::{self, name_of_version},
        data_schemas::uncompilable,
    },
    execute::UseCase,
    record::Record,
};

/// Registers a custom event type, or its next version.
#[derive(Debug, Clone)]
pub struct RegisterEventType(pub custom_event_type::Register);

async fn kept(tx: &Tx<'_>, name: &str) -> Result<Vec<CustomEventType>, Failure> {
    tx.configurations_like(Kind::EventTypeVersion, &format!("{name}/v")).await
}

async fn keep(tx: &mut Tx<'_>, earlier: &CustomEventType) -> Result<(), Failure> {
    let (name, body) = (name_of_version(&earlier.name, earlier.version), earlier.clone());
    let kind = Kind::EventTypeVersion;
    tx.save_configuration(Configuration { id: fresh(), kind, name, body, secrets: None, created_at: SystemClock.now() }).await
}

#[async_trait]
impl UseCase for RegisterEventType {
    const OPERATION: &'static str = "registerEventType";
    const STATUS: u16 = 201;

    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let mut command = self.0.clone();
        let name = format!("{PREFIX}{}", command.name);
        let mut types: Vec<CustomEventType> = tx.configurations(Kind::EventType).await?;
        let count = types.len();
        let existing = types.iter().position(|known| known.name == name).map(|index| types.swap_remove(index));
        if existing.is_none() {
            command.version = kept(tx, &name).await?.iter().map(|earlier| earlier.version + 1).max().unwrap_or(1);
        }
        // Compiling and comparing schemas of maximum size would block the runtime for too long.
        let judging = tokio::task::spawn_blocking(move || {
            let broken = uncompilable(&command.schema);
            custom_event_type::register(command, existing, count, broken, now)
        });
        let change = judging.await.map_err(|error| Error::Other(error.to_string()))??;
        let (id, body) = (change.after.id.0, change.after.clone());
        match &change.before {
            None => {
                let kind = Kind::EventType;
                tx.save_configuration(Configuration { id, kind, name, body, secrets: None, created_at: SystemClock.now() }).await?;
            }
            Some(before) => {
                keep(tx, before).await?;
                tx.change_configuration(id, change.after.version, name, &body)?;
            }
        }
        Record::of(&change).map(Some)
    }
}

/// Deletes an unused custom event type. Its versions stay readable, and their numbers are not reused.
#[derive(Debug, Clone)]
pub struct DeleteEventType {
    /// The name, with `custom.`.
    pub name: String,
    /// The required version, if any.
    pub if_match: Option<i64>,
}

impl DeleteEventType {
    async fn ensure_not_in_use(&self, tx: &Tx<'_>) -> Result<(), Failure> {
        let in_use = |what: &str, name: &str| {
            let message = format!("{what} '{name}' uses this event type; delete that first.");
            Err(Rejected::conflict(Code::StillInUse, message).into())
        };
        let queues: Vec<Queue> = tx.configurations(Kind::Queue).await?;
        if let Some(queue) = queues.iter().find(|queue| queue.registered.event_types.contains(&self.name)) {
            return in_use("Queue", &queue.name);
        }
        let subscriptions: Vec<Subscription> = tx.configurations(Kind::Subscription).await?;
        let publishes = |one: &&Subscription| matches!(&one.action, Action::Calculate { event_type, .. } if *event_type == self.name);
        if let Some(one) = subscriptions.iter().find(publishes) {
            return in_use("Subscription", &one.name);
        }
        let templates: Vec<NotificationTemplate> = tx.configurations(Kind::NotificationTemplate).await?;
        if let Some(template) = templates.iter().find(|template| template.event_types.contains(&self.name)) {
            return in_use("Notification template", &template.name);
        }
        Ok(())
    }
}

#[async_trait]
impl UseCase for DeleteEventType {
    const OPERATION: &'static str = "deleteEventType";

    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let catalogue = catalogue::of(tx).await?;
        let last = match catalogue.find(&self.name) {
            Some(Known::Custom(custom)) => custom.clone(),
            Some(Known::BuiltIn(_)) => {
                let message = format!("'{}' is built in; only custom event types can be deleted.", self.name);
                return Err(Rejected::conflict(Code::EventTypeBuiltIn, message).into());
            }
            None => return Err(Rejected::not_found(Code::EventTypeNotFound, "event type", &self.name).into()),
        };
        Rejected::ensure_current(self.if_match, last.version())?;
        self.ensure_not_in_use(tx).await?;
        keep(tx, &last).await?;
        tx.delete_configuration(last.id.0);
        Record::of(&Change::deleted(last)).map(Some)
    }
}
