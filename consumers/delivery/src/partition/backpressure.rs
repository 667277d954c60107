//! Slow receivers and the room they take: what they cannot take soon waits in the delivery store, so that the hand stays open for others.

use billwire_schemas::{delivery::LaneKey, ids::SubscriptionId};

use crate::{
    limits::limiters::Availability,
    partition::{Partition, job::Job},
};

impl Partition {
    /// Whether only one subscription stands on the queue: then there are no others to be kept from their events.
    pub fn alone(&self) -> bool {
        self.queue.subscriptions.len() == 1
    }

    /// Whether a receiver is sent nothing now, or is slow and so much of it is in hand that more would crowd out others.
    pub fn over_share(&self, subscription: SubscriptionId) -> bool {
        let options = &self.engine.options;
        self.target_limits.availability(subscription, self.engine.clock.now()) == Availability::Closed
            || self.in_flight.is_over_share(subscription.0, options.line_max, options.in_flight_max)
                && self.ready_queues.get(&subscription.0).is_some_and(|ready_queue| ready_queue.slow(self.alone()))
    }

    /// Sends what stands in the lines of slow receivers to the delivery store, all but their share, and all of those that are sent nothing:
    /// in hand it would keep messages of others from being pulled.
    pub fn shed(&mut self) {
        let (options, now, alone) = (&self.engine.options, self.engine.clock.now(), self.alone());
        let share = self.in_flight.share(options.line_max, options.in_flight_max);
        let mut shed: Vec<Job> = Vec::new();
        for ready_queue in self.ready_queues.values_mut().filter(|ready_queue| ready_queue.stuck(alone)) {
            let rests = ready_queue
                .subscription()
                .is_some_and(|subscription| self.target_limits.availability(subscription, now) == Availability::Closed);
            let keep = if rests { 0 } else { share };
            if ready_queue.ready.len() > keep {
                shed.extend(ready_queue.ready.split_off(keep));
            }
        }
        for job in shed {
            self.park(&job, false);
            if self.queue.in_order {
                self.park_behind(&job.delivery.lane());
            }
        }
    }

    /// Has a lane read that is held for it: of one whose receiver is slow only a little.
    pub fn want_lane(&mut self, lane: LaneKey) {
        let few = self.ready_queues.get(&lane.0).is_some_and(|ready_queue| ready_queue.slow(self.alone()));
        self.reads.want(lane, few);
    }
}
