//! Table `replay`: events of a past window, delivered to a subscription once more.

use std::collections::HashMap;

use billwire_schemas::{
    clock::Timestamp,
    delivery::Delivery,
    ids::{ReplayId, SubscriptionId, TenantId},
};
use sea_orm::{ConnectionTrait, QueryResult, Value};
use uuid::Uuid;

use crate::{
    Error, Store, Tx, Unpublished,
    batching::filled,
    delivery::deliveries::OPEN,
    micros, moment,
    outbox::{self, COLUMNS},
    page::{After, Page, PageRequest},
};

/// The state of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The worker is looking for its events.
    Collecting,
    /// All its deliveries are stored.
    Collected,
    /// A person cancelled it.
    Cancelled,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Collecting => "collecting",
            Self::Collected => "collected",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// Its id.
    pub id: ReplayId,
    /// The tenant.
    pub tenant: TenantId,
    /// The subscription it delivers to.
    pub subscription: SubscriptionId,
    /// The start of the window, inclusive.
    pub from: Timestamp,
    /// The end of the window, exclusive.
    pub to: Timestamp,
    /// Only events of these types; empty: of all.
    pub event_types: Vec<String>,
    /// Whether it only counts.
    pub dry_run: bool,
    /// Its state.
    pub state: State,
    /// The outbox position up to which events were examined.
    pub cursor: i64,
    /// The last outbox position when it was created.
    pub last_position: i64,
    /// Events examined.
    pub looked_at: u64,
    /// How many of them match the subscription.
    pub matched: u64,
    /// When it was created.
    pub created_at: Timestamp,
}

/// Replays that are looked at in one round.
const COLLECTING_MAX: usize = 100;

/// The deliveries of a replay, by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Waiting.
    pub waiting: u64,
    /// Given up.
    pub dead: u64,
    /// Discarded.
    pub discarded: u64,
}

/// The text equals the index's condition.
const GIVEN_UP: &str = "state IN ('dead', 'blocking', 'discarded')";

fn corrupt(detail: impl ToString) -> Error {
    Error::Corrupt { table: "replay", detail: detail.to_string() }
}

fn read(row: &QueryResult) -> Result<Replay, Error> {
    let text = |column: &str| row.try_get::<String>("", column);
    let whole = |column: &str| row.try_get::<i64>("", column);
    let (tenant, state) = (text("tenant")?, text("state")?);
    Ok(Replay {
        id: ReplayId(row.try_get("", "id")?),
        tenant: tenant.parse().map_err(|_| corrupt(tenant))?,
        subscription: SubscriptionId(row.try_get("", "subscription_id")?),
        from: moment(whole("from_at")?),
        to: moment(whole("to_at")?),
        event_types: serde_json::from_str(&text("event_types")?).map_err(corrupt)?,
        dry_run: row.try_get("", "dry_run")?,
        state: [State::Collecting, State::Collected, State::Cancelled]
            .into_iter()
            .find(|known| known.name() == state)
            .ok_or_else(|| corrupt(&state))?,
        cursor: whole("cursor")?,
        last_position: whole("last_position")?,
        looked_at: u64::try_from(whole("looked_at")?).unwrap_or(0),
        matched: u64::try_from(whole("matched")?).unwrap_or(0),
        created_at: moment(whole("created_at")?),
    })
}

