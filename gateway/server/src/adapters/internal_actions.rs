//! The two internal channels: forwarding an event to another queue, and publishing an event calculated from it. Both write to SQL and are
//! idempotent, because an attempt may be repeated after a stop.

use async_trait::async_trait;
use billwire_app::{App, Calculation};
use billwire_delivery::{
    channel::{Attempt, Channel, ChannelAction, Outcome, Report},
    event::CalculatedMember,
    payload,
};
use billwire_schemas::{expression::Scope, ids::QueueId};

use crate::adapters::delivery_store::SqlDeliveryStore;

fn gone(why: impl AsRef<str>) -> Outcome {
    Outcome::GiveUp(Report::new(None, why))
}

/// What a forwarding subscription asks for.
#[derive(Debug)]
pub struct ForwardAction {
    /// The queue the event is forwarded to.
    pub queue: QueueId,
}

impl ChannelAction for ForwardAction {
    const CHANNEL: &'static str = "forward";
}

/// The channel of `forward` subscriptions: stores a delivery for each matching subscription of the other queue.
pub struct ForwardChannel(pub SqlDeliveryStore);

#[async_trait]
impl Channel for ForwardChannel {
    type Action = ForwardAction;

    async fn attempt(&self, attempt: &Attempt, action: &ForwardAction) -> Outcome {
        match self.0.forward(&attempt.event, action.queue).await {
            Ok(Some(count)) => Outcome::Delivered(Report::new(None, format!("forwarded to {count} subscriptions"))),
            Ok(None) => gone("the queue does not exist any more"),
            Err(error) => Outcome::NotAttempted(error),
        }
    }
}

/// What a calculating subscription asks for.
#[derive(Debug)]
pub struct CalculateAction {
    /// The custom event type to publish.
    pub event_type: String,
    /// The members of its data.
    pub data: Vec<CalculatedMember>,
}

impl ChannelAction for CalculateAction {
    const CHANNEL: &'static str = "calculate";
}

/// The channel of `calculate` subscriptions.
pub struct CalculateChannel(pub App);

#[async_trait]
impl Channel for CalculateChannel {
    type Action = CalculateAction;

    async fn attempt(&self, attempt: &Attempt, CalculateAction { event_type, data }: &CalculateAction) -> Outcome {
        let json = match attempt.event.json() {
            Ok(json) => json,
            Err(error) => return gone(error),
        };
        let data = match payload::calculate(data, &Scope::of(&json)) {
            Ok(data) => data.into_iter().collect(),
            Err(error) => return gone(error),
        };
        let calculation = Calculation {
            tenant: attempt.event.tenant.clone(),
            delivery: attempt.delivery,
            event: attempt.event.id,
            depth: json["causationdepth"].as_u64().and_then(|depth| u32::try_from(depth).ok()).unwrap_or(0),
            account: json["data"]["parameters"]["account.id"].as_str().map(str::to_owned),
            key: attempt.event.key.clone(),
            event_type: event_type.clone(),
            data,
        };
        match self.0.calculate(calculation).await {
            Ok(Ok(())) => Outcome::Delivered(Report::new(None, format!("{event_type} published"))),
            Ok(Err(refusal)) => gone(refusal),
            Err(failure) => Outcome::NotAttempted(failure.to_string()),
        }
    }
}
