//! What a gateway has left to do: unpublished events, messages that its consumers have not acknowledged, waiting deliveries.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use async_nats::jetstream;
use futures::TryStreamExt;
use sqlx::{PgPool, Row, SqlitePool};

use crate::{
    PATIENCE,
    gateway::{Setup, nats_client},
};

/// Where a gateway's database and stream are.
#[derive(Clone)]
pub struct Places {
    database: String,
    nats: Option<String>,
    data_dir: PathBuf,
}

impl Places {
    pub fn of(setup: &Setup) -> Self {
        let data_dir = setup.data_dir();
        let database = setup.database_url.clone().unwrap_or_else(|| format!("sqlite://{}", data_dir.join("billwire.db").display()));
        let nats = setup.environment.iter().find(|(name, _)| name == "BILLWIRE_NATS_URL").map(|(_, url)| url.clone());
        Self { database, nats, data_dir }
    }

    async fn count(&self, sql: &'static str) -> u64 {
        let count: i64 = if self.database.starts_with("sqlite:") {
            let pool = SqlitePool::connect(&self.database).await.expect("the database");
            let row = sqlx::query(sql).fetch_one(&pool).await.expect("a count");
            pool.close().await;
            row.get(0)
        } else {
            let pool = PgPool::connect(&self.database).await.expect("the database");
            let row = sqlx::query(sql).fetch_one(&pool).await.expect("a count");
            pool.close().await;
            row.get(0)
        };
        count.try_into().expect("a count")
    }

    /// Messages that the stream's durable consumers have not read or not acknowledged; `None` while there is no stream yet.
    async fn unacknowledged(&self) -> Option<u64> {
        let private = || std::fs::read_to_string(self.data_dir.join("nats/url")).expect("a URL").trim().to_owned();
        let client = nats_client(&self.nats.clone().unwrap_or_else(private)).await;
        let stream = jetstream::new(client).get_stream("BILLING").await.ok()?;
        let consumers: Vec<jetstream::consumer::Info> = stream.consumers().try_collect().await.ok()?;
        // How far a stream subscription is read is its subscriber's business.
        let own = |name: &String| !name.starts_with("stream-");
        let durable = consumers.iter().filter(|consumer| consumer.config.durable_name.as_ref().is_some_and(own));
        Some(durable.map(|consumer| consumer.num_pending + consumer.num_ack_pending as u64).sum())
    }

    /// Waits until nothing is left to do, for at most [`PATIENCE`]; otherwise panics and says what is left.
    pub async fn settled(&self) {
        let until = Instant::now() + PATIENCE;
        // An event moves from the outbox over the stream to its deliveries, which may cause events: one look could miss it.
        let mut empty = 0;
        while empty < 2 {
            let unpublished = self.count("SELECT COUNT(*) FROM outbox").await;
            let unacknowledged = self.unacknowledged().await;
            let waiting = self.count("SELECT COUNT(*) FROM delivery WHERE state = 'waiting'").await;
            empty = if unpublished + waiting == 0 && unacknowledged == Some(0) { empty + 1 } else { 0 };
            assert!(
                empty > 0 || Instant::now() < until,
                "left after {} s: {unpublished} unpublished events, {unacknowledged:?} messages not acknowledged, {waiting} waiting deliveries",
                PATIENCE.as_secs()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
