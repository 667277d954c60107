//! Authenticity: only events that the gateway published are delivered or loaded, whoever else can write to the stream.
//!
//! The bus verifies the seal of a message that has one. A message without a seal may be older than seals: it is genuine if SQL has exactly
//! the same event.

use std::collections::HashMap;

use billwire_bus::{Authenticity, Bus, Received};
use billwire_schemas::{
    events::envelope::{subject, subject_without_slot},
    ids::EventId,
};

use crate::{event::Event, store::DeliveryStore};

/// Marks messages without a seal as genuine if the delivery store has exactly their events.
///
/// # Errors
/// When the delivery store fails.
pub async fn confirm(delivery_store: &dyn DeliveryStore, received: &mut [Received]) -> Result<(), String> {
    let unsealed = || received.iter().filter(|message| message.authenticity == Authenticity::Unsealed);
    let ids: Vec<EventId> = unsealed().filter_map(|message| message.id.parse().ok()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let known: HashMap<EventId, Event> = delivery_store.events(&ids).await?.into_iter().map(|event| (event.id, event)).collect();
    for message in received.iter_mut().filter(|message| message.authenticity == Authenticity::Unsealed) {
        let event = message.id.parse().ok().and_then(|id: EventId| known.get(&id));
        if event.is_some_and(|event| same(event, message)) {
            message.authenticity = Authenticity::Genuine;
        }
    }
    Ok(())
}

/// The genuine messages; the others are rejected.
///
/// # Errors
/// When the delivery store fails; then no message was rejected.
pub(crate) async fn genuine(bus: &Bus, delivery_store: &dyn DeliveryStore, mut received: Vec<Received>) -> Result<Vec<Received>, String> {
    confirm(delivery_store, &mut received).await?;
    let (genuine, foreign): (Vec<_>, Vec<_>) = received.into_iter().partition(|one| one.authenticity == Authenticity::Genuine);
    for message in foreign {
        bus.reject(&message).await;
    }
    Ok(genuine)
}

fn same(event: &Event, message: &Received) -> bool {
    // A message without a seal is of a version before seals, and so before slots.
    (message.subject == subject_without_slot(&event.tenant, &event.kind, &event.key)
        || message.subject == subject(&event.tenant, &event.kind, &event.key))
        && message.sequence == event.sequence
        && message.position == event.position
        && message.body == event.body
}
