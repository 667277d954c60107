//! Events that are too large for the stream: the relay sets each aside with the events behind it in its ordering key, so that all others
//! are published; redriven ones, and those that fit once the limit is raised, go back to the outbox.
//!
//! Operations refuse such events before they are accepted. One can reach the relay all the same: the limit was lowered since, or an older
//! version accepted it.

use std::collections::HashSet;

use billwire_bus::Bus;
use billwire_schemas::{events::size, ids::TransactionId, lease::Lease};
use billwire_store::{Store, Unpublished};

/// The relay's view of the limit and of what is set aside. Only the relay changes either, so it reads them once.
pub struct SetAside {
    /// The largest message that the server accepts, as stored in SQL.
    max_payload: Option<u64>,
    /// Whether anything is set aside.
    any: bool,
}

/// An error, for the log, when the lease is lost.
fn ensure_held(done: Option<()>) -> Result<(), String> {
    done.ok_or_else(|| "another process is the relay now".to_owned())
}

impl SetAside {
    /// Reads whether anything is set aside.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of(store: &Store) -> Result<Self, String> {
        let any = store.count_set_aside(1).await.map_err(|e| e.to_string())? > 0;
        Ok(Self { max_payload: None, any })
    }

    /// Stores the limit of the server that the bus is connected to now, and puts events that are redriven, or fit a new limit, back into the
    /// outbox.
    ///
    /// # Errors
    /// When the database fails or the lease is lost.
    pub async fn follow(&mut self, store: &Store, bus: &Bus, lease: &Lease) -> Result<(), String> {
        let max_payload = bus.max_payload();
        if max_payload > 0 && self.max_payload != Some(max_payload) {
            store.set_max_payload(max_payload).await.map_err(|e| e.to_string())?;
            tracing::info!(max_payload, "the largest message that NATS accepts");
            self.max_payload = Some(max_payload);
            if self.any {
                // What a raised limit has room for goes on by itself.
                store.redrive_what_fits(size::event_max(max_payload)).await.map_err(|e| e.to_string())?;
            }
        }
        if self.any {
            let events = store.put_back_redriven(lease).await.map_err(|e| e.to_string())?;
            ensure_held(events.map(drop))?;
            if let Some(events) = events.filter(|events| *events > 0) {
                tracing::info!(events, "events that were set aside are published now");
                self.any = store.count_set_aside(1).await.map_err(|e| e.to_string())? > 0;
            }
        }
        Ok(())
    }

    /// Sets aside what cannot be published, and gives the rest.
    ///
    /// # Errors
    /// When the database fails or the lease is lost.
    pub async fn sort_out(&mut self, store: &Store, lease: &Lease, mut events: Vec<Unpublished>) -> Result<Vec<Unpublished>, String> {
        let event_max = size::event_max(self.max_payload.unwrap_or(size::MAX_PAYLOAD_DEFAULT));
        let behind = if self.any { store.behind_set_aside(&events).await.map_err(|e| e.to_string())? } else { HashSet::new() };
        let aside = unpublishable(&events, &behind, event_max);
        if aside.is_empty() {
            return Ok(events);
        }
        for event in events.iter().filter(|event| large(event, event_max)) {
            let (tenant, key, size) = (&event.tenant, &event.key, event.body.len());
            tracing::error!(
                %tenant, event.id = %event.id, event.kind, ordering_key = %key, size, size_max = event_max,
                "an event is too large for the stream and was set aside; its ordering key waits"
            );
        }
        ensure_held(store.set_aside(lease, &aside, event_max).await.map_err(|e| e.to_string())?.then_some(()))?;
        self.any = true;
        let aside: HashSet<i64> = aside.into_iter().collect();
        events.retain(|event| !aside.contains(&event.position));
        Ok(events)
    }
}

fn large(event: &Unpublished, event_max: u64) -> bool {
    event.body.len() as u64 > event_max
}

/// The positions of the events that cannot be published: those too large, the others of their business transactions, whose
/// messages become visible together, and all behind one of these, or behind what is set aside already, in their ordering key.
fn unpublishable(events: &[Unpublished], behind: &HashSet<i64>, event_max: u64) -> Vec<i64> {
    let torn: HashSet<TransactionId> = events.iter().filter(|event| large(event, event_max)).map(|event| event.transaction).collect();
    if torn.is_empty() && behind.is_empty() {
        return Vec::new();
    }
    let mut keys = HashSet::new();
    let mut aside = Vec::new();
    for event in events {
        let key = (&event.tenant, &event.key);
        if torn.contains(&event.transaction) || behind.contains(&event.position) || keys.contains(&key) {
            keys.insert(key);
            aside.push(event.position);
        }
    }
    aside
}

#[cfg(test)]
mod tests {
    use billwire_schemas::ids::{EventId, OrderingKey, TenantId, fresh};

    use super::*;

    /// Events of (position, key, transaction, size).
    fn events(of: &[(i64, &str, u128, usize)]) -> Vec<Unpublished> {
        let one = |&(position, key, transaction, size): &(i64, &str, u128, usize)| Unpublished {
            position,
            id: EventId(fresh()),
            tenant: TenantId::default_tenant(),
            kind: "custom.noted".to_owned(),
            key: key.parse::<OrderingKey>().unwrap_or(OrderingKey::CONFIGURATION),
            sequence: position,
            transaction: TransactionId(uuid::Uuid::from_u128(transaction)),
            body: "x".repeat(size),
        };
        of.iter().map(one).collect()
    }

    fn set_aside(of: &[(i64, &str, u128, usize)], behind: &[i64]) -> Vec<i64> {
        unpublishable(&events(of), &behind.iter().copied().collect(), 10)
    }

    #[test]
    fn what_fits_goes_on() {
        assert_eq!(set_aside(&[(1, "a", 1, 10), (2, "b", 2, 1)], &[]), Vec::<i64>::new());
    }

    #[test]
    fn a_large_one_stops_what_comes_behind_it_in_its_key_alone() {
        let found = set_aside(&[(1, "a", 1, 1), (2, "a", 2, 11), (3, "b", 3, 1), (4, "a", 4, 1), (5, "a", 5, 12)], &[]);
        assert_eq!(found, [2_i64, 4, 5]);
    }

    #[test]
    fn a_business_transaction_is_set_aside_whole() {
        let found = set_aside(&[(1, "a", 1, 1), (2, "a", 2, 1), (3, "a", 2, 11), (4, "a", 2, 1)], &[]);
        assert_eq!(found, [2_i64, 3, 4]);
    }

    #[test]
    fn what_comes_behind_one_that_is_set_aside_already_follows_it() {
        assert_eq!(set_aside(&[(1, "a", 1, 1), (2, "b", 2, 1), (3, "a", 3, 1)], &[1, 3]), [1_i64, 3]);
    }
}
