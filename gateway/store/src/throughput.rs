//! How much each tenant had in each minute. Each process counts in memory and adds to the rows now and then: what a killed process has counted
//! since is not in them. They tell people how things flow, and nothing is decided by them.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    delivery::{Delivery, DeliveryState},
    ids::TenantId,
};
use chrono::TimeDelta;
use sea_orm::{ActiveValue, ConnectionTrait};

use crate::{Error, Store, micros, moment, writes::Writes};

/// A minute, in microseconds.
const MINUTE: i64 = 60_000_000;
/// How long the rows are kept.
const KEPT: TimeDelta = TimeDelta::days(8);
/// Rows that a process keeps in memory at most, while it cannot save them.
const UNSAVED_MAX: usize = 10_000;

/// Adds what was counted in a minute to its row.
const ADD: &str = "INSERT INTO throughput (tenant, minute, operations, events, delivered, failed, dead) VALUES ($1, $2, $3, $4, $5, $6, $7) \
                   ON CONFLICT (tenant, minute) DO UPDATE SET operations = throughput.operations + excluded.operations, \
                   events = throughput.events + excluded.events, delivered = throughput.delivered + excluded.delivered, \
                   failed = throughput.failed + excluded.failed, dead = throughput.dead + excluded.dead";

/// What was counted in a span of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Throughput {
    /// Business transactions committed.
    pub operations: u64,
    /// Events committed.
    pub events: u64,
    /// Deliveries that have succeeded.
    pub delivered: u64,
    /// Attempts that have failed.
    pub failed: u64,
    /// Deliveries that were given up.
    pub dead: u64,
}

impl Throughput {
    /// Adds what was counted elsewhere, or in another span.
    pub fn add(&mut self, other: &Self) {
        self.operations += other.operations;
        self.events += other.events;
        self.delivered += other.delivered;
        self.failed += other.failed;
        self.dead += other.dead;
    }
}

/// What this process has counted and not saved, by tenant and minute.
#[derive(Default)]
pub(crate) struct Counted(Mutex<HashMap<(String, i64), Throughput>>);

impl Counted {
    fn lock(&self) -> MutexGuard<'_, HashMap<(String, i64), Throughput>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, counted: impl IntoIterator<Item = (String, Throughput)>) {
        let minute = micros(SystemClock.now()).div_euclid(MINUTE);
        let mut all = self.lock();
        for (tenant, one) in counted {
            all.entry((tenant, minute)).or_default().add(&one);
        }
    }

    /// Counts a group that was committed, by what [`committed`] has told of its writes.
    pub fn committed(&self, counted: HashMap<String, Throughput>) {
        self.add(counted);
    }

    /// Counts recorded deliveries.
    pub fn recorded<'d>(&self, deliveries: impl Iterator<Item = &'d Delivery>) {
        self.add(deliveries.filter_map(|delivery| {
            let state = delivery.state;
            let delivered = u64::from(state == DeliveryState::Succeeded);
            let dead = u64::from(matches!(state, DeliveryState::Dead | DeliveryState::Blocking));
            let failed = u64::from(delivery.last.is_some() && (dead > 0 || state == DeliveryState::Waiting));
            let counted = Throughput { delivered, failed, dead, ..Throughput::default() };
            (counted != Throughput::default()).then(|| (delivery.tenant.to_string(), counted))
        }));
    }

    /// Puts back what could not be saved, if there is room.
    fn put_back(&self, unsaved: HashMap<(String, i64), Throughput>) {
        let mut all = self.lock();
        for (of, one) in unsaved {
            if all.len() < UNSAVED_MAX || all.contains_key(&of) {
                all.entry(of).or_default().add(&one);
            }
        }
    }
}

/// The operations and events of each tenant among these writes.
pub(crate) fn committed(writes: &Writes) -> HashMap<String, Throughput> {
    let mut of: HashMap<String, Throughput> = HashMap::new();
    for transaction in &writes.transactions {
        of.entry(transaction.tenant.clone()).or_default().operations += 1;
    }
    for event in &writes.events {
        if let ActiveValue::Set(tenant) = &event.tenant {
            of.entry(tenant.clone()).or_default().events += 1;
        }
    }
    of
}

impl Store {
    /// Adds what this process has counted to the rows, and deletes those that are eight days old.
    ///
    /// # Errors
    /// When the database fails; what was counted is kept for the next time.
    pub async fn save_throughput(&self) -> Result<(), Error> {
        let counted = std::mem::take(&mut *self.0.throughput.lock());
        let saved = self.add_throughput(&counted).await;
        if saved.is_err() {
            self.0.throughput.put_back(counted);
        }
        saved
    }

