//! In-order lanes: per subscription and ordering key strictly one at a time. Pure bookkeeping; the caller does the IO.
//!
//! A lane is in memory while one of its deliveries is. The deliveries are in `queue`, in order. When the head fails, or too many pile up,
//! the rest goes to the delivery store and the lane is *parked*: from then on all new deliveries of the lane go to the delivery store
//! too, behind those already there, until all of them have been delivered.

use std::collections::{HashMap, VecDeque};

use billwire_schemas::delivery::LaneKey;

/// A lane in memory, over jobs of type `J`.
#[derive(Debug)]
struct Lane<J> {
    /// The deliveries behind the one being attempted.
    queue: VecDeque<J>,
    /// A delivery is being attempted, or the waiting ones are being loaded.
    busy: bool,
    /// A delivery was parked since the last load.
    newer: bool,
    /// The delivery store holds, or is about to hold, deliveries behind those in `queue`.
    parked: bool,
    /// The head waits for its time: nothing is loaded now.
    head_waits: bool,
    /// The number of records of this lane that are not committed yet.
    writes: usize,
}

impl<J> Lane<J> {
    fn new(parked: bool) -> Self {
        Self { queue: VecDeque::new(), busy: false, newer: false, parked, head_waits: false, writes: 0 }
    }

    fn idle(&self) -> bool {
        !self.busy && self.queue.is_empty() && self.writes == 0
    }

    fn load(&mut self) {
        self.parked = true;
        self.head_waits = false;
        self.busy = true;
        self.newer = false;
    }
}

/// What to do with a job offered to its lane.
#[derive(Debug, PartialEq, Eq)]
pub enum Offer<J> {
    /// Attempt it now.
    Attempt(J),
    /// It is in the lane's queue.
    Queued,
    /// Record it as waiting behind the others of its lane, then call [`Lanes::recorded`].
    Park(J),
}

/// What a lane needs next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<J> {
    /// Attempt this job now.
    Attempt(J),
    /// Nothing.
    Nothing,
    /// Load what waits in the delivery store and call [`Lanes::resume`].
    Load,
}

/// All lanes in memory.
#[derive(Debug)]
pub struct Lanes<J>(HashMap<LaneKey, Lane<J>>);

impl<J> Default for Lanes<J> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<J> Lanes<J> {
    /// Whether the lane is in memory.
    pub fn contains(&self, key: &LaneKey) -> bool {
        self.0.contains_key(key)
    }

    /// The lanes in memory.
    pub fn keys(&self) -> impl Iterator<Item = &LaneKey> {
        self.0.keys()
    }

    /// Offers a new job. `waiting`: the delivery store has waiting deliveries of this lane, which come first also if the lane is in memory;
    /// `over_share`: the subscription has its share of the memory already.
    pub fn offer(&mut self, key: &LaneKey, job: J, waiting: bool, over_share: bool) -> Offer<J> {
        let lane = self.0.entry(key.clone()).or_insert_with(|| Lane { head_waits: waiting, ..Lane::new(waiting) });
        lane.parked |= waiting;
        if lane.parked || (over_share && (lane.busy || !lane.queue.is_empty())) {
            lane.parked = true;
            lane.newer = true;
            lane.writes += 1;
            return Offer::Park(job);
        }
        if lane.busy {
            lane.queue.push_back(job);
            return Offer::Queued;
        }
        lane.busy = true;
        Offer::Attempt(job)
    }

    /// The job being attempted has reached a final state and will be recorded. Gives the next.
    pub fn completed(&mut self, key: &LaneKey) -> Next<J> {
        let Some(lane) = self.0.get_mut(key) else { return Next::Nothing };
        lane.writes += 1;
        match lane.queue.pop_front() {
            Some(job) => Next::Attempt(job),
            None => {
                lane.busy = false;
                Next::Nothing
            }
        }
    }

    /// The job being attempted must wait and will be recorded. Gives the rest of the queue, to park behind it.
    pub fn failed(&mut self, key: &LaneKey) -> VecDeque<J> {
        let Some(lane) = self.0.get_mut(key) else { return VecDeque::new() };
        lane.busy = false;
        lane.parked = true;
        lane.head_waits = true;
        lane.writes += 1 + lane.queue.len();
        std::mem::take(&mut lane.queue)
    }

    /// A record of this lane was committed.
    pub fn recorded(&mut self, key: &LaneKey) -> Next<J> {
        let Some(lane) = self.0.get_mut(key) else { return Next::Nothing };
        lane.writes = lane.writes.saturating_sub(1);
        if !lane.idle() {
            return Next::Nothing;
        }
        if lane.parked && !lane.head_waits {
            lane.load();
            return Next::Load;
        }
        self.0.remove(key);
        Next::Nothing
    }

    /// Takes a lane into memory because its waiting deliveries will be loaded: see [`Lanes::resume`].
    pub fn load(&mut self, key: &LaneKey) {
        self.0.entry(key.clone()).or_insert_with(|| Lane::new(true)).load();
    }

