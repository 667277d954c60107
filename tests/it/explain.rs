//! `explainEvent` and the statistics of queues tell what is recorded, not what the configuration would have.

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{BOTH, Setup},
    receiver::Receiver,
    story::subscribe,
};
use serde_json::{Value, json};

/// The verdict on a subscription, and the state of its delivery.
fn verdict(told: &Value, name: &str) -> (String, Option<String>) {
    let queues = told["queues"].as_array().expect("queues");
    let mut all = queues.iter().flat_map(|queue| queue["subscriptions"].as_array().expect("subscriptions"));
    let one = all.find(|one| one["name"] == name).expect("the subscription");
    (one["verdict"].as_str().expect("a verdict").to_owned(), one["delivery"]["state"].as_str().map(str::to_owned))
}

async fn explained(api: &Api, event: &str) -> Value {
    api.get(&format!("/v1/events/{event}/explanation")).await.expect(200)
}

/// Waits for a verdict on the subscription `all`.
async fn becomes(api: &Api, event: &str, wanted: &str) -> Value {
    eventually(wanted, async || {
        let told = explained(api, event).await;
        (verdict(&told, "all").0 == wanted).then_some(told)
    })
    .await
}

async fn event(api: &Api) -> String {
    let made = api.post("/v1/bill-cycles", json!({ "name": "c", "period": "month", "billingDay": 1 })).await.expect(201);
    made["events"][0]["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_explained_by_what_became_of_it() {
    for database in BOTH {
        let mut setup = Setup::new("explained", database);
        let receiver = Receiver::start().await;
        receiver.known_to(&mut setup);
        let api = setup.api();
        let gateway = setup.start_with(&["serve", "--roles", "api,relay"]).await.leaving("nobody delivers yet");
        subscribe(&api, &receiver, "all", "in_order").await;
        let first = event(&api).await;
        eventually("the event on the stream", async || (explained(&api, &first).await["onStream"] == true).then_some(())).await;
        assert_eq!(verdict(&explained(&api, &first).await, "all"), ("pending".to_owned(), None), "nobody has taken it in");
        let queue = api.get("/v1/queues").await.expect(200)["items"][0]["id"].as_str().expect("an id").to_owned();
        let lag = async || api.get(&format!("/v1/queues/{queue}/statistics")).await.expect(200)["lag"].as_u64().expect("a number");
        eventually("the lag of a queue without consumers", async || (lag().await > 0).then_some(())).await;
        assert!(gateway.stop().await.success());

        let gateway = setup.start().await;
        becomes(&api, &first, "matched").await;
        eventually("no lag", async || (lag().await == 0).then_some(())).await;
        let subscription = api.get("/v1/subscriptions").await.expect(200)["items"][0]["id"].as_str().expect("an id").to_owned();
        let path = format!("/v1/subscriptions/{subscription}");
        api.patch(&path, json!({ "filter": "event.type == 'none'" })).await.expect(200);
        let told = explained(&api, &first).await;
        assert_eq!(verdict(&told, "all").0, "matched", "it was delivered, whatever the filter is now: {told}");
        let second = event(&api).await;
        assert_eq!(verdict(&explained(&api, &second).await, "all").0, "filteredOut");
        // Once it is taken in, a filter that lets it through comes too late.
        eventually("the event to be taken in", async || (lag().await == 0).then_some(())).await;
        eventually("the event to be settled", async || (explained(&api, &second).await["inWarehouse"] == true).then_some(())).await;
        api.patch(&path, json!({ "filter": "event.type != 'none'" })).await.expect(200);
        becomes(&api, &second, "wouldMatch").await;

        api.post(&format!("/v1/queues/{queue}/pause"), json!({})).await.expect(200);
        let third = event(&api).await;
        let told = becomes(&api, &third, "held").await;
        assert!(told.to_string().contains("paused"), "{told}");
        api.post(&format!("/v1/queues/{queue}/resume"), json!({})).await.expect(200);
        becomes(&api, &third, "matched").await;
        assert!(gateway.stop().await.success());
    }
}
