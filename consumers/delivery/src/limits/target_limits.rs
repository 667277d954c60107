//! The ways out of a queue: which subscription calls whom, and through which gates.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use billwire_schemas::{clock::Timestamp, ids::SubscriptionId};
use uuid::Uuid;

use crate::{
    limits::limiters::{Gate, Hold, Permit, Stand},
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
pub(crate) struct Ways {
    tenant: Arc<Gate>,
    gates: HashMap<Uuid, Arc<Gate>>,
    targets: HashMap<SubscriptionId, Uuid>,
    disabled: HashSet<SubscriptionId>,
    /// As long as they live, this partition counts for the rates.
    _holds: Vec<Hold>,
}

impl Ways {
    /// Of the queue as it is configured now.
    pub fn of(engine: &Engine, queue: &Queue) -> Self {
        let now = engine.clock.now();
        let tenant = engine.gates.of_tenant(&queue.tenant_limits, now);
        let gates: HashMap<Uuid, Arc<Gate>> = queue.targets.iter().map(|target| (target.id, engine.gates.of(target, now))).collect();
        let mut holds: Vec<Hold> = gates.values().map(|gate| gate.hold(now)).collect();
        holds.push(tenant.hold(now));
        let mut targets = HashMap::new();
        for one in &queue.subscriptions {
            if let Some(target) = one.action.target().filter(|target| gates.contains_key(target)) {
                targets.insert(one.id, target);
            }
        }
        let disabled = queue.subscriptions.iter().filter(|one| !one.enabled).map(|one| one.id).collect();
        Self { tenant, gates, targets, disabled, _holds: holds }
    }

    /// The gate a subscription calls through, if there is one.
    pub fn gate(&self, subscription: SubscriptionId) -> Option<&Arc<Gate>> {
        self.gates.get(self.targets.get(&subscription)?)
    }

    /// Whether a subscription is disabled.
    pub fn disabled(&self, subscription: SubscriptionId) -> bool {
        self.disabled.contains(&subscription)
    }

    /// Whether what waits for a subscription is to be taken up.
    pub fn stand(&self, subscription: SubscriptionId, now: Timestamp) -> Stand {
        if self.disabled(subscription) {
            return Stand::Rests;
        }
        self.gate(subscription).map_or(Stand::Flows, |gate| gate.stand(now))
    }

    /// Lets one call of a subscription through, if it may start now.
    pub fn enter(&self, subscription: SubscriptionId, now: Timestamp) -> Option<Permits> {
        let Some(gate) = self.gate(subscription) else { return Some(Permits { target: None, _tenant: None }) };
        // The target first: of the two it is the one that mostly says no, and a tenant's turn must not be spent on that.
        let target = gate.enter(now)?;
        let tenant = self.tenant.enter(now)?;
        Some(Permits { target: Some(target), _tenant: Some(tenant) })
    }
}
