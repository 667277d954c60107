//! `explainEvent`: which queues and subscriptions match an event, why, and the state of each delivery.

use std::collections::HashMap;

use billwire_domain::{
    Rejected,
    delivery::{queue::Queue, routing, subscription::Subscription},
};
use billwire_schemas::{
    delivery::Delivery,
    expression::{Expression, Scope},
    ids::{EventId, SubscriptionId, TenantId},
    refusal::Code,
};
use billwire_store::{ConfigurationKind as Kind, Error, commit::Failure, delivery::redrive::DeliveryPlace};
use serde_json::Value;

use crate::App;

/// Whether and why a subscription matches an event, by the current configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MatchResult {
    /// The subscription matches.
    Matched,
    /// The type is not registered on the queue, and the event was not forwarded there.
    NotRegistered,
    /// The subscription does not select the type.
    NotChosen,
    /// The filter is false.
    FilteredOut,
    /// The filter failed, for this reason.
    FilterFailed(String),
    /// The subscription was created or enabled after the event.
    TooYoung,
    /// The subscription is disabled.
    Disabled,
}

impl MatchResult {
    /// The stable name in responses.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Matched => "matched",
            Self::NotRegistered => "notRegistered",
            Self::NotChosen => "notChosen",
            Self::FilteredOut => "filteredOut",
            Self::FilterFailed(_) => "filterFailed",
            Self::TooYoung => "tooYoung",
            Self::Disabled => "disabled",
        }
    }
}

/// The matching result of a subscription.
#[derive(Debug)]
pub struct Match {
    /// The subscription.
    pub subscription: Subscription,
    /// Whether it matches the event.
    pub verdict: MatchResult,
    /// The delivery, if there is one.
    pub delivery: Option<Delivery>,
}

/// The routing and deliveries of an event.
#[derive(Debug)]
pub struct Explanation {
    /// The event type.
    pub event_type: String,
    /// Whether the stream and the warehouse have the event.
    pub delivery_place: DeliveryPlace,
    /// Each queue, whether the type is registered on it, and its subscriptions.
    pub queues: Vec<(Queue, bool, Vec<Match>)>,
    /// Deliveries of replays, and to deleted subscriptions.
    pub orphans: Vec<Delivery>,
}

fn judge(one: &Subscription, registered: bool, delivered: bool, start: i64, kind: &str, position: i64, scope: &Scope) -> MatchResult {
    // A forwarded event needs no registration; an existing delivery shows that it was forwarded.
    if !registered && !delivered {
        return MatchResult::NotRegistered;
    }
    if !routing::chosen(&one.chosen, kind) {
        return MatchResult::NotChosen;
    }
    if position <= start {
        return MatchResult::TooYoung;
    }
    let holds = one.filter.as_deref().map(|source| Expression::compile(source).map_err(|fault| fault.message)?.holds(scope));
    match holds {
        Some(Ok(false)) => MatchResult::FilteredOut,
        Some(Err(error)) => MatchResult::FilterFailed(error),
        _ if !one.enabled && !delivered => MatchResult::Disabled,
        _ => MatchResult::Matched,
    }
}

impl App {
    /// Explains an event's routing, by the current configuration, and its deliveries.
    ///
    /// # Errors
    /// `event_not_found`, `purged`, or a database failure.
    pub async fn explain(&self, tenant: &TenantId, event: &str) -> Result<Explanation, Failure> {
        let body = self.event(tenant, event).await?;
        let missing = || Failure::from(Rejected::not_found(Code::EventNotFound, "event", event));
        let id: EventId = event.parse().map_err(|_| missing())?;
        let delivery_place = self.store.delivery_place(tenant, id).await?.ok_or_else(missing)?;
        let json: Value = serde_json::from_str(&body).map_err(|error| Error::Other(error.to_string()))?;
        let kind = json["type"].as_str().unwrap_or_default().to_owned();
        let scope = Scope::of(&json);
        let (mut orphans, live): (Vec<Delivery>, Vec<Delivery>) =
            self.store.deliveries_of(tenant, id).await?.into_iter().partition(|delivery| delivery.replay.is_some());
        let mut deliveries: HashMap<SubscriptionId, Delivery> =
            live.into_iter().map(|delivery| (delivery.subscription, delivery)).collect();
        let queues: Vec<Queue> = self.store.configurations(tenant, Kind::Queue).await?;
        let subscriptions = self.store.started_configurations::<Subscription>(tenant, Kind::Subscription).await?;
        let mut explained = Vec::with_capacity(queues.len());
        for queue in queues {
            let registered = queue.registered.takes(&kind);
            let own = subscriptions.iter().filter(|(one, _)| one.queue_id == queue.id);
            let met = own.map(|(one, start)| {
                let delivery = deliveries.remove(&one.id);
                let verdict = judge(one, registered, delivery.is_some(), *start, &kind, delivery_place.position, &scope);
                Match { subscription: one.clone(), verdict, delivery }
            });
            let met = met.collect();
            explained.push((queue, registered, met));
        }
        orphans.extend(deliveries.into_values());
        orphans.sort_by_key(|delivery| delivery.id);
        Ok(Explanation { event_type: kind, delivery_place, queues: explained, orphans })
    }
}
