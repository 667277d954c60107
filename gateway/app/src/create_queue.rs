//! `createQueue`.

use async_trait::async_trait;
use billwire_domain::queue;
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::OrderingKey,
};
use billwire_store::{Configuration, ConfigurationKind as Kind, Store, Tx, commit::Failure};

use crate::{catalogue, once::UseCase, record::Record, unless_named};

/// Makes a queue.
#[derive(Debug, Clone)]
pub struct CreateQueue(pub queue::Create);

#[async_trait]
impl UseCase for CreateQueue {
    const OPERATION: &'static str = "createQueue";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        unless_named(tx, Kind::Queue, &self.0.name).await?;
        let change = queue::create(self.0.clone(), &catalogue::of(tx).await?, now)?;
        let (id, name, body) = (change.after.id.0, change.after.name.clone(), change.after.clone());
        tx.save_configuration(Configuration { id, kind: Kind::Queue, name, body, secrets: None, created_at: SystemClock.now() }).await?;
        Record::of(&change).map(Some)
    }
}
