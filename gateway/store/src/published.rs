//! Where each event stands on the stream, and up to where each reader has settled the stream. With both, SQL alone knows what is still to
//! be delivered, whatever happens to the stream or to its consumers.

mod mark;

use std::collections::{HashMap, HashSet};

use billwire_schemas::{
    clock::Timestamp,
    delivery::{Published, Reader, Settled},
    ids::Slot,
    lease::Lease,
};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use crate::{Error, Store, Unpublished, batching::filled, delivery::deliveries::slot, micros, moment, outbox, settings};

/// The setting with the epoch of the stream.
pub const EPOCH: &str = "stream_epoch";
/// The setting with the highest sequence that the stream has acknowledged.
pub const HIGHEST: &str = "stream_last_sequence";

/// Which sequences the stream has lost.
#[derive(Debug, Clone, Default)]
pub struct Lost {
    /// All before this one.
    pub before: u64,
    /// All after this one.
    pub after: u64,
    /// These.
    pub deleted: Vec<u64>,
}

/// The number of a reader in the table.
pub(crate) fn number(reader: Reader) -> i32 {
    match reader {
        Reader::Slot(of) => slot(of),
        Reader::Warehouse => -1,
    }
}

/// Rows put back at once that an earlier rollback has left.
const LEFT_AT_ONCE: u64 = 2_000;

/// The tables with the positions of events that are not settled: not published; on the stream and not settled by their slot and the warehouse;
/// and set aside.
pub(crate) const UNSETTLED: [&str; 3] = ["outbox", "published", "set_aside_event"];

/// The end of a selection of rows `p` of `published`: those that their slot and the warehouse have settled. Slots without events stay where they
/// are, so each row is compared with its own slot.
pub(crate) const SETTLED_EVERYWHERE: &str = "JOIN settled s ON s.reader = p.slot LEFT JOIN settled w ON w.reader = -1 \
                                             WHERE p.sequence <= s.sequence AND p.sequence <= COALESCE(w.sequence, p.sequence)";

/// Sequences of lost events that are not put back yet are lowered by this, so that others can stand there.
const LOST: i64 = 1 << 62;

