//! `getThroughput`.

use serde_json::{Value, json};

use crate::rig::Rig;

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
