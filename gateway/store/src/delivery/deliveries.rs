//! Table `delivery`: the state of every delivery, and when its next attempt is due. Everything that waits is stored here.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use billwire_schemas::{
    clock::Timestamp,
    delivery::{AttemptRecord, Delivery, DeliveryState, Report},
    ids::{DeliveryId, EventId, OrderingKey, QueueId, ReplayId, Slot, SubscriptionId, TenantId},
};
use sea_orm::{
    ConnectionTrait, DatabaseBackend, DatabaseTransaction, DbErr, EntityTrait, FromQueryResult, IdenStatic, IntoActiveModel, QueryResult,
    SqlErr, Statement, Value,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use uuid::Uuid;

use crate::{
    Backend, Error, Store, arrays,
    batching::{filled, parts},
    delivery::recipients,
    entity::{attempt, delivery},
    micros, moment,
};

/// The beginning of a query for the time that deliveries of a slot wait for.
const EARLIEST: &str = "SELECT d.next_attempt_at FROM delivery d WHERE d.slot = $1 AND d.state = 'waiting'";

/// Owners of lanes whose due deliveries are read by one statement.
const DUE_OWNERS: usize = 16;

/// The deliveries that are in a lane. The text equals the index's condition: a planner uses a partial index only for a condition it can read.
pub(crate) const OPEN: &str = "state IN ('waiting', 'blocking')";

/// The delivery in a row of the whole table.
pub(crate) fn read(row: &QueryResult) -> Result<Delivery, Error> {
    parse(delivery::Model::from_query_result(row, "")?)
}

/// A duration in whole microseconds.
fn latency_us(latency: Duration) -> i64 {
    i64::try_from(latency.as_micros()).unwrap_or(i64::MAX)
}

/// An attempt as the columns of a row have it.
///
/// # Errors
/// When the exchange is no JSON of one.
pub(crate) fn attempt_record(
    number: i32,
    at: i64,
    latency_us: i64,
    status: Option<i32>,
    detail: String,
    exchange: Option<&str>,
) -> Result<AttemptRecord, Error> {
    let status = status.and_then(|status| u16::try_from(status).ok());
    let exchange = exchange.map(serde_json::from_str).transpose().map_err(Error::corrupt("attempt"))?;
    Ok(AttemptRecord {
        number: u32::try_from(number).unwrap_or(0),
        at: moment(at),
        latency: Duration::from_micros(u64::try_from(latency_us).unwrap_or(0)),
        report: Report { status, detail, recipients: Vec::new(), exchange },
    })
}

/// The exchange of an attempt as its column has it.
fn exchange(attempt: &AttemptRecord) -> Option<String> {
    // Texts alone are always JSON.
    attempt.report.exchange.as_ref().and_then(|exchange| serde_json::to_string(exchange).ok())
}

/// A slot as its column has it.
pub(crate) fn slot(slot: Slot) -> i32 {
    slot.number().into()
}

fn row(d: &Delivery, now: Timestamp) -> delivery::Model {
    let (last_status, last_latency_us, last_attempt_at) =
        d.last.as_ref().map_or((None, 0, None), |a| (a.report.status.map(i32::from), latency_us(a.latency), Some(micros(a.at))));
    delivery::Model {
        id: d.id.0,
        tenant: d.tenant.to_string(),
        event_id: d.event.0,
        event_type: d.event_type.clone(),
        queue_id: d.queue.0,
        slot: slot(d.slot),
        subscription_id: d.subscription.0,
        lane_id: d.owner(),
        ordering_key: d.key.to_string(),
        sequence: d.sequence,
        position: d.position,
        state: d.state.name().to_owned(),
        attempts: i32::try_from(d.attempts).unwrap_or(i32::MAX),
        forgiven: i32::try_from(d.forgiven).unwrap_or(i32::MAX),
        next_attempt_at: d.next_attempt_at.map(micros),
        last_status,
        last_detail: d.last.as_ref().map(|a| a.report.detail.clone()).unwrap_or_default(),
        last_latency_us,
        last_attempt_at,
        created_at: micros(d.created_at),
        updated_at: micros(now),
        exchange: d.last.as_ref().filter(|_| d.state == DeliveryState::Succeeded).and_then(exchange),
    }
}

pub(crate) fn parse(row: delivery::Model) -> Result<Delivery, Error> {
    let corrupt = |detail: String| Error::Corrupt { table: "delivery", detail };
    let (attempts, latency, status, exchange) = (row.attempts, row.last_latency_us, row.last_status, row.exchange.as_deref());
    let last = row.last_attempt_at.map(|at| attempt_record(attempts, at, latency, status, row.last_detail, exchange)).transpose()?;
    let tenant: TenantId = row.tenant.parse().map_err(|_| corrupt(row.tenant))?;
    let key: OrderingKey = row.ordering_key.parse().map_err(|_| corrupt(row.ordering_key))?;
    Ok(Delivery {
        id: DeliveryId(row.id),
        slot: Slot::of(&tenant, &key),
        tenant,
        event: EventId(row.event_id),
        event_type: row.event_type,
        queue: QueueId(row.queue_id),
        subscription: SubscriptionId(row.subscription_id),
        replay: (row.lane_id != row.subscription_id).then_some(ReplayId(row.lane_id)),
        key,
        sequence: row.sequence,
        position: row.position,
        state: DeliveryState::of(&row.state).ok_or_else(|| corrupt(row.state))?,
        attempts: u32::try_from(row.attempts).unwrap_or(0),
        forgiven: u32::try_from(row.forgiven).unwrap_or(0),
        next_attempt_at: row.next_attempt_at.map(moment),
        last,
        created_at: moment(row.created_at),
    })
}

/// The latest attempt, unless it succeeded: failed attempts have a table of their own.
fn failed_attempt(d: &Delivery) -> Option<attempt::Model> {
    let a = d.last.as_ref().filter(|_| d.state != DeliveryState::Succeeded)?;
    Some(attempt::Model {
        delivery_id: d.id.0,
        number: i32::try_from(a.number).unwrap_or(i32::MAX),
        at: micros(a.at),
        latency_us: latency_us(a.latency),
        status: a.report.status.map(i32::from),
        detail: a.report.detail.clone(),
        tenant: d.tenant.to_string(),
        exchange: exchange(a),
    })
}

/// What an attempt changes of a delivery that is stored.
const CHANGED: [delivery::Column; 9] = {
    use delivery::Column as C;
    [C::State, C::Attempts, C::NextAttemptAt, C::LastStatus, C::LastDetail, C::LastLatencyUs, C::LastAttemptAt, C::UpdatedAt, C::Exchange]
};

async fn write(transaction: &DatabaseTransaction, new: &[&Delivery], known: &[&Delivery], now: Timestamp) -> Result<(), DbErr> {
    use delivery::Column as C;
    let rows = |deliveries: &[&Delivery]| parts(deliveries.iter().map(|d| row(d, now).into_active_model()).collect());
    for part in rows(new) {
        delivery::Entity::insert_many(part).exec_without_returning(transaction).await?;
    }
    for part in rows(known) {
        let mut clash = OnConflict::column(C::Id);
        clash.update_columns(CHANGED);
        clash.action_and_where(Expr::col((delivery::Entity, C::State)).eq("waiting"));
        delivery::Entity::insert_many(part).on_conflict(clash).exec_without_returning(transaction).await?;
    }
    write_attempts(transaction, new.iter().chain(known).copied()).await?;
    recipients::write(transaction, new.iter().chain(known).copied()).await
}

/// `write` in a single statement, which is its own transaction.
async fn write_at_once(conn: &impl ConnectionTrait, new: &[&Delivery], known: &[&Delivery], now: Timestamp) -> Result<(), Error> {
    let (mut written, mut values) = (Vec::new(), Vec::new());
    let rows =
        |deliveries: &[&Delivery]| -> Vec<delivery::ActiveModel> { deliveries.iter().map(|d| row(d, now).into_active_model()).collect() };
    let all = || new.iter().chain(known).copied();
    if !new.is_empty() {
        written.push(format!("n AS ({})", arrays::insert(rows(new), &mut values)?));
    }
    if !known.is_empty() {
        let changed: Vec<String> = CHANGED.iter().map(|column| format!("{0} = excluded.{0}", column.as_str())).collect();
        let clash = format!("ON CONFLICT (id) DO UPDATE SET {} WHERE delivery.state = 'waiting'", changed.join(", "));
        written.push(format!("k AS ({} {clash})", arrays::insert(rows(known), &mut values)?));
    }
    let attempts: Vec<attempt::ActiveModel> = all().filter_map(failed_attempt).map(IntoActiveModel::into_active_model).collect();
    if !attempts.is_empty() {
        written.push(format!("a AS ({} ON CONFLICT (delivery_id, number) DO NOTHING)", arrays::insert(attempts, &mut values)?));
    }
    let recipients = recipients::rows(all());
    if !recipients.is_empty() {
        let clash = "ON CONFLICT (delivery_id, address) DO UPDATE SET state = excluded.state, status = excluded.status, \
                     detail = excluded.detail, at = excluded.at WHERE recipient.state <> 'sent'";
        written.push(format!("r AS ({} {clash})", arrays::insert(recipients, &mut values)?));
    }
    if !written.is_empty() {
        let sql = format!("WITH {} SELECT 1", written.join(", "));
        conn.execute_raw(Statement::from_sql_and_values(DatabaseBackend::Postgres, sql, values)).await?;
    }
    Ok(())
}

async fn write_attempts(transaction: &DatabaseTransaction, of: impl Iterator<Item = &Delivery>) -> Result<(), DbErr> {
    let attempts = of.filter_map(failed_attempt).map(IntoActiveModel::into_active_model).collect();
    for part in parts::<attempt::ActiveModel>(attempts) {
        let mut clash = OnConflict::columns([attempt::Column::DeliveryId, attempt::Column::Number]);
        clash.do_nothing();
        attempt::Entity::insert_many(part).on_conflict(clash).exec_without_returning(transaction).await?;
    }
    Ok(())
}

impl Store {
    /// Records the state of deliveries, with their latest attempt and its recipients, in one commit. A delivery in a final state does not
    /// change. `new` are deliveries that are probably not stored yet: they are inserted without a look, which costs half; if one is
    /// stored all the same, everything is written again with a look.
    ///
    /// # Errors
    /// When the database fails; then nothing was recorded.
    pub async fn record_deliveries(&self, new: &[&Delivery], known: &[&Delivery], now: Timestamp) -> Result<(), Error> {
        self.write_deliveries(new, known, now).await?;
        self.0.throughput.recorded(new.iter().chain(known).copied());
        Ok(())
    }

    async fn write_deliveries(&self, new: &[&Delivery], known: &[&Delivery], now: Timestamp) -> Result<(), Error> {
        if self.backend() == Backend::Postgres {
            return match write_at_once(&self.0.write, new, known, now).await {
                Err(Error::Contention(_)) => {
                    let all: Vec<&Delivery> = new.iter().chain(known).copied().collect();
                    write_at_once(&self.0.write, &[], &all, now).await
                }
                done => done,
            };
        }
        if !new.is_empty() {
            let transaction = self.begin().await?;
            match write(&transaction, new, known, now).await {
                Ok(()) => return transaction.commit().await,
                Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => transaction.rollback().await?,
                Err(error) => return Err(error.into()),
            }
        }
        let transaction = self.begin().await?;
        write(&transaction, &[], known, now).await?;
        write(&transaction, &[], new, now).await?;
        transaction.commit().await
    }

    /// The owners with waiting deliveries in a slot, subscriptions and replays, and the earliest time each waits for, if any of its deliveries has
    /// one. Found by steps through the index, so the cost depends on the number of owners, not on how many deliveries wait.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waiting_owners(&self, of: Slot) -> Result<Vec<(Uuid, Option<Timestamp>)>, Error> {
        const NEXT: &str = "SELECT d.lane_id FROM delivery d WHERE d.slot = $1 AND d.state = 'waiting'";
        let sql = format!(
            "WITH RECURSIVE owner (id) AS (SELECT ({NEXT} ORDER BY d.lane_id LIMIT 1) \
             UNION ALL SELECT ({NEXT} AND d.lane_id > owner.id ORDER BY d.lane_id LIMIT 1) FROM owner WHERE owner.id IS NOT NULL) \
             SELECT id, ({EARLIEST} AND d.lane_id = owner.id AND d.next_attempt_at IS NOT NULL ORDER BY d.next_attempt_at LIMIT 1) AS earliest \
             FROM owner WHERE id IS NOT NULL"
        );
        let rows = self.0.read.query_all_raw(self.statement(&sql, [slot(of).into()])).await?;
        let read = |row: &QueryResult| Ok((row.try_get("", "id")?, row.try_get::<Option<i64>>("", "earliest")?.map(moment)));
        Ok(rows.iter().map(read).collect::<Result<_, DbErr>>()?)
    }

    /// The deliveries of a slot that are due, the longest due first: of each owner of lanes up to the given number, and only of events up to
    /// the given outbox position.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn due_deliveries(&self, of: Slot, owners: &[(Uuid, usize, i64)], now: Timestamp) -> Result<Vec<Delivery>, Error> {
        let mut due = Vec::new();
        for some in owners.chunks(DUE_OWNERS) {
            let mut values: Vec<Value> = vec![slot(of).into(), micros(now).into()];
            let mut parts = Vec::with_capacity(DUE_OWNERS);
            // Always the same number, so that there is one statement to prepare.
            for at in 0..DUE_OWNERS {
                let (owner, room, reached) = some.get(at).copied().unwrap_or((Uuid::nil(), 0, 0));
                values.extend([owner.into(), reached.into(), i64::try_from(room).unwrap_or(i64::MAX).into()]);
                let n = values.len();
                // The state is part of the text: a planner uses a partial index only for a condition it can read.
                parts.push(format!(
                    "SELECT * FROM (SELECT * FROM delivery WHERE slot = $1 AND state = 'waiting' AND lane_id = ${} \
                     AND next_attempt_at <= $2 AND position <= ${} ORDER BY next_attempt_at LIMIT ${n}) AS d{at}",
                    n - 2,
                    n - 1
                ));
            }
            due.extend(self.rows(&self.0.read, &parts.join(" UNION ALL "), values).await?);
        }
        Ok(due)
    }

    /// The first time after `now` that deliveries of each of these owners wait for in a slot.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_due(&self, of: Slot, owners: &[Uuid], now: Timestamp) -> Result<HashMap<Uuid, Timestamp>, Error> {
        let mut next = HashMap::new();
        for some in owners.chunks(DUE_OWNERS) {
            let some = filled(some);
            let marks: Vec<String> = (0..some.len()).map(|at| format!("(${})", at + 3)).collect();
            let sql = format!(
                "WITH owner (id) AS (VALUES {}) SELECT id, ({EARLIEST} AND d.lane_id = owner.id AND d.next_attempt_at > $2 \
                 ORDER BY d.next_attempt_at LIMIT 1) AS earliest FROM owner",
                marks.join(", ")
            );
            let values = [slot(of).into(), micros(now).into()].into_iter().chain(some.into_iter().map(Value::from));
            for row in self.0.read.query_all_raw(self.statement(&sql, values)).await? {
                if let Some(at) = row.try_get::<Option<i64>>("", "earliest")? {
                    next.insert(row.try_get("", "id")?, moment(at));
                }
            }
        }
        Ok(next)
    }

    pub(crate) async fn rows(&self, conn: &impl ConnectionTrait, sql: &str, values: Vec<Value>) -> Result<Vec<Delivery>, Error> {
        delivery::Entity::find().from_raw_sql(self.statement(sql, values)).all(conn).await?.into_iter().map(parse).collect()
    }

    /// Stores new deliveries. Those that wait are due now or, `in_order`, behind others of their lane. Those that are stored already do not
    /// change.
    ///
    /// # Errors
    /// When the database fails; then nothing was stored.
    pub async fn enqueue(&self, deliveries: Vec<Delivery>, in_order: bool, now: Timestamp) -> Result<(), Error> {
        let transaction = self.begin().await?;
        self.enqueue_within(&transaction, deliveries, in_order, now).await?;
        transaction.commit().await?;
        self.report_enqueued();
        Ok(())
    }

    /// [`Store::enqueue`] within a transaction; the caller calls [`Store::report_enqueued`] after its commit.
    pub(crate) async fn enqueue_within(
        &self,
        transaction: &DatabaseTransaction,
        mut deliveries: Vec<Delivery>,
        in_order: bool,
        now: Timestamp,
    ) -> Result<(), Error> {
        let waiting = if in_order {
            let lanes: HashSet<_> = deliveries.iter().map(Delivery::lane).collect();
            self.lookup_on(transaction, &[], &lanes.into_iter().collect::<Vec<_>>()).await?.waiting
        } else {
            HashSet::new()
        };
        let mut first = HashSet::new();
        for one in deliveries.iter_mut().filter(|one| one.state == DeliveryState::Waiting) {
            let due = !in_order || (!waiting.contains(&one.lane()) && first.insert(one.lane()));
            one.next_attempt_at = due.then_some(now);
        }
        let known = OnConflict::column(delivery::Column::Id).do_nothing().to_owned();
        for part in parts(deliveries.iter().map(|one| row(one, now).into_active_model()).collect()) {
            delivery::Entity::insert_many(part).on_conflict(known.clone()).exec_without_returning(transaction).await?;
        }
        Ok(write_attempts(transaction, deliveries.iter()).await?)
    }
}