impl Tx<'_> {
    /// Stores a new replay over the events of its window so far. Gives it as stored.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn start_replay(&mut self, new: Replay) -> Result<Replay, Error> {
        // Found by the index on time; positions follow nearly the same order.
        let sql = "SELECT CAST(COALESCE(MIN(position), 1) AS BIGINT) AS first, CAST(COALESCE(MAX(position), 0) AS BIGINT) AS last FROM event \
                   WHERE tenant = $1 AND occurred_at >= $2 AND occurred_at < $3";
        let rows = self.query(sql, vec![new.tenant.as_str().into(), micros(new.from).into(), micros(new.to).into()]).await?;
        let (first, last): (i64, i64) = match rows.first() {
            Some(row) => (row.try_get("", "first")?, row.try_get("", "last")?),
            None => (1, 0),
        };
        let replay = Replay { cursor: first - 1, last_position: last, ..new };
        let types = serde_json::to_string(&replay.event_types).map_err(corrupt)?;
        // Not if events of the window were purged since the caller looked: the purge waits for this row, or this statement for the purge.
        let sql = "INSERT INTO replay (id, tenant, subscription_id, from_at, to_at, event_types, dry_run, state, cursor, last_position, looked_at, \
                   matched, created_at) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, $11 WHERE NOT EXISTS \
                   (SELECT 1 FROM purge WHERE tenant = $2 AND kind = 'events' AND deleted_before > $4) RETURNING id";
        let values: Vec<Value> = vec![
            replay.id.0.into(),
            replay.tenant.as_str().into(),
            replay.subscription.0.into(),
            micros(replay.from).into(),
            micros(replay.to).into(),
            types.into(),
            replay.dry_run.into(),
            replay.state.name().into(),
            replay.cursor.into(),
            replay.last_position.into(),
            micros(replay.created_at).into(),
        ];
        if self.write(sql, values).await?.is_empty() {
            return Err(Error::Contention("events of the window were purged meanwhile".into()));
        }
        Ok(replay)
    }

    /// One replay.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn replay(&self, id: ReplayId) -> Result<Option<Replay>, Error> {
        let sql = "SELECT * FROM replay WHERE id = $1 AND tenant = $2";
        let rows = self.query(sql, vec![id.0.into(), self.tenant().as_str().into()]).await?;
        rows.first().map(read).transpose()
    }

    /// Cancels a replay and discards its open deliveries.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cancel_replay(&mut self, id: ReplayId, now: Timestamp) -> Result<(), Error> {
        self.write("UPDATE replay SET state = 'cancelled' WHERE id = $1 RETURNING id", vec![id.0.into()]).await?;
        let sql = format!(
            "UPDATE delivery SET state = 'discarded', next_attempt_at = NULL, last_detail = 'the replay was cancelled', updated_at = $2 \
             WHERE lane_id = $1 AND {OPEN} RETURNING id"
        );
        self.write(&sql, vec![id.0.into(), micros(now).into()]).await?;
        Ok(())
    }
}

