//! What the stream and the warehouse have and SQL lacks.

use std::collections::{BTreeMap, HashMap, HashSet};

use billwire_schemas::{
    clock::Timestamp,
    events::{envelope::Envelope, selection::is_business_transaction},
    ids::{EventId, OrderingKey, TenantId, TransactionId},
};
use billwire_store::{Store, recovery::MissingKey, restored::OnStream};
use billwire_warehouse::Loaded;
use serde_json::{Value, json};

use super::list::List;
use crate::{adapters::delivery_store::text, roles::restored::Page};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The stream sequence behind which was looked, and the last one of the stream.
    pub after: u64,
    pub end: u64,
    /// What is missing, by tenant.
    pub tenants: BTreeMap<TenantId, Lack>,
    /// How many events are missing.
    pub events: u64,
    /// Sequences that neither the stream nor SQL has, as lines of the list.
    pub gaps: Vec<Value>,
    /// The highest outbox position on the stream.
    pub position: i64,
    /// How far SQL has known the stream once, if that is further than now.
    pub known_once: Option<u64>,
    /// How many events only the warehouse has.
    pub only_loaded: u64,
    /// Batches of the warehouse that SQL lacks, with their events.
    pub batches: Vec<(i64, Vec<EventId>)>,
    /// Events of SQL that are not published.
    pub unpublished: u64,
    on_stream: HashSet<EventId>,
    keys: HashMap<(TenantId, OrderingKey), Sequences>,
    transactions: HashMap<TransactionId, (u32, u32)>,
}

/// What is missing of a tenant.
#[derive(Debug, Default, Clone)]
pub(super) struct Lack {
    pub transactions: u64,
    pub events: u64,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
}

#[derive(Debug)]
struct Sequences {
    first: i64,
    last: i64,
    /// Between the first and the last.
    gaps: Vec<(i64, i64)>,
}

impl Found {
    /// Nothing yet, behind a sequence of the stream.
    pub fn behind(after: u64) -> Self {
        Self { after, end: after, ..Self::default() }
    }

    /// Adds what a page of the stream has, and lists the missing events.
    ///
    /// # Errors
    /// When the list cannot be written.
    pub fn add(&mut self, page: &Page, mut list: Option<&mut List>) -> Result<(), String> {
        self.end = page.end;
        for one in &page.messages {
            self.position = self.position.max(one.message.position);
            if !one.missing {
                continue;
            }
            self.used(&one.event);
            let lack = self.tenants.entry(one.event.tenant.clone()).or_default();
            lack.events += 1;
            self.events += 1;
            self.on_stream.insert(one.event.id);
            let Ok(envelope) = serde_json::from_slice::<Envelope>(&one.message.body) else { continue };
            let seen = self.transactions.entry(envelope.transactionid).or_insert_with(|| {
                lack.transactions += 1;
                (envelope.transactionsize.unwrap_or(0), 0)
            });
            // The whole transaction is no event of it.
            seen.1 += u32::from(!is_business_transaction(&envelope.kind));
            lack.first = Some(lack.first.map_or(envelope.time, |first| first.min(envelope.time)));
            lack.last = Some(lack.last.map_or(envelope.time, |last| last.max(envelope.time)));
            if let Some(list) = list.as_mut() {
                list.add(&json!({
                    "missing": "inDatabase", "id": envelope.id, "type": envelope.kind, "tenant": one.event.tenant, "key": one.event.key,
                    "sequence": one.event.sequence, "time": envelope.time, "transaction": envelope.transactionid, "object": envelope.data.object.id,
                    "streamSequence": one.message.stream_sequence,
                }))?;
            }
        }
        Ok(())
    }

    /// Adds a batch of the warehouse that SQL lacks, and lists those of its events that neither SQL nor the stream has.
    ///
    /// # Errors
    /// When the database fails, or the list cannot be written.
    pub async fn add_batch(&mut self, store: &Store, batch: i64, events: Vec<Loaded>, mut list: Option<&mut List>) -> Result<(), String> {
        self.batches.push((batch, events.iter().map(|event| event.id).collect()));
        let named = |one: &Loaded| OnStream { id: one.id, tenant: one.tenant.clone(), key: one.key.clone(), sequence: one.sequence };
        let kinds: HashMap<EventId, &str> = events.iter().map(|event| (event.id, &*event.kind)).collect();
        let mut missing = store.missing_events(&events.iter().map(named).collect::<Vec<_>>()).await.map_err(text)?;
        missing.retain(|event| !self.on_stream.contains(&event.id));
        for event in missing {
            self.used(&event);
            self.only_loaded += 1;
            if let Some(list) = list.as_mut() {
                list.add(&json!({
                    "missing": "inDatabaseAndStream", "id": event.id, "type": kinds.get(&event.id), "tenant": event.tenant, "key": event.key,
                    "sequence": event.sequence, "batch": batch,
                }))?;
            }
        }
        Ok(())
    }

    /// A sequence was used that SQL does not know.
    fn used(&mut self, event: &OnStream) {
        let (key, sequence) = ((event.tenant.clone(), event.key.clone()), event.sequence);
        let sequences = self.keys.entry(key).or_insert_with(|| Sequences { first: sequence, last: sequence, gaps: Vec::new() });
        if sequence > sequences.last + 1 {
            sequences.gaps.push((sequences.last + 1, sequence - 1));
        }
        sequences.first = sequences.first.min(sequence);
        sequences.last = sequences.last.max(sequence);
    }

    /// Notes which sequences SQL lacks that the stream does not have either.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_gaps(&mut self, store: &Store) -> Result<(), String> {
        for ((tenant, key), sequences) in &self.keys {
            let mut gaps = sequences.gaps.clone();
            // A change of configuration counts and causes no event.
            if *key == OrderingKey::CONFIGURATION {
                gaps.clear();
            } else if let Some(last) = store.last_sequence_before(tenant, key, sequences.first).await.map_err(text)?
                && last + 1 < sequences.first
            {
                gaps.insert(0, (last + 1, sequences.first - 1));
            }
            let line = |(from, to): (i64, i64)| json!({ "missing": "onStream", "tenant": tenant, "key": key, "from": from, "to": to });
            self.gaps.extend(gaps.into_iter().map(line));
        }
        let cut = self.transactions.iter().filter(|(_, (size, seen))| size > seen);
        self.gaps.extend(cut.map(|(id, (size, seen))| json!({ "missing": "onStream", "transaction": id, "events": size - seen })));
        Ok(())
    }

    /// Whether there is nothing to recover.
    pub fn is_nothing(&self) -> bool {
        self.keys.is_empty() && self.batches.is_empty() && self.known_once.is_none()
    }

    /// The ordering keys whose sequences go further on the stream than in SQL.
    pub fn keys(&self) -> Vec<MissingKey> {
        let keys = self.keys.iter().map(|((tenant, key), sequences)| MissingKey {
            tenant: tenant.clone(),
            key: key.clone(),
            first: sequences.first,
            last: sequences.last,
        });
        keys.collect()
    }

    /// How many business transactions are missing.
    pub fn transactions(&self) -> usize {
        self.transactions.len()
    }
}
