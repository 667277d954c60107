//! The delivery store of deliveries: what is owed, what became of it, when it is tried next. All waiting stands here.

use std::collections::HashSet;

use billwire_schemas::{
    clock::Timestamp,
    ids::{DeliveryId, EventId, OrderingKey, QueueId, ReplayId, SubscriptionId, TenantId},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait, FromQueryResult, IntoActiveModel,
    QueryFilter, QueryResult, QuerySelect, SqlErr, Value,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use uuid::Uuid;

use crate::{
    Error, Store,
    batching::{filled, parts},
    delivery::recipients::{self, Recipient},
    entity::{attempt, delivery},
    micros, moment,
};

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// To be tried, now or later, or behind another of its lane.
    Waiting,
    /// The receiver took it.
    Succeeded,
    /// Given up on; a person may redrive or discard it.
    Dead,
    /// Given up on, and what stands behind it in its lane waits for a person.
    Blocking,
    /// A person let it be, or its subscription was deleted.
    Discarded,
}

impl State {
    /// The name in the API and the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Dead => "dead",
            Self::Blocking => "blocking",
            Self::Discarded => "discarded",
        }
    }

    fn of(name: &str) -> Option<Self> {
        [Self::Waiting, Self::Succeeded, Self::Dead, Self::Blocking, Self::Discarded].into_iter().find(|state| state.name() == name)
    }
}

/// One try, as it rests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Which try, from 1.
    pub number: u32,
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in microseconds.
    pub latency_us: i64,
    /// Status code of the answer.
    pub status: Option<u16>,
    /// A short report.
    pub detail: String,
}

/// A delivery, as it rests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Derived from event and subscription.
    pub id: DeliveryId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The event owed.
    pub event: EventId,
    /// Its type.
    pub event_type: String,
    /// The queue it came through.
    pub queue: QueueId,
    /// The queue's partition.
    pub partition: u32,
    /// To which subscription.
    pub subscription: SubscriptionId,
    /// The replay that brings the event anew, if one does.
    pub replay: Option<ReplayId>,
    /// Its lane is this key of that subscription, or of that replay.
    pub key: OrderingKey,
    /// Sequence within the key.
    pub sequence: i64,
    /// Position in the outbox.
    pub position: i64,
    /// Where it stands.
    pub state: State,
    /// Tries made.
    pub attempts: u32,
    /// Those of them that count no more: it was tried anew after them.
    pub forgiven: u32,
    /// When it is tried next; absent while it stands behind another of its lane, and at the end.
    pub next_attempt_at: Option<Timestamp>,
    /// The latest try.
    pub last: Option<Attempt>,
    /// When it was first recorded.
    pub created_at: Timestamp,
}

/// Owners of lanes whose due deliveries are asked for in one statement.
const DUE_OWNERS: usize = 16;

/// What stands in a lane. As in the index, word for word: a planner takes a partial index only for a condition it can read.
pub(crate) const OPEN: &str = "state IN ('waiting', 'blocking')";

impl Delivery {
    /// Whose lanes it stands in: the subscription's, or those of the replay.
    pub fn lane(&self) -> Uuid {
        self.replay.map_or(self.subscription.0, |replay| replay.0)
    }

    /// Of a row of the whole table.
    pub(crate) fn read(row: &QueryResult) -> Result<Self, Error> {
        parse(delivery::Model::from_query_result(row, "")?)
    }
}

fn row(d: &Delivery, now: Timestamp) -> delivery::Model {
    let (last_status, last_latency_us, last_attempt_at) =
        d.last.as_ref().map_or((None, 0, None), |a| (a.status.map(i32::from), a.latency_us, Some(micros(a.at))));
    delivery::Model {
        id: d.id.0,
        tenant: d.tenant.to_string(),
        event_id: d.event.0,
        event_type: d.event_type.clone(),
        queue_id: d.queue.0,
        partition: i32::try_from(d.partition).unwrap_or(0),
        subscription_id: d.subscription.0,
        lane_id: d.lane(),
        ordering_key: d.key.to_string(),
        sequence: d.sequence,
        position: d.position,
        state: d.state.name().to_owned(),
        attempts: i32::try_from(d.attempts).unwrap_or(i32::MAX),
        forgiven: i32::try_from(d.forgiven).unwrap_or(i32::MAX),
        next_attempt_at: d.next_attempt_at.map(micros),
        last_status,
        last_detail: d.last.as_ref().map(|a| a.detail.clone()).unwrap_or_default(),
        last_latency_us,
        last_attempt_at,
        created_at: micros(d.created_at),
        updated_at: micros(now),
    }
}

