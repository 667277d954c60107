//! Routing: the configuration of all tenants, as the engine uses it. Read once per revision and shared by all partitions of a process.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use billwire_schemas::{
    clock::Timestamp,
    delivery::{AttemptRecord, Delivery, DeliveryState, Report},
    events::selection::Selection,
    ids::{DeliveryId, QueueId, ReplayId, Slot, SubscriptionId, TenantId},
};

use crate::{
    event::{Event, Subscription},
    limits::limiter::Target,
    matching::{Match, Matching},
};

/// A queue with its subscriptions.
#[derive(Debug, Clone)]
pub struct Queue {
    /// Its id.
    pub id: QueueId,
    /// The tenant.
    pub tenant: TenantId,
    /// Whether each lane is delivered in order, one delivery at a time.
    pub in_order: bool,
    /// The event types registered on it.
    pub registered: Selection,
    /// Whether it is paused: nothing is attempted.
    pub paused: bool,
    /// Whether it is held: it is paused, or has not caught up since. It takes in no new events; they are read from SQL later.
    pub held: bool,
    /// Its subscriptions.
    pub subscriptions: Vec<Arc<Subscription>>,
}

impl Queue {
    /// The delivery of `event` to a subscription of the queue, or by a replay to it, before the first attempt.
    pub fn delivery(&self, event: &Event, subscription: SubscriptionId, replay: Option<ReplayId>, now: Timestamp) -> Delivery {
        Delivery {
            id: replay.map_or_else(|| DeliveryId::of(event.id, subscription), |replay| DeliveryId::of_replay(event.id, replay)),
            tenant: event.tenant.clone(),
            event: event.id,
            event_type: event.kind.clone(),
            queue: self.id,
            slot: Slot::of(&event.tenant, &event.key),
            subscription,
            replay,
            key: event.key.clone(),
            sequence: event.sequence,
            position: event.position,
            state: DeliveryState::Waiting,
            attempts: 0,
            forgiven: 0,
            next_attempt_at: None,
            last: None,
            created_at: now,
        }
    }
}

impl Queue {
    /// The delivery of `event` to a subscription that it matches; a dead letter if the subscription's filter failed.
    pub fn delivery_of_match(&self, event: &Event, (route, fault): Match, now: Timestamp) -> Delivery {
        let delivery = self.delivery(event, route.subscription.id, None, now);
        match fault {
            None => delivery,
            Some(fault) => filter_failed(delivery, &fault),
        }
    }
}

/// A delivery as a dead letter, because the filter failed: a person can correct the filter and redrive it.
pub(crate) fn filter_failed(delivery: Delivery, fault: &str) -> Delivery {
    let last = AttemptRecord { number: 0, at: delivery.created_at, latency: Duration::ZERO, report: Report::new(None, fault) };
    Delivery { state: DeliveryState::Dead, next_attempt_at: None, last: Some(last), ..delivery }
}

/// A subscription and its queue.
#[derive(Debug, Clone)]
pub struct Route {
    /// The queue.
    pub queue: Arc<Queue>,
    /// The subscription.
    pub subscription: Arc<Subscription>,
}

/// The routing of one tenant.
#[derive(Debug)]
pub struct TenantRouting {
    /// The queues.
    pub queues: Vec<Arc<Queue>>,
    /// The targets that subscriptions call.
    pub targets: Vec<Arc<Target>>,
    /// The limits of all calls together.
    pub limits: Arc<Target>,
    /// Which subscriptions an event matches.
    pub matching: Matching,
}

impl TenantRouting {
    /// For these queues and targets.
    pub fn new(queues: Vec<Arc<Queue>>, targets: Vec<Arc<Target>>, limits: Arc<Target>) -> Self {
        Self { matching: Matching::of(queues.clone()), queues, targets, limits }
    }

    /// One queue.
    pub fn queue(&self, id: QueueId) -> Option<&Arc<Queue>> {
        self.queues.iter().find(|queue| queue.id == id)
    }

    /// A subscription and its queue.
    pub fn route(&self, id: SubscriptionId) -> Option<Route> {
        self.queues.iter().find_map(|queue| {
            let subscription = queue.subscriptions.iter().find(|one| one.id == id)?;
            Some(Route { queue: queue.clone(), subscription: subscription.clone() })
        })
    }
}

/// What the configuration was read at. A later one is different.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision {
    /// Grows with each change of the configuration of any tenant.
    pub changes: i64,
    /// How many queues are held. With the same number of changes it only falls, as queues catch up.
    pub held: std::cmp::Reverse<i64>,
}

/// The routing of all tenants, at a revision of the configuration or an earlier one.
#[derive(Debug, Default)]
pub struct Routing {
    /// The revision.
    pub revision: Revision,
    /// The tenants.
    pub tenants: HashMap<TenantId, Arc<TenantRouting>>,
    routes: OnceLock<HashMap<SubscriptionId, Route>>,
}

impl Routing {
    /// For these tenants.
    pub fn new(revision: Revision, tenants: HashMap<TenantId, Arc<TenantRouting>>) -> Self {
        Self { revision, tenants, routes: OnceLock::new() }
    }

    /// A subscription of any tenant, and its queue.
    pub fn route(&self, id: SubscriptionId) -> Option<&Route> {
        let all = || {
            let queues = self.tenants.values().flat_map(|tenant| &tenant.queues);
            let routes = queues.flat_map(|queue| {
                queue.subscriptions.iter().map(|one| (one.id, Route { queue: queue.clone(), subscription: one.clone() }))
            });
            routes.collect()
        };
        self.routes.get_or_init(all).get(&id)
    }
}
