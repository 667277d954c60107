//! Paging of lists.

use serde_json::{Value, json};

use crate::rig::Rig;

#[tokio::test]
async fn a_list_is_read_part_by_part_without_gaps_or_repeats() {
    let rig = Rig::new().await;
    let mut made = Vec::new();
    for day in 1..=5 {
        made.push(Value::from(rig.cycle(day).await));
    }
    let (mut seen, mut path) = (Vec::new(), "/v1/bill-cycles?limit=2".to_owned());
    let mut parts = 0;
    loop {
        let part = rig.get(&path).await.expect(200);
        seen.extend(part["items"].as_array().expect("items").iter().map(|item| item["id"].clone()));
        parts += 1;
        let Some(cursor) = part.get("nextCursor") else { break };
        path = format!("/v1/bill-cycles?limit=2&cursor={}", cursor.as_str().expect("text"));
    }
    assert_eq!((parts, seen), (3, made));
}

#[tokio::test]
async fn a_cursor_serves_its_list_its_filters_and_its_tenant_alone() {
    let mut rig = Rig::new().await;
    let cycle = rig.cycle(1).await;
    for _ in 0..3 {
        rig.account(&cycle).await;
    }
    let part = rig.get("/v1/accounts?status=active&limit=1").await.expect(200);
    let cursor = part["nextCursor"].as_str().expect("a cursor").to_owned();
    // A cursor stays valid with another limit and another order of parameters.
    let rest = rig.get(&format!("/v1/accounts?limit=10&cursor={cursor}&status=active")).await.expect(200);
    assert_eq!(rest["items"].as_array().map(Vec::len), Some(2));
    let tampered = format!("{}A{}", &cursor[..10], &cursor[11..]);
    for query in [
        format!("accounts?cursor={cursor}"),
        format!("accounts?status=suspended&cursor={cursor}"),
        format!("bill-cycles?cursor={cursor}"),
        format!("queues?cursor={cursor}"),
        format!("accounts?status=active&cursor={tampered}"),
        "accounts?cursor=abc".to_owned(),
        "accounts?cursor=%7B%7D".to_owned(),
    ] {
        rig.get(&format!("/v1/{query}")).await.refused(400, "bad_cursor");
    }
    rig.key = rig.key_of("other", &["*"]).await;
    rig.get(&format!("/v1/accounts?status=active&cursor={cursor}")).await.refused(400, "bad_cursor");
}

#[tokio::test]
async fn fifty_are_answered_unless_asked_otherwise() {
    let rig = Rig::new().await;
    for _ in 0..51 {
        rig.post("/v1/bill-cycles", json!({ "name": "c", "period": "day" })).await.expect(201);
    }
    let part = rig.get("/v1/bill-cycles").await.expect(200);
    assert_eq!((part["items"].as_array().map(Vec::len), part.get("nextCursor").is_some()), (Some(50), true));
    assert_eq!(rig.get("/v1/bill-cycles?limit=200").await.expect(200)["items"].as_array().map(Vec::len), Some(51));
}
