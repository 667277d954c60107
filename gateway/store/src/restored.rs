//! Whether the database was restored to an older moment than the stream knows.
//!
//! The stream carries only what SQL has committed. So an event on the stream that SQL has never had shows that SQL is older than the stream.
//! An event that SQL had, and purged since, is something else: SQL has counted past its sequence, and has no other event there.

use std::{collections::HashSet, sync::atomic::Ordering};

use billwire_schemas::{
    clock::{Clock, SystemClock},
    ids::{EventId, OrderingKey, TenantId},
};
use sea_orm::{ConnectionTrait, Value};
use uuid::Uuid;

use crate::{Backend, Error, Store, batching::filled, published::HIGHEST, settings};

/// The setting that is there while the database is known to be older than the stream; its value is the moment when that was found.
pub(crate) const RESTORED: &str = "restored_database";

/// An event that the stream has, as its message names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnStream {
    /// Its id.
    pub id: EventId,
    /// The tenant.
    pub tenant: TenantId,
    /// Its ordering key.
    pub key: OrderingKey,
    /// Its sequence within the key.
    pub sequence: i64,
}

/// What SQL has where an event of the stream should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InSql {
    /// The event.
    Same,
    /// Another event with its sequence.
    Other,
    /// No event with its sequence. The last sequence of the ordering key is this one, 0 if the key is unknown.
    None { last: i64 },
}

impl InSql {
    /// Whether SQL never had the event, or not as it is now.
    fn is_missing(self, sequence: i64) -> bool {
        match self {
            Self::Same => false,
            Self::Other => true,
            Self::None { last } => sequence > last,
        }
    }
}

impl Store {
    /// Looks through the whole database for damage, such as that of a backup of SQLite that was put beside another database's write-ahead
    /// log. PostgreSQL, which checks what it restores, is not looked through.
    ///
    /// # Errors
    /// [`Error::Damaged`], or the database fails.
    pub async fn ensure_undamaged(&self) -> Result<(), Error> {
        if self.0.backend == Backend::Postgres {
            return Ok(());
        }
        let row = self.0.read.query_one_raw(self.statement("PRAGMA integrity_check(1)", [])).await?;
        let found: String = row.map(|row| row.try_get("", "integrity_check")).transpose()?.unwrap_or_default();
        if found == "ok" { Ok(()) } else { Err(Error::Damaged(found)) }
    }

    /// Whether operations are refused because the database was restored to an older moment.
    pub fn is_restored(&self) -> bool {
        self.0.restored.load(Ordering::Relaxed)
    }

    /// Refuses operations in this process from now on.
    pub fn refuse_as_restored(&self) {
        self.0.restored.store(true, Ordering::Relaxed);
    }

