//! Queues.

use billwire_app::{
    CreateQueue, PauseQueue, UpdateQueue,
    domain::delivery::queue::{self, Mode},
};
use billwire_schemas::{
    events::selection::Selection,
    ids::{QueueId, fresh},
    refusal::Code,
};
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    customers::account_bill_cycle::NoMembers,
    delivery::selections::{ObjectEvents, ObjectEventsInput, objects},
    http::{
        problem::Problem,
        request_context::Context,
        responses::{Created, Done, Found, IfNoneMatch, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, create, created, delete, get, list, updated},
    types::example::{example_id, example_moment},
    types::nullable::Nullable,
    types::scalars::{EventTypePattern, Moment, Name, QueueMode, Reference},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Named sets of event types that subscriptions consume.
    #[oai(rename = "Queues")]
    Queues,
}

pub(crate) struct Queues;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createQueue",
        "queues:write",
        &[Code::NameTaken, Code::EventTypesRequired, Code::EventTypeUnknown, Code::EventObjectUnknown],
        created("queue", "Queue", &[]),
    ),
    list("listQueues", "queues:read"),
    get("getQueue", "queues:read", &[Code::QueueNotFound]),
    change(
        "updateQueue",
        "queues:write",
        &[
            Code::QueueNotFound,
            Code::NameTaken,
            Code::EventTypesRequired,
            Code::EventTypeUnknown,
            Code::EventObjectUnknown,
            Code::SubscriptionUnfit,
        ],
        updated("queue", "Queue", &[]),
    ),
    change("pauseQueue", "queues:write", &[Code::QueueNotFound, Code::QueuePaused], updated("queue", "Queue", &[])),
    change("resumeQueue", "queues:write", &[Code::QueueNotFound, Code::QueueNotPaused], updated("queue", "Queue", &[])),
    delete("deleteQueue", "queues:write", &[Code::QueueNotFound, Code::StillInUse], "queue", "Queue"),
];

/// The queue to create. It selects event types, objects or both.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct QueueInput {
    /// Display name; unique among queues.
    name: Name,
    /// `in_order`: events of one ordering key (such as an account) are delivered one by one, each after the previous one was delivered or
    /// became a dead letter. `out_of_order`: each as soon as possible.
    mode: QueueMode,
    /// The registered event types: names, or patterns in which `*` stands for one part of a name (`invoice.*`, `*.created`) or, alone, for
    /// every type. Patterns also match types registered later.
    #[oai(default, validator(max_items = 200, unique_items))]
    event_types: Vec<EventTypePattern>,
    /// Objects whose events are registered.
    #[oai(default, validator(max_items = 100))]
    objects: Vec<ObjectEventsInput>,
}

impl Validate for QueueInput {}

impl Example for QueueInput {
    fn example() -> Self {
        Self {
            name: "account-news".into(),
            mode: QueueMode::InOrder,
            event_types: vec!["account.updated".into(), "account.bill_cycle_changed".into()],
            objects: vec![ObjectEventsInput::example()],
        }
    }
}

/// Changes to a queue. Absent members keep their values. New registrations apply to events from now on.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct QueueUpdate {
    /// Display name; unique among queues.
    name: Option<Name>,
    /// `in_order` or `out_of_order`.
    mode: Option<QueueMode>,
    /// The complete list of registered event types.
    #[oai(validator(max_items = 200, unique_items))]
    event_types: Nullable<Vec<EventTypePattern>>,
    /// The complete list of objects whose events are registered.
    #[oai(validator(max_items = 100))]
    objects: Nullable<Vec<ObjectEventsInput>>,
}

impl Validate for QueueUpdate {}

impl Example for QueueUpdate {
    fn example() -> Self {
        Self { name: None, mode: None, event_types: vec![EventTypePattern::from("account.*")].into(), objects: Nullable::default() }
    }
}

/// A queue: a named set of event types that subscriptions consume.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct Queue {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// Display name.
    name: String,
    /// `in_order` or `out_of_order`.
    mode: String,
    /// The registered event types and patterns.
    event_types: Vec<String>,
    /// Objects whose events are registered.
    objects: Option<Vec<ObjectEvents>>,
    /// Whether the queue is paused: events are delivered once it is resumed.
    paused: bool,
    /// Creation time.
    created_at: Moment,
}

