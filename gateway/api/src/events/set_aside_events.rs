//! Events set aside: accepted earlier, but larger than the stream's current message limit.

use billwire_app::SetAsideEvent as Found;
use billwire_schemas::ids::EventId;
use poem_openapi::{Object, OpenApi, types::Example};
use uuid::Uuid;

use crate::{
    delivery::deliveries::Tag,
    http::{
        problem::Problem,
        request_context::Context,
        responses::{Accepted, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, in_bulk, list},
    types::example::{example_id, example_moment},
    types::scalars::{Moment, Reference},
};

pub(crate) struct SetAsideEvents;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] =
    &[list("listSetAsideEvents", "deliveries:read"), in_bulk("redriveSetAsideEvents", "deliveries:write", &[])];

/// An event that is too large for the stream.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub(crate) struct SetAsideEvent {
    /// Id of the event.
    event_id: Uuid,
    /// Event type.
    #[oai(rename = "type")]
    kind: String,
    /// The ordering key.
    ordering_key: String,
    /// Position within the ordering key, starting at 1.
    sequence: i64,
    /// Id of the business transaction.
    transaction_id: Uuid,
    /// Size in bytes.
    size: i64,
    /// Maximum message size of the stream when the event was set aside, in bytes.
    size_max: i64,
    /// Time at which the event was set aside.
    set_aside_at: Moment,
    /// Number of events of the ordering key that wait behind this one.
    waiting: i64,
}

impl Example for SetAsideEvent {
    fn example() -> Self {
        Self {
            event_id: example_id(0x101),
            kind: "custom.sim_swapped".to_owned(),
            ordering_key: "sim-4711".to_owned(),
            sequence: 3,
            transaction_id: example_id(0x100),
            size: 620_000,
            size_max: 523_264,
            set_aside_at: example_moment(),
            waiting: 2,
        }
    }
}

impl From<Found> for SetAsideEvent {
    fn from(found: Found) -> Self {
        Self {
            event_id: found.event.0,
            kind: found.kind,
            ordering_key: found.key,
            sequence: found.sequence,
            transaction_id: found.transaction.0,
            size: found.size,
            size_max: found.size_max,
            set_aside_at: found.at.into(),
            waiting: found.waiting,
        }
    }
}

/// The set-aside events to redrive. Without `ids`: all of them.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct SetAsideEventChoice {
    /// Event ids.
    #[oai(validator(min_items = 1, max_items = 1000))]
    ids: Option<Vec<Reference>>,
}

impl Validate for SetAsideEventChoice {}

impl Example for SetAsideEventChoice {
    fn example() -> Self {
        Self { ids: Some(vec![Reference(example_id(0x101).to_string())]) }
    }
}

/// Numbers of redriven and remaining events.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub(crate) struct RedrivenEvents {
    /// Number of events that now fit and will be published.
    events: u32,
    /// Number of events that stay set aside: they, or an earlier event of their ordering key, are still too large.
    too_large: u32,
}

impl Example for RedrivenEvents {
    fn example() -> Self {
        Self { events: 1, too_large: 0 }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Deliveries")]
impl SetAsideEvents {
    /// List events set aside
    ///
    /// Returns events that were accepted but cannot be published, because NATS's message limit (`max_payload`) was lowered since. Later
    /// events of the same ordering key wait behind them; all others are published. Newest first.
    #[oai(path = "/set-aside-events", method = "get", operation_id = "listSetAsideEvents")]
    async fn list(&self, context: Context) -> Result<Listed<SetAsideEvent>, Problem> {
        let page = context.app().list_set_aside_events(context.tenant(), context.page().await?).await?;
        let items: Vec<SetAsideEvent> = page.items.into_iter().map(Into::into).collect();
        Ok(Listed::shown(&items, page.next.map(|after| context.cursor(after))))
    }

    /// Redrive events set aside
    ///
    /// Use after raising NATS's message limit (`max_payload`). Publishes the events that now fit, each with all set-aside events of its
    /// ordering key, in order. Events that do not fit stay set aside.
    #[oai(path = "/set-aside-events/redrive", method = "post", operation_id = "redriveSetAsideEvents")]
    async fn redrive(&self, context: Context, input: Validated<SetAsideEventChoice>) -> Result<Accepted<RedrivenEvents>, Problem> {
        let request = context.request(input.canonical.as_deref());
        // An invalid id matches nothing.
        let ids = input.body.ids.unwrap_or_default().into_iter().map(|one| EventId(one.0.parse().unwrap_or(Uuid::nil()))).collect();
        Ok(Accepted::of(context.app().redrive_set_aside_events(request, ids).await?))
    }
}
