//! Stream subscriptions: durable consumers of the stream that a tenant's own programs read over NATS.

use std::collections::BTreeSet;

use billwire_schemas::{
    clock::Timestamp,
    events::selection::{Happening, Selection, is_pattern},
    ids::{StreamSubscriptionId, TenantId},
    refusal::Code,
};
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Entity, entity_members},
    events::catalogue::Catalogue,
    rejected::{Rejected, Violation},
};

/// How many filters a consumer has at most: several on one consumer cost the nats-server far more than one.
const FILTERS_MAX: usize = 32;
/// The kinds of events that an object has.
const HAPPENINGS: [Happening; 4] = [Happening::Created, Happening::Updated, Happening::Deleted, Happening::Lifecycle];

/// From which event on a subscription reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Start {
    /// From what is published after the subscription was created, or reset.
    Now,
    /// From what was published at a moment or later.
    Time {
        /// The moment.
        at: Timestamp,
    },
    /// From the first event that the stream holds.
    Everything,
}

/// A stream subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamSubscription {
    /// Object id.
    pub id: StreamSubscriptionId,
    /// Object version, starting at 1.
    pub version: i64,
    /// Name, unique within the tenant.
    pub name: String,
    /// The events that it reads; empty: all.
    #[serde(flatten)]
    pub selected: Selection,
    /// From which event on it reads, since it was created or reset.
    pub start: Start,
    /// Name of its consumer on the stream. Nobody can guess it: a subscriber of another tenant, who could address any consumer as the
    /// receiver of an answer, does not know it.
    pub consumer: String,
    /// How often it was reset.
    #[serde(default)]
    pub resets: u32,
    /// Creation time.
    pub created_at: Timestamp,
}

/// `createStreamSubscription`.
#[derive(Debug, Clone)]
pub struct Create {
    /// The new subscription's id.
    pub id: StreamSubscriptionId,
    /// See [`StreamSubscription::name`].
    pub name: String,
    /// See [`StreamSubscription::selected`].
    pub selected: Selection,
    /// See [`StreamSubscription::start`].
    pub start: Start,
    /// See [`StreamSubscription::consumer`].
    pub consumer: String,
}

/// Decides `createStreamSubscription`. The tenant has `count` subscriptions and may have `most`.
///
/// # Errors
/// `too_many_stream_subscriptions`; `event_type_unknown`, `event_object_unknown`, `too_many_filters`, `start_in_future`.
pub fn create(
    command: Create,
    catalogue: &Catalogue,
    (count, most): (usize, usize),
    now: Timestamp,
) -> Result<Change<StreamSubscription>, Rejected> {
    if count >= most {
        let message = format!("The tenant has {count} stream subscriptions, as many as it may have; delete one first.");
        return Err(Rejected::conflict(Code::TooManyStreamSubscriptions, message));
    }
    let mut broken = catalogue.unknown_on_stream(&command.selected);
    let filters = filters(&command.selected, catalogue);
    if filters.len() > FILTERS_MAX {
        let message = format!(
            "The selection means {} event types, and a consumer filters by at most {FILTERS_MAX}; select whole objects ('invoice.*') or everything.",
            filters.len()
        );
        broken.push(Violation::new("/eventTypes", Code::TooManyFilters, message));
    }
    broken.extend(faults(&command.start, now));
    Rejected::from_violations(broken).map_or(Ok(()), Err)?;
    let Create { id, name, selected, start, consumer } = command;
    Ok(Change::created(StreamSubscription { id, version: 1, name, selected, start, consumer, resets: 0, created_at: now }))
}

