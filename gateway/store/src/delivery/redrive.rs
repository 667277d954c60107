//! Redrive: retrying a delivery at once, redriving dead letters, discarding them. All of it happens in the unit's transaction.

use billwire_schemas::{
    clock::Timestamp,
    delivery::Delivery,
    events::selection::like,
    ids::{DeliveryId, QueueId, SubscriptionId, TenantId},
};
use sea_orm::{DbErr, QueryResult, Value};
use uuid::Uuid;

use crate::{
    Error, Tx,
    batching::filled,
    delivery::{
        deliveries::{self, OPEN},
        lanes::LANES_ASKED,
    },
    micros,
};

/// Selects dead letters: those in `ids` or, if that is empty, all that match the other members.
#[derive(Debug, Clone, Default)]
pub struct DeadLetters {
    /// These.
    pub ids: Vec<DeliveryId>,
    /// Only of this subscription.
    pub subscription: Option<SubscriptionId>,
    /// Only of this queue.
    pub queue: Option<QueueId>,
    /// Only of events of this type, or of types that match this pattern.
    pub event_type: Option<String>,
    /// Only those created from this moment on.
    pub from: Option<Timestamp>,
    /// Only those created before this moment.
    pub to: Option<Timestamp>,
}

impl DeadLetters {
    /// A condition on `delivery`, which appends its values to `values`.
    fn condition(&self, tenant: &TenantId, values: &mut Vec<Value>) -> String {
        let mut value = |value: Value| {
            values.push(value);
            format!("${}", values.len())
        };
        let mut conditions = vec![format!("tenant = {}", value(tenant.as_str().into())), "state IN ('dead', 'blocking')".to_owned()];
        if !self.ids.is_empty() {
            let ids: Vec<String> = self.ids.iter().map(|id| value(id.0.into())).collect();
            conditions.push(format!("id IN ({})", ids.join(", ")));
        }
        for (column, wanted) in [("subscription_id", self.subscription.map(|id| id.0)), ("queue_id", self.queue.map(|id| id.0))] {
            conditions.extend(wanted.map(|id| format!("{column} = {}", value(id.into()))));
        }
        let kind = self.event_type.as_deref().and_then(like);
        conditions.extend(kind.map(|kind| format!("event_type LIKE {} ESCAPE '\\'", value(kind.into()))));
        conditions.extend(self.from.map(|from| format!("created_at >= {}", value(micros(from).into()))));
        conditions.extend(self.to.map(|to| format!("created_at < {}", value(micros(to).into()))));
        conditions.join(" AND ")
    }
}

impl Tx<'_> {
    /// One delivery.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, Error> {
        let sql = "SELECT * FROM delivery WHERE id = $1 AND tenant = $2";
        let rows = self.query(sql, vec![id.0.into(), self.tenant().as_str().into()]).await?;
        rows.first().map(deliveries::read).transpose()
    }

    /// Makes a waiting delivery due now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn retry_now(&mut self, id: DeliveryId, now: Timestamp) -> Result<(), Error> {
        let sql = "UPDATE delivery SET next_attempt_at = $1 WHERE id = $2 AND state = 'waiting' RETURNING id";
        self.write(sql, vec![micros(now).into(), id.0.into()]).await.map(drop)
    }

    /// How many dead letters there are, counted up to `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_dead_letters(&self, wanted: &DeadLetters, limit: u64) -> Result<usize, Error> {
        let mut values = Vec::new();
        let condition = wanted.condition(self.tenant(), &mut values);
        let sql = format!("SELECT COUNT(*) AS found FROM (SELECT 1 AS one FROM delivery WHERE {condition} LIMIT {limit}) AS counted");
        let rows = self.query(&sql, values).await?;
        let found: i64 = rows.first().map(|row| row.try_get("", "found")).transpose()?.unwrap_or(0);
        Ok(usize::try_from(found).unwrap_or(0))
    }

    /// Redrives up to `limit` dead letters, oldest first: each is due now, and its retry plan starts again. Gives how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn redrive(&mut self, wanted: &DeadLetters, limit: u64, now: Timestamp) -> Result<usize, Error> {
        let mut values = vec![micros(now).into()];
        let condition = wanted.condition(self.tenant(), &mut values);
        let sql = format!(
            "UPDATE delivery SET state = 'waiting', forgiven = attempts, next_attempt_at = $1, updated_at = $1 \
             WHERE id IN (SELECT id FROM delivery WHERE {condition} ORDER BY created_at, id LIMIT {limit}) RETURNING id"
        );
        Ok(self.write(&sql, values).await?.len())
    }

    /// Discards up to `limit` dead letters, oldest first; lanes that one of them blocked continue. Gives how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn discard(&mut self, wanted: &DeadLetters, limit: u64, now: Timestamp) -> Result<usize, Error> {
        let mut values = vec![micros(now).into()];
        let condition = wanted.condition(self.tenant(), &mut values);
        let sql = format!(
            "UPDATE delivery SET state = 'discarded', next_attempt_at = NULL, updated_at = $1 \
             WHERE id IN (SELECT id FROM delivery WHERE {condition} ORDER BY created_at, id LIMIT {limit}) RETURNING lane_id, ordering_key"
        );
        let rows = self.write(&sql, values).await?;
        let lane = |row: &QueryResult| Ok((row.try_get("", "lane_id")?, row.try_get("", "ordering_key")?));
        let mut lanes: Vec<(Uuid, String)> = rows.iter().map(lane).collect::<Result<_, DbErr>>()?;
        lanes.sort_unstable();
        lanes.dedup();
        for some in lanes.chunks(LANES_ASKED) {
            let mut values: Vec<Value> = vec![micros(now).into()];
            values.extend(filled(some).into_iter().flat_map(|(lane, key)| [lane.into(), key.into()]));
            let marks: Vec<String> = (2..=values.len()).step_by(2).map(|n| format!("(${n}, ${})", n + 1)).collect();
            let sql = format!(
                "WITH asked (lane_id, ordering_key) AS (VALUES {}) UPDATE delivery SET next_attempt_at = $1 \
                 WHERE state = 'waiting' AND next_attempt_at IS NULL AND id IN (SELECT (SELECT d.id FROM delivery d \
                 WHERE d.lane_id = asked.lane_id AND d.ordering_key = asked.ordering_key AND d.{OPEN} ORDER BY d.sequence LIMIT 1) \
                 FROM asked) RETURNING id",
                marks.join(", ")
            );
            self.write(&sql, values).await?;
        }
        Ok(rows.len())
    }
}
