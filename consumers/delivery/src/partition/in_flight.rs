//! The deliveries a partition has in memory, and how many of each owner.

use std::collections::{HashMap, HashSet};

use billwire_schemas::ids::DeliveryId;
use uuid::Uuid;

/// Deliveries in memory, from intake until their record is committed.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    ids: HashSet<DeliveryId>,
    of_owners: HashMap<Uuid, usize>,
}

impl InFlight {
    /// Adds a delivery of an owner.
    pub fn insert(&mut self, id: DeliveryId, owner: Uuid) {
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

    use super::*;

    #[test]
    fn an_owner_is_over_share_from_its_share_on_until_it_releases_one() {
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
