//! `billwire recover`: recovers a database that was restored to an older moment than the stream knows.
//!
//! It runs instead of the gateway, under the relay's lease. Each step may be repeated: a run that was killed is continued by the next one.

mod found;
mod list;
mod pages;
mod report;

use std::{path::PathBuf, time::Duration};

use billwire_bus::Bus;
use billwire_delivery::consumer_name;
use billwire_schemas::{
    clock::{Clock, SystemClock},
    delivery::{Reader, Settled},
    ids::{Slot, fresh},
    lease::Lease,
};
use billwire_store::{
    Store,
    published::EPOCH,
    recovery::{NewEpoch, NotRestored},
};
use billwire_warehouse::Directory;
use serde_json::json;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

use self::{
    found::Found,
    list::List,
    report::{Report, TakenBack},
};
use crate::{
    adapters::delivery_store::text,
    config::Settings,
    data_dir, database, nats_access,
    output::{Output, answer},
    roles::{
        bus_options,
        relay::RELAY,
        restored::{Comparison, unknown_batches},
    },
};

/// What to do.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Store the missing business transactions again, as far as the stream has them
    #[arg(long, conflicts_with = "new_epoch")]
    take_back: bool,
    /// Leave them out, and count on past all numbers that were used
    #[arg(long)]
    new_epoch: bool,
    /// Where to list events and objects that are left out or incomplete (default: a file in the data directory)
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
}

/// How often it is looked whether a gateway still runs.
const AGAIN: Duration = Duration::from_millis(100);
const LEASE_LOST: &str = "a gateway has started on this database; stop it and run this again";

/// Compares the database with the stream and does what `options` say.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub async fn run(settings: &Settings, options: Options, output: Output) -> Result<(), String> {
    let lock = data_dir::lock(&settings.data_dir)?;
    let store = database::open(settings).await?;
    store.ensure_undamaged().await.map_err(text)?;
    let exclusive = Exclusive::acquire(&store, settings.lease()).await?;
    let (nats, child) = nats_access::configured_or_private(settings).await?;
    let done = async {
        let bus = Bus::connect(&bus_options(settings, nats.url, &store).await?).await.map_err(text)?;
        let warehouse = settings.warehouse_directory()?;
        Recovery { store: &store, bus: &bus, warehouse, lease: &exclusive.lease, settings, options: &options }.run().await
    };
    let done = done.await;
    if let Some(child) = child {
        child.stop().await;
    }
    exclusive.release(&store).await;
    drop(lock);
    let report = done?;
    answer(output, &report.text(), report.json())
}

/// The right to be alone on the database.
struct Exclusive {
    lease: Lease,
    renewal: JoinHandle<()>,
}

impl Exclusive {
    /// Waits until the leases of processes that have ended without a word have expired, and takes the relay's.
    async fn acquire(store: &Store, ttl: Duration) -> Result<Self, String> {
        let until = Instant::now() + ttl * 2;
        let owner = format!("recover-{}", fresh());
        loop {
            let held = store.held_leases(&[""]).await.map_err(text)?;
            if held.is_empty()
                && let Some(lease) = store.acquire_lease(RELAY, &owner, ttl).await.map_err(text)?
            {
                let (renewing, renewed) = (store.clone(), lease.clone());
                let renewal = tokio::spawn(async move {
                    loop {
                        sleep(ttl / 3).await;
                        if let Err(error) = renewing.renew_leases(std::slice::from_ref(&renewed), ttl).await {
                            tracing::warn!(%error, "the lease was not renewed");
                        }
                    }
                });
                return Ok(Self { lease, renewal });
            }
            if Instant::now() > until {
                return Err(format!(
                    "a gateway runs on this database (it holds {}); stop every process of it and run this again",
                    held.first().map_or(RELAY, String::as_str)
                ));
            }
            sleep(AGAIN).await;
        }
    }

    async fn release(self, store: &Store) {
        self.renewal.abort();
        if let Err(error) = store.release_lease(&self.lease).await {
            tracing::debug!(%error, "the lease was not released; it expires by itself");
        }
    }
}

struct Recovery<'a> {
    store: &'a Store,
    bus: &'a Bus,
    warehouse: Directory,
    lease: &'a Lease,
    settings: &'a Settings,
    options: &'a Options,
}

