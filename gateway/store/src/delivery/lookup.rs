//! What the intake of events asks before it starts attempts, in one statement: each round trip adds to the latency of every event.

use std::collections::HashSet;

use billwire_schemas::{delivery::LaneKey, ids::DeliveryId};
use sea_orm::{ConnectionTrait, DatabaseBackend, Value};
use uuid::Uuid;

use crate::{Error, Store, delivery::deliveries::OPEN};

/// Deliveries and lanes looked up by one statement.
const AT_ONCE: usize = 256;

/// The revision of the configuration, and what is stored of deliveries and lanes.
#[derive(Debug, Default)]
pub struct Lookup {
    /// The changes of any tenant's configuration, by whichever process, in number.
    pub changes: i64,
    /// How many queues are held.
    pub held: i64,
    /// Deliveries that are stored.
    pub known: HashSet<DeliveryId>,
    /// Lanes with waiting deliveries.
    pub waiting: HashSet<LaneKey>,
}

impl Store {
    /// Which of `ids` are stored, and which of `lanes` have waiting deliveries; and the revision of the configuration, read no later.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lookup(&self, ids: &[DeliveryId], lanes: &[LaneKey]) -> Result<Lookup, Error> {
        self.lookup_on(&self.0.read, ids, lanes).await
    }

    /// [`Store::lookup`] as a connection or transaction sees it.
    pub(crate) async fn lookup_on(&self, conn: &impl ConnectionTrait, ids: &[DeliveryId], lanes: &[LaneKey]) -> Result<Lookup, Error> {
        // No lane before the last delivery: one that another process parks in between then counts as waiting, and no later one overtakes it.
        // In the other order it would be known, and dropped, but later ones would not wait for it.
        let mut parts: Vec<(&[DeliveryId], &[LaneKey])> = ids.chunks(AT_ONCE).map(|ids| (ids, &[][..])).collect();
        let mut rest = lanes.chunks(AT_ONCE);
        match parts.last_mut() {
            Some((_, first)) => *first = rest.next().unwrap_or_default(),
            None => parts.push((&[], rest.next().unwrap_or_default())),
        }
        parts.extend(rest.map(|lanes| (&[][..], lanes)));
        let mut found: Option<Lookup> = None;
        for (ids, lanes) in parts {
            let part = self.lookup_part(conn, ids, lanes).await?;
            match &mut found {
                None => found = Some(part),
                Some(found) => {
                    found.known.extend(part.known);
                    found.waiting.extend(part.waiting);
                }
            }
        }
        Ok(found.unwrap_or_default())
    }

    async fn lookup_part(&self, conn: &impl ConnectionTrait, ids: &[DeliveryId], lanes: &[LaneKey]) -> Result<Lookup, Error> {
        let (sql, values) = question(self.0.dialect(), ids, lanes);
        let mut found = Lookup::default();
        for row in conn.query_all_raw(self.statement(&sql, values)).await? {
            let (id, key): (Option<Uuid>, Option<String>) = (row.try_get("", "id")?, row.try_get("", "ordering_key")?);
            match (id, key) {
                (None, _) => (found.changes, found.held) = (row.try_get("", "changes")?, row.try_get("", "held")?),
                (Some(id), None) => _ = found.known.insert(DeliveryId(id)),
                (Some(lane), Some(key)) => {
                    let key = key.parse().map_err(|_| Error::Corrupt { table: "delivery", detail: key })?;
                    found.waiting.insert((lane, key));
                }
            }
        }
        Ok(found)
    }
}

/// The statement, with one row for each waiting lane, one for each stored delivery, and one for the revision.
fn question(dialect: DatabaseBackend, ids: &[DeliveryId], lanes: &[LaneKey]) -> (String, Vec<Value>) {
    let (asked, listed, values) = match dialect {
        DatabaseBackend::Postgres => arrays(ids, lanes),
        _ => lists(ids, lanes),
    };
    // One row per lane, however many deliveries wait: a lane may hold thousands. A scalar subquery is planned once and evaluated lane by lane;
    // a statement with one subquery per lane would be planned as often as there are lanes.
    let sql = format!(
        "WITH asked (lane_id, ordering_key) AS ({asked}) \
         SELECT lane_id AS id, ordering_key, CAST(0 AS BIGINT) AS changes, CAST(0 AS BIGINT) AS held FROM asked WHERE (SELECT 1 FROM \
         delivery WHERE delivery.lane_id = asked.lane_id AND delivery.ordering_key = asked.ordering_key AND {OPEN} LIMIT 1) = 1 UNION ALL \
         SELECT id, CAST(NULL AS VARCHAR) AS ordering_key, CAST(0 AS BIGINT) AS changes, CAST(0 AS BIGINT) AS held FROM delivery \
         WHERE id {listed} UNION ALL \
         SELECT NULL AS id, CAST(NULL AS VARCHAR) AS ordering_key, CAST(COALESCE(SUM(last_sequence), 0) AS BIGINT) AS changes, \
         (SELECT COUNT(*) FROM held_queue) AS held FROM ordering_key WHERE key = 'configuration'"
    );
    (sql, values)
}

/// What is asked for as arrays: one statement to prepare.
fn arrays(ids: &[DeliveryId], lanes: &[LaneKey]) -> (String, String, Vec<Value>) {
    let (of, keys): (Vec<Uuid>, Vec<String>) = lanes.iter().map(|(lane, key)| (*lane, key.to_string())).unzip();
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    ("SELECT * FROM UNNEST($1::uuid[], $2::text[])".to_owned(), "= ANY($3::uuid[])".to_owned(), vec![of.into(), keys.into(), ids.into()])
}

/// What is asked for as lists. They are filled up to the same power of two, so that there are few statements to prepare: no delivery is nil,
/// and no key is empty.
fn lists(ids: &[DeliveryId], lanes: &[LaneKey]) -> (String, String, Vec<Value>) {
    let count = ids.len().max(lanes.len()).next_power_of_two();
    let mut values = Vec::<Value>::with_capacity(3 * count);
    for at in 0..count {
        let (lane, key) = lanes.get(at).map_or((Uuid::nil(), ""), |(lane, key)| (*lane, key.as_str()));
        values.extend([lane.into(), key.into()]);
    }
    values.extend((0..count).map(|at| Value::from(ids.get(at).map_or(Uuid::nil(), |id| id.0))));
    let rows: Vec<String> = (0..count).map(|at| format!("(${}, ${})", 2 * at + 1, 2 * at + 2)).collect();
    let marks: Vec<String> = (2 * count + 1..=3 * count).map(|n| format!("${n}")).collect();
    (format!("VALUES {}", rows.join(", ")), format!("IN ({})", marks.join(", ")), values)
}
