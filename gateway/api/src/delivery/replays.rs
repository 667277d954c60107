//! Replays: past events, sent to a subscription again.

use billwire_app::NewReplay;
use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    customers::account_bill_cycle::NoMembers,
    delivery::deliveries::Tag,
    http::{
        problem::Problem,
        request_context::Context,
        responses::{Accepted, Listed, Stored},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, PLAIN, get, in_bulk, list},
    types::example::{example_id, example_moment},
    types::scalars::{EventTypeName, Moment, Reference},
};

pub(crate) struct Replays;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    in_bulk("replayEvents", "deliveries:write", &[Code::SubscriptionUnknown, Code::EventTypeUnknown, Code::WindowEmpty, Code::Purged]),
    list("listReplays", "deliveries:read"),
    Operation { takes: PLAIN, ..get("getReplay", "deliveries:read", &[Code::ReplayNotFound, Code::Purged]) },
    in_bulk("cancelReplay", "deliveries:write", &[Code::ReplayNotFound, Code::Purged, Code::ReplayCancelled]),
];

/// The time window of events to send to a subscription again.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct ReplayOrder {
    /// Id or name of the subscription. Its current event selection, filter and action apply.
    subscription_id: Reference,
    /// Start of the window (inclusive), compared with the time of the events.
    from: Moment,
    /// End of the window (exclusive). Absent: now.
    to: Option<Moment>,
    /// Only events of these types. Empty: all types that the subscription selects.
    #[oai(default, validator(max_items = 200, unique_items))]
    event_types: Vec<EventTypeName>,
    /// Whether to only count the events, without sending them.
    #[oai(default)]
    dry_run: bool,
}

impl Validate for ReplayOrder {}

impl Example for ReplayOrder {
    fn example() -> Self {
        Self {
            subscription_id: Reference("crm-bill-cycle-changes".to_owned()),
            from: example_moment(),
            to: None,
            event_types: vec!["account.created".into()],
            dry_run: true,
        }
    }
}

/// A replay. While it is in progress, its counts are live.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct Replay {
    /// Unique id; its deliveries have it as `replayId`.
    id: Uuid,
    /// Id of the subscription.
    subscription_id: Uuid,
    /// Start of the window (inclusive).
    from: Moment,
    /// End of the window (exclusive).
    to: Moment,
    /// Only events of these types.
    event_types: Option<Vec<String>>,
    /// Whether events are only counted.
    dry_run: bool,
    /// `collecting` (scanning for events, and sending meanwhile), `delivering`, `completed` or `cancelled`. More values may be added.
    state: String,
    /// Scanned fraction of the window, from 0 to 1.
    progress: f64,
    /// Number of scanned events.
    looked_at: i64,
    /// Number of scanned events that match the subscription.
    matched: i64,
    /// Number of delivered events.
    delivered: i64,
    /// Number of waiting deliveries.
    waiting: i64,
    /// Number of dead letters.
    dead: i64,
    /// Number of discarded deliveries.
    discarded: i64,
    /// Creation time.
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
    /// Sends the events of a time window to one subscription again, with the original bytes and `webhook-id`, so that the receiver can
    /// detect duplicates. Replayed events keep their order within each ordering key. Current events are delivered independently and have
    /// priority. With `dryRun`, events are only counted. A window that starts before events were deleted after their retention is refused; the
    /// refusal names the first possible start.
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
    async fn list(&self, context: Context) -> Result<Listed<Replay>, Problem> {
        Listed::page(&context, &context.app().list_replays(context.tenant(), context.page().await?).await?)
    }

    /// Get a replay
    ///
    /// Includes its progress.
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
    /// Events not sent yet are discarded. The body is optional.
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
