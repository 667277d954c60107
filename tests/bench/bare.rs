//! Baselines: the same SQL without the gateway, acknowledged publishing alone.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::{HeaderMap, Request, jetstream};
use billwire_schemas::ids::Slot;
use billwire_tests::{
    gateway::{Setup, nats_client},
    receiver::Receiver,
};
use bytes::Bytes;
use futures::StreamExt;
use sqlx::{
    Executor, Row,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use uuid::Uuid;

use crate::posts;

/// The SQL of one `updateAccountBillCycle`, one transaction per operation, without HTTP, rules or JSON: the same statements on the
/// same tables, with bodies of the same size. Returns transactions per second.
pub async fn sql(setup: &Setup, accounts: &Arc<Vec<String>>, cycles: &Arc<Vec<String>>, connections: usize, run: Duration) -> f64 {
    match &setup.database_url {
        Some(url) => postgres(url, accounts, cycles, connections, run).await,
        None => sqlite(&setup.data_dir().join("billwire.db"), accounts, cycles, connections, run).await,
    }
}

const LOCK: &str = "INSERT INTO ordering_key (tenant, key, last_sequence) VALUES ('default', $1, 0)
    ON CONFLICT (tenant, key) DO UPDATE SET last_sequence = ordering_key.last_sequence RETURNING last_sequence";
const ACCOUNT: &str = "SELECT body, version FROM account WHERE id = $1";
const CYCLE: &str = "SELECT body FROM bill_cycle WHERE id = $1";
const SAVE: &str = "UPDATE account SET version = $1, body = $2 WHERE id = $3 AND version = $4";
const TRANSACTION: &str = "INSERT INTO business_transaction (id, tenant, operation, account_id, occurred_at, body)
    VALUES ($1, 'default', 'updateAccountBillCycle', $2, 0, $3)";
const EVENTS: &str = "INSERT INTO event (id, tenant, ordering_key, sequence, kind, object_id, transaction_id, recorded_at, occurred_at, body)
    VALUES ($1, 'default', $2, $3, 'account.updated', $2, $4, 0, 0, $5), ($6, 'default', $2, $7, 'account.bill_cycle_changed', $2, $4, 0, 0, $5)";
const OUTBOX: &str = "INSERT INTO outbox (position) SELECT position FROM event WHERE transaction_id = $1";
const ADVANCE: &str = "UPDATE ordering_key SET last_sequence = $1 WHERE tenant = 'default' AND key = $2";

macro_rules! operation {
    ($connection:expr, $account:expr, $cycle:expr, $reply:expr, $event:expr) => {{
        let (account, key) = ($account, $account.to_string());
        let sequence: i64 = sqlx::query(LOCK).bind(&key).fetch_one(&mut *$connection).await.unwrap().get(0);
        let row = sqlx::query(ACCOUNT).bind(account).fetch_one(&mut *$connection).await.unwrap();
        let (body, version): (String, i64) = (row.get(0), row.get(1));
        sqlx::query(CYCLE).bind($cycle).fetch_one(&mut *$connection).await.unwrap();
        sqlx::query(SAVE).bind(version + 1).bind(body).bind(account).bind(version).execute(&mut *$connection).await.unwrap();
        let id = Uuid::now_v7();
        sqlx::query(TRANSACTION).bind(id).bind(account).bind($reply).execute(&mut *$connection).await.unwrap();
        sqlx::query(EVENTS)
            .bind(Uuid::now_v7())
            .bind(&key)
            .bind(sequence + 1)
            .bind(id)
            .bind($event)
            .bind(Uuid::now_v7())
            .bind(sequence + 2)
            .execute(&mut *$connection)
            .await
            .unwrap();
        sqlx::query(OUTBOX).bind(id).execute(&mut *$connection).await.unwrap();
        sqlx::query(ADVANCE).bind(sequence + 2).bind(&key).execute(&mut *$connection).await.unwrap();
    }};
}

/// Sizes of the reply and the event of the measured operation.
fn bodies() -> (String, String) {
    ("r".repeat(1400), "e".repeat(2200))
}

macro_rules! drive {
    ($pool:expr, $begin:expr, $accounts:expr, $cycles:expr, $connections:expr, $run:expr) => {{
        let accounts: Arc<Vec<Uuid>> = Arc::new($accounts.iter().map(|a| a.parse().unwrap()).collect());
        let cycles: Arc<Vec<Uuid>> = Arc::new($cycles.iter().map(|c| c.parse().unwrap()).collect());
        let until = Instant::now() + $run;
        let workers: Vec<_> = (0..$connections)
            .map(|worker| {
                let (pool, accounts, cycles) = ($pool.clone(), accounts.clone(), cycles.clone());
                tokio::spawn(async move {
                    let (reply, event) = bodies();
                    let (mut done, mut n) = (0u64, worker * 7919);
                    while Instant::now() < until {
                        n += 1;
                        let mut connection = pool.acquire().await.unwrap();
                        connection.execute($begin).await.unwrap();
                        operation!(connection, accounts[(n * 31) % accounts.len()], cycles[n % 2], reply.as_str(), event.as_str());
                        connection.execute("COMMIT").await.unwrap();
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        let mut done = 0;
        for worker in workers {
            done += worker.await.unwrap();
        }
        done as f64 / $run.as_secs_f64()
    }};
}

/// How long one statement takes that sums up all charges by account and type and changes each of them as a bill run does: it goes from one
/// of the two partial indexes to the other. Run after the bill run, it takes the charges off their invoices.
pub async fn aggregation(setup: &Setup) -> Duration {
    let sql = "WITH marked AS (UPDATE chargeable_event SET invoice_id = NULL, status = 'unbilled', version = version + 1
                   WHERE invoice_id IS NOT NULL RETURNING account_id, kind, net_amount)
               SELECT account_id, kind, COUNT(*), SUM(net_amount) FROM marked GROUP BY account_id, kind";
    let pool = PgPoolOptions::new().connect(setup.database_url.as_deref().expect("PostgreSQL")).await.unwrap();
    let began = Instant::now();
    let sums = pool.fetch_all(sql).await.unwrap();
    assert!(!sums.is_empty());
    let took = began.elapsed();
    pool.close().await;
    took
}

/// Charges per bulk, and rows per statement.
const BULK: usize = 1000;
const ROWS: usize = 250;

/// `($1, $2), ($3, $4)`: placeholders that both databases accept.
fn marks(columns: usize) -> String {
    let row = |r: usize| format!("({})", (1..=columns).map(|c| format!("${}", r * columns + c)).collect::<Vec<_>>().join(", "));
    (0..ROWS).map(row).collect::<Vec<_>>().join(", ")
}

macro_rules! charges {
    ($pool:expr, $begin:expr, $accounts:expr, $calls:expr, $total:expr) => {{
        let average = async |table: &str| -> usize {
            let sql = format!("SELECT CAST(AVG(LENGTH(body)) AS BIGINT) FROM {table}");
            sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(&$pool).await.unwrap().get::<i64, _>(0) as usize
        };
        let (charge, transaction, event) = (
            "c".repeat(average("chargeable_event").await),
            "t".repeat(average("business_transaction").await),
            "e".repeat(average("event").await),
        );
        let next = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let began = Instant::now();
        let workers: Vec<_> = (0..$calls)
            .map(|_| {
                let (pool, accounts, next) = ($pool.clone(), $accounts.clone(), next.clone());
                let (charge, transaction, event) = (charge.clone(), transaction.clone(), event.clone());
                tokio::spawn(async move {
                    let insert = |table: &str, columns: &str| {
                        let count = columns.split(',').count();
                        sqlx::AssertSqlSafe(format!("INSERT INTO {table} ({columns}) VALUES {}", marks(count)))
                    };
                    loop {
                        let from = next.fetch_add(BULK, std::sync::atomic::Ordering::Relaxed);
                        if from >= $total {
                            return;
                        }
                        let mut connection = pool.acquire().await.unwrap();
                        connection.execute($begin).await.unwrap();
                        for part in (from..from + BULK).step_by(ROWS) {
                            let ids: Vec<(Uuid, Uuid, Uuid, Uuid)> = (part..part + ROWS)
                                .map(|n| (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7(), accounts[n % accounts.len()]))
                                .collect();
                            let sql = insert(
                                "chargeable_event",
                                "id, tenant, version, account_id, status, created_at, kind, occurred_at, net_amount, search, body",
                            );
                            let mut query = sqlx::query(sql);
                            for (id, _, _, account) in &ids {
                                query = query.bind(id).bind("default").bind(1i64).bind(account).bind("unbilled").bind(0i64).bind("data");
                                query = query.bind(0i64).bind(1i64).bind("data").bind(&charge);
                            }
                            query.execute(&mut *connection).await.unwrap();
                            let sql = insert("business_transaction", "id, tenant, operation, account_id, occurred_at, body");
                            let mut query = sqlx::query(sql);
                            for (_, id, _, account) in &ids {
                                query = query.bind(id).bind("default").bind("recordChargeableEvents").bind(account).bind(0i64);
                                query = query.bind(&transaction);
                            }
                            query.execute(&mut *connection).await.unwrap();
                            let sql = insert(
                                "event",
                                "id, tenant, ordering_key, sequence, kind, object_id, transaction_id, recorded_at, occurred_at, body",
                            );
                            let mut query = sqlx::query(sql);
                            for (n, (object, id, own, account)) in ids.iter().enumerate() {
                                let sequence = 1_000_000_000 + (part + n) as i64;
                                query = query.bind(own).bind("default").bind(account.to_string()).bind(sequence);
                                query = query.bind("chargeable_event.created").bind(object.to_string()).bind(id).bind(0i64);
                                query = query.bind(0i64).bind(&event);
                            }
                            query.execute(&mut *connection).await.unwrap();
                            let list = (1..=ROWS).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
                            let sql = format!("INSERT INTO outbox (position) SELECT position FROM event WHERE transaction_id IN ({list})");
                            let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
                            for (_, id, ..) in &ids {
                                query = query.bind(id);
                            }
                            query.execute(&mut *connection).await.unwrap();
                        }
                        connection.execute("COMMIT").await.unwrap();
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.await.unwrap();
        }
        $total as f64 / began.elapsed().as_secs_f64()
    }};
}

async fn postgres(url: &str, accounts: &Arc<Vec<String>>, cycles: &Arc<Vec<String>>, connections: usize, run: Duration) -> f64 {
    let pool = PgPoolOptions::new().max_connections(connections as u32).test_before_acquire(false).connect(url).await.unwrap();
    drive!(pool, "BEGIN", accounts, cycles, connections, run)
}

async fn sqlite(path: &std::path::Path, accounts: &Arc<Vec<String>>, cycles: &Arc<Vec<String>>, connections: usize, run: Duration) -> f64 {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(10));
    // SQLite allows one writer; the others wait for the connection instead of spinning on its lock.
    let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(60)).connect_with(options).await.unwrap();
    drive!(pool, "BEGIN IMMEDIATE", accounts, cycles, connections, run)
}

/// Acknowledged messages per second into a stream like the gateway's: pipelined one by one, and in atomic batches of `batch`.
pub async fn jetstream(url: &str, batch: usize) -> (f64, f64) {
    const MESSAGES: usize = 20_000;
    let client = nats_client(url).await;
    let context = jetstream::context::ContextBuilder::new().max_ack_inflight(1000).backpressure_on_inflight(true).build(client.clone());
    let config = jetstream::stream::Config {
        name: "BARE".into(),
        subjects: vec!["bare.>".into()],
        allow_atomic_publish: true,
        ..Default::default()
    };
    context.create_stream(config).await.unwrap();
    let body = Bytes::from(vec![b'x'; 2200]);
    let began = Instant::now();
    for _ in 0..MESSAGES / 1000 {
        let mut acks = Vec::with_capacity(1000);
        for _ in 0..1000 {
            acks.push(context.publish("bare.one", body.clone()).await.unwrap());
        }
        for ack in acks {
            ack.await.unwrap();
        }
    }
    let plain = MESSAGES as f64 / began.elapsed().as_secs_f64();
    let began = Instant::now();
    for n in 0..MESSAGES / batch {
        for i in 1..=batch {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Batch-Id", format!("b{n}").as_str());
            headers.insert("Nats-Batch-Sequence", i.to_string().as_str());
            if i < batch {
                client.publish_with_headers("bare.many", headers, body.clone()).await.unwrap();
            } else {
                headers.insert("Nats-Batch-Commit", "1");
                client.send_request("bare.many", Request::new().headers(headers).payload(body.clone())).await.unwrap();
            }
        }
    }
    let batched = MESSAGES as f64 / began.elapsed().as_secs_f64();
    context.delete_stream("BARE").await.unwrap();
    (plain, batched)
}

/// Messages per second pulled from the gateway's stream and acknowledged without processing.
pub async fn pull(url: &str, messages: usize) -> f64 {
    let client = nats_client(url).await;
    let context = jetstream::new(client);
    let stream = context.get_stream("BILLING").await.unwrap();
    let config = jetstream::consumer::pull::Config { max_ack_pending: 10_000, ..Default::default() };
    let consumer = stream.create_consumer(config).await.unwrap();
    let mut pulled = consumer.stream().max_messages_per_batch(500).messages().await.unwrap();
    let began = Instant::now();
    for _ in 0..messages {
        pulled.next().await.unwrap().unwrap().ack().await.unwrap();
    }
    messages as f64 / began.elapsed().as_secs_f64()
}

/// Messages per second pulled from the gateway's stream, POSTed to `receiver`, recorded as a row like a delivery's, and acknowledged once
/// the row is committed: the cost of delivery without matching, signing, ordering or in-flight state (PostgreSQL).
pub async fn chain(setup: &Setup, receiver: &Receiver, at_once: usize, messages: usize) -> f64 {
    const ROWS: &str = "INSERT INTO delivery (id, tenant, event_id, event_type, queue_id, slot, subscription_id, lane_id, ordering_key,
            sequence, position, state, attempts, forgiven, last_status, last_detail, last_latency_us, last_attempt_at, created_at, updated_at)
        SELECT id, 'default', id, 'account.bill_cycle_changed', $2, 0, $2, $2, id::text, 1, 1, 'succeeded', 1, 0, 204, '', 1000, 0, 0, 0
        FROM unnest($1::uuid[]) AS id";
    let url = setup.database_url.as_ref().expect("PostgreSQL");
    let pool = PgPoolOptions::new().max_connections(1).connect(url).await.unwrap();
    let context = jetstream::new(nats_client(&setup.nats_address()).await);
    let stream = context.get_stream("BILLING").await.unwrap();
    let config = jetstream::consumer::pull::Config { max_ack_pending: 10_000, ..Default::default() };
    let consumer = stream.create_consumer(config).await.unwrap();
    let pulled = consumer.stream().max_messages_per_batch(500).messages().await.unwrap();
    let (client, url) = posts::client(receiver, 0);
    let (posted, mut to_record) = tokio::sync::mpsc::channel::<jetstream::Message>(1024);
    let began = Instant::now();
    let recorder = tokio::spawn(async move {
        let (owner, mut batch) = (Uuid::now_v7(), Vec::new());
        while to_record.recv_many(&mut batch, 512).await > 0 {
            let ids: Vec<Uuid> = batch.iter().map(|_| Uuid::now_v7()).collect();
            sqlx::query(ROWS).bind(ids).bind(owner).execute(&pool).await.unwrap();
            for message in batch.drain(..) {
                message.ack().await.unwrap();
            }
        }
    });
    pulled
        .take(messages)
        .for_each_concurrent(at_once, |message| {
            let (client, url, posted) = (client.clone(), url.clone(), posted.clone());
            let one = tokio::spawn(async move {
                let message = message.unwrap();
                client.post(&url).body(message.payload.clone()).send().await.unwrap().error_for_status().unwrap();
                posted.send(message).await.unwrap();
            });
            async move { one.await.unwrap() }
        })
        .await;
    drop(posted);
    recorder.await.unwrap();
    messages as f64 / began.elapsed().as_secs_f64()
}

async fn count(setup: &Setup, sql: &'static str) -> i64 {
    let url = setup.database_url.as_ref().expect("PostgreSQL");
    let pool = PgPoolOptions::new().max_connections(1).connect(url).await.unwrap();
    let count = sqlx::query(sql).fetch_one(&pool).await.unwrap().get(0);
    pool.close().await;
    count
}

/// Holds all slots back or releases them, by taking their leases for a placeholder owner (PostgreSQL).
pub async fn hold_slots(setup: &Setup, hold: bool) {
    let url = setup.database_url.as_ref().expect("PostgreSQL");
    let pool = PgPoolOptions::new().max_connections(1).connect(url).await.unwrap();
    let until: i64 = if hold { i64::MAX } else { 0 };
    let sql =
        "INSERT INTO lease (name, owner, fence, expires_at) VALUES ($1, 'bench', 1, $2) ON CONFLICT (name) DO UPDATE SET expires_at = $2";
    for slot in Slot::all() {
        sqlx::query(sql).bind(format!("slot-{slot}")).bind(until).execute(&pool).await.unwrap();
    }
    pool.close().await;
}

/// Number of events in written warehouse batches (PostgreSQL).
pub async fn loaded(setup: &Setup) -> i64 {
    count(setup, "SELECT COUNT(*) FROM warehouse_event e JOIN warehouse_batch b ON b.id = e.batch WHERE b.written").await
}

/// Number of events not yet published to the stream (PostgreSQL).
pub async fn outbox(setup: &Setup) -> i64 {
    count(setup, "SELECT COUNT(*) FROM outbox").await
}

/// Writes the rows of bulk charges directly: one transaction per bulk, each table in multi-row statements, with bodies of the same size
/// as the gateway's. Returns charges per second.
pub async fn charges(setup: &Setup, accounts: &Arc<Vec<String>>, calls: usize, total: usize) -> f64 {
    let accounts: Arc<Vec<Uuid>> = Arc::new(accounts.iter().map(|a| a.parse().unwrap()).collect());
    match &setup.database_url {
        Some(url) => {
            let pool = PgPoolOptions::new().max_connections(calls as u32).connect(url).await.unwrap();
            charges!(pool, "BEGIN", accounts, calls, total)
        }
        None => {
            let options = SqliteConnectOptions::new()
                .filename(setup.data_dir().join("billwire.db"))
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full);
            let pool =
                SqlitePoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(60)).connect_with(options).await.unwrap();
            charges!(pool, "BEGIN IMMEDIATE", accounts, calls, total)
        }
    }
}
