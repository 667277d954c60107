//! Which target a subscription calls, and whether it may be called now.

use std::sync::Arc;

use billwire_schemas::{clock::Timestamp, ids::SubscriptionId};
use uuid::Uuid;

use crate::{
    limits::{
        limiter::{Availability, Limiter, Permit, Waiter},
        limiters::Limiters,
    },
    routing::{Route, Routing},
};

/// The permits of one call.
pub(crate) struct Permits {
    /// The permit of the target, whose circuit breaker learns the outcome.
    pub target: Option<Permit>,
    _tenant: Option<Permit>,
}

/// The outcome of [`TargetLimits::try_acquire`].
pub(crate) enum Acquired {
    /// The call may start.
    Permits(Permits),
    /// The call must wait: for this target, or for the tenant's other calls, or for the subscription itself.
    Wait(Uuid),
}

/// The limits of all targets, as one partition sees them.
pub(crate) struct TargetLimits<'e> {
    pub routing: &'e Routing,
    pub limiters: &'e Limiters,
}

impl TargetLimits<'_> {
    fn limiter_of(&self, route: &Route) -> Option<Arc<Limiter>> {
        self.limiters.get(route.subscription.action.target?)
    }

    /// What the calls of a subscription may have to wait for: the limiters of its target and of its tenant.
    pub fn waited_for(&self, subscription: SubscriptionId) -> Vec<Arc<Limiter>> {
        let Some(route) = self.routing.route(subscription) else { return Vec::new() };
        self.limiter_of(route).into_iter().chain(self.limiters.get_tenant(&route.queue.tenant)).collect()
    }

    /// The limiter of a subscription's target, if it has a target.
    pub fn limiter(&self, subscription: SubscriptionId) -> Option<Arc<Limiter>> {
        self.limiter_of(self.routing.route(subscription)?)
    }

    /// Whether waiting deliveries of a subscription should be attempted. Those of a deleted one should: they are given up.
    pub fn availability(&self, subscription: SubscriptionId, now: Timestamp) -> Availability {
        let Some(route) = self.routing.route(subscription) else { return Availability::Open };
        if route.queue.paused || !route.subscription.enabled {
            return Availability::Closed;
        }
        self.limiter_of(route).map_or(Availability::Open, |limiter| limiter.availability(now))
    }

    /// The permits for one call of a subscription, if it may start now; otherwise `waiter` is woken when a call has ended.
    pub fn try_acquire(&self, subscription: SubscriptionId, now: Timestamp, waiter: &Arc<Waiter>) -> Acquired {
        let free = Acquired::Permits(Permits { target: None, _tenant: None });
        let Some(route) = self.routing.route(subscription) else { return free };
        if route.queue.paused || !route.subscription.enabled {
            return Acquired::Wait(subscription.0);
        }
        let Some(limiter) = self.limiter_of(route) else { return free };
        // The target first: it refuses more often, and a permit of the tenant must not be wasted then.
        let Some(target) = limiter.try_acquire(now, waiter) else { return Acquired::Wait(limiter.id()) };
        let tenant = match self.limiters.get_tenant(&route.queue.tenant) {
            None => None,
            Some(limiter) => match limiter.try_acquire(now, waiter) {
                None => return Acquired::Wait(limiter.id()),
                some => some,
            },
        };
        Acquired::Permits(Permits { target: Some(target), _tenant: tenant })
    }
}
