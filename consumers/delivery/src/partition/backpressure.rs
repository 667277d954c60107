//! Backpressure: deliveries to slow receivers wait in the delivery store, so that memory stays free for others.

use billwire_schemas::{delivery::LaneKey, ids::SubscriptionId};

use crate::{limits::limiter::Availability, partition::Partition};

impl Partition {
    /// Whether a receiver is closed now, or is slow and has its share of the memory or more.
    pub fn over_share(&self, subscription: SubscriptionId) -> bool {
        let (options, owner) = (&self.engine.options, subscription.0);
        self.target_limits().availability(subscription, self.engine.clock.now()) == Availability::Closed
            || self.in_flight.is_over_share(owner, options.ready_max, options.in_flight_max)
                && self.ready_queues.get(owner).is_some_and(|ready_queue| ready_queue.slow(self.in_flight.alone(owner)))
    }

    /// Parks ready deliveries of slow receivers beyond their share, and all of closed receivers: in memory they would keep messages for
    /// others from being pulled.
    pub fn shed(&mut self) {
        let (options, now) = (&self.engine.options, self.engine.clock.now());
        let share = self.in_flight.share(options.ready_max, options.in_flight_max);
        let (in_flight, routing, limiters) = (&self.in_flight, &self.routing, &self.engine.limiters);
        let target_limits = crate::limits::target_limits::TargetLimits { routing, limiters };
        let shed = self.ready_queues.shed(|owner, ready_queue| {
            if !ready_queue.stuck(in_flight.alone(owner)) {
                return usize::MAX;
            }
            let subscription = ready_queue.subscription();
            let closed = subscription.is_some_and(|one| target_limits.availability(one, now) == Availability::Closed);
            if closed { 0 } else { share }
        });
        for job in shed {
            self.park(&job, false);
            if job.route.queue.in_order {
                self.park_behind(&job.delivery.lane());
            }
        }
    }

    /// Queues the read of a lane: only a few deliveries if its receiver is slow, or memory is short.
    pub fn read_lane(&mut self, lane: LaneKey) {
        let slow = self.ready_queues.get(lane.0).is_some_and(|ready_queue| ready_queue.slow(self.in_flight.alone(lane.0)));
        self.reads.lane(lane, slow || !self.engine.in_flight_bytes.has_room());
    }
}
