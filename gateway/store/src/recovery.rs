//! Recovers a database that was restored to an older moment than the stream knows ([`crate::restored`]).
//!
//! Everything here runs while no gateway does, under the lease of the relay. Each call is one transaction, and changes nothing when it is
//! repeated.

mod numbers;
mod objects;
mod take_back;

use billwire_schemas::{
    delivery::Reader,
    ids::{EventId, OrderingKey, Slot, TenantId},
    lease::Lease,
};
use sea_orm::ConnectionTrait;

use crate::{
    Error, Store,
    published::{EPOCH, HIGHEST, number, whole},
    restored::RESTORED,
    settings,
};

pub use self::take_back::{FromStream, NotRestored, Taken};

/// The sequences of an ordering key that the stream has and SQL lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingKey {
    /// The tenant.
    pub tenant: TenantId,
    /// The ordering key.
    pub key: OrderingKey,
    /// The first of its sequences.
    pub first: i64,
    /// The last of its sequences.
    pub last: i64,
}

/// What a new epoch begins with.
#[derive(Debug, Clone)]
pub struct NewEpoch {
    /// The epoch of the stream.
    pub epoch: String,
    /// Whether the database knew another stream: nothing it knows of is on this one.
    pub replaced: bool,
    /// The last sequence of the stream.
    pub stream_end: u64,
    /// The highest outbox position on the stream.
    pub position: i64,
    /// The ordering keys that have gone on.
    pub keys: Vec<MissingKey>,
    /// Batches of the warehouse that SQL lacks, with their events.
    pub batches: Vec<(i64, Vec<EventId>)>,
}

impl Store {
    /// The last sequence of an ordering key before this one, if SQL has one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_sequence_before(&self, tenant: &TenantId, key: &OrderingKey, sequence: i64) -> Result<Option<i64>, Error> {
        let sql = "SELECT MAX(sequence) AS last FROM event WHERE tenant = $1 AND ordering_key = $2 AND sequence < $3";
        let values = [tenant.as_str().into(), key.as_str().into(), sequence.into()];
        let row = self.0.write.query_one_raw(self.statement(sql, values)).await?;
        Ok(row.map(|row| row.try_get("", "last")).transpose()?.flatten())
    }

    /// Ends the refusal of a restored database with a new epoch: all numbers go on past those that were used. What the stream has until now is settled for all readers: they see nothing of
    /// what the database lacks. Events of the database that a reader may not have settled are published again behind it. `false`: `lease`
    /// does not hold, and nothing was changed.
    ///
    /// # Errors
    /// When the database fails; then nothing was changed.
    pub async fn begin_epoch(&self, lease: &Lease, new: &NewEpoch) -> Result<bool, Error> {
        let transaction = self.begin().await?;
        if !self.holds(&transaction, lease).await? {
            return Ok(false);
        }
        for key in &new.keys {
            let last = self.renumber(&transaction, key).await?;
            self.count_to(&transaction, &key.tenant, &key.key, last).await?;
        }
        self.move_past(&transaction, new.position).await?;
        self.count_past(&transaction, "event", "position", new.position).await?;
        self.record_batches(&transaction, &new.batches).await?;
        let unsettled = if new.replaced {
            "TRUE"
        } else {
            "(p.sequence < 0 OR p.sequence > COALESCE(s.sequence, 0) OR (p.sequence > COALESCE(w.sequence, 0) AND l.event_id IS NULL))"
        };
        let back = format!(
            "INSERT INTO outbox (position) SELECT p.position FROM published p JOIN event e ON e.position = p.position \
             LEFT JOIN settled s ON s.reader = p.slot LEFT JOIN settled w ON w.reader = {} LEFT JOIN warehouse_event l ON l.event_id = e.id \
             WHERE {unsettled} AND p.position NOT IN (SELECT position FROM set_aside_event) ON CONFLICT (position) DO NOTHING",
            number(Reader::Warehouse)
        );
        transaction.execute_raw(self.statement(&back, [])).await?;
        let gone = if new.replaced { "TRUE" } else { "sequence < 0 OR position IN (SELECT position FROM outbox)" };
        transaction.execute_raw(self.statement(&format!("DELETE FROM published WHERE {gone}"), [])).await?;
        for reader in Slot::all().map(Reader::Slot).chain([Reader::Warehouse]) {
            let sql = "INSERT INTO settled (reader, sequence, generation) VALUES ($1, $2, 0) ON CONFLICT (reader) DO UPDATE SET \
                       sequence = excluded.sequence, generation = settled.generation + 1";
            transaction.execute_raw(self.statement(sql, [number(reader).into(), whole(new.stream_end).into()])).await?;
        }
        settings::set(&*transaction, EPOCH, &new.epoch).await?;
        settings::set(&*transaction, HIGHEST, &new.stream_end.to_string()).await?;
        transaction.execute_raw(self.statement("DELETE FROM setting WHERE \"key\" = $1", [RESTORED.into()])).await?;
        transaction.commit().await?;
        Ok(true)
    }
}