impl Example for Queue {
    fn example() -> Self {
        Self {
            id: example_id(4),
            version: 1,
            name: "account-changes".to_owned(),
            mode: "in_order".to_owned(),
            event_types: vec!["account.updated".to_owned(), "account.bill_cycle_changed".to_owned()],
            objects: Some(vec![ObjectEvents::example()]),
            paused: false,
            created_at: example_moment(),
        }
    }
}

fn mode(wanted: QueueMode) -> Mode {
    match wanted {
        QueueMode::InOrder => Mode::InOrder,
        QueueMode::OutOfOrder => Mode::OutOfOrder,
    }
}

fn names(patterns: Vec<EventTypePattern>) -> Vec<String> {
    patterns.into_iter().map(|name| name.0).collect()
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Queues")]
impl Queues {
    /// Create a queue
    ///
    /// From now on, the queue collects events of its types for its subscriptions.
    #[oai(path = "/queues", method = "post", operation_id = "createQueue")]
    async fn create(&self, context: Context, input: Validated<QueueInput>) -> Result<Created, Problem> {
        let new = input.body;
        let create = queue::Create {
            id: QueueId(fresh()),
            name: new.name.0,
            mode: mode(new.mode),
            registered: Selection { event_types: names(new.event_types), objects: objects(new.objects) },
        };
        let reply = context.execute(input.canonical.as_deref(), CreateQueue(create)).await?;
        Ok(Created::under("/v1/queues", reply))
    }

    /// List queues
    ///
    /// Oldest first.
    #[oai(path = "/queues", method = "get", operation_id = "listQueues")]
    async fn list(&self, context: Context) -> Result<Listed<Queue>, Problem> {
        Listed::configurations::<queue::Queue>(&context).await
    }

    /// Get a queue
    ///
    /// Returns the object with this id.
    #[oai(path = "/queues/:queue", method = "get", operation_id = "getQueue")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id or name of the queue.
        queue: Path<Reference>,
    ) -> Result<Found<Queue>, Problem> {
        Found::of(&context.app().configuration::<queue::Queue>(context.tenant(), &queue.0.0).await?, &known)
    }

    /// Change a queue
    ///
    /// Takes effect immediately, without loss: events of newly registered types are delivered from now on, even if consumers lag behind.
    /// The change must be valid for every subscription on the queue.
    #[oai(path = "/queues/:queue", method = "patch", operation_id = "updateQueue")]
    async fn update(
        &self,
        context: Context,
        /// Id or name of the queue.
        queue: Path<Reference>,
        input: Validated<QueueUpdate>,
    ) -> Result<Done, Problem> {
        let body = input.body;
        let command = queue::Update {
            name: body.name.map(|name| name.0),
            mode: body.mode.map(mode),
            event_types: body.event_types.map(names).or(Vec::new()),
            objects: body.objects.map(objects).or(Vec::new()),
        };
        Ok(Done(context.execute_on_configuration(&queue.0, input.canonical.as_deref(), UpdateQueue(command)).await?))
    }

    /// Pause a queue
    ///
    /// Events are not delivered until the queue is resumed, however long that takes; deliveries in flight finish. The body is optional.
    #[oai(path = "/queues/:queue/pause", method = "post", operation_id = "pauseQueue")]
    async fn pause(
        &self,
        context: Context,
        /// Id or name of the queue.
        queue: Path<Reference>,
        input: Validated<Option<NoMembers>>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.execute_on_configuration(&queue.0, input.canonical.as_deref(), PauseQueue::<true>).await?))
    }

    /// Resume a queue
    ///
    /// The events since the pause are delivered, in order for an in-order queue, then current ones. The body is optional.
    #[oai(path = "/queues/:queue/resume", method = "post", operation_id = "resumeQueue")]
    async fn resume(
        &self,
        context: Context,
        /// Id or name of the queue.
        queue: Path<Reference>,
        input: Validated<Option<NoMembers>>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.execute_on_configuration(&queue.0, input.canonical.as_deref(), PauseQueue::<false>).await?))
    }

    /// Delete a queue
    ///
    /// Allowed only when no subscription uses the queue.
    #[oai(path = "/queues/:queue", method = "delete", operation_id = "deleteQueue")]
    async fn delete(
        &self,
        context: Context,
        /// Id or name of the queue.
        queue: Path<Reference>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.delete::<queue::Queue>(queue.0).await?))
    }
}
