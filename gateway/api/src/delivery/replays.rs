//! Replays: events of the past, sent to a subscription once more.

use billwire_app::NewReplay;
use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    customers::account_bill_cycle::NoMembers,
    delivery::deliveries::Tag,
    http::{
        problem::Problem,
        request_context::{Context, Query},
        responses::{Accepted, Listed, Stored},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, PLAIN, get, in_bulk, list},
    types::example::{example_id, example_moment},
    types::scalars::{Cursor, EventTypeName, Limit, Moment, Reference},
};

pub(crate) struct Replays;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    in_bulk("replayEvents", "deliveries:write", &[Code::SubscriptionUnknown, Code::EventTypeUnknown, Code::WindowEmpty]),
    list("listReplays", "deliveries:read"),
    Operation { takes: PLAIN, ..get("getReplay", "deliveries:read", &[Code::ReplayNotFound]) },
    in_bulk("cancelReplay", "deliveries:write", &[Code::ReplayNotFound, Code::ReplayCancelled]),
];

/// A window of the past to be sent to a subscription once more.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct ReplayOrder {
    /// The subscription it is sent to. Its choice of events, filter and action hold as they are now.
    subscription_id: Reference,
    /// The window's first moment, by the time of the events.
    from: Moment,
    /// The first moment behind the window. Absent: now.
    to: Option<Moment>,
    /// Only events of these types. None named: all that the subscription wants.
    #[oai(default, validator(max_items = 200, unique_items))]
    event_types: Vec<EventTypeName>,
    /// Whether it only counts what it would send.
    #[oai(default)]
    dry_run: bool,
}

impl Validate for ReplayOrder {}

impl Example for ReplayOrder {
    fn example() -> Self {
        Self {
            subscription_id: Reference(example_id(8).to_string()),
            from: example_moment(),
            to: None,
            event_types: vec!["account.created".into()],
            dry_run: true,
        }
    }
}

/// A replay. What it counts is of this moment while it is under way.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct Replay {
    /// Its id. Its deliveries carry it as `replayId`.
    id: Uuid,
    /// The subscription it is sent to.
    subscription_id: Uuid,
    /// The window's first moment.
    from: Moment,
    /// The first moment behind the window.
    to: Moment,
    /// Only events of these types.
    event_types: Option<Vec<String>>,
    /// Whether it only counts.
    dry_run: bool,
    /// `collecting` (events are looked for, and sent meanwhile), `delivering`, `completed` or `cancelled`. More values may be added.
    state: String,
    /// How much of the window has been looked at, from 0 to 1.
    progress: f64,
    /// Events looked at.
    looked_at: i64,
    /// Those of them that the subscription wants.
    matched: i64,
    /// Taken by the receiver.
    delivered: i64,
    /// On their way.
    waiting: i64,
    /// Given up on: they stand among the dead letters.
    dead: i64,
    /// Let be.
    discarded: i64,
    /// When it was ordered.
    created_at: Moment,
}

impl Example for Replay {
    fn example() -> Self {
        Self {
            id: example_id(0x61),
            subscription_id: example_id(8),
            from: example_moment(),
            to: example_moment(),
            event_types: Some(vec!["account.created".to_owned()]),
            dry_run: true,
            state: "collecting".to_owned(),
            progress: 0.35,
            looked_at: 12_000,
            matched: 340,
            delivered: 0,
            waiting: 0,
            dead: 0,
            discarded: 0,
            created_at: example_moment(),
        }
    }
}

fn told(status: &impl serde::Serialize) -> Result<Stored<Replay>, Problem> {
    Ok(Stored::of(serde_json::to_string(status).map_err(Problem::internal)?))
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Deliveries")]
impl Replays {
    /// Replay events
    ///
    /// Sends the events of a window to one subscription once more, with the same bytes and the same `webhook-id` as the first time, so
    /// that the receiver can tell what it has already. Order within each ordering key is kept among the replayed; what happens now goes its
    /// own way and goes first. With `dryRun` it only counts.
    #[oai(path = "/replays", method = "post", operation_id = "replayEvents")]
    async fn start(&self, context: Context, input: Validated<ReplayOrder>) -> Result<Accepted<Replay>, Problem> {
        let body = input.body;
        let new = NewReplay {
            subscription: body.subscription_id.0,
            from: body.from.0,
            to: body.to.map(|to| to.0),
            event_types: body.event_types.into_iter().map(|name| name.0).collect(),
            dry_run: body.dry_run,
        };
        Ok(Accepted::of(context.app().start_replay(context.request(input.canonical.as_deref()), new).await?))
    }

    /// List replays
    ///
    /// Newest first.
    #[oai(path = "/replays", method = "get", operation_id = "listReplays")]
    async fn list(
        &self,
        context: Context,
        /// Maximum number of items to return.
        limit: Query<Limit>,
        /// `nextCursor` of the previous page. Absent: the first page.
        cursor: Query<Cursor>,
    ) -> Result<Listed<Replay>, Problem> {
        let page_request = context.page_request(limit.0, cursor.0.as_ref())?;
        Listed::page(&context, &context.app().list_replays(context.tenant(), page_request).await?)
    }

    /// Get a replay
    ///
    /// With how far it has got.
    #[oai(path = "/replays/:replay", method = "get", operation_id = "getReplay")]
    async fn get(
        &self,
        context: Context,
        /// Id of the replay.
        replay: Path<Reference>,
    ) -> Result<Stored<Replay>, Problem> {
        told(&context.app().replay(context.tenant(), &replay.0.0).await?)
    }

    /// Cancel a replay
    ///
    /// What it has not sent yet is discarded. The body is optional.
    #[oai(path = "/replays/:replay/cancel", method = "post", operation_id = "cancelReplay")]
    async fn cancel(
        &self,
        context: Context,
        /// Id of the replay.
        replay: Path<Reference>,
        input: Validated<Option<NoMembers>>,
    ) -> Result<Accepted<Replay>, Problem> {
        Ok(Accepted::of(context.app().cancel_replay(context.request(input.canonical.as_deref()), &replay.0.0).await?))
    }
}
