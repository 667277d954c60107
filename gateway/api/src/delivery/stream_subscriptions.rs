//! Stream subscriptions.

use billwire_app::{
    NewStreamSubscription as Wanted, Seen, StreamProgress,
    domain::delivery::stream_subscription::{self, Start},
};
use billwire_schemas::{events::selection::Selection, refusal::Code};
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    delivery::selections::{ObjectEvents, ObjectEventsInput, objects},
    http::{
        problem::{Problem, Violation},
        request_context::Context,
        responses::{Created, Done, Listed, Shown},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, PLAIN, change, create, created, delete, get, list, updated},
    types::example::{example_id, example_moment},
    types::scalars::{EventTypePattern, Moment, Name, Reference, StartType},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Durable consumers on the stream, which a tenant's own programs read over NATS with an API key.
    #[oai(rename = "Stream subscriptions")]
    StreamSubscriptions,
}

pub(crate) struct StreamSubscriptions;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createStreamSubscription",
        "stream_subscriptions:write",
        &[
            Code::NameTaken,
            Code::EventTypeUnknown,
            Code::EventObjectUnknown,
            Code::TooManyFilters,
            Code::StartInFuture,
            Code::TooManyStreamSubscriptions,
            Code::StreamAccessNotConfigured,
        ],
        created("streamSubscription", "StreamSubscription", &[]),
    ),
    list("listStreamSubscriptions", "stream_subscriptions:read"),
    Operation { takes: PLAIN, ..get("getStreamSubscription", "stream_subscriptions:read", &[Code::StreamSubscriptionNotFound]) },
    change(
        "resetStreamSubscription",
        "stream_subscriptions:write",
        &[Code::StreamSubscriptionNotFound, Code::StartInFuture, Code::StreamAccessNotConfigured],
        updated("streamSubscription", "StreamSubscription", &[]),
    ),
    delete(
        "deleteStreamSubscription",
        "stream_subscriptions:write",
        &[Code::StreamSubscriptionNotFound],
        "streamSubscription",
        "StreamSubscription",
    ),
];

/// From which event on a stream subscription reads.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct StreamStartInput {
    /// `now`: what is published from now on. `time`: what was published at a time or later. `everything`: all that the stream holds.
    #[oai(rename = "type")]
    kind: StartType,
    /// For `time`: the time, which is not in the future.
    at: Option<Moment>,
}

/// Each type with its required and its optional members.
const TAKES: [(&str, &[&str], &[&str]); 3] = [("now", &[], &[]), ("time", &["at"], &[]), ("everything", &[], &[])];

impl Example for StreamStartInput {
    fn example() -> Self {
        Self { kind: StartType::Everything, at: None }
    }
}

impl StreamStartInput {
    fn wanted(start: Option<Self>) -> Start {
        match start {
            Some(Self { kind: StartType::Everything, .. }) => Start::Everything,
            Some(Self { kind: StartType::Time, at: Some(at) }) => Start::Time { at: at.0 },
            // Without a time, the body was refused.
            Some(Self { kind: StartType::Time | StartType::Now, .. }) | None => Start::Now,
        }
    }
}

/// The stream subscription to create.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct StreamSubscriptionInput {
    /// Display name; unique among stream subscriptions.
    name: Name,
    /// The event types to read: names, or patterns in which `*` stands for one part of a name; `business_transaction.*` for whole business
    /// transactions (`updateStreamSettings`). Without event types and objects: all that the tenant has on the stream.
    #[oai(default, validator(max_items = 200, unique_items))]
    event_types: Vec<EventTypePattern>,
    /// Objects whose events are read.
    #[oai(default, validator(max_items = 100))]
    objects: Vec<ObjectEventsInput>,
    /// From which event on it reads. Absent: from now on.
    start: Option<StreamStartInput>,
}

impl Validate for StreamSubscriptionInput {
    fn further(body: &Value, found: &mut Vec<Violation>) {
        crate::types::tagged_union::check(body, "start", &TAKES, found);
    }
}

impl Example for StreamSubscriptionInput {
    fn example() -> Self {
        Self {
            name: "finance".into(),
            event_types: vec!["invoice.*".into(), "payment.processed".into()],
            objects: vec![ObjectEventsInput::example()],
            start: Some(StreamStartInput::example()),
        }
    }
}

