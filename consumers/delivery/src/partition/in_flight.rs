//! Which deliveries a partition has in hand, and how many of each owner.

use std::collections::{HashMap, HashSet};

use billwire_schemas::ids::DeliveryId;
use uuid::Uuid;

/// Deliveries in memory, from their coming in until they stand in the delivery store.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    ids: HashSet<DeliveryId>,
    of_owners: HashMap<Uuid, usize>,
}

impl InFlight {
    /// Takes a delivery of a subscription or replay.
    pub fn insert(&mut self, id: DeliveryId, owner: Uuid) {
        if self.ids.insert(id) {
            *self.of_owners.entry(owner).or_default() += 1;
        }
    }

    /// Lets go of it.
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

    /// Whether it is in hand: a message that comes again while it is worked on changes nothing.
    pub fn contains(&self, id: DeliveryId) -> bool {
        self.ids.contains(&id)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// How many an owner may have so that those of others find room among `max`: `most`, or an even share of the half.
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
    fn an_owner_crowds_from_its_share_on_and_no_more_once_it_has_let_go() {
        let (mut hand, one, other) = (InFlight::default(), fresh(), fresh());
        let ids: Vec<DeliveryId> = (0..25).map(|_| DeliveryId(fresh())).collect();
        hand.insert(ids[0], other);
        for id in &ids[1..25] {
            assert!(!hand.is_over_share(one, 100, 100), "{}", hand.len());
            hand.insert(*id, one);
            hand.insert(*id, one);
        }
        hand.insert(DeliveryId(fresh()), one);
        assert!(hand.is_over_share(one, 100, 100), "a quarter of 100");
        assert!(hand.is_over_share(one, 10, 1000), "more than the most of one");
        assert!(!hand.is_over_share(other, 100, 100));
        hand.remove(ids[1], one);
        hand.remove(ids[1], one);
        assert!(!hand.is_over_share(one, 100, 100) && !hand.contains(ids[1]));
        assert_eq!(hand.len(), 25);
    }
}
