//! Stream settings: whole business transactions behind their events.

use billwire_schemas::events::size::{HEADERS_RESERVE, MAX_PAYLOAD_DEFAULT};
use serde_json::{Value, json};

use crate::rig::Rig;

const PATH: &str = "/v1/stream-settings";

async fn switch(rig: &Rig, on: bool) {
    rig.put(PATH, json!({ "businessTransactions": on })).await.expect(200);
}

/// The messages of a business transaction, in order.
async fn messages(rig: &Rig, transaction: &Value) -> Vec<Value> {
    let all = rig.store.unpublished(1_000_000).await.expect("events");
    let own = all.into_iter().filter(|event| event.transaction.to_string() == transaction["id"].as_str().unwrap_or_default());
    own.map(|event| serde_json::from_str(&event.body).expect("JSON")).collect()
}

async fn cycle(rig: &Rig, name: &str) -> Value {
    rig.post("/v1/bill-cycles", json!({ "name": name, "period": "month", "billingDay": 1 })).await.expect(201)
}

#[tokio::test]
async fn a_business_transaction_is_published_whole_behind_its_events_for_who_wants_it() {
    for rig in Rig::everywhere().await {
        let shown = rig.get(PATH).await.expect(200);
        assert_eq!((&shown["version"], &shown["businessTransactions"]), (&json!(0), &json!(false)));
        let before = cycle(&rig, "before").await;
        assert_eq!(messages(&rig, &before).await.len(), 1, "off by default");

        switch(&rig, true).await;
        let made = cycle(&rig, "c").await;
        let [event, whole] = &messages(&rig, &made).await[..] else { panic!("an event and the whole") };
        assert_eq!(whole["type"], "business_transaction.createBillCycle");
        assert_eq!(whole["data"]["after"], made, "what the operation returned");
        assert_eq!(made["events"], json!([{ "id": event["id"], "type": "bill_cycle.created" }]), "it is no event of the transaction");
        assert_eq!(
            (&whole["subject"], &whole["partitionkey"], &whole["transactionid"]),
            (&made["id"], &event["partitionkey"], &made["id"])
        );
        assert_eq!((&event["sequence"], &whole["sequence"]), (&json!(format!("{:020}", 1)), &json!(format!("{:020}", 2))));
        assert_eq!((&whole["transactionsize"], whole.get("transactionindex")), (&json!(1), None));
        assert!(whole["dataschema"].as_str().is_some_and(|schema| schema.ends_with("/schemas/business_transaction/v1.json")), "{whole}");
        let listed = rig.get("/v1/events?limit=1").await.expect(200);
        assert_eq!(listed["items"][0]["id"], whole["id"]);
        assert_eq!(rig.get("/v1/events?type=*.created&limit=1").await.expect(200)["items"][0]["id"], event["id"]);

        // A change of the configuration has no events, and is not published.
        let queue = rig.post("/v1/queues", json!({ "name": "q", "mode": "in_order", "eventTypes": ["*"] })).await.expect(201);
        assert_eq!(messages(&rig, &queue).await.len(), 0);
        // The version that somebody has read.
        let stale = rig.call("PUT", PATH, &[("if-match", "\"7\"")], Some(&json!({ "businessTransactions": false }))).await;
        stale.refused(412, "stale_version");
        switch(&rig, false).await;
        let after = cycle(&rig, "after").await;
        assert_eq!(messages(&rig, &after).await.len(), 1, "off again");
    }
}

#[tokio::test]
async fn a_business_transaction_that_fits_in_no_message_is_told_of_by_its_url() {
    for rig in Rig::everywhere().await {
        switch(&rig, true).await;
        let cycle = rig.cycle(1).await;
        // Accounts that are cancelled with four services each: the whole has five objects, an event one.
        let mut cancelled = Vec::new();
        for number in 0..2 {
            let account = rig.account(&cycle).await;
            for service in 0..4 {
                let body =
                    json!({ "account": account, "name": "Truck", "serviceType": "sim", "externalId": format!("{number}-{service}") });
                rig.create("/v1/services", body).await;
            }
            if let Some(first) = cancelled.first() {
                let sizes = messages(&rig, first)
                    .await
                    .into_iter()
                    .map(|message| (message.to_string().len() as u64, message["transactionindex"].is_null()));
                let largest = sizes.filter(|(_, whole)| !whole).map(|(size, _)| size).max().expect("events");
                rig.store.set_max_payload(largest + 100 + HEADERS_RESERVE).await.expect("kept");
            }
            cancelled.push(rig.post(&format!("/v1/accounts/{account}/cancel"), json!({})).await.expect(200));
        }
        let whole = messages(&rig, &cancelled[0]).await.pop().expect("the whole");
        assert_eq!(whole["data"]["after"], cancelled[0]);
        let (changed, found) = (&cancelled[1], messages(&rig, &cancelled[1]).await);
        let after = &found.last().expect("the whole")["data"]["after"];
        let href = after["href"].as_str().expect("a URL");
        assert_eq!((after.get("entities"), after.get("events")), (None, None), "{after}");
        assert_eq!((&after["id"], &after["operation"], &after["account"]), (&changed["id"], &changed["operation"], &changed["account"]));
        let path = href.split_once("/v1/").map(|(_, path)| format!("/v1/{path}")).expect("a path");
        assert_eq!(&rig.get(&path).await.expect(200), changed);
        rig.store.set_max_payload(MAX_PAYLOAD_DEFAULT).await.expect("kept");
    }
}

#[tokio::test]
async fn stream_subscriptions_choose_whole_business_transactions_and_queues_cannot() {
    let rig = Rig::new().await;
    rig.create("/v1/stream-subscriptions", json!({ "name": "finance", "eventTypes": ["business_transaction.*", "invoice.posted"] })).await;
    let wanted = rig.consumers.provided.lock().expect("whole").last().cloned().expect("a consumer");
    assert_eq!(wanted.subjects, ["billing.default.business_transaction.>", "billing.default.invoice.posted.>"]);
    for entry in ["business_transaction.*", "business_transaction.createBillCycle"] {
        let refused = rig.post("/v1/queues", json!({ "name": "q", "mode": "in_order", "eventTypes": [entry] })).await;
        refused.refused(422, "event_type_unknown");
    }
}