/// From where a stream subscription is to read.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct StreamSubscriptionReset {
    /// From which event on it reads.
    start: StreamStartInput,
}

impl Validate for StreamSubscriptionReset {
    fn further(body: &Value, found: &mut Vec<Violation>) {
        crate::types::tagged_union::check(body, "start", &TAKES, found);
    }
}

impl Example for StreamSubscriptionReset {
    fn example() -> Self {
        Self { start: StreamStartInput::example() }
    }
}

/// From which event on a stream subscription reads.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct StreamStart {
    /// `now`, `time` or `everything`.
    #[oai(rename = "type")]
    kind: String,
    /// For `time`: the time.
    at: Option<Moment>,
}

/// How far a stream subscription is, as the gateway has last seen it: it looks every two seconds.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct StreamSubscriptionProgress {
    /// Events that wait to be read.
    pending: u64,
    /// Events that were read and are not acknowledged. Each is delivered again 30 seconds after it was read.
    outstanding: u64,
    /// Time of the last acknowledgement. Absent: none since it was created or reset.
    acknowledged_at: Option<Moment>,
    /// Time at which the gateway has seen this.
    observed_at: Moment,
}

/// How to connect to NATS: with an API key that has the scope `stream:read` as the password.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct StreamConnection {
    /// URL of the NATS server.
    url: String,
    /// Name of the stream.
    stream: String,
    /// Prefix of inboxes, which the client must be told: the connection may receive answers nowhere else.
    inbox_prefix: String,
}

/// A stream subscription: a durable pull consumer on the stream, filtered to the tenant's own events.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct StreamSubscription {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// Display name.
    name: String,
    /// The event types and patterns.
    event_types: Vec<String>,
    /// Objects whose events are read.
    objects: Option<Vec<ObjectEvents>>,
    /// From which event on it reads, since it was created or reset.
    start: StreamStart,
    /// Name of its consumer.
    consumer: String,
    /// How often it was reset.
    resets: u32,
    /// Creation time.
    created_at: Moment,
    /// How far it is. A business transaction does not have it. Absent: it was not seen yet.
    progress: Option<StreamSubscriptionProgress>,
    /// How to connect. A business transaction does not have it. Absent: subscribers cannot connect to this installation's NATS.
    connection: Option<StreamConnection>,
}

impl Example for StreamSubscription {
    fn example() -> Self {
        let consumer = "stream-9f86d081884c7d659a2feaa0c55ad015";
        Self {
            id: example_id(0x58),
            version: 1,
            name: "warehouse".to_owned(),
            event_types: vec!["invoice.*".to_owned(), "payment.processed".to_owned()],
            objects: None,
            start: StreamStart { kind: "now".to_owned(), at: None },
            consumer: consumer.to_owned(),
            resets: 0,
            created_at: example_moment(),
            progress: Some(StreamSubscriptionProgress {
                pending: 12,
                outstanding: 3,
                acknowledged_at: Some(example_moment()),
                observed_at: example_moment(),
            }),
            connection: Some(StreamConnection {
                url: "tls://events.example.com:4222".to_owned(),
                stream: "BILLING".to_owned(),
                inbox_prefix: format!("_INBOX_{consumer}"),
            }),
        }
    }
}

