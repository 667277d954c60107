//! Where an event is on its way to its deliveries: what is recorded of it, not what should be.

use billwire_schemas::{
    clock::Timestamp,
    delivery::Delivery,
    ids::{DeliveryId, EventId, OrderingKey, Slot, TenantId},
};
use sea_orm::ConnectionTrait;

use crate::{
    Error, Store,
    delivery::deliveries::{self, slot},
    micros, moment,
};

/// Where an event is.
#[derive(Debug, Clone)]
pub struct DeliveryPlace {
    /// Its position in the outbox.
    pub position: i64,
    /// When it was recorded, by the system's clock.
    pub recorded_at: Timestamp,
    /// Whether it was published, and the audit has not found it lost since.
    pub published: bool,
    /// Whether its slot has taken it in: it has all deliveries that it will have, except in held queues.
    pub taken_in: bool,
    /// Whether it is set aside: too large for the stream, or behind such an event of its ordering key.
    pub set_aside: bool,
    /// Whether a written batch of the warehouse holds it.
    pub in_warehouse: bool,
}

impl Store {
    /// Where an event is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delivery_place(&self, tenant: &TenantId, event: EventId) -> Result<Option<DeliveryPlace>, Error> {
        let sql = "SELECT e.position, e.ordering_key, e.recorded_at, (SELECT COUNT(*) FROM outbox o WHERE o.position = e.position) AS waiting, \
                   (SELECT COUNT(*) FROM published p WHERE p.sequence < 0 AND p.position = e.position) AS lost, \
                   (SELECT COUNT(*) FROM set_aside_event s WHERE s.position = e.position) AS aside, \
                   (SELECT COUNT(*) FROM warehouse_event w JOIN warehouse_batch b ON b.id = w.batch WHERE w.event_id = e.id AND b.written) AS loaded \
                   FROM event e WHERE e.id = $1 AND e.tenant = $2";
        let row = self.0.read.query_one_raw(self.statement(sql, [event.0.into(), tenant.as_str().into()])).await?;
        let Some(row) = row else { return Ok(None) };
        let count = |column: &str| row.try_get::<i64>("", column);
        let (position, key): (i64, String) = (row.try_get("", "position")?, row.try_get("", "ordering_key")?);
        let key: OrderingKey = key.parse().map_err(|_| Error::Corrupt { table: "event", detail: key })?;
        let published = count("waiting")? + count("lost")? + count("aside")? == 0;
        Ok(Some(DeliveryPlace {
            position,
            recorded_at: moment(row.try_get("", "recorded_at")?),
            published,
            taken_in: published && !self.is_unsettled(Slot::of(tenant, &key), position).await?,
            set_aside: count("aside")? > 0,
            in_warehouse: count("loaded")? > 0,
        }))
    }

    /// Whether a published event is among those that its slot has not settled.
    async fn is_unsettled(&self, of: Slot, position: i64) -> Result<bool, Error> {
        let sql = "SELECT 1 AS one FROM published WHERE slot = $1 AND sequence > COALESCE((SELECT sequence FROM settled WHERE reader = $1), 0) \
                   AND position = $2 LIMIT 1";
        Ok(self.0.read.query_one_raw(self.statement(sql, [slot(of).into(), position.into()])).await?.is_some())
    }

    /// How many events of a tenant the slots have not taken in: those that are not published, and those that were published before `before` and
    /// are not settled. Counted up to `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_not_taken_in(&self, tenant: &TenantId, before: Timestamp, limit: u64) -> Result<u64, Error> {
        let slots: Vec<String> = Slot::all().map(|of| format!("({})", slot(of))).collect();
        let sql = format!(
            "WITH v (slot) AS (VALUES {}) SELECT COUNT(*) AS n FROM (\
             SELECT o.position FROM outbox o JOIN event e ON e.position = o.position WHERE e.tenant = $1 \
             UNION ALL SELECT p.position FROM v LEFT JOIN settled s ON s.reader = v.slot \
             JOIN published p ON p.slot = v.slot AND p.sequence > COALESCE(s.sequence, 0) \
             JOIN event e ON e.position = p.position WHERE e.tenant = $1 AND p.at < $2 LIMIT {limit}) AS counted",
            slots.join(", ")
        );
        let row = self.0.read.query_one_raw(self.statement(&sql, [tenant.as_str().into(), micros(before).into()])).await?;
        let n: i64 = row.map(|row| row.try_get("", "n")).transpose()?.unwrap_or(0);
        Ok(u64::try_from(n).unwrap_or(0))
    }

    /// Every delivery of an event.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn deliveries_of(&self, tenant: &TenantId, event: EventId) -> Result<Vec<Delivery>, Error> {
        let (first, last) = DeliveryId::all_of(event);
        let sql = "SELECT * FROM delivery WHERE id BETWEEN $1 AND $2 AND event_id = $3 AND tenant = $4 ORDER BY id";
        let values = vec![first.0.into(), last.0.into(), event.0.into(), tenant.as_str().into()];
        self.0.read.query_all_raw(self.statement(sql, values)).await?.iter().map(deliveries::read).collect()
    }
}
