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

fn ids(answer: &Value) -> Vec<&str> {
    answer["items"].as_array().expect("items").iter().filter_map(|item| item["id"].as_str()).collect()
}

#[tokio::test]
async fn accounts_are_found_by_name_external_id_status_and_cycle() {
    for rig in Rig::everywhere().await {
        let cycles = [rig.cycle(1).await, rig.cycle(2).await];
        let mut made = Vec::new();
        for (index, name) in ["Ärzte GmbH", "acme", "Acme Mobile", "50% off", "Zebra \u{10FFFF}", "Zebra"].into_iter().enumerate() {
            let body = json!({ "name": name, "externalId": format!("CRM-{index}"), "currency": "EUR", "billCycle": cycles[index % 2] });
            made.push(rig.create("/v1/accounts", body).await);
        }
        rig.post(&format!("/v1/accounts/{}/status", made[2]), json!({ "status": "suspended" })).await.expect(200);
        for (query, expected) in [
            ("name=ACME", vec![1, 2]),
            ("name=Acme+m", vec![2]),
            ("name=%C3%A4r", vec![0]),
            ("name=mobile", vec![]),
            ("name=50%25", vec![3]),
            ("name=zebra", vec![4, 5]),
            ("text=mobile", vec![2]),
            ("text=crm-3", vec![3]),
            ("text=5_", vec![]),
            ("externalId=CRM-1", vec![1]),
            ("externalId=crm-1", vec![]),
            ("status=suspended&name=a", vec![2]),
            (&format!("billCycle={}&name=a", cycles[1]), vec![1]),
            ("billCycle=nothing", vec![]),
        ] {
            let found = rig.get(&format!("/v1/accounts?{query}")).await.expect(200);
            assert_eq!(ids(&found), expected.iter().map(|index: &usize| made[*index].as_str()).collect::<Vec<_>>(), "{query}");
        }
        rig.patch(&format!("/v1/accounts/{}", made[1]), json!({ "name": "Other" })).await.expect(200);
        assert_eq!(ids(&rig.get("/v1/accounts?name=acme").await.expect(200)), [made[2].as_str()]);
    }
}

#[tokio::test]
async fn invoices_are_found_and_sorted_by_their_dates() {
    for rig in Rig::everywhere().await {
        rig.post("/v1/test-clock", json!({ "now": "2027-06-01T00:00:00Z" })).await.expect(200);
        let cycle = rig.cycle(1).await;
        let mut made = Vec::new();
        for (day, term) in [(2, 30), (3, 1), (4, 10)] {
            let body = json!({ "name": "A", "currency": "EUR", "billCycle": cycle, "paymentTermDays": term });
            let account = rig.create("/v1/accounts", body).await;
            rig.post("/v1/test-clock", json!({ "now": format!("2027-06-0{day}T00:00:00Z") })).await.expect(200);
            let amount = json!({ "amount": "1", "currency": "EUR" });
            let item = json!({ "account": account, "type": "voice", "amount": amount, "occurredAt": "2027-06-01T00:00:00Z" });
            rig.post("/v1/chargeable-events", json!({ "items": [item] })).await.expect(200);
            rig.post(&format!("/v1/accounts/{account}/cancel"), json!({})).await.expect(200);
            made.push(rig.create(&format!("/v1/accounts/{account}/invoices"), json!({})).await);
        }
        for (query, expected) in [
            ("issuedFrom=2027-06-03", vec![1, 2]),
            ("issuedTo=2027-06-03", vec![0]),
            ("dueFrom=2027-06-05&dueTo=2027-07-01", vec![2]),
            ("sort=dueOn", vec![1, 2, 0]),
            ("sort=issuedOn&order=descending", vec![2, 1, 0]),
            ("order=descending&status=open", vec![2, 1, 0]),
            ("sort=dueOn&status=paid", vec![]),
        ] {
            let found = rig.get(&format!("/v1/invoices?{query}")).await.expect(200);
            assert_eq!(ids(&found), expected.iter().map(|index: &usize| made[*index].as_str()).collect::<Vec<_>>(), "{query}");
        }
        let first = rig.get("/v1/invoices?sort=dueOn&limit=2").await.expect(200);
        let rest = rig.get(&format!("/v1/invoices?sort=dueOn&limit=2&cursor={}", first["nextCursor"].as_str().expect("a cursor"))).await;
        assert_eq!((ids(&first), ids(&rest.expect(200))), (vec![made[1].as_str(), made[2].as_str()], vec![made[0].as_str()]));
    }
}
