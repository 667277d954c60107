//! Matching: which subscriptions of a tenant an event is for, found without evaluating each filter.
//!
//! Subscriptions are indexed by the event types they select and, within a type, by a parameter that their filter requires to equal a text:
//! of ten thousand subscriptions to one account each, only those to the event's account are evaluated.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use billwire_schemas::{expression::Scope, ids::QueueId};

use crate::{
    event::Event,
    routing::{Queue, Route},
};

/// A subscription that an event matches, or one whose filter failed, with the reason.
pub type Match = (Route, Option<String>);

/// What an event matches.
#[derive(Debug, Default)]
pub struct Matches {
    /// The subscriptions.
    pub matches: Vec<Match>,
    /// The held queues that the event's type is registered on: they take it in later.
    pub held: Vec<QueueId>,
}

/// The subscriptions to events of one type.
#[derive(Debug, Default)]
struct OfType {
    /// Those that are always evaluated.
    anyone: Vec<Route>,
    /// Those that are evaluated if the parameter has the text.
    by_text: HashMap<String, HashMap<String, Vec<Route>>>,
    /// Whether any of them has a filter.
    filtered: bool,
    held: Vec<QueueId>,
}

/// What is indexed: the events of a type that come over the stream to every queue, or to one queue from elsewhere.
type Key = (String, Option<QueueId>);

/// Finds the subscriptions that an event matches.
#[derive(Debug)]
pub struct Matching {
    queues: Vec<Arc<Queue>>,
    types: Mutex<HashMap<Key, Arc<OfType>>>,
}

impl Matching {
    /// For the subscriptions of `queues` as they are now.
    pub fn of(queues: Vec<Arc<Queue>>) -> Self {
        Self { queues, types: Mutex::default() }
    }

    /// What `event`, which came over the stream, matches.
    pub fn matches(&self, event: &Event) -> Matches {
        let of_type = self.of_type(&event.kind, None);
        Matches { matches: of_type.find(event), held: of_type.held.clone() }
    }

    /// The subscriptions of one queue that `event` matches; its type need not be registered on the queue, and the queue may be held.
    pub fn matches_in(&self, queue: QueueId, event: &Event) -> Vec<Match> {
        self.of_type(&event.kind, Some(queue)).find(event)
    }

    fn of_type(&self, kind: &str, queue: Option<QueueId>) -> Arc<OfType> {
        let mut types = self.types.lock().unwrap_or_else(PoisonError::into_inner);
        types.entry((kind.to_owned(), queue)).or_insert_with(|| Arc::new(self.index(kind, queue))).clone()
    }

    fn index(&self, kind: &str, only: Option<QueueId>) -> OfType {
        let mut of_type = OfType::default();
        for queue in &self.queues {
            let takes = only.map_or_else(|| queue.registered.takes(kind), |only| only == queue.id);
            if takes && queue.held && only.is_none() {
                of_type.held.push(queue.id);
            } else if takes {
                of_type.add(queue, kind);
            }
        }
        of_type
    }
}

impl OfType {
    fn add(&mut self, queue: &Arc<Queue>, kind: &str) {
        for one in queue.subscriptions.iter().filter(|one| one.enabled && one.chooses(kind)) {
            self.filtered |= one.filter.is_some();
            let route = Route { queue: queue.clone(), subscription: one.clone() };
            match one.filter.as_ref().and_then(|filter| filter.as_ref().ok()?.required_text()) {
                Some((name, text)) => {
                    self.by_text.entry(name.clone()).or_default().entry(text.clone()).or_default().push(route);
                }
                None => self.anyone.push(route),
            }
        }
    }

    fn find(&self, event: &Event) -> Vec<Match> {
        let started = |one: &&Route| event.position > one.subscription.start_position;
        if !self.filtered {
            return self.anyone.iter().filter(started).map(|one| (one.clone(), None)).collect();
        }
        let json = match event.json() {
            Ok(json) => json,
            Err(error) => return self.everyone().filter(started).map(|one| (one.clone(), Some(error.clone()))).collect(),
        };
        let scope = Scope::of(&json);
        self.candidates(&scope).filter(started).filter_map(|one| evaluated(one, &scope)).collect()
    }

    fn everyone(&self) -> impl Iterator<Item = &Route> {
        self.anyone.iter().chain(self.by_text.values().flat_map(HashMap::values).flatten())
    }

    /// Those whose filters may hold.
    fn candidates<'s>(&'s self, scope: &'s Scope) -> impl Iterator<Item = &'s Route> {
        let by_text = self.by_text.iter().filter_map(|(name, texts)| texts.get(scope.text(name)?)).flatten();
        self.anyone.iter().chain(by_text)
    }
}

