//! Deliveries of events to subscriptions, with their attempts.

use billwire_app::delivery_lists::Filter;
use billwire_schemas::clock::Timestamp;
use billwire_schemas::delivery::{self as record, AttemptRecord, Exchange};
use billwire_schemas::ids::{EventId, QueueId, ReplayId, SubscriptionId};
use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    customers::account_bill_cycle::NoMembers,
    http::{
        problem::Problem,
        request_context::{Context, Query},
        responses::{Accepted, Listed, Shown},
        validated_body::Validated,
    },
    openapi::operation::{Operation, PLAIN, get, in_bulk, list},
    types::example::{example_id, example_moment},
    types::scalars::{DeliveryState, EventTypeName, Key, Moment, Reference, StatusCode},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Deliveries of events to subscriptions, with dead letters and replays.
    #[oai(rename = "Deliveries")]
    Deliveries,
}

pub(crate) struct Deliveries;

/// The ids of the subscription and of the queue that a filter names.
pub(super) async fn by_name(
    context: &Context,
    subscription: Option<Reference>,
    queue: Option<Reference>,
) -> Result<(Option<SubscriptionId>, Option<QueueId>), Problem> {
    let text = |reference: Option<Reference>| reference.map(|reference| reference.0);
    Ok(context.app().subscription_and_queue(context.tenant(), text(subscription).as_deref(), text(queue).as_deref()).await?)
}

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    list("listDeliveries", "deliveries:read"),
    Operation { takes: PLAIN, ..get("getDelivery", "deliveries:read", &[Code::DeliveryNotFound, Code::Purged]) },
    in_bulk(
        "retryDelivery",
        "deliveries:write",
        &[Code::DeliveryNotFound, Code::Purged, Code::DeliverySucceeded, Code::DeliveryDiscarded, Code::DeliveryBehindAnother],
    ),
];

/// An attempt at a delivery.
#[derive(Debug, Object)]
#[oai(rename = "DeliveryAttempt", rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Attempt {
    /// Number of the attempt, starting at 1.
    number: u32,
    /// Start time.
    at: Moment,
    /// Duration in milliseconds.
    latency_ms: f64,
    /// Status code of the response, if any.
    status: Option<u16>,
    /// Short description of the result.
    detail: String,
    /// What was sent to a webhook endpoint. Present only when a single delivery is requested, and for as long as texts of answers are kept.
    request: Option<SentRequest>,
    /// What the webhook endpoint answered, if it did. Present where `request` is.
    response: Option<ReceivedResponse>,
}

/// A header of an HTTP message.
#[derive(Debug, Object)]
pub(crate) struct HeaderField {
    /// Name, in lower case.
    name: String,
    /// Value, up to 512 bytes; `[redacted]` in place of credentials, of the endpoint's own headers and of cookies.
    value: String,
}

/// The request of an attempt. Its body is the message of the event, with the parameters that the subscription adds.
#[derive(Debug, Object)]
pub(crate) struct SentRequest {
    /// URL, without its query.
    url: String,
    /// Headers.
    headers: Vec<HeaderField>,
}

/// The response to an attempt.
#[derive(Debug, Object)]
pub(crate) struct ReceivedResponse {
    /// Headers: up to 40, and up to 4 KiB together.
    headers: Vec<HeaderField>,
    /// The first 4 KiB of the body, as text, with credentials of the endpoint replaced by `[redacted]`.
    body: String,
    /// Whether some headers or a part of the body are left out.
    truncated: bool,
}

impl From<record::HeaderField> for HeaderField {
    fn from(record::HeaderField { name, value }: record::HeaderField) -> Self {
        Self { name, value }
    }
}

/// Request and response of a call over HTTP.
pub(crate) fn exchanged(exchange: Option<Box<Exchange>>) -> (Option<SentRequest>, Option<ReceivedResponse>) {
    let Some(exchange) = exchange else { return (None, None) };
    let fields = |of: Vec<record::HeaderField>| of.into_iter().map(HeaderField::from).collect();
    let Exchange { url, sent, received } = *exchange;
    let response =
        received.map(|received| ReceivedResponse { headers: fields(received.headers), body: received.body, truncated: received.cut });
    (Some(SentRequest { url, headers: fields(sent) }), response)
}