pub(crate) fn parse(row: delivery::Model) -> Result<Delivery, Error> {
    let corrupt = |detail: String| Error::Corrupt { table: "delivery", detail };
    let attempts = u32::try_from(row.attempts).unwrap_or(0);
    let last = row.last_attempt_at.map(|at| Attempt {
        number: attempts,
        at: moment(at),
        latency_us: row.last_latency_us,
        status: row.last_status.and_then(|s| u16::try_from(s).ok()),
        detail: row.last_detail,
    });
    Ok(Delivery {
        id: DeliveryId(row.id),
        tenant: row.tenant.parse().map_err(|_| corrupt(row.tenant))?,
        event: EventId(row.event_id),
        event_type: row.event_type,
        queue: QueueId(row.queue_id),
        partition: u32::try_from(row.partition).unwrap_or(0),
        subscription: SubscriptionId(row.subscription_id),
        replay: (row.lane_id != row.subscription_id).then_some(ReplayId(row.lane_id)),
        key: row.ordering_key.parse().map_err(|_| corrupt(row.ordering_key))?,
        sequence: row.sequence,
        position: row.position,
        state: State::of(&row.state).ok_or_else(|| corrupt(row.state))?,
        attempts,
        forgiven: u32::try_from(row.forgiven).unwrap_or(0),
        next_attempt_at: row.next_attempt_at.map(moment),
        last,
        created_at: moment(row.created_at),
    })
}

/// The latest try, where it was none that ended well: those are kept apart.
fn failed_try(d: &Delivery) -> Option<attempt::Model> {
    let a = d.last.as_ref().filter(|_| d.state != State::Succeeded)?;
    let number = i32::try_from(a.number).unwrap_or(i32::MAX);
    let status = a.status.map(i32::from);
    Some(attempt::Model { delivery_id: d.id.0, number, at: micros(a.at), latency_us: a.latency_us, status, detail: a.detail.clone() })
}

async fn write(
    transaction: &DatabaseTransaction,
    new: &[Delivery],
    known: &[Delivery],
    of: &[Recipient],
    now: Timestamp,
) -> Result<(), DbErr> {
    use delivery::Column as C;
    let rows = |deliveries: &[Delivery]| parts(deliveries.iter().map(|d| row(d, now).into_active_model()).collect());
    for part in rows(new) {
        delivery::Entity::insert_many(part).exec_without_returning(transaction).await?;
    }
    for part in rows(known) {
        let mut clash = OnConflict::column(C::Id);
        clash.update_columns([
            C::State,
            C::Attempts,
            C::NextAttemptAt,
            C::LastStatus,
            C::LastDetail,
            C::LastLatencyUs,
            C::LastAttemptAt,
            C::UpdatedAt,
        ]);
        clash.action_and_where(Expr::col((delivery::Entity, C::State)).eq("waiting"));
        delivery::Entity::insert_many(part).on_conflict(clash).exec_without_returning(transaction).await?;
    }
    let attempts = new.iter().chain(known).filter_map(failed_try).map(IntoActiveModel::into_active_model).collect();
    for part in parts::<attempt::ActiveModel>(attempts) {
        let mut clash = OnConflict::columns([attempt::Column::DeliveryId, attempt::Column::Number]);
        clash.do_nothing();
        attempt::Entity::insert_many(part).on_conflict(clash).exec_without_returning(transaction).await?;
    }
    recipients::write(transaction, of).await
}

