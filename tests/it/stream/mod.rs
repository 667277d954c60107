//! Stream subscriptions: subscribers read their own events over NATS with an API key, and can do nothing else.

mod access;
mod attempts;
mod healing;
mod reading;
mod servers;

use std::time::{Duration, Instant};

use async_nats::{
    ConnectOptions,
    jetstream::{self, consumer::PullConsumer, stream::ConsumerErrorKind},
};
use billwire_tests::{api::Api, eventually, gateway::Setup};
use futures::StreamExt;
use serde_json::{Value, json};

/// A stream subscription, as the API tells of it.
#[derive(Debug, Clone)]
struct Subscription {
    id: String,
    consumer: String,
    url: String,
    inbox: String,
}

/// A tenant with everything that its subscriber needs.
struct Tenant {
    name: &'static str,
    api: Api,
    /// A key that may read the stream, and its id.
    key: String,
    key_id: String,
    subscription: Subscription,
}

async fn subscription(api: &Api, body: Value) -> Subscription {
    let id = api.create("/v1/stream-subscriptions", body).await;
    let shown = api.get(&format!("/v1/stream-subscriptions/{id}")).await.expect(200);
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let connection = &shown["connection"];
    Subscription { id, consumer: text(&shown["consumer"]), url: text(&connection["url"]), inbox: text(&connection["inboxPrefix"]) }
}

/// Creates an API key: its id and its text.
async fn key(api: &Api, body: Value) -> (String, String) {
    let made = api.post("/v1/api-keys", body).await.expect(201);
    let after = &made["entities"][0]["after"];
    (after["id"].as_str().expect("an id").to_owned(), after["key"].as_str().expect("a key").to_owned())
}

impl Tenant {
    async fn new(operator: &Api, name: &'static str) -> Self {
        let made = operator.post("/v1/tenants", json!({ "tenantId": name, "name": name })).await.expect(201);
        let api = Api::new(&operator.base, made["entities"][0]["after"]["adminKey"].as_str().expect("a key"));
        let subscription = subscription(&api, json!({ "name": "all" })).await;
        let (key_id, key) = key(&api, json!({ "name": "reader", "scopes": ["stream:read"] })).await;
        Self { name, api, key, key_id, subscription }
    }

    fn source(&self) -> String {
        format!("/tenants/{}", self.name)
    }
}

/// Connects as a subscriber does, without another try.
async fn connect(subscription: &Subscription, key: &str) -> Result<async_nats::Client, async_nats::ConnectError> {
    ConnectOptions::with_user_and_password("rust".to_owned(), key.to_owned())
        .custom_inbox_prefix(&subscription.inbox)
        .connection_timeout(Duration::from_secs(10))
        .connect(&subscription.url)
        .await
}

/// The consumer, as a subscriber finds it. Who connects in the moment before the gateway answers its server's questions is cut off once
/// these have waited long enough; the client connects again by itself, and what it asked meanwhile is lost.
async fn consumer(subscription: &Subscription, client: async_nats::Client) -> PullConsumer {
    let stream = jetstream::new(client);
    eventually("the consumer", async || match stream.get_consumer_from_stream(&subscription.consumer, "BILLING").await {
        Ok(found) => Some(found),
        Err(error) => {
            assert_eq!(error.kind(), ConsumerErrorKind::TimedOut, "{error}");
            None
        }
    })
    .await
}

/// Reads and acknowledges `count` events; gives their ids.
async fn read(consumer: &PullConsumer, count: usize) -> Vec<String> {
    let messages = read_messages(consumer, count).await;
    messages.iter().map(|event| event["id"].as_str().expect("an id").to_owned()).collect()
}

/// Reads and acknowledges `count` messages.
async fn read_messages(consumer: &PullConsumer, count: usize) -> Vec<Value> {
    let mut messages = Vec::new();
    while messages.len() < count {
        let batch = consumer.batch().max_messages(count - messages.len()).expires(Duration::from_secs(5)).messages().await;
        let mut batch = batch.expect("a pull");
        while let Some(message) = batch.next().await {
            let Ok(message) = message else { break };
            messages.push(serde_json::from_slice(&message.payload).expect("an event"));
            message.double_ack().await.expect("acknowledged");
        }
    }
    messages
}

/// Waits until the connection is closed; gives how long that took.
async fn closed(client: &async_nats::Client) -> Duration {
    let began = Instant::now();
    eventually("the end of the connection", async || (client.connection_state() != async_nats::connection::State::Connected).then_some(()))
        .await;
    began.elapsed()
}

/// Whether nobody can connect with this key. The answer of the gateway may be a moment old.
async fn is_refused(subscription: &Subscription, key: &str) {
    eventually("the key to be refused", async || {
        let refused = connect(subscription, key).await.err()?;
        refused.to_string().to_lowercase().contains("authorization violation").then_some(())
    })
    .await;
}

/// Makes events: the ids of `count` bill cycles' creations.
async fn events(api: &Api, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for day in 0..count {
        let body = json!({ "name": "c", "period": "month", "billingDay": 1 + day % 28 });
        let made = api.post("/v1/bill-cycles", body).await.expect(201);
        ids.push(made["events"][0]["id"].as_str().expect("an id").to_owned());
    }
    ids
}

/// The stream's administrator: the gateway's own user.
async fn admin(setup: &Setup) -> jetstream::Context {
    jetstream::new(billwire_tests::gateway::nats_client(&setup.nats_address()).await)
}
