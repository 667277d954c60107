//! `getThroughput`.

use billwire_schemas::{
    clock::{Clock, SystemClock},
    delivery::{Delivery, DeliveryState},
};
use serde_json::{Value, json};

use crate::{redrive::delivery, rig::Rig};

/// What was counted in all spans.
fn sum(answer: &Value, what: &str) -> u64 {
    answer["spans"].as_array().expect("spans").iter().map(|span| span[what].as_u64().expect("a count")).sum()
}

#[tokio::test]
async fn operations_and_events_are_counted_in_equal_spans_that_end_now() {
    let rig = Rig::new().await;
    rig.store.save_throughput().await.expect("saved");
    let before = sum(&rig.get("/v1/throughput").await.expect(200), "operations");
    for (hours, step, spans) in [("", 60, 60), ("?hours=24", 600, 144), ("?hours=168", 3600, 168)] {
        let told = rig.get(&format!("/v1/throughput{hours}")).await.expect(200);
        assert_eq!((told["stepSeconds"].as_u64(), told["spans"].as_array().map(Vec::len)), (Some(step), Some(spans)), "{hours}");
    }
    let cycle = json!({ "externalId": "M1", "name": "M1", "period": "month", "billingDay": 1 });
    rig.post("/v1/bill-cycles", cycle.clone()).await.expect(201);
    rig.post("/v1/bill-cycles", cycle).await.refused(409, "external_id_taken");
    rig.store.save_throughput().await.expect("saved");
    for hours in ["", "?hours=24", "?hours=168"] {
        let told = rig.get(&format!("/v1/throughput{hours}")).await.expect(200);
        assert_eq!(sum(&told, "operations"), before + 1, "a refusal is no operation: {told}");
        assert!(sum(&told, "events") > 0, "{told}");
    }
    rig.get("/v1/throughput?hours=169").await.refused(400, "invalid_parameter");
}

#[tokio::test]
async fn each_outcome_of_an_attempt_is_counted_for_its_tenant() {
    let rig = Rig::new().await;
    let of = |state| delivery(state, "default", false);
    let new = [of(DeliveryState::Succeeded), of(DeliveryState::Waiting), of(DeliveryState::Dead), of(DeliveryState::Blocking)];
    // It waits behind another one, and was not attempted.
    let parked = Delivery { last: None, ..of(DeliveryState::Waiting) };
    let foreign = delivery(DeliveryState::Succeeded, "other", false);
    let all: Vec<&Delivery> = new.iter().chain([&parked, &foreign]).collect();
    rig.store.record_deliveries(&all, &[], SystemClock.now()).await.expect("recorded");
    rig.store.save_throughput().await.expect("saved");
    let told = rig.get("/v1/throughput").await.expect(200);
    assert_eq!((sum(&told, "delivered"), sum(&told, "failedAttempts"), sum(&told, "deadLetters")), (1, 3, 2), "{told}");
}
