//! Queues.

use billwire_app::{
    CreateQueue, DeleteConfiguration,
    domain::queue::{self, Mode},
};
use billwire_schemas::ids::{QueueId, fresh};
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    Tag,
    answers::{Created, Done, Found, IfNoneMatch, Listed},
    checked::{Checkable, Checked},
    context::{Context, Query},
    example_id, example_moment,
    fields::{Cursor, EventTypeName, Limit, Moment, Name, Partitions, QueueMode, Reference},
    operations::{Operation, create, created, delete, get, list},
    problem::Problem,
};

pub(crate) struct Queues;

/// What they ask for and answer.
pub(crate) const OPERATIONS: &[Operation] = &[
    create("createQueue", "queues:write", &["name_taken", "event_type_unknown"], created("queue", "Queue", &[])),
    list("listQueues", "queues:read"),
    get("getQueue", "queues:read", &["queue_not_found"]),
    delete("deleteQueue", "queues:write", &["queue_not_found", "still_in_use"], "queue", "Queue"),
];

/// A queue to be made.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct NewQueue {
    /// Its name; unique among queues.
    name: Name,
    /// `in_order`: the events of one ordering key (an account) are delivered one by one, each after the one before was delivered
    /// or given up on. `out_of_order`: each as soon as possible.
    mode: QueueMode,
    /// The event types registered on it.
    #[oai(validator(min_items = 1, max_items = 200, unique_items))]
    event_types: Vec<EventTypeName>,
    /// How many parts its ordering keys are spread over, each with a durable consumer of its own.
    #[oai(default = "one_partition")]
    partitions: Partitions,
}

fn one_partition() -> Partitions {
    Partitions(1)
}

impl Checkable for NewQueue {}

impl Example for NewQueue {
    fn example() -> Self {
        Self {
            name: "account-changes".into(),
            mode: QueueMode::InOrder,
            event_types: vec!["account.updated".into(), "account.bill_cycle_changed".into()],
            partitions: one_partition(),
        }
    }
}

/// A queue: a named space of event types that subscriptions stand on.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub(crate) struct Queue {
    /// Its id.
    id: Uuid,
    /// Its version, from 1.
    version: i64,
    /// Its name.
    name: String,
    /// `in_order` or `out_of_order`.
    mode: String,
    /// The event types registered on it.
    event_types: Vec<String>,
    /// How many parts its ordering keys are spread over.
    partitions: u32,
    /// When it was made.
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
            partitions: 1,
            created_at: example_moment(),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Queues")]
impl Queues {
    /// Create a queue
    ///
    /// From now on it collects the events of its types for the subscriptions on it.
    #[oai(path = "/queues", method = "post", operation_id = "createQueue")]
    async fn create(&self, context: Context, input: Checked<NewQueue>) -> Result<Created, Problem> {
        let new = input.body;
        let create = queue::Create {
            id: QueueId(fresh()),
            name: new.name.0,
            mode: match new.mode {
                QueueMode::InOrder => Mode::InOrder,
                QueueMode::OutOfOrder => Mode::OutOfOrder,
            },
            event_types: new.event_types.into_iter().map(|name| name.0).collect(),
            partitions: new.partitions.0,
        };
        let reply = context.app().once(context.demand(input.canonical.as_deref()), CreateQueue(create)).await?;
        Ok(Created::under("/v1/queues", reply))
    }

    /// List queues
    ///
    /// Oldest first.
    #[oai(path = "/queues", method = "get", operation_id = "listQueues")]
    async fn list(
        &self,
        context: Context,
        /// How many items at the most.
        limit: Query<Limit>,
        /// Where to go on: `nextCursor` of the part before.
        cursor: Query<Cursor>,
    ) -> Result<Listed<Queue>, Problem> {
        let ask = context.ask(limit.0, cursor.0.as_ref())?;
        Listed::page(&context, &context.app().list_configurations::<queue::Queue>(context.tenant(), ask).await?)
    }

    /// Get a queue
    ///
    /// By its id.
    #[oai(path = "/queues/:queue", method = "get", operation_id = "getQueue")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id of the queue.
        queue: Path<Reference>,
    ) -> Result<Found<Queue>, Problem> {
        Found::of(&context.app().configuration::<queue::Queue>(context.tenant(), &queue.0.0).await?, &known)
    }

    /// Delete a queue
    ///
    /// Only when no subscription stands on it any more.
    #[oai(path = "/queues/:queue", method = "delete", operation_id = "deleteQueue")]
    async fn delete(
        &self,
        context: Context,
        /// Id of the queue.
        queue: Path<Reference>,
    ) -> Result<Done, Problem> {
        let use_case = DeleteConfiguration::<queue::Queue>::new(queue.0.0, context.if_match());
        Ok(Done(context.app().once(context.demand(None), use_case).await?))
    }
}