/// A recipient of an e-mail delivery.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct DeliveryRecipient {
    /// E-mail address.
    address: String,
    /// `sent`, `deferred` (will be retried), `refused` (permanently) or `suppressed` (on the suppression list). More values may be added.
    state: String,
    /// SMTP status code for the recipient, if any.
    status: Option<u16>,
    /// Response text of the server.
    detail: String,
    /// Time of this result.
    at: Moment,
}

impl From<(record::Recipient, Timestamp)> for DeliveryRecipient {
    fn from((one, at): (record::Recipient, Timestamp)) -> Self {
        Self { address: one.address, state: one.state.name().to_owned(), status: one.status, detail: one.detail, at: at.into() }
    }
}

/// A delivery of one event to one subscription.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct Delivery {
    /// Unique id.
    id: Uuid,
    /// Id of the event.
    event_id: Uuid,
    /// Event type.
    event_type: String,
    /// Id of the queue.
    queue_id: Uuid,
    /// Id of the subscription.
    subscription_id: Uuid,
    /// Id of the replay, if the delivery belongs to one.
    replay_id: Option<Uuid>,
    /// The ordering key.
    ordering_key: String,
    /// Position of the event within the ordering key, starting at 1.
    sequence: i64,
    /// `waiting`, `succeeded`, `dead` (a dead letter), `blocking` (a dead letter that blocks its ordering key) or `discarded`. More values
    /// may be added.
    state: String,
    /// Number of attempts made.
    attempt_count: u32,
    /// Time of the next attempt; absent once finished, and while an earlier delivery of the lane is pending.
    next_attempt_at: Option<Moment>,
    /// Time at which it was first recorded.
    created_at: Moment,
    /// The latest attempt.
    last_attempt: Option<Attempt>,
    /// The attempts, oldest first, without failed ones that are older than their retention. Present only when a single delivery is requested.
    attempts: Option<Vec<Attempt>>,
    /// Results per recipient of an e-mail. Present only when a single delivery is requested.
    recipients: Option<Vec<DeliveryRecipient>>,
}

impl Example for Delivery {
    fn example() -> Self {
        Self {
            id: example_id(9),
            event_id: example_id(0x101),
            event_type: "account.bill_cycle_changed".to_owned(),
            queue_id: example_id(4),
            subscription_id: example_id(8),
            replay_id: None,
            ordering_key: example_id(1).to_string(),
            sequence: 3,
            state: "succeeded".to_owned(),
            attempt_count: 1,
            next_attempt_at: None,
            created_at: example_moment(),
            last_attempt: Some(Attempt {
                number: 1,
                at: example_moment(),
                latency_ms: 42.5,
                status: Some(204),
                detail: String::new(),
                request: None,
                response: None,
            }),
            attempts: None,
            recipients: None,
        }
    }
}

impl From<AttemptRecord> for Attempt {
    fn from(attempt: AttemptRecord) -> Self {
        let (request, response) = exchanged(attempt.report.exchange);
        Self {
            number: attempt.number,
            at: attempt.at.into(),
            latency_ms: attempt.latency.as_micros() as f64 / 1_000.0,
            status: attempt.report.status,
            detail: attempt.report.detail,
            request,
            response,
        }
    }
}

impl Delivery {
    pub fn of(delivery: record::Delivery, attempts: Option<Vec<AttemptRecord>>) -> Self {
        Self {
            id: delivery.id.0,
            event_id: delivery.event.0,
            event_type: delivery.event_type,
            queue_id: delivery.queue.0,
            subscription_id: delivery.subscription.0,
            replay_id: delivery.replay.map(|replay| replay.0),
            ordering_key: delivery.key.to_string(),
            sequence: delivery.sequence,
            state: delivery.state.name().to_owned(),
            attempt_count: delivery.attempts,
            next_attempt_at: delivery.next_attempt_at.map(Into::into),
            created_at: delivery.created_at.into(),
            last_attempt: delivery.last.map(|last| Attempt { request: None, response: None, ..last.into() }),
            attempts: attempts.map(|attempts| attempts.into_iter().map(Into::into).collect()),
            recipients: None,
        }
    }
}

