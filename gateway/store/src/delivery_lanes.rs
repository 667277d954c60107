//! What waits in the lanes of deliveries.

use std::collections::HashSet;

use billwire_schemas::ids::OrderingKey;
use sea_orm::{ConnectionTrait, Value};
use uuid::Uuid;

use crate::{
    Error, Store,
    deliveries::{Delivery, OPEN, State},
    sizes::filled,
};

/// Lanes asked for in one statement.
const LANES_ASKED: usize = 256;
/// Lanes read in one statement.
const LANES_AT_ONCE: usize = 16;

impl Store {
    /// Which of `lanes` have deliveries waiting.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waiting_lanes(&self, lanes: &[(Uuid, OrderingKey)]) -> Result<HashSet<(Uuid, OrderingKey)>, Error> {
        let mut waiting = HashSet::new();
        for part in lanes.chunks(LANES_ASKED) {
            let part = filled(part);
            let marks: Vec<String> = (0..part.len()).map(|i| format!("(${}, ${})", 2 * i + 1, 2 * i + 2)).collect();
            // One row of each, however many wait: a lane may hold thousands. A subquery that gives a value is planned once and looked up
            // lane by lane; one for each lane would be planned as often as there are lanes.
            let sql = format!(
                "WITH asked (lane_id, ordering_key) AS (VALUES {}) SELECT lane_id, ordering_key FROM asked WHERE (SELECT 1 FROM delivery \
                 WHERE delivery.lane_id = asked.lane_id AND delivery.ordering_key = asked.ordering_key AND {OPEN} LIMIT 1) = 1",
                marks.join(", ")
            );
            let values: Vec<Value> = part.iter().flat_map(|(lane, key)| [(*lane).into(), key.as_str().into()]).collect();
            for row in self.0.read.query_all_raw(self.statement(&sql, values)).await? {
                let (lane, key): (Uuid, String) = (row.try_get("", "lane_id")?, row.try_get("", "ordering_key")?);
                if let Ok(key) = key.parse() {
                    waiting.insert((lane, key));
                }
            }
        }
        Ok(waiting)
    }

    /// What waits in each of `lanes`, in order and up to `limit` of each; nothing while the head of the lane blocks it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lanes(&self, lanes: &[(Uuid, OrderingKey)], limit: u64) -> Result<Vec<Vec<Delivery>>, Error> {
        let mut found = Vec::with_capacity(lanes.len());
        for some in lanes.chunks(LANES_AT_ONCE) {
            // One or always as many, so that there are two statements to be prepared; no lane has the empty key.
            let many = if some.len() > 1 { LANES_AT_ONCE } else { 1 };
            let (mut values, mut parts) = (Vec::<Value>::with_capacity(2 * many), Vec::with_capacity(many));
            for at in 0..many {
                let (lane, key) = some.get(at).map_or((Uuid::nil(), ""), |(lane, key)| (*lane, key.as_str()));
                values.extend([lane.into(), key.into()]);
                let (lane, key) = (values.len() - 1, values.len());
                parts.push(format!(
                    "SELECT * FROM (SELECT * FROM delivery WHERE lane_id = ${lane} AND ordering_key = ${key} AND {OPEN} \
                     ORDER BY sequence LIMIT {limit}) AS l{at}"
                ));
            }
            // From the writing connection: the answer decides order, so it must see this process's own latest record.
            let rows = self.rows(&self.0.write, &parts.join(" UNION ALL "), values).await?;
            for (lane, key) in some {
                let mut waiting: Vec<Delivery> = rows.iter().filter(|row| row.lane() == *lane && row.key == *key).cloned().collect();
                waiting.sort_by_key(|row| row.sequence);
                let blocked = waiting.iter().position(|row| row.state == State::Blocking);
                waiting.truncate(blocked.unwrap_or(waiting.len()));
                found.push(waiting);
            }
        }
        Ok(found)
    }
}