    /// Records that the database was restored to an older moment, so that every process on it refuses operations.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_restored(&self) -> Result<(), Error> {
        Ok(settings::set(&self.0.write, RESTORED, &SystemClock.now().to_rfc3339()).await?)
    }

    /// Whether [`Store::note_restored`] was recorded and nobody has recovered the database since.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn noted_restored(&self) -> Result<bool, Error> {
        Ok(self.setting(RESTORED).await?.is_some())
    }

    /// Takes back [`Store::note_restored`].
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_restored(&self) -> Result<(), Error> {
        self.0.write.execute_raw(self.statement("DELETE FROM setting WHERE \"key\" = $1", [RESTORED.into()])).await?;
        Ok(())
    }

    /// The highest sequence that the stream has acknowledged; `None`: none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stream_end(&self) -> Result<Option<u64>, Error> {
        Ok(self.setting(HIGHEST).await?.and_then(|text| text.parse().ok()))
    }

    /// Those of `events` that SQL has never had, in their order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn missing_events(&self, events: &[OnStream]) -> Result<Vec<OnStream>, Error> {
        let mut found: HashSet<Uuid> = HashSet::new();
        for part in events.chunks(512) {
            let part = filled(part);
            let marks: Vec<String> = (1..=part.len()).map(|n| format!("${n}")).collect();
            let sql = format!("SELECT id FROM event WHERE id IN ({})", marks.join(", "));
            for row in self.0.read.query_all_raw(self.statement(&sql, part.iter().map(|one| Value::from(one.id.0)))).await? {
                found.insert(row.try_get("", "id")?);
            }
        }
        let mut missing = Vec::new();
        for event in events.iter().filter(|event| !found.contains(&event.id.0)) {
            if self.in_place_of(event).await?.is_missing(event.sequence) {
                missing.push(event.clone());
            }
        }
        Ok(missing)
    }

    /// What SQL has at the sequence of an event that was not found by its id.
    async fn in_place_of(&self, event: &OnStream) -> Result<InSql, Error> {
        let values = || [event.tenant.as_str().into(), event.key.as_str().into(), event.sequence.into()];
        let sql = "SELECT id FROM event WHERE tenant = $1 AND ordering_key = $2 AND sequence = $3";
        if let Some(row) = self.0.read.query_one_raw(self.statement(sql, values())).await? {
            let id: Uuid = row.try_get("", "id")?;
            return Ok(if id == event.id.0 { InSql::Same } else { InSql::Other });
        }
        let sql = "SELECT last_sequence FROM ordering_key WHERE tenant = $1 AND key = $2";
        let row = self.0.read.query_one_raw(self.statement(sql, values().into_iter().take(2))).await?;
        Ok(InSql::None { last: row.map(|row| row.try_get("", "last_sequence")).transpose()?.unwrap_or(0) })
    }
}

#[cfg(test)]
mod tests {
    use billwire_schemas::ids::fresh;

    use super::*;
    use crate::transaction::tests::store;

    #[test]
    fn an_event_is_missing_if_sql_has_not_counted_to_it_or_has_another_in_its_place() {
        for (in_sql, sequence, missing) in [
            (InSql::Same, 7, false),
            (InSql::Other, 7, true),
            (InSql::None { last: 6 }, 7, true),
            (InSql::None { last: 0 }, 1, true),
            // Purged.
            (InSql::None { last: 7 }, 7, false),
            (InSql::None { last: 9 }, 7, false),
        ] {
            assert_eq!(in_sql.is_missing(sequence), missing, "{in_sql:?} {sequence}");
        }
    }

    #[tokio::test]
    async fn only_what_sql_never_had_is_missing() {
        let (store, folder) = store().await;
        let (tenant, key) = (TenantId::default_tenant(), OrderingKey::from(fresh()));
        let event = |sequence| OnStream { id: EventId(fresh()), tenant: tenant.clone(), key: key.clone(), sequence };
        let all: Vec<OnStream> = (1..=5).map(event).collect();
        // The first was purged, the second is there, the third is another one, the others were never there.
        for (position, id, sequence) in [(2_i64, all[1].id.0, 2_i64), (3, fresh(), 3)] {
            let sql = "INSERT INTO event (position, id, tenant, ordering_key, sequence, kind, object_id, transaction_id, occurred_at, \
                       recorded_at, body) VALUES ($1, $2, $3, $4, $5, 'account.updated', 'o', $2, 0, 0, '{}')";
            let values = [position.into(), id.into(), tenant.as_str().into(), key.as_str().into(), sequence.into()];
            store.0.write.execute_raw(store.statement(sql, values)).await.expect("an event");
        }
        let sql = "INSERT INTO ordering_key (tenant, key, last_sequence) VALUES ($1, $2, 3)";
        store.0.write.execute_raw(store.statement(sql, [tenant.as_str().into(), key.as_str().into()])).await.expect("a key");
        assert_eq!(store.missing_events(&all).await.expect("compared"), all[2..]);
        assert!(!store.noted_restored().await.expect("read"));
        store.note_restored().await.expect("noted");
        assert!(store.noted_restored().await.expect("read"));
        store.forget_restored().await.expect("forgotten");
        assert!(!store.noted_restored().await.expect("read"));
        std::fs::remove_dir_all(folder).expect("a folder");
    }
}
