//! The lanes of deliveries: what waits in them, in order.

use billwire_schemas::{
    clock::Timestamp,
    delivery::{Delivery, DeliveryState, LaneCursor, LaneKey},
    ids::Slot,
};
use sea_orm::{ConnectionTrait, DbErr, Value};
use uuid::Uuid;

use crate::{
    Error, Store,
    batching::filled,
    delivery::deliveries::{OPEN, slot},
    micros,
};

/// Lanes looked up by one statement.
pub(crate) const LANES_ASKED: usize = 256;
/// Lanes read by one statement.
const LANES_AT_ONCE: usize = 16;
/// Lanes and owners of lanes visited in one step of the repair.
const REPAIR_MAX: usize = 500;

impl Store {
    /// The deliveries that wait in each of `lanes`, in order and up to `limit` of each; none behind one that blocks the lane.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lanes(&self, lanes: &[LaneKey], limit: u64) -> Result<Vec<Vec<Delivery>>, Error> {
        let mut found = Vec::with_capacity(lanes.len());
        for some in lanes.chunks(LANES_AT_ONCE) {
            // One lane or always the same number, so that there are two statements to prepare; no lane has the empty key.
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
            // On the writing connection: the answer decides order, so it must see this process's own latest record.
            let rows = self.rows(&self.0.write, &parts.join(" UNION ALL "), values).await?;
            for (lane, key) in some {
                let mut waiting: Vec<Delivery> = rows.iter().filter(|row| row.owner() == *lane && row.key == *key).cloned().collect();
                waiting.sort_by_key(|row| row.sequence);
                let blocked = waiting.iter().position(|row| row.state == DeliveryState::Blocking);
                waiting.truncate(blocked.unwrap_or(waiting.len()));
                found.push(waiting);
            }
        }
        Ok(found)
    }

    /// Makes deliveries due that wait without a time although nothing is before them: of owners in order the head of each lane, of others
    /// all. A stop between the end of one delivery and the start of the next leaves a lane in that state. This is one step, from the
    /// start or from where the step before ended; gives where it ended, `None` after the last lane. The cost depends on the number of
    /// lanes visited, not on how many deliveries wait in them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn repair_lanes(
        &self,
        of: Slot,
        in_order: impl Fn(Uuid) -> bool,
        from: Option<LaneCursor>,
        now: Timestamp,
    ) -> Result<Option<LaneCursor>, Error> {
        let mut owners: Vec<Uuid> = self.waiting_owners(of).await?.into_iter().map(|(owner, _)| owner).collect();
        owners.sort_unstable();
        let (first, last_key) = from.unwrap_or_default();
        let (mut untimed, mut left, mut end) = (Vec::new(), REPAIR_MAX, None);
        for owner in owners.into_iter().filter(|owner| *owner >= first) {
            if left == 0 {
                end = Some((owner, String::new()));
                break;
            }
            let in_order = in_order(owner);
            let found = if in_order {
                let last_key = if owner == first { last_key.as_str() } else { "" };
                self.untimed_heads(of, owner, last_key, left).await?
            } else {
                self.untimed(of, owner, left).await?
            };
            if found.len() == left {
                // Out of order, the deliveries found have a time after this step: the next step finds others.
                end = found.last().map(|(key, _)| (owner, if in_order { key.clone() } else { String::new() }));
            }
            left = left.saturating_sub(found.len().max(1));
            untimed.extend(found.into_iter().filter_map(|(_, id)| id));
            if end.is_some() {
                break;
            }
        }
        for some in untimed.chunks(LANES_ASKED) {
            let values: Vec<Value> = std::iter::once(micros(now).into()).chain(filled(some).into_iter().map(Value::from)).collect();
            let marks: Vec<String> = (2..=values.len()).map(|n| format!("${n}")).collect();
            let sql = format!(
                "UPDATE delivery SET next_attempt_at = $1 WHERE id IN ({}) AND state = 'waiting' AND next_attempt_at IS NULL",
                marks.join(", ")
            );
            self.0.write.execute_raw(self.statement(&sql, values)).await?;
        }
        Ok(end)
    }

    /// Lanes of an owner with keys after `last_key`, and the head of each if it waits without a time. Found by steps through the index.
    async fn untimed_heads(&self, of: Slot, owner: Uuid, last_key: &str, limit: usize) -> Result<Vec<(String, Option<Uuid>)>, Error> {
        let next = format!("SELECT d.ordering_key FROM delivery d WHERE d.lane_id = $1 AND d.{OPEN} AND d.ordering_key");
        let sql = format!(
            "WITH RECURSIVE lane (key, number) AS (SELECT ({next} > $2 ORDER BY d.ordering_key LIMIT 1), CAST(1 AS BIGINT) \
             UNION ALL SELECT ({next} > lane.key ORDER BY d.ordering_key LIMIT 1), number + 1 FROM lane \
             WHERE lane.key IS NOT NULL AND number < $3) \
             SELECT key, (SELECT CASE WHEN d.state = 'waiting' AND d.next_attempt_at IS NULL AND d.slot = $4 THEN d.id END FROM delivery d \
             WHERE d.lane_id = $1 AND d.ordering_key = lane.key AND d.{OPEN} ORDER BY d.sequence LIMIT 1) AS id \
             FROM lane WHERE key IS NOT NULL ORDER BY number"
        );
        let values = vec![owner.into(), last_key.into(), count(limit), slot(of).into()];
        self.keys_and_ids(&sql, values).await
    }

    /// The deliveries of an owner that wait without a time.
    async fn untimed(&self, of: Slot, owner: Uuid, limit: usize) -> Result<Vec<(String, Option<Uuid>)>, Error> {
        let sql = "SELECT ordering_key AS key, id FROM delivery WHERE slot = $1 AND state = 'waiting' \
                   AND lane_id = $2 AND next_attempt_at IS NULL LIMIT $3";
        self.keys_and_ids(sql, vec![slot(of).into(), owner.into(), count(limit)]).await
    }

    async fn keys_and_ids(&self, sql: &str, values: Vec<Value>) -> Result<Vec<(String, Option<Uuid>)>, Error> {
        let rows = self.0.read.query_all_raw(self.statement(sql, values)).await?;
        Ok(rows.iter().map(|row| Ok::<_, DbErr>((row.try_get("", "key")?, row.try_get("", "id")?))).collect::<Result<_, _>>()?)
    }
}

fn count(limit: usize) -> Value {
    i64::try_from(limit).unwrap_or(i64::MAX).into()
}