/// The number of affected deliveries.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub(crate) struct MendedDeliveries {
    /// Number of deliveries.
    deliveries: u32,
}

impl Example for MendedDeliveries {
    fn example() -> Self {
        Self { deliveries: 1 }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Deliveries")]
impl Deliveries {
    /// List deliveries
    ///
    /// Newest first.
    #[oai(path = "/deliveries", method = "get", operation_id = "listDeliveries")]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list(
        &self,
        context: Context,
        /// Only deliveries in this state.
        state: Query<DeliveryState>,
        /// Only deliveries to this subscription: its id or name.
        #[oai(name = "subscriptionId")]
        subscription: Query<Reference>,
        /// Only deliveries of this replay.
        #[oai(name = "replayId")]
        replay: Query<Uuid>,
        /// Only deliveries of this event.
        #[oai(name = "eventId")]
        event: Query<Uuid>,
        /// Only deliveries of this queue: its id or name.
        #[oai(name = "queueId")]
        queue: Query<Reference>,
        /// Only deliveries of events of this type, or of types that match this pattern, such as `invoice.*`.
        #[oai(name = "eventType")]
        kind: Query<EventTypeName>,
        /// Only deliveries with this ordering key, such as the id of an account.
        #[oai(name = "orderingKey")]
        key: Query<Key>,
        /// Only deliveries whose latest attempt got this status code.
        status: Query<StatusCode>,
        /// Only deliveries first recorded at or after this time.
        from: Query<Moment>,
        /// Only deliveries first recorded before this time.
        to: Query<Moment>,
    ) -> Result<Listed<Delivery>, Problem> {
        let page_request = context.page().await?;
        // An invalid key matches no event.
        let Ok(key) = key.0.map(|key| key.0.parse()).transpose() else { return Ok(Listed::nothing()) };
        let (subscription, queue) = by_name(&context, subscription.0, queue.0).await?;
        let filter = Filter {
            states: state.0.map(|state| state.wire().to_owned()).into_iter().collect(),
            queue,
            subscription,
            replay: replay.0.map(ReplayId),
            event: event.0.map(EventId),
            event_type: kind.0.map(|kind| kind.0),
            key,
            status: status.0.and_then(|status| u16::try_from(status.0).ok()),
            from: from.0.map(|from| from.0),
            to: to.0.map(|to| to.0),
        };
        let page = context.app().list_deliveries(context.tenant(), filter, page_request).await?;
        let items: Vec<Delivery> = page.items.into_iter().map(|delivery| Delivery::of(delivery, None)).collect();
        Ok(Listed::shown(&items, page.next.map(|after| context.cursor(after))))
    }

    /// Get a delivery
    ///
    /// Includes all attempts and, for an e-mail, the recipients.
    #[oai(path = "/deliveries/:delivery", method = "get", operation_id = "getDelivery")]
    async fn get(
        &self,
        context: Context,
        /// Id of the delivery.
        delivery: Path<Reference>,
    ) -> Result<Shown<Delivery>, Problem> {
        let (found, attempts) = context.app().delivery(context.tenant(), &delivery.0.0).await?;
        let recipients: Vec<DeliveryRecipient> = context.app().recipients(found.id).await?.into_iter().map(Into::into).collect();
        let recipients = (!recipients.is_empty()).then_some(recipients);
        Ok(Shown(Delivery { recipients, ..Delivery::of(found, Some(attempts)) }))
    }

    /// Retry a delivery
    ///
    /// Immediately retries a waiting delivery or a dead letter; a dead letter starts a new retry plan. A delivery behind another one of its
    /// ordering key cannot be retried. The body is optional.
    #[oai(path = "/deliveries/:delivery/retry", method = "post", operation_id = "retryDelivery")]
    async fn retry(
        &self,
        context: Context,
        /// Id of the delivery.
        delivery: Path<Reference>,
        input: Validated<Option<NoMembers>>,
    ) -> Result<Accepted<MendedDeliveries>, Problem> {
        Ok(Accepted::of(context.app().retry_delivery(context.request(input.canonical.as_deref()), &delivery.0.0).await?))
    }
}
