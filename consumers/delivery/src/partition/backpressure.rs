//! Backpressure: deliveries to slow receivers wait in the delivery store, so that memory stays free for others.

use billwire_schemas::{delivery::LaneKey, ids::SubscriptionId};

use crate::{
    limits::limiters::Availability,
    partition::{Partition, job::Job},
};

impl Partition {
    /// Whether the queue has only one subscription: then there is no other to protect.
    pub fn alone(&self) -> bool {
        self.queue.subscriptions.len() == 1
    }

    /// Whether a receiver is closed now, or is slow and has its share of the memory or more.
    pub fn over_share(&self, subscription: SubscriptionId) -> bool {
        let options = &self.engine.options;
        self.target_limits.availability(subscription, self.engine.clock.now()) == Availability::Closed
            || self.in_flight.is_over_share(subscription.0, options.ready_max, options.in_flight_max)
                && self.ready_queues.get(&subscription.0).is_some_and(|ready_queue| ready_queue.slow(self.alone()))
    }

    /// Parks ready deliveries of slow receivers beyond their share, and all of closed receivers: in memory they would keep messages for
    /// others from being pulled.
    pub fn shed(&mut self) {
        let (options, now, alone) = (&self.engine.options, self.engine.clock.now(), self.alone());
        let share = self.in_flight.share(options.ready_max, options.in_flight_max);
        let mut shed: Vec<Job> = Vec::new();
        for ready_queue in self.ready_queues.values_mut().filter(|ready_queue| ready_queue.stuck(alone)) {
            let closed = ready_queue
                .subscription()
                .is_some_and(|subscription| self.target_limits.availability(subscription, now) == Availability::Closed);
            let keep = if closed { 0 } else { share };
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

    /// Queues the read of a lane: only a few deliveries if its receiver is slow.
    pub fn read_lane(&mut self, lane: LaneKey) {
        let few = self.ready_queues.get(&lane.0).is_some_and(|ready_queue| ready_queue.slow(self.alone()));
        self.reads.lane(lane, few);
    }
}
