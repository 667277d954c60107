//! Events set aside: accepted once, but larger than the stream takes by now.

use billwire_app::SetAsideEvent as Found;
use billwire_schemas::ids::EventId;
use poem_openapi::{Object, OpenApi, types::Example};
use uuid::Uuid;

use crate::{
    delivery::deliveries::Tag,
    http::{
        problem::Problem,
        request_context::{Context, Query},
        responses::{Accepted, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, in_bulk, list},
    types::example::{example_id, example_moment},
    types::scalars::{Cursor, Limit, Moment, Reference},
};

pub(crate) struct SetAsideEvents;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] =
    &[list("listSetAsideEvents", "deliveries:read"), in_bulk("redriveSetAsideEvents", "deliveries:write", &[])];

/// An event that is too large for the stream.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub(crate) struct SetAsideEvent {
    /// The event.
    event_id: Uuid,
    /// Its type.
    #[oai(rename = "type")]
    kind: String,
    /// What its order is kept within.
    ordering_key: String,
    /// Its place within the ordering key, from 1.
    sequence: i64,
    /// The business transaction that caused it.
    transaction_id: Uuid,
    /// Its size in bytes.
    size: i64,
    /// The size in bytes that the stream took when the event was set aside.
    size_max: i64,
    /// When it was set aside.
    set_aside_at: Moment,
    /// How many events of its ordering key wait behind it.
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

/// Which events set aside are meant: those named; with no member at all: every one.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct SetAsideEventChoice {
    /// Ids of events.
    #[oai(validator(min_items = 1, max_items = 1000))]
    ids: Option<Vec<Reference>>,
}

impl Validate for SetAsideEventChoice {}

impl Example for SetAsideEventChoice {
    fn example() -> Self {
        Self { ids: Some(vec![Reference(example_id(0x101).to_string())]) }
    }
}

/// How many events it concerned.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub(crate) struct RedrivenEvents {
    /// How many fit by now and go to the stream.
    events: u32,
    /// How many stay: they, or one that stands before them in their ordering key, are still too large.
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
    /// Events that were accepted and cannot go to the stream, since NATS takes smaller messages (`max_payload`) than when they were
    /// accepted. Later events of the same ordering key wait behind them; all others go on. Newest first.
    #[oai(path = "/set-aside-events", method = "get", operation_id = "listSetAsideEvents")]
    async fn list(
        &self,
        context: Context,
        /// Maximum number of items to return.
        limit: Query<Limit>,
        /// `nextCursor` of the previous page. Absent: the first page.
        cursor: Query<Cursor>,
    ) -> Result<Listed<SetAsideEvent>, Problem> {
        let page_request = context.page_request(limit.0, cursor.0.as_ref())?;
        let page = context.app().list_set_aside_events(context.tenant(), page_request).await?;
        let items: Vec<SetAsideEvent> = page.items.into_iter().map(Into::into).collect();
        Ok(Listed::shown(&items, page.next.map(|after| context.cursor(after))))
    }

    /// Redrive events set aside
    ///
    /// Publishes those that fit by now, once NATS takes larger messages (`max_payload`), each with all events of its ordering key that
    /// are set aside, in their order. Those that do not fit stay as they are.
    #[oai(path = "/set-aside-events/redrive", method = "post", operation_id = "redriveSetAsideEvents")]
    async fn redrive(&self, context: Context, input: Validated<SetAsideEventChoice>) -> Result<Accepted<RedrivenEvents>, Problem> {
        let request = context.request(input.canonical.as_deref());
        // What is no id is the id of nothing.
        let ids = input.body.ids.unwrap_or_default().into_iter().map(|one| EventId(one.0.parse().unwrap_or(Uuid::nil()))).collect();
        Ok(Accepted::of(context.app().redrive_set_aside_events(request, ids).await?))
    }
}