    /// Continues a lane with `jobs` loaded from the delivery store, in order, the first of them due. Without any, the lane is finished.
    pub fn resume(&mut self, key: &LaneKey, jobs: Vec<J>) -> Next<J> {
        let Some(lane) = self.0.get_mut(key) else { return Next::Nothing };
        let mut jobs: VecDeque<J> = jobs.into();
        if let Some(first) = jobs.pop_front() {
            lane.queue = jobs;
            return Next::Attempt(first);
        }
        lane.busy = false;
        if lane.writes > 0 {
            return Next::Nothing;
        }
        if lane.newer {
            lane.load();
            return Next::Load;
        }
        self.0.remove(key);
        Next::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use billwire_schemas::ids::fresh;

    fn key() -> LaneKey {
        (fresh(), fresh().into())
    }

    #[test]
    fn what_others_have_stored_comes_before_a_new_job_also_if_the_lane_is_in_memory() {
        let (mut lanes, key) = (Lanes::default(), key());
        assert_eq!(lanes.offer(&key, 1, false, false), Offer::Attempt(1));
        assert_eq!(lanes.completed(&key), Next::Nothing);
        assert_eq!(lanes.offer(&key, 4, true, false), Offer::Park(4), "2 and 3 wait in the delivery store");
        assert_eq!(lanes.recorded(&key), Next::Nothing);
        assert_eq!(lanes.recorded(&key), Next::Load);
        assert_eq!(lanes.resume(&key, vec![2, 3, 4]), Next::Attempt(2));
    }

    #[test]
    fn a_lane_tries_one_at_a_time_in_order() {
        let (mut lanes, key) = (Lanes::default(), key());
        assert_eq!(lanes.offer(&key, 1, false, false), Offer::Attempt(1));
        assert_eq!(lanes.offer(&key, 2, false, false), Offer::Queued);
        assert_eq!(lanes.offer(&key, 3, false, false), Offer::Queued);
        assert_eq!(lanes.completed(&key), Next::Attempt(2));
        assert_eq!(lanes.completed(&key), Next::Attempt(3));
        assert_eq!(lanes.completed(&key), Next::Nothing);
        for _ in 0..3 {
            assert_eq!(lanes.recorded(&key), Next::Nothing);
        }
        assert!(!lanes.contains(&key));
    }

    #[test]
    fn a_failed_head_parks_what_is_behind_it_and_what_comes_meanwhile() {
        let (mut lanes, key) = (Lanes::default(), key());
        let _ = lanes.offer(&key, 1, false, false);
        let _ = lanes.offer(&key, 2, false, false);
        assert_eq!(lanes.failed(&key), [2]);
        assert_eq!(lanes.offer(&key, 3, false, false), Offer::Park(3), "it must not overtake");
        assert_eq!(lanes.recorded(&key), Next::Nothing);
        assert_eq!(lanes.recorded(&key), Next::Nothing);
        assert!(lanes.contains(&key), "3 is not in the delivery store yet, so a newer one could still overtake it");
        assert_eq!(lanes.recorded(&key), Next::Nothing);
        assert!(!lanes.contains(&key));
    }

    #[test]
    fn a_due_lane_is_worked_off_before_anything_new_flows() {
        let (mut lanes, key) = (Lanes::default(), key());
        lanes.load(&key);
        assert!(lanes.contains(&key));
        assert_eq!(lanes.resume(&key, vec![1, 2]), Next::Attempt(1));
        assert_eq!(lanes.offer(&key, 9, false, false), Offer::Park(9));
        assert_eq!(lanes.completed(&key), Next::Attempt(2));
        assert_eq!(lanes.completed(&key), Next::Nothing);
        assert_eq!(lanes.recorded(&key), Next::Nothing);
        assert_eq!(lanes.recorded(&key), Next::Nothing);
        assert_eq!(lanes.recorded(&key), Next::Load, "9 waits in the delivery store");
        assert_eq!(lanes.resume(&key, vec![9]), Next::Attempt(9));
        assert_eq!(lanes.completed(&key), Next::Nothing);
        assert_eq!(lanes.recorded(&key), Next::Load);
        assert_eq!(lanes.resume(&key, vec![]), Next::Nothing);
        assert_eq!(lanes.offer(&key, 10, false, false), Offer::Attempt(10));
    }

    #[test]
    fn what_is_parked_while_a_lane_is_loaded_is_loaded_next() {
        let (mut lanes, key) = (Lanes::default(), key());
        lanes.load(&key);
        assert_eq!(lanes.offer(&key, 9, false, false), Offer::Park(9));
        assert_eq!(lanes.recorded(&key), Next::Nothing, "the load goes on");
        assert_eq!(lanes.resume(&key, vec![]), Next::Load, "9 may have come too late for it");
        assert_eq!(lanes.resume(&key, vec![9]), Next::Attempt(9));

        let _ = (lanes.completed(&key), lanes.recorded(&key));
        assert_eq!(lanes.offer(&key, 10, false, false), Offer::Park(10));
        assert_eq!(lanes.resume(&key, vec![]), Next::Nothing, "10 is not in the delivery store yet");
        assert_eq!(lanes.recorded(&key), Next::Load);
        assert_eq!(lanes.resume(&key, vec![]), Next::Nothing);
        assert!(!lanes.contains(&key));
    }

    #[test]
    fn followers_over_share_are_parked_and_still_delivered() {
        let (mut lanes, key) = (Lanes::default(), key());
        assert_eq!(lanes.offer(&key, 1, false, true), Offer::Attempt(1), "a lane's head is tried all the same");
        assert_eq!(lanes.offer(&key, 2, false, true), Offer::Park(2));
        assert_eq!(lanes.recorded(&key), Next::Nothing);
        assert_eq!(lanes.completed(&key), Next::Nothing);
        assert_eq!(lanes.recorded(&key), Next::Load);
    }

    #[test]
    fn a_lane_that_waits_in_the_delivery_store_is_not_overtaken_by_a_new_delivery() {
        let (mut lanes, key) = (Lanes::default(), key());
        assert_eq!(lanes.offer(&key, 5, true, false), Offer::Park(5));
        assert_eq!(lanes.recorded(&key), Next::Nothing, "the head has its own time");
        assert!(!lanes.contains(&key));
    }
}