    async fn add_throughput(&self, counted: &HashMap<(String, i64), Throughput>) -> Result<(), Error> {
        if counted.is_empty() {
            return Ok(());
        }
        let transaction = self.begin_repeatable().await?;
        // In one order, so that two processes do not wait for each other.
        let mut rows: Vec<_> = counted.iter().collect();
        rows.sort_unstable_by_key(|(of, _)| *of);
        for ((tenant, minute), one) in rows {
            let counts = [one.operations, one.events, one.delivered, one.failed, one.dead]
                .map(|count| i64::try_from(count).unwrap_or(i64::MAX).into());
            let values = [tenant.as_str().into(), (*minute).into()].into_iter().chain(counts);
            transaction.execute_raw(self.statement(ADD, values)).await?;
        }
        let old = micros(SystemClock.now() - KEPT).div_euclid(MINUTE);
        transaction.execute_raw(self.statement("DELETE FROM throughput WHERE minute < $1", [old.into()])).await?;
        transaction.commit().await
    }

    /// What a tenant had in each minute that begins in a span of time, without those in which it had nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn throughput(&self, tenant: &TenantId, from: Timestamp, to: Timestamp) -> Result<Vec<(Timestamp, Throughput)>, Error> {
        let sql = "SELECT minute, operations, events, delivered, failed, dead FROM throughput \
                   WHERE tenant = $1 AND minute >= $2 AND minute < $3 ORDER BY minute";
        let of = |moment: Timestamp| micros(moment).div_euclid(MINUTE);
        let values = [tenant.as_str().into(), of(from).into(), of(to).into()];
        let rows = self.0.read.query_all_raw(self.statement(sql, values)).await?;
        let read = |row: &sea_orm::QueryResult| {
            let count = |name: &str| row.try_get::<i64>("", name).map(|count| u64::try_from(count).unwrap_or(0));
            let counted = Throughput {
                operations: count("operations")?,
                events: count("events")?,
                delivered: count("delivered")?,
                failed: count("failed")?,
                dead: count("dead")?,
            };
            Ok((moment(row.try_get::<i64>("", "minute")? * MINUTE), counted))
        };
        rows.iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::tests::store;

    #[tokio::test]
    async fn what_processes_count_is_added_up_by_minute_and_tenant() {
        let (store, folder) = store().await;
        let tenant: TenantId = "acme".parse().expect("a tenant");
        let one = Throughput { operations: 1, events: 2, delivered: 3, failed: 4, dead: 5 };
        for _ in 0..2 {
            store.0.throughput.add([("acme".to_owned(), one), ("other".to_owned(), one)]);
            store.save_throughput().await.expect("saved");
        }
        store.save_throughput().await.expect("nothing to save");
        let now = SystemClock.now();
        let told = store.throughput(&tenant, now - TimeDelta::minutes(5), now + TimeDelta::minutes(5)).await.expect("read");
        let mut sum = Throughput::default();
        told.iter().for_each(|(_, counted)| sum.add(counted));
        assert_eq!(sum, Throughput { operations: 2, events: 4, delivered: 6, failed: 8, dead: 10 });
        let before = store.throughput(&tenant, now - TimeDelta::minutes(9), now - TimeDelta::minutes(5)).await.expect("read");
        assert!(before.is_empty());
        let _ = std::fs::remove_dir_all(folder);
    }

    #[tokio::test]
    async fn what_could_not_be_saved_is_kept_and_old_rows_go() {
        let (store, folder) = store().await;
        let tenant: TenantId = "acme".parse().expect("a tenant");
        let one = Throughput { operations: 1, ..Throughput::default() };
        let old = (micros(SystemClock.now()) / MINUTE) - 9 * 24 * 60;
        store.0.throughput.put_back(HashMap::from([(("acme".to_owned(), old), one)]));
        store.save_throughput().await.expect("saved");
        let now = SystemClock.now();
        assert_eq!(store.throughput(&tenant, now - TimeDelta::days(10), now).await.expect("read"), []);
        store.0.write.execute_unprepared("ALTER TABLE throughput RENAME TO away").await.expect("renamed");
        store.0.throughput.add([("acme".to_owned(), one)]);
        assert!(store.save_throughput().await.is_err());
        store.0.write.execute_unprepared("ALTER TABLE away RENAME TO throughput").await.expect("renamed");
        store.save_throughput().await.expect("saved");
        let told = store.throughput(&tenant, now - TimeDelta::minutes(5), now + TimeDelta::minutes(5)).await.expect("read");
        assert_eq!(told.iter().map(|(_, counted)| counted.operations).collect::<Vec<_>>(), [1]);
        let _ = std::fs::remove_dir_all(folder);
    }
}
