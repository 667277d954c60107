//! Webhook endpoints: the event of a disabled endpoint.

use crate::events::{
    catalogue::{EventType, Key, Source},
    parameters::{Group, Parameter, p},
};

const OWN: &[Parameter] = &[
    p("webhookEndpoint.id", "The endpoint's id", "0198c0de-0000-7000-8000-000000000005"),
    p("webhookEndpoint.name", "The endpoint's name", "crm"),
    p("webhookEndpoint.url", "The endpoint's base URL, without the query", "https://crm.example.com/hooks"),
    p("webhookEndpoint.disabledBecause", "Why the endpoint was disabled", "the receiver answered 410 Gone"),
];

const WEBHOOK_ENDPOINT: Source = Source { kind: "webhookEndpoint", key: Key::Object, groups: &[Group::Core] };

/// The events of webhook endpoints.
pub const EVENTS: &[EventType] = &[WEBHOOK_ENDPOINT
    .lifecycle(
        "webhook_endpoint.disabled",
        "Webhook Endpoint Disabled",
        "disableWebhookEndpoint; a 410 Gone response of the receiver; or failures for longer than the installation allows",
    )
    .with(OWN)];
