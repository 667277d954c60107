//! The two actions that stay in the house: forwarding an event to another queue, and publishing what is calculated from it. Both leave
//! something in SQL and can be done again without effect, as a try that is repeated after a stop will be.

use async_trait::async_trait;
use billwire_app::{App, Calculation};
use billwire_delivery::{
    channel::{Attempt, Channel, Outcome, Report},
    event::Action,
    payload,
};
use billwire_schemas::expression::Scope;

use crate::adapters::delivery_store::SqlDeliveryStore;

fn gone(why: impl AsRef<str>) -> Outcome {
    Outcome::GiveUp(Report::new(None, why))
}

/// The channel behind `forward` subscriptions: each subscription of the other queue is owed the event from then on.
pub struct ForwardChannel(pub SqlDeliveryStore);

#[async_trait]
impl Channel for ForwardChannel {
    async fn attempt(&self, attempt: &Attempt) -> Outcome {
        let Action::Forward { queue } = attempt.subscription.action else { return gone("not a forwarding subscription") };
        match self.0.forward(&attempt.event, queue).await {
            Ok(Some(owed)) => Outcome::Delivered(Report::new(None, format!("owed to {owed} subscriptions"))),
            Ok(None) => gone("the queue does not exist any more"),
            Err(error) => Outcome::NotAttempted(error),
        }
    }
}

/// The channel behind `calculate` subscriptions.
pub struct CalculateChannel(pub App);

#[async_trait]
impl Channel for CalculateChannel {
    async fn attempt(&self, attempt: &Attempt) -> Outcome {
        let Action::Calculate { event_type, data } = &attempt.subscription.action else { return gone("not a calculating subscription") };
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
