//! `explainEvent`: which queues and subscriptions match an event, why, and the state of each delivery.

use std::collections::HashMap;

use billwire_domain::{
    Rejected,
    delivery::{queue::Queue, routing, subscription::Subscription},
};
use billwire_schemas::{
    clock::{Clock, SystemClock},
    delivery::{Delivery, DeliveryState},
    expression::{Expression, Scope},
    ids::{EventId, SubscriptionId, TenantId},
    refusal::Code,
};
use billwire_store::{
    ConfigurationKind as Kind, Error,
    commit::Failure,
    delivery::{held_queues::HeldQueue, place::DeliveryPlace},
    retention::Kind as Purgeable,
};
use chrono::TimeDelta;
use serde_json::Value;

use crate::App;

/// Whether a subscription gets an event, and why: by its delivery, if there is one, or else by the current configuration and by where the event is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MatchResult {
    /// There is a delivery.
    Matched,
    /// The subscription matches, and its queue is paused or has not caught up.
    Held,
    /// The subscription matches, and the event is set aside.
    SetAside,
    /// The subscription matches, and its queue has not taken the event in yet.
    Pending,
    /// The subscription matches, and deliveries of the event's time are purged.
    Purged,
    /// The subscription matches now. It did not when its queue took the event in.
    WouldMatch,
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
            Self::Held => "held",
            Self::SetAside => "setAside",
            Self::Pending => "pending",
            Self::Purged => "purged",
            Self::WouldMatch => "wouldMatch",
            Self::NotRegistered => "notRegistered",
            Self::NotChosen => "notChosen",
            Self::FilteredOut => "filteredOut",
            Self::FilterFailed(_) => "filterFailed",
            Self::TooYoung => "tooYoung",
            Self::Disabled => "disabled",
        }
    }

    /// What there is to say about it.
    pub fn reason(&self) -> Option<&str> {
        Some(match self {
            Self::Held => "The queue is paused or has not caught up yet; it takes the event in then.",
            Self::SetAside => "The event is set aside.",
            Self::Pending => "The queue has not taken the event in yet.",
            Self::Purged => "Deliveries of this time are purged.",
            Self::WouldMatch => "The subscription matches now, but did not when its queue took the event in: it was changed since.",
            Self::FilterFailed(reason) => reason,
            _ => return None,
        })
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
    /// Whether the stream has the event: it was published, the audit has not found it lost, and it is not too old.
    pub on_stream: bool,
    /// Where the event is.
    pub delivery_place: DeliveryPlace,
    /// Each queue, whether the type is registered on it, and its subscriptions.
    pub queues: Vec<(Queue, bool, Vec<Match>)>,
    /// Deliveries of replays, and to deleted subscriptions.
    pub orphans: Vec<Delivery>,
}

/// What is recorded of an event besides its deliveries.
struct Facts {
    place: DeliveryPlace,
    held: Vec<HeldQueue>,
    /// Whether finished deliveries of its time are purged.
    purged: bool,
}

impl Facts {
    /// Where an event is that a subscription matches without having a delivery of it.
    fn of_match(&self, one: &Subscription) -> MatchResult {
        let held = self.held.iter().find(|held| held.queue == one.queue_id);
        if self.place.set_aside {
            MatchResult::SetAside
        } else if held.is_some_and(|held| !self.place.taken_in || held.position <= self.place.position) {
            MatchResult::Held
        } else if !self.place.taken_in {
            MatchResult::Pending
        } else if self.purged {
            MatchResult::Purged
        } else {
            MatchResult::WouldMatch
        }
    }
}

/// The result of a delivery that was recorded.
fn recorded(delivery: &Delivery) -> MatchResult {
    let last = delivery.last.as_ref().filter(|_| delivery.state == DeliveryState::Dead && delivery.attempts == 0);
    match last.and_then(|last| last.report.detail.strip_prefix(FILTER_FAILED)) {
        Some(fault) => MatchResult::FilterFailed(fault.to_owned()),
        None => MatchResult::Matched,
    }
}

/// How the delivery engine begins the detail of a delivery whose filter failed.
const FILTER_FAILED: &str = "filter failed: ";

/// The result of a subscription without a delivery, by the current configuration; `None`: it matches.
fn mismatch(one: &Subscription, registered: bool, start: i64, kind: &str, position: i64, scope: &Scope) -> Option<MatchResult> {
    if !registered {
        return Some(MatchResult::NotRegistered);
    }
    if !routing::chosen(&one.chosen, kind) {
        return Some(MatchResult::NotChosen);
    }
    if position <= start {
        return Some(MatchResult::TooYoung);
    }
    let holds = one.filter.as_deref().map(|source| Expression::compile(source).map_err(|fault| fault.message)?.holds(scope));
    match holds {
        Some(Ok(false)) => Some(MatchResult::FilteredOut),
        Some(Err(error)) => Some(MatchResult::FilterFailed(error)),
        _ => (!one.enabled).then_some(MatchResult::Disabled),
    }
}

impl App {
    /// Explains an event's routing and its deliveries.
    ///
    /// # Errors
    /// `event_not_found`, `purged`, or a database failure.
    pub async fn explain(&self, tenant: &TenantId, event: &str) -> Result<Explanation, Failure> {
        let body = self.event(tenant, event).await?;
        let missing = || Failure::from(Rejected::not_found(Code::EventNotFound, "event", event));
        let id: EventId = event.parse().map_err(|_| missing())?;
        // Before the deliveries: what is taken in by now has its deliveries then.
        let place = self.store.delivery_place(tenant, id).await?.ok_or_else(missing)?;
        let held = self.store.held_queues().await?;
        let kept_from = self.store.purge_reached(tenant, Purgeable::Deliveries).await?;
        let json: Value = serde_json::from_str(&body).map_err(|error| Error::Other(error.to_string()))?;
        let kind = json["type"].as_str().unwrap_or_default().to_owned();
        let scope = Scope::of(&json);
        let facts = Facts { purged: kept_from.is_some_and(|from| place.recorded_at < from), place, held };
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
                let verdict = delivery.as_ref().map(recorded);
                let verdict = verdict.or_else(|| mismatch(one, registered, *start, &kind, facts.place.position, &scope));
                let verdict = verdict.unwrap_or_else(|| facts.of_match(one));
                Match { subscription: one.clone(), verdict, delivery }
            });
            let met = met.collect();
            explained.push((queue, registered, met));
        }
        orphans.extend(deliveries.into_values());
        orphans.sort_by_key(|delivery| delivery.id);
        let stream_days = TimeDelta::days(self.retention.stream_days.max(1).into());
        let on_stream = facts.place.published && SystemClock.now() - facts.place.recorded_at < stream_days;
        Ok(Explanation { event_type: kind, on_stream, delivery_place: facts.place, queues: explained, orphans })
    }
}
