//! Years of history, written straight into the database: events with their business transactions and deliveries.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};

use crate::gateway::{Database, Setup};

/// The type of these events.
pub const KIND: &str = "old.happened";
/// The operation of their business transactions.
pub const OPERATION: &str = "old";

/// What to write.
#[derive(Debug, Clone, Copy)]
pub struct History {
    /// Events; each has a business transaction.
    pub events: usize,
    /// How old the oldest is, in days.
    pub oldest: usize,
    /// How old the youngest is, in days; the others are evenly between.
    pub youngest: usize,
    /// Days before which events have a finished delivery no more.
    pub delivered: usize,
    /// Every so many of the deliveries is a dead letter; 0: none.
    pub dead_every: usize,
    /// Bytes of an event's message and of a business transaction's record.
    pub bytes: usize,
}

/// Ordering keys and objects of the events.
const KEYS: usize = 1_000;

/// Runs a statement on the gateway's database.
pub async fn execute(setup: &Setup, sql: &str) {
    let statement = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
    match &setup.database_url {
        Some(url) => {
            let mut connection = PgConnection::connect(url).await.expect("a connection");
            connection.execute(statement).await.expect(sql);
        }
        None => {
            let url = format!("sqlite://{}", setup.data_dir().join("billwire.db").display());
            let mut connection = SqliteConnection::connect(&url).await.expect("a connection");
            connection.execute(statement).await.expect(sql);
            connection.close().await.expect("closed");
        }
    }
}

/// Writes the history into the database of a gateway that has run and is stopped.
pub async fn write(setup: &Setup, history: History) {
    let database = if setup.database_url.is_some() { Database::Postgres } else { Database::Sqlite };
    for statement in statements(database, history) {
        execute(setup, &statement).await;
    }
}

fn statements(database: Database, of: History) -> [String; 4] {
    let events = of.events;
    let (numbers, now) = match database {
        Database::Sqlite => (
            format!("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {events})"),
            "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
        ),
        Database::Postgres => {
            (format!("WITH n (i) AS (SELECT generate_series(1, {events}))"), "CAST(extract(epoch FROM now()) * 1000000 AS BIGINT)")
        }
    };
    // Ids of version 7, of the event's time.
    let id = |millis: &str| match database {
        Database::Sqlite => {
            format!("CAST(unhex(printf('%012x7', {millis}) || substr(hex(randomblob(2)), 1, 3)) || randomblob(8) AS BLOB)")
        }
        Database::Postgres => format!(
            "CAST(lpad(to_hex({millis}), 12, '0') || '7' || substr(md5(CAST(random() AS text)), 1, 3) || \
             substr(md5(CAST(random() AS text)), 1, 16) AS uuid)"
        ),
    };
    // Ids of version 8, which begin as the event's.
    let delivery_id = match database {
        Database::Sqlite => {
            "CAST(substr(e.id, 1, 6) || unhex('8' || substr(hex(e.id), 14, 3)) || x'80' || randomblob(7) AS BLOB)".to_owned()
        }
        Database::Postgres => {
            let hex = "replace(CAST(e.id AS text), '-', '')";
            format!(
                "CAST(substr({hex}, 1, 12) || '8' || substr({hex}, 14, 3) || '8' || substr(md5(CAST(random() AS text)), 1, 15) AS uuid)"
            )
        }
    };
    let day = "CAST(86400000000 AS BIGINT)";
    let at = format!("{now} - {} * {day} + i * (({} - {}) * {day} / {events})", of.oldest, of.oldest, of.youngest);
    let body = format!("'{{\"x\":\"{}\"}}'", "x".repeat(of.bytes.saturating_sub(8)));
    let state = match of.dead_every {
        0 => "'succeeded'".to_owned(),
        every => format!("CASE WHEN e.position % {every} = 0 THEN 'dead' ELSE 'succeeded' END"),
    };
    [
        format!(
            "CREATE TABLE old_number (i BIGINT PRIMARY KEY, at BIGINT NOT NULL); INSERT INTO old_number {numbers} SELECT i, {at} FROM n"
        ),
        format!(
            "INSERT INTO business_transaction (id, tenant, operation, occurred_at, object_id, body) \
             SELECT {}, 'default', '{OPERATION}', at, CAST(i AS TEXT), {body} FROM old_number ORDER BY i",
            id("at / 1000")
        ),
        format!(
            "INSERT INTO event (id, tenant, ordering_key, sequence, kind, object_id, transaction_id, occurred_at, recorded_at, body) \
             SELECT {}, 'default', 'old-' || (n.i % {KEYS}), n.i, '{KIND}', 'old-' || (n.i % {KEYS}), t.id, n.at, n.at, {body} \
             FROM business_transaction t JOIN old_number n ON n.i = CAST(t.object_id AS BIGINT) WHERE t.operation = '{OPERATION}' ORDER BY n.i",
            id("n.at / 1000")
        ),
        format!(
            "INSERT INTO delivery (id, tenant, event_id, event_type, queue_id, slot, subscription_id, lane_id, ordering_key, sequence, position, \
             state, attempts, forgiven, last_detail, last_latency_us, created_at, updated_at) SELECT {delivery_id}, 'default', e.id, e.kind, e.id, 0, \
             e.id, e.id, e.ordering_key, e.sequence, e.position, {state}, 1, 0, 'x', 1, e.occurred_at, e.occurred_at FROM event e \
             WHERE e.kind = '{KIND}' AND e.occurred_at >= {now} - {} * {day}; DROP TABLE old_number",
            of.delivered
        ),
    ]
}
