//! Matching: which subscriptions of a queue an event is for, found without evaluating each filter.
//!
//! Subscriptions are indexed by the event types they select and, within a type, by a parameter that their filter requires to equal a text:
//! of ten thousand subscriptions to one account each, only those to the event's account are evaluated.

use std::{collections::HashMap, sync::Arc};

use billwire_schemas::expression::Scope;

use crate::{
    event::{Event, Subscription},
    store::Queue,
};

/// A subscription that an event matches, or one whose filter failed, with the reason.
pub type Match = (Arc<Subscription>, Option<String>);

/// The subscriptions to events of one type.
#[derive(Default)]
struct OfType {
    registered: bool,
    /// Those that are always evaluated.
    anyone: Vec<Arc<Subscription>>,
    /// Those that are evaluated if the parameter has the text.
    by_text: HashMap<String, HashMap<String, Vec<Arc<Subscription>>>>,
    /// Whether any of them has a filter.
    filtered: bool,
}

/// Finds the subscriptions of a queue that an event matches.
pub struct Matching {
    queue: Arc<Queue>,
    types: HashMap<String, OfType>,
}

impl Matching {
    /// For the subscriptions of `queue` as they are now.
    pub fn of(queue: Arc<Queue>) -> Self {
        Self { queue, types: HashMap::new() }
    }

    /// The matches of `event`, which came over the stream.
    pub fn matches(&mut self, event: &Event) -> Vec<Match> {
        self.find(event, false)
    }

    /// The matches of `event`, which was forwarded; its type need not be registered on the queue.
    pub fn matches_forwarded(&mut self, event: &Event) -> Vec<Match> {
        self.find(event, true)
    }

    fn find(&mut self, event: &Event, forwarded: bool) -> Vec<Match> {
        if !self.types.contains_key(&event.kind) {
            self.types.insert(event.kind.clone(), index(&self.queue, &event.kind));
        }
        let Some(of_type) = self.types.get(&event.kind).filter(|of_type| forwarded || of_type.registered) else { return Vec::new() };
        let started = |one: &&Arc<Subscription>| event.position > one.start_position;
        if !of_type.filtered {
            return of_type.anyone.iter().filter(started).map(|one| (one.clone(), None)).collect();
        }
        let scope = match event.json() {
            Ok(json) => Scope::of(&json),
            Err(error) => return of_type.everyone().filter(started).map(|one| (one.clone(), Some(error.clone()))).collect(),
        };
        of_type.candidates(&scope).filter(started).filter_map(|one| evaluated(one, &scope)).collect()
    }
}

impl OfType {
    fn everyone(&self) -> impl Iterator<Item = &Arc<Subscription>> {
        self.anyone.iter().chain(self.by_text.values().flat_map(HashMap::values).flatten())
    }

    /// Those whose filters may hold.
    fn candidates<'s>(&'s self, scope: &'s Scope) -> impl Iterator<Item = &'s Arc<Subscription>> {
        let by_text = self.by_text.iter().filter_map(|(name, texts)| texts.get(scope.get(name)?.as_str()?)).flatten();
        self.anyone.iter().chain(by_text)
    }
}

/// The subscription, if its filter holds; with the reason, if the filter failed: no event is dropped because of a broken filter.
fn evaluated(one: &Arc<Subscription>, scope: &Scope) -> Option<Match> {
    let result = match &one.filter {
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

fn index(queue: &Queue, kind: &str) -> OfType {
    let mut of_type = OfType { registered: queue.registered.takes(kind), ..OfType::default() };
    for one in queue.subscriptions.iter().filter(|one| one.enabled && one.chooses(kind)) {
        of_type.filtered |= one.filter.is_some();
        match one.filter.as_ref().and_then(|filter| filter.as_ref().ok()?.required_text()) {
            Some((name, text)) => {
                of_type.by_text.entry(name.clone()).or_default().entry(text.clone()).or_default().push(one.clone());
            }
            None => of_type.anyone.push(one.clone()),
        }
    }
    of_type
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use billwire_schemas::{
        clock::Timestamp,
        events::selection::Selection,
        expression::Expression,
        ids::{EventId, QueueId, SubscriptionId, TenantId, fresh},
    };
    use serde_json::json;

    use crate::channel::ChannelAction;

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
            partitions: 1,
            created_at: Timestamp::UNIX_EPOCH,
            targets: Vec::new(),
            tenant_limits: Arc::new(crate::limits::limiters::tests::target()),
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
        let mut matching = Matching::of(queue(&["account.*", "invoice.posted"], all.clone()));
        for kind in ["account.created", "invoice.posted", "payment.created"] {
            for account in ["a1", "a2", "a3"] {
                let event = event(kind, account, 11);
                let scope = Scope::of(&event.json().expect("JSON"));
                let wants = |one: &&Arc<Subscription>| {
                    kind != "payment.created"
                        && one.chooses(kind)
                        && one.filter.as_ref().is_none_or(|f| f.as_ref().expect("compiles").holds(&scope) == Ok(true))
                };
                let mut asked: Vec<_> = all.iter().filter(wants).map(|one| one.id).collect();
                let mut found: Vec<_> = matching
                    .matches(&event)
                    .into_iter()
                    .map(|(one, fault)| {
                        assert_eq!(fault, None);
                        one.id
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
        let mut matching = Matching::of(queue(&["*"], vec![one.clone(), off]));
        assert!(matching.matches(&event("account.created", "a", 10)).is_empty());
        let found: Vec<_> = matching.matches(&event("account.created", "a", 11)).into_iter().map(|(one, _)| one.id).collect();
        assert_eq!(found, [one.id]);
    }

    #[test]
    fn a_filter_that_fails_is_reported_and_a_forwarded_event_needs_no_registration() {
        let mut matching = Matching::of(queue(&["invoice.*"], vec![subscription(&[], Some("account.id > 5"))]));
        let event = event("account.created", "a", 11);
        assert!(matching.matches(&event).is_empty());
        let found = matching.matches_forwarded(&event);
        assert!(found[0].1.as_ref().is_some_and(|fault| fault.starts_with("filter failed: ")), "{found:?}");
    }
}