impl Store {
    /// Which of `ids` stand in the delivery store already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn known_deliveries(&self, ids: &[DeliveryId]) -> Result<HashSet<DeliveryId>, Error> {
        let mut known = HashSet::new();
        for part in ids.chunks(1024) {
            let find = delivery::Entity::find().select_only().column(delivery::Column::Id);
            let ids = filled(part).into_iter().map(|id| id.0);
            let found: Vec<Uuid> = find.filter(delivery::Column::Id.is_in(ids)).into_tuple().all(&self.0.read).await?;
            known.extend(found.into_iter().map(DeliveryId));
        }
        Ok(known)
    }

    /// Records where deliveries stand now, in one commit. A delivery that came to its end is not touched again. The tries
    /// before the latest are kept as attempts. `new` are those the delivery store has not seen, as far as the caller knows: they are
    /// written without looking, which costs half; should one be there all the same, everything is written with looking. `of`: what
    /// became of recipients of any of them.
    ///
    /// # Errors
    /// When the database fails; then nothing was recorded.
    pub async fn record_deliveries(&self, new: &[Delivery], known: &[Delivery], of: &[Recipient], now: Timestamp) -> Result<(), Error> {
        if !new.is_empty() {
            let transaction = self.begin().await?;
            match write(&transaction, new, known, of, now).await {
                Ok(()) => return transaction.commit().await,
                Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => transaction.rollback().await?,
                Err(error) => return Err(error.into()),
            }
        }
        let transaction = self.begin().await?;
        write(&transaction, &[], known, of, now).await?;
        write(&transaction, &[], new, &[], now).await?;
        transaction.commit().await
    }

    /// Whose lanes have deliveries waiting in a queue's partition: subscriptions and replays. Found by steps through the index, so what
    /// it costs depends on how many they are, not on how much waits for each.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waiting_owners(&self, queue: QueueId, partition: u32) -> Result<Vec<Uuid>, Error> {
        const NEXT: &str = "SELECT d.lane_id FROM delivery d WHERE d.queue_id = $1 AND d.partition = $2 AND d.state = 'waiting'";
        let sql = format!(
            "WITH RECURSIVE owner (id) AS (SELECT ({NEXT} ORDER BY d.lane_id LIMIT 1) \
             UNION ALL SELECT ({NEXT} AND d.lane_id > owner.id ORDER BY d.lane_id LIMIT 1) FROM owner WHERE owner.id IS NOT NULL) \
             SELECT id FROM owner WHERE id IS NOT NULL"
        );
        let values = [queue.0.into(), i32::try_from(partition).unwrap_or(0).into()];
        let rows = self.0.read.query_all_raw(self.statement(&sql, values)).await?;
        Ok(rows.iter().map(|row| row.try_get("", "id")).collect::<Result<_, _>>()?)
    }

    /// Deliveries of a queue's partition that are due, of each of these owners of lanes up to so many, longest due first; of events up to
    /// the outbox position `reached`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn due_deliveries(
        &self,
        (queue, partition): (QueueId, u32),
        owners: &[(Uuid, usize)],
        now: Timestamp,
        reached: i64,
    ) -> Result<Vec<Delivery>, Error> {
        let mut due = Vec::new();
        for some in owners.chunks(DUE_OWNERS) {
            let mut values: Vec<Value> =
                vec![queue.0.into(), i32::try_from(partition).unwrap_or(0).into(), micros(now).into(), reached.into()];
            let mut parts = Vec::with_capacity(DUE_OWNERS);
            // Always as many, so that there is one statement to be prepared.
            for at in 0..DUE_OWNERS {
                let (owner, room) = some.get(at).copied().unwrap_or((Uuid::nil(), 0));
                values.extend([owner.into(), i64::try_from(room).unwrap_or(i64::MAX).into()]);
                // The state stands in the text: a planner takes a partial index only for a condition it can read.
                parts.push(format!(
                    "SELECT * FROM (SELECT * FROM delivery WHERE queue_id = $1 AND partition = $2 AND state = 'waiting' AND lane_id = ${} \
                     AND next_attempt_at <= $3 AND position <= $4 ORDER BY next_attempt_at LIMIT ${}) AS d{at}",
                    values.len() - 1,
                    values.len()
                ));
            }
            due.extend(self.rows(&self.0.read, &parts.join(" UNION ALL "), values).await?);
        }
        Ok(due)
    }

    pub(crate) async fn rows(&self, conn: &DatabaseConnection, sql: &str, values: Vec<Value>) -> Result<Vec<Delivery>, Error> {
        delivery::Entity::find().from_raw_sql(self.statement(sql, values)).all(conn).await?.into_iter().map(parse).collect()
    }

    /// Notes deliveries that are owed and due, or behind others of their lane; those that are known are left as they are.
    ///
    /// # Errors
    /// When the database fails; then nothing was noted.
    pub async fn enqueue(&self, deliveries: Vec<Delivery>, now: Timestamp) -> Result<(), Error> {
        let transaction = self.begin().await?;
        self.enqueue_within(&transaction, deliveries, now).await?;
        transaction.commit().await
    }

    /// [`Store::enqueue`] within a transaction.
    pub(crate) async fn enqueue_within(
        &self,
        transaction: &DatabaseTransaction,
        deliveries: Vec<Delivery>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let lanes: Vec<_> = deliveries.iter().map(|one| (one.lane(), one.key.clone())).collect();
        let waiting = self.waiting_lanes(&lanes).await?;
        let mut rows = Vec::with_capacity(deliveries.len());
        for mut one in deliveries {
            one.next_attempt_at = (!waiting.contains(&(one.lane(), one.key.clone()))).then_some(now);
            rows.push(row(&one, now).into_active_model());
        }
        let known = OnConflict::column(delivery::Column::Id).do_nothing().to_owned();
        for part in parts(rows) {
            delivery::Entity::insert_many(part).on_conflict(known.clone()).exec_without_returning(transaction).await?;
        }
        Ok(())
    }
}
