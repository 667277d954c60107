//! The channel from the engine's side.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use billwire_delivery::{
    channel::{Attempt, Channels, Outcome},
    event::{Event, Subscription},
};
use billwire_schemas::{
    clock::{Clock, FixedClock, Timestamp},
    ids::{DeliveryId, EventId, SubscriptionId, TenantId, WebhookEndpointId, fresh},
};
use bytes::Bytes;
use url::Url;

use super::receiver::{Receiver, Script};
use crate::{Client, Config, Endpoint, Endpoints, Secret, WebhookAction, WebhookChannel, request::signature};

const HOST: &str = "hooks.example.com";
const BODY: &[u8] = b"{ \"id\":  \"as it stands\" }\n";

pub(super) struct Known(pub Result<Option<Arc<Endpoint>>, String>);

#[async_trait]
impl Endpoints for Known {
    async fn endpoint(&self, _tenant: &TenantId, _id: WebhookEndpointId) -> Result<Option<Arc<Endpoint>>, String> {
        self.0.clone()
    }
}

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

pub(super) fn endpoint() -> Endpoint {
    Endpoint {
        id: WebhookEndpointId(fresh()),
        version: 1,
        identity: None,
        url: Url::parse("https://hooks.example.com/base").unwrap(),
        path: Some("events".to_owned()),
        secrets: vec![Secret::parse(SECRET, None).unwrap()],
        enabled: true,
        auth: None,
        headers: Vec::new(),
    }
}

fn an_attempt() -> Attempt {
    let (event, subscription, tenant) = (EventId(fresh()), SubscriptionId(fresh()), TenantId::default_tenant());
    Attempt {
        delivery: DeliveryId::of(event, subscription),
        number: 1,
        forgiven: 0,
        event: Arc::new(Event {
            id: event,
            tenant: tenant.clone(),
            kind: "invoice.posted".to_owned(),
            key: fresh().into(),
            sequence: 1,
            position: 1,
            body: Bytes::from_static(BODY),
        }),
        subscription: Arc::new(Subscription {
            id: subscription,
            ..Subscription::to_all(tenant, WebhookAction { endpoint: WebhookEndpointId(fresh()), path: None })
        }),
    }
}

async fn send(receiver: &Receiver, known: Result<Option<Endpoint>, String>, attempt: &Attempt) -> Outcome {
    let config = Config {
        connect_to: HashMap::from([(HOST.to_owned(), receiver.address)]),
        ca_file: Some(receiver.ca_file.clone()),
        ..Config::default()
    };
    let clock: Arc<dyn Clock> = Arc::new(FixedClock::new(Timestamp::from_timestamp(1_614_265_330, 0).unwrap()));
    let endpoints = Arc::new(Known(known.map(|endpoint| endpoint.map(Arc::new))));
    let channel = WebhookChannel::new(endpoints, Client::new(config).unwrap(), clock);
    Channels::default().with(Arc::new(channel)).attempt(attempt).await
}

#[tokio::test]
async fn an_event_arrives_verbatim_and_signed() {
    let receiver = Receiver::start(HOST, Script::answer("204 No Content", "", "")).await;
    let attempt = an_attempt();
    let outcome = send(&receiver, Ok(Some(endpoint())), &attempt).await;
    assert!(matches!(outcome, Outcome::Delivered(report) if report.status == Some(204)));
    let [request] = &receiver.requests()[..] else { panic!("one request") };
    assert_eq!(request.body, BODY);
    let id = attempt.event.id.to_string();
    let signed = signature(&endpoint().secrets, &id, 1_614_265_330, BODY).to_ascii_lowercase();
    for line in [
        "post /base/events http/1.1".to_owned(),
        "content-type: application/cloudevents+json".to_owned(),
        format!("webhook-id: {id}"),
        "webhook-timestamp: 1614265330".to_owned(),
        format!("webhook-signature: {signed}"),
        format!("user-agent: billwire/{}", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(request.head.lines().any(|found| found == line), "{line} not in {}", request.head);
    }
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_called_is_not_called() {
    let receiver = Receiver::start(HOST, Script::answer("200 OK", "", "")).await;
    let disabled = Endpoint { enabled: false, ..endpoint() };
    assert_eq!(send(&receiver, Ok(Some(disabled)), &an_attempt()).await, Outcome::NotAttempted("endpoint is disabled".to_owned()));
    let unsigned = Endpoint { secrets: Vec::new(), ..endpoint() };
    assert!(matches!(send(&receiver, Ok(Some(unsigned)), &an_attempt()).await, Outcome::NotAttempted(_)));
    assert_eq!(send(&receiver, Err("database away".to_owned()), &an_attempt()).await, Outcome::NotAttempted("database away".to_owned()));
    assert!(matches!(send(&receiver, Ok(None), &an_attempt()).await, Outcome::GiveUp(report) if report.status.is_none()));
    assert_eq!(receiver.connections(), 0);
}
