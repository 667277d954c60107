//! The ways out of a queue: which subscription calls whom, and through which gates.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use billwire_schemas::{clock::Timestamp, ids::SubscriptionId};
use uuid::Uuid;

use crate::{
    limits::limiters::{Availability, Limiter, Permit, ShareGuard},
    store::Queue,
    supervisor::Engine,
};

/// What a call went through.
pub(crate) struct Permits {
    /// That of the target; the one whose circuit learns how it went.
    pub target: Option<Permit>,
    _tenant: Option<Permit>,
}

/// The ways of one queue.
pub(crate) struct TargetLimits {
    tenant: Arc<Limiter>,
    limiters: HashMap<Uuid, Arc<Limiter>>,
    targets: HashMap<SubscriptionId, Uuid>,
    disabled: HashSet<SubscriptionId>,
    /// As long as they live, this partition counts for the rates.
    _share_guards: Vec<ShareGuard>,
}

impl TargetLimits {
    /// Of the queue as it is configured now.
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

    /// The gate a subscription calls through, if there is one.
    pub fn limiter(&self, subscription: SubscriptionId) -> Option<&Arc<Limiter>> {
        self.limiters.get(self.targets.get(&subscription)?)
    }

    /// Whether a subscription is disabled.
    pub fn disabled(&self, subscription: SubscriptionId) -> bool {
        self.disabled.contains(&subscription)
    }

    /// Whether what waits for a subscription is to be taken up.
    pub fn availability(&self, subscription: SubscriptionId, now: Timestamp) -> Availability {
        if self.disabled(subscription) {
            return Availability::Closed;
        }
        self.limiter(subscription).map_or(Availability::Open, |limiter| limiter.availability(now))
    }

    /// Lets one call of a subscription through, if it may start now.
    pub fn enter(&self, subscription: SubscriptionId, now: Timestamp) -> Option<Permits> {
        let Some(limiter) = self.limiter(subscription) else { return Some(Permits { target: None, _tenant: None }) };
        // The target first: of the two it is the one that mostly says no, and a tenant's turn must not be spent on that.
        let target = limiter.enter(now)?;
        let tenant = self.tenant.enter(now)?;
        Some(Permits { target: Some(target), _tenant: Some(tenant) })
    }
}
