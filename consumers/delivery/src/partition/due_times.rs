//! When something is due in the delivery store, as far as this partition knows.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use billwire_schemas::clock::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

/// How often the owners are read although nothing says that they have changed: another process may have stored deliveries.
const POLL: Duration = Duration::from_secs(1);

/// The owners with deliveries that wait for a time, and the earliest time of each. It is kept by what the partition records itself, so that the
/// delivery store is only read when something is due.
#[derive(Debug, Default)]
pub(crate) struct DueTimes {
    earliest: HashMap<Uuid, Timestamp>,
    /// Those added since the owners were last read: the result may be older.
    added: HashMap<Uuid, Timestamp>,
    /// Owners with more due, which cannot be read before some of what is in memory is recorded.
    once_recorded: HashSet<Uuid>,
    read_at: Option<Instant>,
}

fn earlier(times: &mut HashMap<Uuid, Timestamp>, owner: Uuid, at: Timestamp) {
    times.entry(owner).and_modify(|known| *known = at.min(*known)).or_insert(at);
}

impl DueTimes {
    /// A delivery of an owner waits for this time.
    pub fn add(&mut self, owner: Uuid, at: Timestamp) {
        earlier(&mut self.earliest, owner, at);
        earlier(&mut self.added, owner, at);
    }

    /// An owner has more due, once some of what is in memory is recorded.
    pub fn add_once_recorded(&mut self, owner: Uuid) {
        self.once_recorded.insert(owner);
    }

    /// A delivery of an owner is recorded.
    pub fn recorded(&mut self, owner: Uuid, now: Timestamp) {
        if self.once_recorded.remove(&owner) {
            self.add(owner, now);
        }
    }

    /// Somebody else has stored deliveries, or made some due: the owners must be read.
    pub fn invalidate(&mut self) {
        self.read_at = None;
    }

    /// Whether the owners must be read; if so, the caller reads them now.
    pub fn read_owners(&mut self) -> bool {
        let read = self.read_at.is_none_or(|at| at.elapsed() >= POLL);
        if read {
            self.read_at = Some(Instant::now());
            self.added.clear();
        }
        read
    }

    /// The owners, as just read.
    pub fn set(&mut self, owners: Vec<(Uuid, Timestamp)>) {
        self.earliest = self.added.clone();
        for (owner, at) in owners {
            earlier(&mut self.earliest, owner, at);
        }
    }

    /// The owners with something due.
    pub fn due(&self, now: Timestamp) -> impl Iterator<Item = Uuid> {
        self.earliest.iter().filter(move |(_, at)| **at <= now).map(|(owner, _)| *owner)
    }

    /// What is due of an owner is about to be read.
    pub fn reading(&mut self, owner: Uuid) {
        self.earliest.remove(&owner);
    }
}

#[cfg(test)]
mod tests {
    use billwire_schemas::ids::fresh;
    use tokio::time::advance;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).expect("a moment")
    }

    #[tokio::test(start_paused = true)]
    async fn an_owner_is_due_at_its_earliest_time_until_it_is_read() {
        let (mut times, owner) = (DueTimes::default(), fresh());
        times.add(owner, at(20));
        times.add(owner, at(10));
        times.add(owner, at(30));
        assert_eq!(times.due(at(9)).count(), 0);
        assert_eq!(times.due(at(10)).collect::<Vec<_>>(), [owner]);
        times.reading(owner);
        assert_eq!(times.due(at(100)).count(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_added_while_owners_are_read_is_kept() {
        let (mut times, before, meanwhile) = (DueTimes::default(), fresh(), fresh());
        times.add(before, at(1));
        assert!(times.read_owners());
        times.add(meanwhile, at(2));
        times.set(Vec::new());
        assert_eq!(times.due(at(5)).collect::<Vec<_>>(), [meanwhile], "the other one has nothing waiting any more");
    }

    #[tokio::test(start_paused = true)]
    async fn owners_are_read_at_the_start_after_a_change_and_now_and_then() {
        let mut times = DueTimes::default();
        assert!(times.read_owners() && !times.read_owners());
        times.invalidate();
        assert!(times.read_owners() && !times.read_owners());
        advance(POLL).await;
        assert!(times.read_owners() && !times.read_owners());
    }
}
