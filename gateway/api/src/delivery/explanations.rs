//! Explains the routing and delivery of an event.

use billwire_app::{Explanation, Match, domain::delivery::queue};
use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    delivery::deliveries::Delivery,
    events::event::Tag,
    http::{problem::Problem, request_context::Context, responses::Shown},
    openapi::operation::{Operation, PLAIN, get},
    types::example::example_id,
    types::scalars::Reference,
};

pub(crate) struct Explanations;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] =
    &[Operation { takes: PLAIN, ..get("explainEvent", "events:read", &[Code::EventNotFound, Code::Purged]) }];

/// The matching result of a subscription.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ExplainedSubscription {
    /// Id of the subscription.
    subscription_id: Uuid,
    /// Display name.
    name: String,
    /// What became of the event for this subscription. `matched`: there is a delivery. Without one, if the subscription matches by the current
    /// configuration: `pending` (its queue has not taken the event in yet), `held` (its queue is paused or catching up), `setAside`, `purged`
    /// (deliveries of this time are purged) or `wouldMatch` (it was changed after its queue had taken the event in). If it does not match:
    /// `notRegistered` (the type is not on the queue), `notChosen` (the subscription does not select the type), `filteredOut`, `filterFailed`,
    /// `tooYoung` (created or enabled after the event) or `disabled`. More values may be added.
    verdict: String,
    /// Details, if any.
    reason: Option<String>,
    /// The delivery; absent if the event has not been processed yet or does not match.
    delivery: Option<Delivery>,
}

/// The matching results of a queue.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ExplainedQueue {
    /// Id of the queue.
    queue_id: Uuid,
    /// Display name.
    name: String,
    /// Whether the event's type is registered on the queue.
    registered: bool,
    /// Whether the queue is paused.
    paused: bool,
    /// The queue's subscriptions.
    subscriptions: Vec<ExplainedSubscription>,
}

/// The routing and deliveries of an event.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct EventExplanation {
    /// Id of the event.
    event_id: Uuid,
    /// Event type.
    event_type: String,
    /// Whether the event is on the stream: it was published, is younger than the stream's retention, and the audit of the stream, which looks
    /// every 10 seconds, has not found it lost.
    on_stream: bool,
    /// `true` if the event is set aside because it, or an earlier event of its ordering key, is too large for the stream
    /// (`listSetAsideEvents`). Otherwise absent.
    set_aside: Option<bool>,
    /// Whether the warehouse has loaded the event.
    in_warehouse: bool,
    /// All queues of the tenant.
    queues: Vec<ExplainedQueue>,
    /// Deliveries of replays, and to deleted subscriptions.
    further_deliveries: Option<Vec<Delivery>>,
}

impl Example for EventExplanation {
    fn example() -> Self {
        let one = ExplainedSubscription {
            subscription_id: example_id(8),
            name: "crm-bill-cycle-changes".to_owned(),
            verdict: "matched".to_owned(),
            reason: None,
            delivery: Some(Delivery::example()),
        };
        let queue = ExplainedQueue {
            queue_id: example_id(4),
            name: "account-changes".to_owned(),
            registered: true,
            paused: false,
            subscriptions: vec![one],
        };
        Self {
            event_id: example_id(0x101),
            event_type: "account.bill_cycle_changed".to_owned(),
            on_stream: true,
            set_aside: None,
            in_warehouse: true,
            queues: vec![queue],
            further_deliveries: None,
        }
    }
}

fn subscription(met: Match) -> ExplainedSubscription {
    let verdict = met.verdict.name().to_owned();
    let reason = met.verdict.reason().map(str::to_owned);
    let delivery = met.delivery.map(|delivery| Delivery::of(delivery, None));
    ExplainedSubscription { subscription_id: met.subscription.id.0, name: met.subscription.name, verdict, reason, delivery }
}

fn queue((queue, registered, met): (queue::Queue, bool, Vec<Match>)) -> ExplainedQueue {
    let subscriptions = met.into_iter().map(subscription).collect();
    ExplainedQueue { queue_id: queue.id.0, name: queue.name, registered, paused: queue.paused, subscriptions }
}

impl EventExplanation {
    fn of(event: Uuid, told: Explanation) -> Self {
        let further: Vec<Delivery> = told.orphans.into_iter().map(|delivery| Delivery::of(delivery, None)).collect();
        Self {
            event_id: event,
            event_type: told.event_type,
            on_stream: told.on_stream,
            set_aside: told.delivery_place.set_aside.then_some(true),
            in_warehouse: told.delivery_place.in_warehouse,
            queues: told.queues.into_iter().map(queue).collect(),
            further_deliveries: (!further.is_empty()).then_some(further),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Events")]
impl Explanations {
    /// Explain an event
    ///
    /// Reports whether the stream and the warehouse have the event, which queues and subscriptions match it and why, and the state of each
    /// delivery. Deliveries are shown as recorded; where none is recorded, matching uses the current configuration.
    #[oai(path = "/events/:event/explanation", method = "get", operation_id = "explainEvent")]
    async fn explain(
        &self,
        context: Context,
        /// Id of the event.
        event: Path<Reference>,
    ) -> Result<Shown<EventExplanation>, Problem> {
        let told = context.app().explain(context.tenant(), &event.0.0).await?;
        Ok(Shown(EventExplanation::of(event.0.0.parse().unwrap_or(Uuid::nil()), told)))
    }
}