impl Store {
    /// One replay.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn replay(&self, tenant: &TenantId, id: ReplayId) -> Result<Option<Replay>, Error> {
        let values = [id.0.into(), tenant.as_str().into()];
        let row = self.0.read.query_one_raw(self.statement("SELECT * FROM replay WHERE id = $1 AND tenant = $2", values)).await?;
        row.as_ref().map(read).transpose()
    }

    /// A page of replays, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_replays(&self, tenant: &TenantId, page_request: PageRequest) -> Result<Page<Replay>, Error> {
        let mut values: Vec<Value> = vec![tenant.as_str().into(), i64::try_from(page_request.limit + 1).unwrap_or(i64::MAX).into()];
        let mut after = "";
        if let Some(last) = page_request.after {
            values.extend([last.sort.into(), last.id.into()]);
            after = "AND (created_at, id) < ($3, $4)";
        }
        let sql = format!("SELECT * FROM replay WHERE tenant = $1 {after} ORDER BY created_at DESC, id DESC LIMIT $2");
        let rows = self.0.read.query_all_raw(self.statement(&sql, values)).await?;
        let rows = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Page::cut(rows, page_request, |row| After { sort: micros(row.created_at), id: row.id.0 }, Ok)
    }

    /// The deliveries of replays, by state; one without an entry has none that waits or was given up.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tallies(&self, ids: &[ReplayId]) -> Result<HashMap<ReplayId, Tally>, Error> {
        let mut found: HashMap<ReplayId, Tally> = HashMap::new();
        for some in ids.chunks(256) {
            let some = filled(some);
            let marks: Vec<String> = (1..=some.len()).map(|n| format!("${n}")).collect();
            // In two parts, each of which an index has.
            let count = |condition: &str, only: &str| {
                let marks = marks.join(", ");
                format!(
                    "SELECT lane_id, state, COUNT(*) AS count FROM delivery WHERE lane_id IN ({marks}) AND {condition} AND {only} \
                     GROUP BY lane_id, state"
                )
            };
            let sql = format!("{} UNION ALL {}", count(OPEN, "state = 'waiting'"), count(GIVEN_UP, "TRUE"));
            for row in self.0.read.query_all_raw(self.statement(&sql, some.iter().map(|id| Value::from(id.0)))).await? {
                let (id, state, count): (Uuid, String, i64) =
                    (row.try_get("", "lane_id")?, row.try_get("", "state")?, row.try_get("", "count")?);
                let (tally, count) = (found.entry(ReplayId(id)).or_default(), u64::try_from(count).unwrap_or(0));
                match state.as_str() {
                    "waiting" => tally.waiting += count,
                    "discarded" => tally.discarded += count,
                    _ => tally.dead += count,
                }
            }
        }
        Ok(found)
    }

    /// Whether at least so many deliveries of a replay wait.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_waiting(&self, id: ReplayId, least: u64) -> Result<bool, Error> {
        let last = least.saturating_sub(1);
        let sql = format!("SELECT 1 AS one FROM delivery WHERE lane_id = $1 AND {OPEN} AND state = 'waiting' LIMIT 1 OFFSET {last}");
        Ok(self.0.read.query_one_raw(self.statement(&sql, [id.0.into()])).await?.is_some())
    }

    /// Replays whose events are still being collected: the first of each tenant, then the second of each, and so on, up to [`COLLECTING_MAX`]. However
    /// many a tenant has, those of others are among them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn collecting_replays(&self) -> Result<Vec<Replay>, Error> {
        let sql = format!(
            "SELECT * FROM (SELECT replay.*, ROW_NUMBER() OVER (PARTITION BY tenant ORDER BY id) AS n FROM replay WHERE state = 'collecting') AS r \
             ORDER BY n, id LIMIT {COLLECTING_MAX}"
        );
        self.0.read.query_all_raw(self.statement(&sql, [])).await?.iter().map(read).collect()
    }

    /// The next events of a replay's window, in the order of the outbox.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events_to_replay(&self, replay: &Replay, limit: u64) -> Result<Vec<Unpublished>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM event e WHERE e.position > $1 AND e.position <= $2 AND e.tenant = $3 AND e.occurred_at >= $4 \
             AND e.occurred_at < $5 ORDER BY e.position LIMIT {limit}"
        );
        let values: [Value; 5] = [
            replay.cursor.into(),
            replay.last_position.into(),
            replay.tenant.as_str().into(),
            micros(replay.from).into(),
            micros(replay.to).into(),
        ];
        let rows = self.0.read.query_all_raw(self.statement(&sql, values)).await?;
        rows.iter().map(outbox::read).collect()
    }

    /// Stores the deliveries of the events that a replay has examined, and how far it has got: both or none. A replay that was cancelled
    /// meanwhile gets no more deliveries.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn advance_replay(&self, replay: &Replay, deliveries: Vec<Delivery>, in_order: bool, now: Timestamp) -> Result<(), Error> {
        let transaction = self.begin().await?;
        let sql = "UPDATE replay SET cursor = $1, looked_at = $2, matched = $3, state = $4 WHERE id = $5 AND state = 'collecting'";
        let whole = |number: u64| Value::from(i64::try_from(number).unwrap_or(i64::MAX));
        let values = [replay.cursor.into(), whole(replay.looked_at), whole(replay.matched), replay.state.name().into(), replay.id.0.into()];
        let went_on = transaction.execute_raw(self.statement(sql, values)).await?.rows_affected();
        if went_on == 1 && !deliveries.is_empty() {
            self.enqueue_within(&transaction, deliveries, in_order, now).await?;
        }
        transaction.commit().await?;
        self.report_enqueued();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use billwire_schemas::ids::fresh;

    use super::*;
    use crate::transaction::tests::store;

    #[tokio::test]
    async fn a_tenants_many_replays_do_not_hide_those_of_others() {
        let (store, folder) = store().await;
        let add = async |tenant: &str, count: usize| {
            for _ in 0..count {
                let sql = "INSERT INTO replay (id, tenant, subscription_id, from_at, to_at, event_types, dry_run, state, cursor, last_position, looked_at, \
                           matched, created_at) VALUES ($1, $2, $3, 0, 1, '[]', FALSE, 'collecting', 0, 0, 0, 0, 0)";
                let values = [fresh().into(), tenant.into(), fresh().into()];
                store.0.write.execute_raw(store.statement(sql, values)).await.expect("a row");
            }
        };
        add("many", COLLECTING_MAX + 20).await;
        add("few", 2).await;
        let found = store.collecting_replays().await.expect("replays");
        assert_eq!(found.len(), COLLECTING_MAX);
        let tenants: Vec<&str> = found.iter().map(|replay| replay.tenant.as_str()).collect();
        assert_eq!(tenants[..5], ["many", "few", "many", "few", "many"]);
        let _ = std::fs::remove_dir_all(folder);
    }
}
