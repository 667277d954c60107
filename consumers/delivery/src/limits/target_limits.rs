//! The limits of a queue's targets: which subscription calls which target, through which limiters.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use billwire_schemas::{clock::Timestamp, ids::SubscriptionId};
use uuid::Uuid;

use crate::{
    engine::Engine,
    limits::limiters::{Availability, Limiter, Permit, ShareGuard},
    store::Queue,
};

/// The permits of one call.
pub(crate) struct Permits {
    /// The permit of the target, whose circuit breaker learns the outcome.
    pub target: Option<Permit>,
    _tenant: Option<Permit>,
}

/// The targets of one queue and their limiters.
pub(crate) struct TargetLimits {
    tenant: Arc<Limiter>,
    limiters: HashMap<Uuid, Arc<Limiter>>,
    targets: HashMap<SubscriptionId, Uuid>,
    disabled: HashSet<SubscriptionId>,
    /// While they live, this partition counts for the rates.
    _share_guards: Vec<ShareGuard>,
}

impl TargetLimits {
    /// Those of the queue as configured now.
    pub fn of(engine: &Engine, queue: &Queue) -> Self {
        let now = engine.clock.now();
        let tenant = engine.limiters.of_tenant(&queue.tenant_limits, now);
        let limiters: HashMap<Uuid, Arc<Limiter>> =
            queue.targets.iter().map(|target| (target.id, engine.limiters.of(target, now))).collect();
        let mut share_guards: Vec<ShareGuard> = limiters.values().map(|limiter| limiter.share_guard(now)).collect();
        share_guards.push(tenant.share_guard(now));
        let mut targets = HashMap::new();
        for one in &queue.subscriptions {
            if let Some(target) = one.action.target.filter(|target| limiters.contains_key(target)) {
                targets.insert(one.id, target);
            }
        }
        let disabled = queue.subscriptions.iter().filter(|one| !one.enabled).map(|one| one.id).collect();
        Self { tenant, limiters, targets, disabled, _share_guards: share_guards }
    }

    /// The limiter of a subscription's target, if it has a target.
    pub fn limiter(&self, subscription: SubscriptionId) -> Option<&Arc<Limiter>> {
        self.limiters.get(self.targets.get(&subscription)?)
    }

    /// Whether a subscription is disabled.
    pub fn disabled(&self, subscription: SubscriptionId) -> bool {
        self.disabled.contains(&subscription)
    }

    /// Whether waiting deliveries of a subscription should be attempted.
    pub fn availability(&self, subscription: SubscriptionId, now: Timestamp) -> Availability {
        if self.disabled(subscription) {
            return Availability::Closed;
        }
        self.limiter(subscription).map_or(Availability::Open, |limiter| limiter.availability(now))
    }

    /// The permits for one call of a subscription, if it may start now.
    pub fn try_acquire(&self, subscription: SubscriptionId, now: Timestamp) -> Option<Permits> {
        let Some(limiter) = self.limiter(subscription) else { return Some(Permits { target: None, _tenant: None }) };
        // The target first: it refuses more often, and a permit of the tenant must not be wasted then.
        let target = limiter.try_acquire(now)?;
        let tenant = self.tenant.try_acquire(now)?;
        Some(Permits { target: Some(target), _tenant: Some(tenant) })
    }
}
