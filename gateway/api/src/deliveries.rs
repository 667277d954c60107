//! Deliveries: what is owed to subscriptions, and what became of it.

use billwire_app::deliveries::{self, Filter};
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    Tag,
    answers::{Listed, Shown},
    context::{Context, Query},
    example_id, example_moment,
    fields::{Cursor, DeliveryState, Limit, Moment, Reference},
    operations::{Operation, PLAIN, get, list},
    problem::Problem,
};

pub(crate) struct Deliveries;

/// What they ask for and answer.
pub(crate) const OPERATIONS: &[Operation] = &[
    list("listDeliveries", "deliveries:read"),
    Operation { takes: PLAIN, ..get("getDelivery", "deliveries:read", &["delivery_not_found"]) },
];

/// One try at a delivery.
#[derive(Debug, Object)]
#[oai(rename = "DeliveryAttempt", rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Attempt {
    /// Which try, from 1.
    number: u32,
    /// When it began.
    at: Moment,
    /// How long it took, in milliseconds.
    latency_ms: f64,
    /// Status code of the answer, where there was one.
    status: Option<u16>,
    /// A short report.
    detail: String,
}

/// A delivery: one event owed to one subscription.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct Delivery {
    /// Its id.
    id: Uuid,
    /// The event owed.
    event_id: Uuid,
    /// Its type.
    event_type: String,
    /// The queue it came through.
    queue_id: Uuid,
    /// The subscription it is owed to.
    subscription_id: Uuid,
    /// What its order is kept within.
    ordering_key: String,
    /// Its place within the ordering key, from 1.
    sequence: i64,
    /// `waiting`, `succeeded` or `dead` (given up on). More may come.
    state: String,
    /// Tries made.
    attempt_count: u32,
    /// When it is tried next; absent at the end, and while it waits for another of its lane.
    next_attempt_at: Option<Moment>,
    /// When it was first recorded.
    created_at: Moment,
    /// The tries, oldest first; only where one delivery is asked for.
    attempts: Option<Vec<Attempt>>,
}

impl Example for Delivery {
    fn example() -> Self {
        Self {
            id: example_id(9),
            event_id: example_id(0x101),
            event_type: "account.bill_cycle_changed".to_owned(),
            queue_id: example_id(4),
            subscription_id: example_id(8),
            ordering_key: example_id(1).to_string(),
            sequence: 3,
            state: "succeeded".to_owned(),
            attempt_count: 1,
            next_attempt_at: None,
            created_at: example_moment(),
            attempts: None,
        }
    }
}

impl From<deliveries::Attempt> for Attempt {
    fn from(attempt: deliveries::Attempt) -> Self {
        Self {
            number: attempt.number,
            at: attempt.at.into(),
            latency_ms: attempt.latency_us as f64 / 1_000.0,
            status: attempt.status,
            detail: attempt.detail,
        }
    }
}

impl Delivery {
    fn of(delivery: deliveries::Delivery, attempts: Option<Vec<deliveries::Attempt>>) -> Self {
        Self {
            id: delivery.id.0,
            event_id: delivery.event.0,
            event_type: delivery.event_type,
            queue_id: delivery.queue.0,
            subscription_id: delivery.subscription.0,
            ordering_key: delivery.key.to_string(),
            sequence: delivery.sequence,
            state: delivery.state.name().to_owned(),
            attempt_count: delivery.attempts,
            next_attempt_at: delivery.next_attempt_at.map(Into::into),
            created_at: delivery.created_at.into(),
            attempts: attempts.map(|attempts| attempts.into_iter().map(Into::into).collect()),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Deliveries")]
impl Deliveries {
    /// List deliveries
    ///
    /// Newest first.
    #[oai(path = "/deliveries", method = "get", operation_id = "listDeliveries")]
    async fn list(
        &self,
        context: Context,
        /// Only deliveries that stand here.
        state: Query<DeliveryState>,
        /// Only deliveries owed to this subscription.
        #[oai(name = "subscriptionId")]
        subscription: Query<Uuid>,
        /// Only deliveries of this event.
        #[oai(name = "eventId")]
        event: Query<Uuid>,
        /// How many items at the most.
        limit: Query<Limit>,
        /// Where to go on: `nextCursor` of the part before.
        cursor: Query<Cursor>,
    ) -> Result<Listed<Delivery>, Problem> {
        let ask = context.ask(limit.0, cursor.0.as_ref())?;
        let filter = Filter { state: state.0.map(|state| state.wire().to_owned()), subscription: subscription.0, event: event.0 };
        let page = context.app().list_deliveries(context.tenant(), filter, ask).await?;
        let items: Vec<Delivery> = page.items.into_iter().map(|delivery| Delivery::of(delivery, None)).collect();
        Ok(Listed::shown(&items, page.next.map(|after| context.cursor(after))))
    }

    /// Get a delivery
    ///
    /// With all its attempts.
    #[oai(path = "/deliveries/:delivery", method = "get", operation_id = "getDelivery")]
    async fn get(
        &self,
        context: Context,
        /// Id of the delivery.
        delivery: Path<Reference>,
    ) -> Result<Shown<Delivery>, Problem> {
        let (found, attempts) = context.app().delivery(context.tenant(), &delivery.0.0).await?;
        Ok(Shown(Delivery::of(found, Some(attempts))))
    }
}