impl Recovery<'_> {
    async fn run(&self) -> Result<Report, String> {
        let changes = self.options.take_back || self.options.new_epoch;
        let mut list = changes.then(|| List::create(&self.list_path())).transpose()?;
        // What can be taken back need not be listed.
        let found = self.look(list.as_mut().filter(|_| self.options.new_epoch)).await?;
        let mut report = Report { found, left_out: None, taken_back: None };
        if report.found.is_nothing() {
            self.store.forget_restored().await.map_err(text)?;
            list.map(List::discard).transpose()?;
            return Ok(report);
        }
        let Some(list) = list else { return Ok(report) };
        // Whoever starts meanwhile accepts nothing.
        self.store.note_restored().await.map_err(text)?;
        if self.options.take_back {
            report.taken_back = Some(self.take_back(&report.found, list).await?);
        } else {
            report.left_out = Some(self.new_epoch(&report.found, list).await?);
        }
        Ok(report)
    }

    fn list_path(&self) -> PathBuf {
        let moment = SystemClock.now().format("%Y%m%dT%H%M%SZ");
        self.options.list.clone().unwrap_or_else(|| self.settings.data_dir.join(format!("recovered-{moment}.jsonl")))
    }

    /// Reads what the stream and the warehouse have and SQL lacks.
    async fn look(&self, mut list: Option<&mut List>) -> Result<Found, String> {
        let mut comparison = Comparison::start(self.store, self.bus, u64::MAX).await?;
        let mut found = Found::behind(comparison.after());
        while let Some(page) = comparison.next(self.store, self.bus).await? {
            found.add(&page, list.as_deref_mut())?;
        }
        found.find_gaps(self.store).await?;
        found.known_once = comparison.known_once();
        for batch in unknown_batches(self.store, &self.warehouse).await? {
            let events = self.warehouse.events_of(batch).await.map_err(text)?;
            found.add_batch(self.store, batch, events, list.as_deref_mut()).await?;
        }
        found.unpublished = self.store.backlog(u64::MAX).await.map_err(text)?;
        Ok(found)
    }

    /// Begins a new epoch; gives the list of the events that are left out.
    async fn new_epoch(&self, found: &Found, mut list: List) -> Result<PathBuf, String> {
        for gap in &found.gaps {
            list.add(gap)?;
        }
        let path = list.finish()?;
        let (epoch, replaced) = self.stream_epoch().await?;
        let new = NewEpoch {
            epoch,
            replaced,
            stream_end: found.end,
            position: found.position,
            keys: found.keys(),
            batches: found.batches.clone(),
        };
        held(self.store.begin_epoch(self.lease, &new).await)?;
        Ok(path)
    }

    /// Stores again what the stream has.
    async fn take_back(&self, found: &Found, mut list: List) -> Result<TakenBack, String> {
        let (epoch, replaced) = self.stream_epoch().await?;
        if replaced {
            // Where events stand, as far as the database knows, is on a stream that is gone.
            held(self.store.stream_rolled_back(self.lease, 0).await)?;
        }
        self.store.set(EPOCH, &epoch).await.map_err(text)?;
        let mut comparison = Comparison::start(self.store, self.bus, u64::MAX).await?;
        while let Some(page) = comparison.next(self.store, self.bus).await? {
            held(self.store.mark_known(self.lease, &page.known()).await)?;
        }
        held(self.store.make_room(self.lease, &found.keys(), found.position).await)?;
        for gap in &found.gaps {
            list.add(gap)?;
        }
        let (mut transactions, mut not_restored) = (0, 0);
        let mut comparison = Comparison::start(self.store, self.bus, u64::MAX).await?;
        while let Some(mut page) = comparison.next(self.store, self.bus).await? {
            comparison.continue_after(page.keep_whole_transactions());
            let taken = self.store.take_back(self.lease, page.events()?, page.end).await.map_err(text)?;
            let taken = taken.ok_or(LEASE_LOST)?;
            transactions += taken.transactions;
            not_restored += taken.not_restored.len();
            for NotRestored { kind, id, version, why } in taken.not_restored {
                list.add(&json!({ "missing": "object", "type": kind, "id": id, "version": version, "why": why }))?;
            }
        }
        self.settle().await?;
        let list = list.finish()?;
        held(self.store.end_take_back(self.lease, &found.keys(), &found.batches).await)?;
        Ok(TakenBack { transactions, not_restored, list })
    }

    /// What a slot's consumer has acknowledged was delivered before the restore, or recorded to be delivered later.
    async fn settle(&self) -> Result<(), String> {
        for slot in Slot::all() {
            let reader = Reader::Slot(slot);
            let Some(settled) = self.store.settled(reader).await.map_err(text)? else { continue };
            let acknowledged = self.bus.acknowledged(&consumer_name(slot)).await.map_err(text)?;
            let settled = Settled { sequence: settled.sequence.max(acknowledged), ..settled };
            self.store.save_settled(reader, settled).await.map_err(text)?;
        }
        Ok(())
    }

    /// The epoch of the stream, and whether the database knows another one.
    async fn stream_epoch(&self) -> Result<(String, bool), String> {
        let epoch = self.bus.ensure_stream(&fresh().to_string()).await.map_err(text)?.epoch;
        let replaced = self.store.setting(EPOCH).await.map_err(text)?.is_some_and(|known| known != epoch);
        Ok((epoch, replaced))
    }
}

/// The outcome of a step that is done only if the lease holds.
fn held(done: Result<bool, billwire_store::Error>) -> Result<(), String> {
    if done.map_err(text)? { Ok(()) } else { Err(LEASE_LOST.to_owned()) }
}