pub(crate) fn whole(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

fn sequence(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

/// The slot of the event in a row.
fn slot_of(row: &QueryResult) -> Result<Option<Slot>, Error> {
    let (tenant, key): (String, String) = (row.try_get("", "tenant")?, row.try_get("", "ordering_key")?);
    let parsed = tenant.parse().ok().zip(key.parse().ok());
    Ok(parsed.map(|(tenant, key)| Slot::of(&tenant, &key)))
}

impl Store {
    /// Puts events that the stream has lost back into the outbox, up to `limit`, the oldest first. Gives how many rows were
    /// found; `None`: `lease` does not hold, and nothing was changed.
    ///
    /// # Errors
    /// When the database fails; then nothing was changed.
    pub async fn put_back_lost(&self, lease: &Lease, lost: &Lost, limit: u64) -> Result<Option<u64>, Error> {
        let transaction = self.begin().await?;
        if !self.holds(&transaction, lease).await? {
            return Ok(None);
        }
        let mut found: Vec<(i64, i64)> = Vec::new();
        let outside =
            format!("SELECT sequence, position FROM published WHERE sequence < $1 OR sequence > $2 ORDER BY position LIMIT {limit}");
        let mut read = vec![(outside, vec![whole(lost.before).into(), whole(lost.after).into()])];
        for part in lost.deleted.chunks(8192) {
            let part = filled(part);
            let marks: Vec<String> = (1..=part.len()).map(|n| format!("${n}")).collect();
            let sql = format!("SELECT sequence, position FROM published WHERE sequence IN ({}) ORDER BY sequence", marks.join(", "));
            read.push((sql, part.into_iter().map(|one| Value::from(whole(one))).collect()));
        }
        for (sql, values) in read {
            if found.len() as u64 >= limit {
                break;
            }
            for row in transaction.query_all_raw(self.statement(&sql, values)).await? {
                found.push((row.try_get("", "sequence")?, row.try_get("", "position")?));
            }
        }
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        for part in found.chunks(512) {
            let numbers = |of: fn(&(i64, i64)) -> i64| filled(part).iter().map(of).map(Value::from).collect::<Vec<_>>();
            let count = part.len().next_power_of_two();
            let marks = (1..=count).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
            let delete = format!("DELETE FROM published WHERE sequence IN ({marks})");
            transaction.execute_raw(self.statement(&delete, numbers(|one| one.0))).await?;
            // Not what is on the stream at another sequence too, nor what was set aside or purged.
            let back = format!(
                "INSERT INTO outbox (position) SELECT position FROM event WHERE position IN ({marks}) \
                 AND position NOT IN (SELECT position FROM published WHERE position IN ({marks})) \
                 AND position NOT IN (SELECT position FROM set_aside_event) ON CONFLICT (position) DO NOTHING"
            );
            transaction.execute_raw(self.statement(&back, numbers(|one| one.1))).await?;
        }
        transaction.commit().await?;
        Ok(Some(found.len() as u64))
    }

    /// Notes that the stream ends at `last` and had more: what stood after that is lost, is not settled any more, and readers must start again.
    /// `false`: `lease` does not hold, and nothing was changed.
    ///
    /// # Errors
    /// When the database fails; then nothing was changed.
    pub async fn stream_rolled_back(&self, lease: &Lease, last: u64) -> Result<bool, Error> {
        // What an earlier time has left has the same sequences.
        let left = Lost { before: 0, after: u64::MAX, deleted: Vec::new() };
        while self.put_back_lost(lease, &left, LEFT_AT_ONCE).await? == Some(LEFT_AT_ONCE) {}
        let transaction = self.begin().await?;
        if !self.holds(&transaction, lease).await? {
            return Ok(false);
        }
        let sql = format!("UPDATE published SET sequence = sequence - {LOST} WHERE sequence > $1");
        transaction.execute_raw(self.statement(&sql, [whole(last).into()])).await?;
        let sql = "UPDATE settled SET generation = generation + 1, sequence = CASE WHEN sequence > $1 THEN $1 ELSE sequence END";
        transaction.execute_raw(self.statement(sql, [whole(last).into()])).await?;
        let sql = "UPDATE stream_progress SET settled = $1 WHERE settled > $1";
        transaction.execute_raw(self.statement(sql, [whole(last).into()])).await?;
        settings::set(&*transaction, HIGHEST, &last.to_string()).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Up to where a reader has settled the stream; `None`: it has never run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn settled(&self, reader: Reader) -> Result<Option<Settled>, Error> {
        let sql = "SELECT sequence, generation FROM settled WHERE reader = $1";
        let row = self.0.write.query_one_raw(self.statement(sql, [number(reader).into()])).await?;
        let read = |row: QueryResult| -> Result<Settled, DbErr> {
            Ok(Settled { sequence: sequence(row.try_get("", "sequence")?), generation: row.try_get("", "generation")? })
        };
        Ok(row.map(read).transpose()?)
    }

    /// Records up to where a reader has settled the stream. `false`: the stream was rolled back meanwhile, and nothing was recorded.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn save_settled(&self, reader: Reader, settled: Settled) -> Result<bool, Error> {
        let sql = "INSERT INTO settled (reader, sequence, generation) VALUES ($1, $2, $3) ON CONFLICT (reader) DO UPDATE SET sequence = \
                   CASE WHEN settled.sequence > excluded.sequence THEN settled.sequence ELSE excluded.sequence END \
                   WHERE settled.generation = excluded.generation";
        let values = [number(reader).into(), whole(settled.sequence).into(), settled.generation.into()];
        Ok(self.0.write.execute_raw(self.statement(sql, values)).await?.rows_affected() > 0)
    }

    /// The events of a slot that stand on the stream after this sequence, in order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn published_after(&self, of: Slot, after: u64, limit: u64) -> Result<Vec<Published>, Error> {
        let sql = format!("SELECT sequence, position FROM published WHERE slot = $1 AND sequence > $2 ORDER BY sequence LIMIT {limit}");
        let rows = self.0.read.query_all_raw(self.statement(&sql, [slot(of).into(), whole(after).into()])).await?;
        let read = |row: &QueryResult| -> Result<Published, Error> {
            Ok(Published { sequence: sequence(row.try_get("", "sequence")?), position: row.try_get("", "position")?, slot: of })
        };
        rows.iter().map(read).collect()
    }

    /// The slots with events on the stream that they have not settled.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unsettled_slots(&self) -> Result<HashSet<Slot>, Error> {
        let sql = "SELECT s.reader FROM settled s WHERE EXISTS \
                   (SELECT 1 FROM published p WHERE p.slot = s.reader AND p.sequence > s.sequence)";
        let rows = self.0.read.query_all_raw(self.statement(sql, [])).await?;
        let numbers = rows.iter().map(|row| row.try_get("", "reader")).collect::<Result<HashSet<i32>, DbErr>>()?;
        Ok(Slot::all().filter(|one| numbers.contains(&slot(*one))).collect())
    }

    /// The events at these positions.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events_at(&self, positions: &[i64]) -> Result<Vec<Unpublished>, Error> {
        let mut found = Vec::with_capacity(positions.len());
        for part in positions.chunks(512) {
            let part = filled(part);
            let marks: Vec<String> = (1..=part.len()).map(|n| format!("${n}")).collect();
            let sql = format!("SELECT {} FROM event e WHERE e.position IN ({})", outbox::COLUMNS, marks.join(", "));
            let rows = self.0.read.query_all_raw(self.statement(&sql, part.into_iter().map(Value::from))).await?;
            found.extend(rows.iter().map(outbox::read).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(found)
    }

    /// The events on the stream after one sequence and up to another that are in no batch of the warehouse, in order; and the last sequence on
    /// the stream that is not after `to`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unloaded(&self, after: u64, to: u64, limit: u64) -> Result<(Vec<Unpublished>, Option<u64>), Error> {
        let values = || [whole(after).into(), whole(to).into()];
        let sql = "SELECT MAX(sequence) AS last FROM published WHERE sequence > $1 AND sequence <= $2";
        let row = self.0.read.query_one_raw(self.statement(sql, values())).await?;
        let last: Option<i64> = row.map(|row| row.try_get("", "last")).transpose()?.flatten();
        let sql = format!(
            "SELECT {} FROM published p JOIN event e ON e.position = p.position LEFT JOIN warehouse_event w ON w.event_id = e.id \
             WHERE p.sequence > $1 AND p.sequence <= $2 AND w.event_id IS NULL ORDER BY p.sequence LIMIT {limit}",
            outbox::COLUMNS
        );
        let rows = self.0.read.query_all_raw(self.statement(&sql, values())).await?;
        Ok((rows.iter().map(outbox::read).collect::<Result<_, _>>()?, last.map(sequence)))
    }

    /// For each reader of the stream that has not settled everything: when the first event that it has not settled was published.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unsettled_since(&self) -> Result<Vec<(Reader, Timestamp)>, Error> {
        let first =
            |which: &str| format!("(SELECT p.at FROM published p WHERE {which}p.sequence > s.sequence ORDER BY p.sequence LIMIT 1)");
        let sql = format!(
            "SELECT s.reader, CASE WHEN s.reader < 0 THEN {} ELSE {} END AS since FROM settled s",
            first(""),
            first("p.slot = s.reader AND ")
        );
        let mut found = Vec::new();
        for row in self.0.read.query_all_raw(self.statement(&sql, [])).await? {
            let (of, since): (i32, Option<i64>) = (row.try_get("", "reader")?, row.try_get("", "since")?);
            let reader = Slot::all().find(|one| slot(*one) == of).map_or(Reader::Warehouse, Reader::Slot);
            found.extend(since.map(|since| (reader, moment(since))));
        }
        Ok(found)
    }

    /// The last sequence at which an event stands on the stream.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_published(&self) -> Result<u64, Error> {
        let row = self.0.read.query_one_raw(self.statement("SELECT MAX(sequence) AS last FROM published", [])).await?;
        let last: Option<i64> = row.map(|row| row.try_get("", "last")).transpose()?.flatten();
        Ok(last.map_or(0, sequence))
    }

    /// The last sequence of each slot.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_of_slots(&self) -> Result<HashMap<Slot, u64>, Error> {
        let mut found = HashMap::new();
        for of in Slot::all() {
            let sql = "SELECT MAX(sequence) AS last FROM published WHERE slot = $1 AND sequence > 0";
            let row = self.0.read.query_one_raw(self.statement(sql, [slot(of).into()])).await?;
            let last: Option<i64> = row.map(|row| row.try_get("", "last")).transpose()?.flatten();
            found.extend(last.map(|last| (of, sequence(last))));
        }
        Ok(found)
    }

    /// The events of a slot with positions between `after` and `before` that are not settled at the stream sequence `settled`, wherever they
    /// are: on the stream, lost, or not published (sequence 0). In the order of positions, up to `limit`; and the position to continue
    /// after, `None` at the end.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unsettled_between(
        &self,
        of: Slot,
        settled: u64,
        (after, before): (i64, i64),
        limit: u64,
    ) -> Result<(Vec<Published>, Option<i64>), Error> {
        // One statement, so that an event which moves from one place to the other meanwhile is not missed in both.
        let sql = format!(
            "SELECT * FROM (SELECT sequence, position, CAST(NULL AS VARCHAR) AS tenant, CAST(NULL AS VARCHAR) AS ordering_key FROM published \
             WHERE slot = $1 AND (sequence > $2 OR sequence < 0) AND position > $3 AND position < $4 ORDER BY position LIMIT {limit}) AS p \
             UNION ALL SELECT * FROM (SELECT CAST(0 AS BIGINT), o.position, e.tenant, e.ordering_key FROM outbox o \
             JOIN event e ON e.position = o.position WHERE o.position > $3 AND o.position < $4 ORDER BY o.position LIMIT {limit}) AS o"
        );
        let values = [slot(of).into(), whole(settled).into(), after.into(), before.into()];
        let (mut found, mut counts) = (Vec::new(), [(0, after); 2]);
        for row in self.0.read.query_all_raw(self.statement(&sql, values)).await? {
            let position: i64 = row.try_get("", "position")?;
            let tenant: Option<String> = row.try_get("", "tenant")?;
            let (count, end) = &mut counts[usize::from(tenant.is_some())];
            *count += 1;
            *end = position.max(*end);
            if tenant.is_none() || slot_of(&row)? == Some(of) {
                found.push(Published { sequence: sequence(row.try_get("", "sequence")?), position, slot: of });
            }
        }
        let ends = counts.into_iter().filter(|(count, _)| *count == limit).map(|(_, end)| end);
        // Behind the end of a full page the other one may have less.
        let end = ends.min();
        found.retain(|one| end.is_none_or(|end| one.position <= end));
        found.sort_by_key(|one| one.position);
        Ok((found, end))
    }

    /// Forgets where events stand on the stream that were published before `before` and that their slot and the warehouse have settled; of the
    /// first `limit` events. Gives how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_published(&self, before: Timestamp, limit: u64) -> Result<u64, Error> {
        let sql = format!(
            "DELETE FROM published WHERE sequence IN (SELECT p.sequence \
             FROM (SELECT sequence, slot, at FROM published WHERE sequence > 0 ORDER BY sequence LIMIT {limit}) AS p \
             {SETTLED_EVERYWHERE} AND p.at < $1)"
        );
        Ok(self.0.write.execute_raw(self.statement(&sql, [micros(before).into()])).await?.rows_affected())
    }

    /// The position of the first event that some slot has not settled, on the stream, lost, or not published yet. Whatever is committed later
    /// has a higher position.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn first_unsettled(&self) -> Result<Option<i64>, Error> {
        let transaction = self.begin().await?;
        // A transaction that has drawn a lower position and not committed yet would be missed.
        outbox::settle(&transaction).await?;
        let sql = "SELECT MIN(position) AS first FROM (SELECT MIN(position) AS position FROM outbox UNION ALL SELECT MIN(p.position) FROM \
                   settled s JOIN published p ON p.slot = s.reader AND p.sequence > s.sequence \
                   UNION ALL SELECT MIN(position) FROM published WHERE sequence < 0) AS t";
        let row = transaction.query_one_raw(self.statement(sql, [])).await?;
        let first = row.map(|row| row.try_get("", "first")).transpose()?.flatten();
        transaction.commit().await?;
        Ok(first)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use billwire_schemas::clock::{Clock, SystemClock};
    use chrono::TimeDelta;

    use super::*;
    use crate::transaction::tests::store;

    #[tokio::test]
    async fn where_an_event_stands_is_forgotten_once_its_slot_and_the_warehouse_have_settled_it() {
        let (store, _folder) = store().await;
        let lease = store.acquire_lease("relay", "me", Duration::from_secs(60)).await.expect("asked").expect("free");
        let slots: Vec<Slot> = Slot::all().take(3).collect();
        let stands = |sequence: u64, slot: usize| Published { sequence, position: whole(sequence), slot: slots[slot] };
        let published = [stands(1, 0), stands(2, 1), stands(3, 0), stands(4, 1), stands(5, 0)];
        assert!(store.mark_published(&lease, &published, 5).await.expect("marked"));
        let settled = async |reader, sequence| {
            store.save_settled(reader, Settled { sequence, generation: 0 }).await.expect("saved");
        };
        settled(Reader::Slot(slots[0]), 5).await;
        settled(Reader::Slot(slots[1]), 2).await;
        settled(Reader::Slot(slots[2]), 0).await;
        settled(Reader::Warehouse, 3).await;
        let now = SystemClock.now();
        assert_eq!(store.forget_published(now - TimeDelta::hours(1), 100).await.expect("asked"), 0, "too young");
        assert_eq!(store.forget_published(now + TimeDelta::hours(1), 100).await.expect("asked"), 3);
        let left = async |slot: usize| {
            let left = store.published_after(slots[slot], 0, 100).await.expect("read");
            left.iter().map(|one| one.sequence).collect::<Vec<_>>()
        };
        assert_eq!((left(0).await, left(1).await), (vec![5], vec![4]));
    }
}