/// The subscription, if its filter holds; with the reason, if the filter failed: no event is dropped because of a broken filter.
fn evaluated(one: &Route, scope: &Scope) -> Option<Match> {
    let result = match &one.subscription.filter {
        None => Ok(true),
        Some(Ok(filter)) => filter.holds(scope),
        Some(Err(broken)) => Err(broken.clone()),
    };
    match result {
        Ok(true) => Some((one.clone(), None)),
        Ok(false) => None,
        Err(error) => Some((one.clone(), Some(format!("filter failed: {error}")))),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use billwire_schemas::{
        events::selection::Selection,
        expression::Expression,
        ids::{EventId, QueueId, SubscriptionId, TenantId, fresh},
    };
    use serde_json::json;

    use crate::{channel::ChannelAction, event::Subscription};

    #[derive(Debug)]
    pub(crate) struct Noop;

    impl ChannelAction for Noop {
        const CHANNEL: &'static str = "noop";
    }

    fn tenant() -> TenantId {
        "default".parse().expect("a tenant")
    }

    fn subscription(types: &[&str], filter: Option<&str>) -> Arc<Subscription> {
        Arc::new(Subscription {
            id: SubscriptionId(fresh()),
            tenant: tenant(),
            chosen: Selection::of_types(types),
            enabled: true,
            filter: filter.map(|source| Expression::compile(source).map_err(|fault| fault.message)),
            parameters: Vec::new(),
            blocks: false,
            start_position: 10,
            action: Noop.into(),
        })
    }

    pub(crate) fn queue(types: &[&str], subscriptions: Vec<Arc<Subscription>>) -> Arc<Queue> {
        Arc::new(Queue {
            id: QueueId(fresh()),
            tenant: tenant(),
            in_order: true,
            registered: Selection::of_types(types),
            paused: false,
            held: false,
            subscriptions,
        })
    }

    fn event(kind: &str, account: &str, position: i64) -> Event {
        let body = json!({ "type": kind, "data": { "parameters": { "account.id": account, "bucket.tier": 1 } } }).to_string();
        let (id, key) = (EventId(fresh()), fresh().into());
        Event { id, tenant: tenant(), kind: kind.to_owned(), key, sequence: 1, position, body: body.into() }
    }

    #[test]
    fn the_index_finds_just_those_that_asking_everyone_would_find() {
        let filters = [
            None,
            Some("account.id == 'a1'"),
            Some("account.id == 'a2' && bucket.tier == 1"),
            Some("bucket.tier > 1"),
            Some("bucket.tier < 2"),
        ];
        let types: [&[&str]; 3] = [&[], &["account.*"], &["invoice.posted"]];
        let all: Vec<_> = types.iter().flat_map(|types| filters.iter().map(|filter| subscription(types, *filter))).collect();
        let matching = Matching::of(vec![queue(&["account.*", "invoice.posted"], all.clone())]);
        for kind in ["account.created", "invoice.posted", "payment.created"] {
            for account in ["a1", "a2", "a3"] {
                let event = event(kind, account, 11);
                let json = event.json().expect("JSON");
                let scope = Scope::of(&json);
                let wants = |one: &&Arc<Subscription>| {
                    kind != "payment.created"
                        && one.chooses(kind)
                        && one.filter.as_ref().is_none_or(|f| f.as_ref().expect("compiles").holds(&scope) == Ok(true))
                };
                let mut asked: Vec<_> = all.iter().filter(wants).map(|one| one.id).collect();
                let mut found: Vec<_> = matching
                    .matches(&event)
                    .matches
                    .into_iter()
                    .map(|(one, fault)| {
                        assert_eq!(fault, None);
                        one.subscription.id
                    })
                    .collect();
                asked.sort();
                found.sort();
                assert_eq!(found, asked, "{kind} {account}");
            }
        }
    }

    #[test]
    fn what_happened_before_a_subscription_is_not_for_it_and_disabled_ones_get_nothing() {
        let (one, mut off) = (subscription(&[], None), subscription(&[], None));
        Arc::get_mut(&mut off).expect("alone").enabled = false;
        let matching = Matching::of(vec![queue(&["*"], vec![one.clone(), off])]);
        assert!(matching.matches(&event("account.created", "a", 10)).matches.is_empty());
        let found: Vec<_> =
            matching.matches(&event("account.created", "a", 11)).matches.into_iter().map(|(one, _)| one.subscription.id).collect();
        assert_eq!(found, [one.id]);
    }

    #[test]
    fn a_filter_that_fails_is_reported_and_a_forwarded_event_needs_no_registration() {
        let queue = queue(&["invoice.*"], vec![subscription(&[], Some("account.id > 5"))]);
        let matching = Matching::of(vec![queue.clone()]);
        let event = event("account.created", "a", 11);
        assert!(matching.matches(&event).matches.is_empty());
        let found = matching.matches_in(queue.id, &event);
        assert!(found[0].1.as_ref().is_some_and(|fault| fault.starts_with("filter failed: ")), "{found:?}");
    }

    #[test]
    fn an_event_meets_every_queue_and_a_held_queue_is_named_instead_of_its_subscriptions() {
        let (one, other) = (queue(&["*"], vec![subscription(&[], None)]), queue(&["account.*"], vec![subscription(&[], None)]));
        let mut held = queue(&["account.*"], vec![subscription(&[], None)]);
        Arc::get_mut(&mut held).expect("alone").held = true;
        let matching = Matching::of(vec![one.clone(), other.clone(), held.clone()]);
        let found = matching.matches(&event("account.created", "a", 11));
        let queues: Vec<_> = found.matches.iter().map(|(route, _)| route.queue.id).collect();
        assert_eq!((queues, found.held), (vec![one.id, other.id], vec![held.id]));
        let found = matching.matches(&event("invoice.posted", "a", 11));
        assert_eq!((found.matches.len(), found.held.len()), (1, 0), "not registered on the others");
        assert_eq!(matching.matches_in(held.id, &event("account.created", "a", 11)).len(), 1, "forwarded to it");
    }
}
