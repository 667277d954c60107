//! The deliveries a partition has in memory, and how many of each owner.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use billwire_schemas::ids::DeliveryId;
use tokio::time::Instant;
use uuid::Uuid;

/// For how long an owner without deliveries counts as one that others compete with.
const RECENT: Duration = Duration::from_secs(10);

/// Deliveries in memory, from intake until their record is committed.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    ids: HashSet<DeliveryId>,
    of_owners: HashMap<Uuid, usize>,
    /// The latest owner, the latest other than that one, and when each had its latest delivery.
    latest: [Option<(Uuid, Instant)>; 2],
}

impl InFlight {
    /// Adds a delivery of an owner.
    pub fn insert(&mut self, id: DeliveryId, owner: Uuid) {
        let now = Some((owner, Instant::now()));
        match self.latest {
            [Some((first, _)), _] if first == owner => self.latest[0] = now,
            [first, _] => self.latest = [now, first],
        }
        if self.ids.insert(id) {
            *self.of_owners.entry(owner).or_default() += 1;
        }
    }

    /// Removes a delivery.
    pub fn remove(&mut self, id: DeliveryId, owner: Uuid) {
        if self.ids.remove(&id)
            && let Some(count) = self.of_owners.get_mut(&owner)
        {
            *count -= 1;
            if *count == 0 {
                self.of_owners.remove(&owner);
            }
        }
    }

    /// Whether no other owner has had deliveries of late: then there is no other to protect from this one.
    pub fn alone(&self, owner: Uuid) -> bool {
        !self.latest.iter().flatten().any(|(other, at)| *other != owner && at.elapsed() < RECENT)
    }

    /// Whether a delivery is in memory: a message that arrives again meanwhile changes nothing.
    pub fn contains(&self, id: DeliveryId) -> bool {
        self.ids.contains(&id)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// How many deliveries an owner may have, so that others find room among `max`: at most `most`, and at most an even share of half.
    pub fn share(&self, most: usize, max: usize) -> usize {
        most.min(max / 2 / self.of_owners.len().max(1)).max(1)
    }

    /// Whether an owner has its share or more.
    pub fn is_over_share(&self, owner: Uuid, most: usize, max: usize) -> bool {
        self.of_owners.get(&owner).is_some_and(|count| *count >= self.share(most, max))
    }
}

#[cfg(test)]
mod tests {
    use billwire_schemas::ids::fresh;
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_owner_is_alone_until_another_one_comes_and_again_later() {
        let (mut in_flight, one, other) = (InFlight::default(), fresh(), fresh());
        in_flight.insert(DeliveryId(fresh()), one);
        assert!(in_flight.alone(one) && !in_flight.alone(other));
        in_flight.insert(DeliveryId(fresh()), other);
        for _ in 0..3 {
            in_flight.insert(DeliveryId(fresh()), one);
            assert!(!in_flight.alone(one) && !in_flight.alone(other));
        }
        advance(RECENT).await;
        in_flight.insert(DeliveryId(fresh()), one);
        assert!(in_flight.alone(one), "the other one has been silent for long");
    }

    #[tokio::test]
    async fn an_owner_is_over_share_from_its_share_on_until_it_releases_one() {
        let (mut in_flight, one, other) = (InFlight::default(), fresh(), fresh());
        let ids: Vec<DeliveryId> = (0..25).map(|_| DeliveryId(fresh())).collect();
        in_flight.insert(ids[0], other);
        for id in &ids[1..25] {
            assert!(!in_flight.is_over_share(one, 100, 100), "{}", in_flight.len());
            in_flight.insert(*id, one);
            in_flight.insert(*id, one);
        }
        in_flight.insert(DeliveryId(fresh()), one);
        assert!(in_flight.is_over_share(one, 100, 100), "a quarter of 100");
        assert!(in_flight.is_over_share(one, 10, 1000), "more than the most of one");
        assert!(!in_flight.is_over_share(other, 100, 100));
        in_flight.remove(ids[1], one);
        in_flight.remove(ids[1], one);
        assert!(!in_flight.is_over_share(one, 100, 100) && !in_flight.contains(ids[1]));
        assert_eq!(in_flight.len(), 25);
    }
}
