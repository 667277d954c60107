//! Queues: named subscription spaces for event types.

use billwire_schemas::{clock::Timestamp, events::selection::Selection, ids::QueueId, refusal::Code};
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Entity, entity_members},
    events::catalogue::Catalogue,
    rejected::{Rejected, Violation},
};

/// Whether a queue preserves order per ordering key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Each lane is delivered strictly one event at a time.
    InOrder,
    /// Each event is delivered as soon as possible.
    OutOfOrder,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Queue {
    /// Object id.
    pub id: QueueId,
    /// Object version, starting at 1.
    pub version: i64,
    /// Name, unique within the tenant.
    pub name: String,
    /// Delivery order.
    pub mode: Mode,
    /// The events registered on the queue.
    #[serde(flatten)]
    pub registered: Selection,
    /// Whether delivery is paused. Events accumulate in a paused queue.
    #[serde(default)]
    pub paused: bool,
    /// Creation time.
    pub created_at: Timestamp,
}

/// `createQueue`.
#[derive(Debug, Clone)]
pub struct Create {
    /// The new queue's id.
    pub id: QueueId,
    /// See [`Queue::name`].
    pub name: String,
    /// See [`Queue::mode`].
    pub mode: Mode,
    /// See [`Queue::registered`].
    pub registered: Selection,
}

/// `updateQueue`; absent members stay unchanged.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// See [`Queue::name`].
    pub name: Option<String>,
    /// See [`Queue::mode`].
    pub mode: Option<Mode>,
    /// Replaces the entries of [`Selection::event_types`].
    pub event_types: Option<Vec<String>>,
    /// Replaces the entries of [`Selection::objects`].
    pub objects: Option<Vec<billwire_schemas::events::selection::ObjectEvents>>,
}

/// Checks the events to register: each type and object must exist, and the selection must not be empty.
fn registrable(registered: &Selection, catalogue: &Catalogue) -> Result<(), Rejected> {
    let mut broken = catalogue.unknown(registered);
    if registered.is_empty() {
        broken.push(Violation::new("/eventTypes", Code::EventTypesRequired, "A queue needs at least one event type or object."));
    }
    Rejected::from_violations(broken).map_or(Ok(()), Err)
}

/// Decides `createQueue`.
///
/// # Errors
/// `event_types_required`; one `event_type_unknown` or `event_object_unknown` per unknown entry.
pub fn create(command: Create, catalogue: &Catalogue, now: Timestamp) -> Result<Change<Queue>, Rejected> {
    registrable(&command.registered, catalogue)?;
    Ok(Change::created(Queue {
        id: command.id,
        version: 1,
        name: command.name,
        mode: command.mode,
        registered: command.registered,
        paused: false,
        created_at: now,
    }))
}

/// Decides `updateQueue`. The caller checks the subscriptions on the queue, with [`routing`](crate::delivery::routing).
///
/// # Errors
/// See [`create`].
pub fn update(queue: Queue, command: Update, catalogue: &Catalogue) -> Result<Change<Queue>, Rejected> {
    let mut after = next(&queue);
    after.name = command.name.unwrap_or(after.name);
    after.mode = command.mode.unwrap_or(after.mode);
    after.registered.event_types = command.event_types.unwrap_or(after.registered.event_types);
    after.registered.objects = command.objects.unwrap_or(after.registered.objects);
    registrable(&after.registered, catalogue)?;
    Ok(changed(queue, after))
}

/// Decides `pauseQueue` (`paused`) and `resumeQueue`.
///
/// # Errors
/// `queue_paused`, `queue_not_paused`.
pub fn pause(queue: Queue, paused: bool) -> Result<Change<Queue>, Rejected> {
    match (queue.paused, paused) {
        (true, true) => Err(Rejected::conflict(Code::QueuePaused, "The queue is already paused.")),
        (false, false) => Err(Rejected::conflict(Code::QueueNotPaused, "The queue is not paused.")),
        _ => {
            let after = Queue { paused, ..next(&queue) };
            Ok(changed(queue, after))
        }
    }
}

fn next(queue: &Queue) -> Queue {
    Queue { version: queue.version + 1, ..queue.clone() }
}

fn changed(before: Queue, after: Queue) -> Change<Queue> {
    Change::updated(before, after, Vec::<&'static str>::new())
}

impl Entity for Queue {
    const TYPE: &'static str = "queue";
    const EVENT_OBJECT: Option<&'static str> = None;

    entity_members!(only_version, configuration);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use billwire_schemas::ids::fresh;

    pub(crate) fn queue(name: &str, types: &[&str]) -> Queue {
        let registered = Selection::of_types(types);
        let command = Create { id: QueueId(fresh()), name: name.into(), mode: Mode::InOrder, registered };
        create(command, &Catalogue::default(), Timestamp::UNIX_EPOCH).expect("a queue").after
    }

    #[test]
    fn an_unknown_event_type_is_refused_with_the_nearest_name() {
        let registered = Selection::of_types(&["account.created", "account.bill_cycle_change", "invoice.*", "invoise.*"]);
        let command = Create { id: QueueId(fresh()), name: "q".into(), mode: Mode::InOrder, registered };
        let refused = create(command, &Catalogue::default(), Timestamp::UNIX_EPOCH).unwrap_err();
        let places: Vec<_> = refused.violations.iter().map(|broken| (broken.pointer.as_ref(), broken.code)).collect();
        assert_eq!(places, [("/eventTypes/1", Code::EventTypeUnknown), ("/eventTypes/3", Code::EventTypeUnknown)]);
        assert!(refused.violations[0].message.contains("account.bill_cycle_changed"), "{}", refused.violations[0].message);
    }

    #[test]
    fn what_an_update_does_not_name_stays_and_something_must_be_registered() {
        let before = queue("q", &["account.created"]);
        let renamed =
            update(before.clone(), Update { name: Some("r".into()), ..Update::default() }, &Catalogue::default()).expect("updated");
        assert_eq!((renamed.after.version, &renamed.after.registered), (2, &before.registered));
        let emptied = Update { event_types: Some(vec![]), ..Update::default() };
        let refused = update(before, emptied, &Catalogue::default()).unwrap_err();
        assert_eq!(refused.violations[0].code, Code::EventTypesRequired);
    }

    #[test]
    fn a_queue_is_paused_and_resumed_in_turn() {
        let running = queue("q", &["account.created"]);
        assert_eq!(pause(running.clone(), false).unwrap_err().code, Code::QueueNotPaused);
        let paused = pause(running, true).expect("paused").after;
        assert!(paused.paused);
        assert_eq!(pause(paused.clone(), true).unwrap_err().code, Code::QueuePaused);
        assert!(!pause(paused, false).expect("resumed").after.paused);
    }
}
