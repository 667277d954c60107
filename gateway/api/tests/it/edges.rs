//! Values at the edges: times, long integers, invisible names, and bodies that differ in notation alone.

use serde_json::{Value, json};

use crate::rig::{Answer, Rig};

async fn raw(rig: &Rig, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let bearer = format!("Bearer {}", rig.key);
    let all = [&[("authorization", bearer.as_str()), ("content-type", "application/json")], headers].concat();
    rig.raw(method, path, &all, body.to_owned()).await
}

fn places(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(place, code)| ((*place).to_owned(), (*code).to_owned())).collect()
}

/// The code and pointer of each violation of an item's refusal.
fn of_item(result: &Value) -> Vec<(&str, &str)> {
    let errors = result["problem"]["errors"].as_array().into_iter().flatten();
    errors.map(|error| (error["pointer"].as_str().unwrap_or(""), error["code"].as_str().unwrap_or(""))).collect()
}

#[tokio::test]
async fn a_time_that_cannot_be_is_refused_by_its_format() {
    let rig = Rig::new().await;
    let cycle = rig.cycle(1).await;
    let account = rig.account(&cycle).await;
    let path = format!("/v1/accounts/{account}/bill-cycle");
    for at in ["2030-01-15T12:00:60Z", "9999-12-31T23:30:00-01:00", "0001-01-01T00:30:00+01:00"] {
        let refused = rig.post(&path, json!({ "billCycle": cycle, "validFrom": at })).await;
        assert!(refused.text.contains("0001 to 9999") && refused.text.contains("leap"), "{}", refused.text);
        assert_eq!(refused.violations("schema_violation"), places(&[("/validFrom", "format")]), "{at}");
        let at = at.replace('+', "%2B");
        let listed = rig.get(&format!("/v1/events?from={at}")).await;
        assert_eq!(listed.violations("invalid_parameter"), places(&[("from", "format")]), "{at}");
    }
}

#[tokio::test]
async fn a_time_that_makes_no_sense_is_refused_with_its_bounds() {
    let rig = Rig::new().await;
    rig.post("/v1/test-clock", json!({ "now": "2027-06-01T00:00:00Z" })).await.expect(200);
    for at in ["1999-12-31T23:59:59Z", "3000-01-01T00:00:00Z"] {
        rig.post("/v1/test-clock", json!({ "now": at })).await.refused(422, "time_out_of_range");
    }
    let cycle = rig.cycle(1).await;
    let account = rig.account(&cycle).await;
    let amount = json!({ "amount": "1", "currency": "EUR" });
    for (at, code) in [
        ("2099-01-01T00:00:00Z", "occurred_at_in_future"),
        ("2016-01-01T00:00:00Z", "time_out_of_range"),
        ("0001-01-01T00:00:00Z", "time_out_of_range"),
    ] {
        let item = json!({ "account": account, "type": "voice", "amount": amount, "occurredAt": at });
        let result = rig.one_item("/v1/chargeable-events", item).await;
        assert_eq!(of_item(&result), [("/items/0/occurredAt", code)], "{at}");
    }
    for at in ["2099-01-01T00:00:00Z", "2016-01-01T00:00:00Z"] {
        let body = json!({ "account": account, "method": "card", "amount": amount, "receivedAt": at });
        let refused = rig.post("/v1/payments", body).await.refused(422, "time_out_of_range");
        assert_eq!(refused["errors"][0]["pointer"], "/receivedAt");
    }
    let planned = json!({ "billCycle": cycle, "validFrom": "2228-01-01T00:00:00Z" });
    rig.post(&format!("/v1/accounts/{account}/bill-cycle"), planned).await.refused(422, "time_out_of_range");
    let tiers = json!([{ "name": "Base", "commit": amount }]);
    for (start, end) in [("2228-01-01", "2229-01-01"), ("2027-06-01", "9999-12-31")] {
        let body = json!({ "account": account, "name": "C", "startDate": start, "endDate": end, "periodMonths": 1, "tiers": tiers });
        rig.post("/v1/contracts", body).await.refused(422, "time_out_of_range");
    }
}