/// Decides `resetStreamSubscription`.
///
/// # Errors
/// `start_in_future`.
pub fn reset(subscription: StreamSubscription, start: Start, now: Timestamp) -> Result<Change<StreamSubscription>, Rejected> {
    Rejected::from_violations(faults(&start, now).into_iter().collect()).map_or(Ok(()), Err)?;
    let (version, resets) = (subscription.version + 1, subscription.resets.saturating_add(1));
    let after = StreamSubscription { version, resets, start, ..subscription.clone() };
    Ok(Change::updated(subscription, after, Vec::<&'static str>::new()))
}

fn faults(start: &Start, now: Timestamp) -> Option<Violation> {
    match start {
        Start::Time { at } if *at > now => {
            let message = format!("{at} is in the future; the type 'now' reads what is to come.");
            Some(Violation::new("/start/at", Code::StartInFuture, message))
        }
        _ => None,
    }
}

/// The event types that a selection means, as names and as `<object>.*`, of which no two have an event type in common: a consumer's
/// filters must not overlap. `*` alone is everything.
fn filters(selected: &Selection, catalogue: &Catalogue) -> BTreeSet<String> {
    let everything = || BTreeSet::from(["*".to_owned()]);
    if selected.is_empty() || selected.event_types.iter().any(|entry| entry == "*" || entry == "*.*") {
        return everything();
    }
    let of_pattern = selected.event_types.iter().filter_map(|entry| entry.strip_suffix(".*"));
    let all = |chosen: &[Happening]| HAPPENINGS.iter().all(|one| chosen.contains(one));
    let of_object = selected.objects.iter().filter(|chosen| all(&chosen.events)).map(|chosen| chosen.object.as_str());
    let whole: BTreeSet<&str> = of_pattern.chain(of_object).collect();
    let apart = |name: &&str| name.split_once('.').is_some_and(|(object, _)| !whole.contains(object));
    let named = selected.event_types.iter().map(String::as_str).filter(|entry| !is_pattern(entry));
    let meant = catalogue.names().filter(|name| selected.takes(name));
    named.chain(meant).filter(apart).map(str::to_owned).chain(whole.iter().map(|object| format!("{object}.*"))).collect()
}

impl StreamSubscription {
    /// The prefix of the inboxes that its readers may have: it is the subscription's own, so that no other tenant's answers go there.
    pub fn inbox_prefix(&self) -> String {
        format!("_INBOX_{}", self.consumer)
    }

    /// The subjects that its consumer is filtered to: of this tenant alone, none overlapping another. If event types registered since make
    /// them too many, all events of the tenant.
    pub fn subjects(&self, tenant: &TenantId, catalogue: &Catalogue) -> Vec<String> {
        let filters = filters(&self.selected, catalogue);
        if filters.len() > FILTERS_MAX || filters.contains("*") {
            return vec![format!("billing.{tenant}.>")];
        }
        let subject = |filter: &String| match filter.strip_suffix(".*") {
            Some(object) => format!("billing.{tenant}.{object}.>"),
            None => format!("billing.{tenant}.{filter}.>"),
        };
        filters.iter().map(subject).collect()
    }
}

impl Entity for StreamSubscription {
    const TYPE: &'static str = "streamSubscription";
    const EVENT_OBJECT: Option<&'static str> = None;

    entity_members!(only_version, configuration);
}

#[cfg(test)]
mod tests {
    use billwire_schemas::{events::selection::ObjectEvents, ids::fresh};

    use super::*;

    fn of(types: &[&str], objects: &[(&str, &[Happening])]) -> Selection {
        let objects = objects.iter().map(|(object, events)| ObjectEvents { object: (*object).to_owned(), events: events.to_vec() });
        Selection { objects: objects.collect(), ..Selection::of_types(types) }
    }

    fn command(selected: Selection, start: Start) -> Create {
        Create { id: StreamSubscriptionId(fresh()), name: "s".into(), selected, start, consumer: "stream-1".into() }
    }

    fn subjects(selected: Selection) -> Vec<String> {
        let made = create(command(selected, Start::Now), &Catalogue::default(), (0, 1), Timestamp::UNIX_EPOCH).expect("made").after;
        made.subjects(&"acme".parse().expect("a tenant"), &Catalogue::default())
    }

    #[test]
    fn subjects_are_of_the_tenant_and_no_two_overlap() {
        assert_eq!(subjects(of(&[], &[])), ["billing.acme.>"]);
        assert_eq!(subjects(of(&["invoice.posted", "*"], &[])), ["billing.acme.>"]);
        assert_eq!(subjects(of(&["invoice.posted"], &[])), ["billing.acme.invoice.posted.>"]);
        assert_eq!(subjects(of(&["invoice.posted", "invoice.*"], &[])), ["billing.acme.invoice.>"]);
        assert_eq!(subjects(of(&["invoice.posted"], &[("invoice", &HAPPENINGS)])), ["billing.acme.invoice.>"]);
        assert_eq!(subjects(of(&["business_transaction.*"], &[])), ["billing.acme.business_transaction.>"]);
        let mixed = subjects(of(&["*.deleted", "account.*"], &[("invoice", &[Happening::Created])]));
        assert!(mixed.contains(&"billing.acme.account.>".to_owned()) && mixed.contains(&"billing.acme.invoice.created.>".to_owned()));
        assert!(mixed.contains(&"billing.acme.contact.deleted.>".to_owned()), "{mixed:?}");
        for one in &mixed {
            let covers = |other: &&String| *other != one && other.starts_with(one.trim_end_matches('>'));
            assert_eq!(mixed.iter().find(covers), None, "{one}");
        }
    }

    #[test]
    fn a_selection_that_means_too_much_is_refused_and_one_that_grew_reads_everything() {
        let wide = of(&["*.created", "*.updated", "*.deleted"], &[]);
        let refused = create(command(wide.clone(), Start::Now), &Catalogue::default(), (0, 1), Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(refused.violations[0].code, Code::TooManyFilters);
        let made = create(command(of(&[], &[]), Start::Now), &Catalogue::default(), (0, 1), Timestamp::UNIX_EPOCH).expect("made").after;
        let grown = StreamSubscription { selected: wide, ..made };
        assert_eq!(grown.subjects(&TenantId::default_tenant(), &Catalogue::default()), ["billing.default.>"]);
    }

    #[test]
    fn a_tenant_has_a_number_of_them_and_none_starts_in_the_future() {
        let now = Timestamp::UNIX_EPOCH;
        let late = Start::Time { at: now + chrono::TimeDelta::seconds(1) };
        let refused = |command, count| create(command, &Catalogue::default(), (count, 2), now).unwrap_err();
        assert_eq!(refused(command(of(&[], &[]), Start::Now), 2).code, Code::TooManyStreamSubscriptions);
        assert_eq!(refused(command(of(&[], &[]), late), 0).violations[0].code, Code::StartInFuture);
        assert_eq!(refused(command(of(&["invoise.*"], &[]), Start::Now), 0).violations[0].code, Code::EventTypeUnknown);
        let made = create(command(of(&[], &[]), Start::Everything), &Catalogue::default(), (0, 1), now).expect("made").after;
        let again = reset(made.clone(), Start::Time { at: now }, now).expect("reset").after;
        assert_eq!((again.version, again.resets, again.consumer), (2, 1, made.consumer.clone()));
        assert_eq!(reset(made.clone(), Start::Everything, now).expect("reset").after.resets, 1, "also to the same start");
        assert!(reset(made, late, now).is_err());
    }
}
