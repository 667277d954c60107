//! What happened to an event, and why.

use billwire_app::{Explanation, Match, MatchResult, domain::delivery::queue};
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
pub(crate) const OPERATIONS: &[Operation] = &[Operation { takes: PLAIN, ..get("explainEvent", "events:read", &[Code::EventNotFound]) }];

/// A subscription that the event met.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ExplainedSubscription {
    /// Unique id.
    subscription_id: Uuid,
    /// Display name.
    name: String,
    /// Whether it is owed the event, by the configuration as it is now: `matched`, `notRegistered` (its queue does not carry the type),
    /// `notChosen` (it does not choose the type), `filteredOut`, `filterFailed`, `tooYoung` (made or enabled after the event) or
    /// `disabled`. More values may be added.
    verdict: String,
    /// More about it, where there is more to say.
    reason: Option<String>,
    /// What became of the delivery; absent while the event has not come by yet, and where it is not owed.
    delivery: Option<Delivery>,
}

/// A queue that the event met.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ExplainedQueue {
    /// Unique id.
    queue_id: Uuid,
    /// Display name.
    name: String,
    /// Whether the event's type is registered on it.
    registered: bool,
    /// Whether it rests.
    paused: bool,
    /// Who stands on it.
    subscriptions: Vec<ExplainedSubscription>,
}

/// What happened to an event, and why.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct EventExplanation {
    /// The event.
    event_id: Uuid,
    /// Its type.
    event_type: String,
    /// Whether the stream has it.
    on_stream: bool,
    /// `true`: it is set aside, since it is too large for the stream, or stands behind one of its ordering key that is
    /// (`listSetAsideEvents`).
    set_aside: Option<bool>,
    /// Whether the warehouse has loaded it.
    in_warehouse: bool,
    /// Every queue of the tenant.
    queues: Vec<ExplainedQueue>,
    /// Deliveries by replays, and to subscriptions that do not exist any more.
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
    let reason = match met.verdict {
        MatchResult::FilterFailed(reason) => Some(reason),
        _ => None,
    };
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
            on_stream: told.delivery_place.on_stream,
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
    /// Whether stream and warehouse have it, which queues and subscriptions it met, why each of them is or is not owed it, and what became
    /// of each delivery. Matching is told by the configuration as it is now; deliveries are told as they were made.
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
