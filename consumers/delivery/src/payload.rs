//! The payload for a subscription: the event's own bytes, with the parameters that the subscription adds merged in.

use billwire_schemas::{
    events::envelope::Parameters,
    expression::{Budget, Scope},
};
use bytes::Bytes;
use serde_json::Value;

use crate::event::{CalculatedMember, Event, Subscription};

/// The calculated members for an event.
///
/// # Errors
/// Which of them failed, and why; it will fail each time.
pub fn calculate(calculated: &[CalculatedMember], scope: &Scope) -> Result<Vec<(String, Value)>, String> {
    let mut budget = Budget::default();
    let one = |(name, expression): &CalculatedMember| {
        let value = expression.as_ref().map_err(Clone::clone).and_then(|expression| expression.value(scope, &mut budget));
        value.map(|value| (name.clone(), value)).map_err(|error| format!("'{name}' failed: {error}"))
    };
    calculated.iter().map(one).collect()
}

/// The body for a subscription. The same event and subscription always give the same bytes.
///
/// # Errors
/// Which added parameter failed, and why.
pub fn body(event: &Event, subscription: &Subscription) -> Result<Bytes, String> {
    if subscription.parameters.is_empty() {
        return Ok(event.body.clone());
    }
    let mut json = event.json()?;
    let added = calculate(&subscription.parameters, &Scope::of(&json))?;
    if let Some(parameters) = json["data"]["parameters"].as_object_mut() {
        parameters.extend(added);
    }
    serde_json::to_vec(&json).map(Bytes::from).map_err(|error| error.to_string())
}

/// The event's parameters with those that the subscription adds.
///
/// # Errors
/// Which added parameter failed, and why.
pub fn parameters(event: &Event, subscription: &Subscription) -> Result<Parameters, String> {
    let json = event.json()?;
    let added = calculate(&subscription.parameters, &Scope::of(&json))?;
    let own = json["data"]["parameters"].as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone()));
    Ok(own.chain(added).collect())
}