impl StreamSubscription {
    fn of(context: &Context, found: stream_subscription::StreamSubscription, progress: Option<&StreamProgress>) -> Self {
        let inbox_prefix = found.inbox_prefix();
        let connection = context.app().stream_access().map(|access| StreamConnection {
            url: access.url.clone(),
            stream: "BILLING".to_owned(),
            inbox_prefix,
        });
        let chosen: Vec<ObjectEvents> = found.selected.objects.into_iter().map(ObjectEvents::from).collect();
        let seen = progress.filter(|progress| progress.resets == found.resets).and_then(|progress| progress.seen);
        Self {
            id: found.id.0,
            version: found.version,
            name: found.name,
            event_types: found.selected.event_types,
            objects: Some(chosen).filter(|chosen| !chosen.is_empty()),
            start: match found.start {
                Start::Now => StreamStart { kind: "now".to_owned(), at: None },
                Start::Time { at } => StreamStart { kind: "time".to_owned(), at: Some(Moment(at)) },
                Start::Everything => StreamStart { kind: "everything".to_owned(), at: None },
            },
            consumer: found.consumer,
            resets: found.resets,
            created_at: Moment(found.created_at),
            progress: seen.map(|Seen { pending, outstanding, acknowledged_at, at }| StreamSubscriptionProgress {
                pending,
                outstanding,
                acknowledged_at: acknowledged_at.map(Moment),
                observed_at: Moment(at),
            }),
            connection,
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::StreamSubscriptions")]
impl StreamSubscriptions {
    /// Create a stream subscription
    ///
    /// Makes a durable pull consumer on the stream, filtered to the tenant's own events, and answers once it is there. Programs read it with a
    /// NATS client: they connect to `connection.url` of `getStreamSubscription` with an API key as the password (any user name), tell the client
    /// `connection.inboxPrefix`, and pull from and acknowledge to the consumer; they can do nothing else. A connection can read the
    /// subscriptions that the tenant had when it was opened: connect again to read a new one. `billwire stream credentials` prints complete
    /// examples.
    #[oai(path = "/stream-subscriptions", method = "post", operation_id = "createStreamSubscription")]
    async fn create(&self, context: Context, input: Validated<StreamSubscriptionInput>) -> Result<Created, Problem> {
        let new = input.body;
        let event_types = new.event_types.into_iter().map(|name| name.0).collect();
        let wanted = Wanted {
            name: new.name.0,
            selected: Selection { event_types, objects: objects(new.objects) },
            start: StreamStartInput::wanted(new.start),
        };
        let reply = context.app().create_stream_subscription(context.request(input.canonical.as_deref()), wanted).await?;
        Ok(Created::under("/v1/stream-subscriptions", reply))
    }

    /// List stream subscriptions
    ///
    /// Oldest first.
    #[oai(path = "/stream-subscriptions", method = "get", operation_id = "listStreamSubscriptions")]
    async fn list(&self, context: Context) -> Result<Listed<StreamSubscription>, Problem> {
        let page = context.app().list_configurations(context.tenant(), context.page().await?).await?;
        let progress = context.app().stream_progress(context.tenant()).await?;
        let shown = |found: stream_subscription::StreamSubscription| {
            let own = progress.get(&found.id);
            StreamSubscription::of(&context, found, own)
        };
        let items: Vec<StreamSubscription> = page.items.into_iter().map(shown).collect();
        Ok(Listed::shown(&items, page.next.map(|after| context.cursor(after))))
    }

    /// Get a stream subscription
    ///
    /// Returns the object with this id, how far it is, and how to connect.
    #[oai(path = "/stream-subscriptions/:streamSubscription", method = "get", operation_id = "getStreamSubscription")]
    async fn get(
        &self,
        context: Context,
        /// Id or name of the stream subscription.
        #[oai(name = "streamSubscription")]
        subscription: Path<Reference>,
    ) -> Result<Shown<StreamSubscription>, Problem> {
        let found: stream_subscription::StreamSubscription = context.app().configuration(context.tenant(), &subscription.0.0).await?;
        let progress = context.app().stream_progress(context.tenant()).await?;
        let own = progress.get(&found.id);
        Ok(Shown(StreamSubscription::of(&context, found, own)))
    }

    /// Reset a stream subscription
    ///
    /// It reads from another place on, back or ahead. Connections stay open, and pulls that wait get what comes from there on.
    #[oai(path = "/stream-subscriptions/:streamSubscription/reset", method = "post", operation_id = "resetStreamSubscription")]
    async fn reset(
        &self,
        context: Context,
        /// Id or name of the stream subscription.
        #[oai(name = "streamSubscription")]
        subscription: Path<Reference>,
        input: Validated<StreamSubscriptionReset>,
    ) -> Result<Done, Problem> {
        let start = StreamStartInput::wanted(Some(input.body.start));
        let request = context.request(input.canonical.as_deref());
        Ok(Done(context.app().reset_stream_subscription(request, &subscription.0.0, context.if_match(), start).await?))
    }

    /// Delete a stream subscription
    ///
    /// Its consumer goes within seconds, and with it what was not acknowledged.
    #[oai(path = "/stream-subscriptions/:streamSubscription", method = "delete", operation_id = "deleteStreamSubscription")]
    async fn delete(
        &self,
        context: Context,
        /// Id or name of the stream subscription.
        #[oai(name = "streamSubscription")]
        subscription: Path<Reference>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.delete::<stream_subscription::StreamSubscription>(subscription.0).await?))
    }
}