#[tokio::test]
async fn an_integer_beyond_64_bits_is_refused_wherever_it_is() {
    let rig = Rig::new().await;
    let schema = json!({ "type": "object", "properties": { "iccid": {}, "list": {} } });
    rig.post("/v1/event-types", json!({ "name": "sim", "title": "SIM", "schema": schema })).await.expect(201);
    let long = r#"{"items":[{"type":"custom.sim","key":"k","data":{"iccid":89445000000000000012,"list":[1,{"n":-9223372036854775809}]}}]}"#;
    let refused = raw(&rig, "POST", "/v1/events", &[], long).await;
    assert!(refused.text.contains(r#"send it as text, such as \"89445000000000000012\""#), "{}", refused.text);
    let found = places(&[("/items/0/data/iccid", "out_of_range"), ("/items/0/data/list/1/n", "out_of_range")]);
    assert_eq!(refused.violations("schema_violation"), found);
    let kept = r#"{"items":[{"type":"custom.sim","key":"k","data":{"iccid":18446744073709551615,"list":[1.5e20]}}]}"#;
    let answer = raw(&rig, "POST", "/v1/events", &[], kept).await.expect(202);
    assert_eq!(answer["items"][0]["transaction"]["entities"][0]["after"]["iccid"], u64::MAX);
    let schema = r#"{"name":"sim","title":"SIM","schema":{"type":"object","properties":{"n":{"maximum":89445000000000000012}}}}"#;
    let refused = raw(&rig, "POST", "/v1/event-types", &[], schema).await;
    assert_eq!(refused.violations("schema_violation"), places(&[("/schema/properties/n/maximum", "out_of_range")]));
}

#[tokio::test]
async fn a_name_that_cannot_be_seen_is_refused() {
    let rig = Rig::new().await;
    let cycle = rig.cycle(1).await;
    let body = |name: &str, external_id: &str| json!({ "name": name, "externalId": external_id, "currency": "EUR", "billCycle": cycle });
    for unseen in
        [" ", "\u{200b}", "\u{feff}\u{2060}", "\u{a0}\u{3000}", "\u{ad}", "\u{3164}", "\u{2800}", "\t", "\u{7f}", "\u{200d}\u{fe0f}"]
    {
        let refused = rig.post("/v1/accounts", body(unseen, unseen)).await;
        assert!(refused.text.contains("visible character"), "{}", refused.text);
        assert_eq!(refused.violations("schema_violation"), places(&[("/externalId", "pattern"), ("/name", "pattern")]), "{unseen:?}");
    }
    for (index, seen) in ["x", " x ", "é", "名", "👍🏽", "\u{200f}שלום", "-", "٣"].iter().enumerate() {
        rig.post("/v1/accounts", body(seen, &format!("{index}{seen}{index}"))).await.expect(201);
    }
    for unlike in [" x", "x ", "x\u{200b}", "\u{feff}x", ".", "..", "...", ". x"] {
        let refused = rig.post("/v1/accounts", body("x", unlike)).await;
        assert_eq!(refused.violations("schema_violation"), places(&[("/externalId", "pattern")]), "{unlike:?}");
    }
    for unlike in ["x y", "..x", "x..", ".x.y"] {
        rig.post("/v1/accounts", body("x", unlike)).await.expect(201);
    }
    let queue = json!({ "name": " ", "mode": "in_order", "eventTypes": ["invoice.*"] });
    assert_eq!(rig.post("/v1/queues", queue).await.violations("schema_violation"), places(&[("/name", "pattern")]));
}

#[tokio::test]
async fn a_retry_is_known_by_its_values() {
    let rig = Rig::new().await;
    let key = [("idempotency-key", "k")];
    let first = raw(&rig, "POST", "/v1/bill-cycles", &key, r#"{"name":"c","period":"month","billingDay":14}"#).await;
    for same in [r#"{"name":"c","period":"month","billingDay":14.0}"#, r#"{ "billingDay": 1.4e1, "period": "month", "name": "\u0063" }"#] {
        let again = raw(&rig, "POST", "/v1/bill-cycles", &key, same).await;
        assert_eq!((again.header("idempotency-replayed"), &again.text), ("true", &first.text), "{same}");
    }
    let other = raw(&rig, "POST", "/v1/bill-cycles", &key, r#"{"name":"c","period":"month","billingDay":15}"#).await;
    other.refused(422, "idempotency_key_reused");
}

#[tokio::test]
async fn events_are_listed_by_a_pattern_of_types_as_queues_take_it() {
    for rig in Rig::everywhere().await {
        let cycle = rig.cycle(1).await;
        let account = rig.account(&cycle).await;
        rig.patch(&format!("/v1/accounts/{account}"), json!({ "name": "B" })).await.expect(200);
        rig.cycle(2).await;
        let kinds = |answer: Value| -> Vec<String> {
            let items = answer["items"].as_array().cloned().unwrap_or_default();
            items.iter().filter_map(|event| event["type"].as_str().map(str::to_owned)).collect()
        };
        for (query, expected) in [
            ("type=account.*", vec!["account.updated", "account.created"]),
            ("type=*.created", vec!["bill_cycle.created", "account.created", "bill_cycle.created"]),
            ("type=*", vec!["bill_cycle.created", "account.updated", "account.created", "bill_cycle.created"]),
            ("type=invoice.*", vec![]),
            ("type=account.created", vec!["account.created"]),
            (&format!("type=*.*&account={account}"), vec!["account.updated", "account.created"]),
            (&format!("type=*.created&objectId={account}"), vec!["account.created"]),
        ] {
            assert_eq!(kinds(rig.get(&format!("/v1/events?{query}")).await.expect(200)), expected, "{query}");
        }
        let first = rig.get("/v1/events?type=*.created&limit=2").await.expect(200);
        let next = first["nextCursor"].as_str().expect("a cursor").to_owned();
        assert_eq!(kinds(first), ["bill_cycle.created", "account.created"]);
        let rest = rig.get(&format!("/v1/events?type=*.created&limit=2&cursor={next}")).await.expect(200);
        assert_eq!((kinds(rest.clone()), rest.get("nextCursor")), (vec!["bill_cycle.created".to_owned()], None));
        rig.get("/v1/events?type=inv*").await.refused(422, "event_type_unknown");
    }
}

#[tokio::test]
async fn null_is_no_body_where_a_body_is_optional_and_none_where_it_is_required() {
    let rig = Rig::new().await;
    let mut optional = 0;
    for (id, method, path, operation) in crate::document::operations(&billwire_api::openapi()) {
        let Some(required) = operation["requestBody"].as_object().map(|body| body.get("required") == Some(&Value::Bool(true))) else {
            continue;
        };
        let parts = path.split('/').map(|part| if part.starts_with('{') { uuid::Uuid::nil().to_string() } else { part.to_owned() });
        let path = parts.collect::<Vec<_>>().join("/");
        let answer = raw(&rig, &method, &path, &[], "null").await;
        if required {
            answer.refused(400, "schema_violation");
        } else {
            let none = raw(&rig, &method, &path, &[], "").await;
            assert_eq!((answer.status, answer.json()["code"].clone()), (none.status, none.json()["code"].clone()), "{id}");
            assert_ne!(answer.status, 400, "{id}");
            optional += 1;
        }
    }
    assert!(optional > 20, "{optional}");
}
