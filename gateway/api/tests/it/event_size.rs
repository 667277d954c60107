//! Events too large for the stream: refused before acceptance, whatever causes them; and events set aside.

use std::time::Duration;

use billwire_app::BillRunCursors;
use billwire_schemas::{
    delivery::Published,
    events::size::{HEADERS_RESERVE, MAX_PAYLOAD_DEFAULT},
    ids::Slot,
    lease::Lease,
};
use billwire_store::published::Lost;
use serde_json::{Value, json};

use crate::{
    rig::Rig,
    usage::{service, usage},
};

/// Sets the maximum event size of the stream.
async fn limit(rig: &Rig, bytes: u64) {
    rig.store.set_max_payload(bytes + HEADERS_RESERVE).await.expect("kept");
}

async fn no_limit(rig: &Rig) {
    rig.store.set_max_payload(MAX_PAYLOAD_DEFAULT).await.expect("kept");
}

/// Type and message of every event so far, by position.
async fn events(rig: &Rig) -> Vec<(String, Value)> {
    let all = rig.store.unpublished(1_000_000).await.expect("events");
    all.into_iter().map(|event| (event.kind, serde_json::from_str(&event.body).expect("JSON"))).collect()
}

/// Panics unless each ordering key's sequences are gapless from 1.
async fn gapless(rig: &Rig) {
    let mut last = std::collections::HashMap::<String, i64>::new();
    for (kind, event) in events(rig).await {
        let before = last.entry(event["partitionkey"].to_string()).or_default();
        *before += 1;
        assert_eq!(event["sequence"].as_str().expect("text").parse::<i64>().ok(), Some(*before), "{kind}");
    }
}

#[tokio::test]
async fn an_operation_whose_event_would_not_fit_is_refused_with_size_and_limit_and_changes_nothing() {
    for rig in Rig::everywhere().await {
        let cycle = rig.cycle(1).await;
        let account = rig.account(&cycle).await;
        let before = events(&rig).await.len();
        limit(&rig, 600).await;
        let refused = rig.patch(&format!("/v1/accounts/{account}"), json!({ "name": "Acme Two" })).await.refused(422, "event_too_large");
        let detail = refused["detail"].as_str().expect("text");
        let numbers: Vec<u64> = detail.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect();
        assert!(numbers.len() == 2 && numbers[0] > 600 && numbers[1] == 600, "size and limit: {detail}");
        let key = [("idempotency-key", "k")];
        let renaming = json!({ "name": "Acme Two" });
        rig.call("PATCH", &format!("/v1/accounts/{account}"), &key, Some(&renaming)).await.refused(422, "event_too_large");
        rig.post("/v1/bill-cycles", json!({ "name": "c", "period": "day" })).await.refused(422, "event_too_large");
        rig.delete(&format!("/v1/accounts/{account}")).await.refused(409, "account_not_inactive");
        let kept = rig.get(&format!("/v1/accounts/{account}")).await.expect(200);
        assert_eq!((&kept["name"], &kept["version"]), (&json!("Acme"), &json!(1)));
        assert_eq!(events(&rig).await.len(), before);
        // A change without events does not depend on the stream.
        rig.queue("q", &["account.created"]).await;

        no_limit(&rig).await;
        rig.call("PATCH", &format!("/v1/accounts/{account}"), &key, Some(&renaming)).await.expect(200);
        gapless(&rig).await;
    }
}

#[tokio::test]
async fn before_any_server_was_seen_its_default_counts_and_what_one_process_has_seen_another_learns() {
    let rig = Rig::new().await;
    rig.post("/v1/event-types", json!({ "name": "noted", "title": "Noted", "schema": { "type": "object" } })).await.expect(201);
    let submit = async |length: usize| {
        let item = json!({ "type": "custom.noted", "key": "k", "data": { "text": "x".repeat(length) } });
        rig.one_item("/v1/events", item).await
    };
    assert_eq!(submit(1_040_000).await["status"], "recorded", "its parameter is cut, and it fits");
    let refused = submit(1_047_000).await;
    assert_eq!(refused["problem"]["code"], "event_too_large");
    assert!(refused["problem"]["detail"].as_str().expect("text").contains("1047552"), "{refused}");
    // Another process, whose relay has connected to a server.
    rig.damage("INSERT INTO setting (key, value) VALUES ('max_payload', '65536')");
    rig.store.learn_max_payload().await.expect("learnt");
    let refused = submit(64_000).await;
    assert!(refused["problem"]["detail"].as_str().expect("text").contains("64512"), "{refused}");
    assert_eq!(submit(50_000).await["status"], "recorded");
    gapless(&rig).await;
}

#[tokio::test]
async fn of_a_bulk_the_item_that_would_not_fit_leaves_nothing_and_the_others_stand() {
    for rig in Rig::everywhere().await {
        service(&rig).await;
        let tiers = json!([{ "upTo": "10" }]);
        rig.create("/v1/buckets", json!({ "externalId": "B", "service": "S", "name": "Data", "unit": "MB", "tiers": tiers })).await;
        rig.create("/v1/usage-identifiers", json!({ "externalId": "I", "service": "S", "kind": "iccid", "value": "8949" })).await;
        let item = |id: &str, description: String| {
            let mut item = usage("1");
            item["externalId"] = id.into();
            item["description"] = description.into();
            item
        };
        let first = rig.post("/v1/chargeable-events", json!({ "items": [item("c0", "x".to_owned())] })).await.expect(200);
        assert_eq!(first["items"][0]["status"], "recorded", "{first}");
        let largest = rig.store.unpublished(1_000_000).await.expect("events").iter().map(|event| event.body.len()).max();
        limit(&rig, largest.expect("an event") as u64 + 40).await;
        // The second item saves charge, bucket and identifier before its event proves too large.
        let items = [item("c1", "x".to_owned()), item("c2", "x".repeat(200)), item("c3", "x".to_owned()), item("c3", "x".to_owned())];
        let told = rig.post("/v1/chargeable-events", json!({ "items": items })).await.expect(200);
        let judged: Vec<_> = told["items"].as_array().expect("items").iter().map(|item| item["problem"]["code"].clone()).collect();
        assert_eq!(judged, [Value::Null, json!("event_too_large"), Value::Null, json!("external_id_taken")], "{told}");
        assert_eq!(told["items"][1]["problem"]["errors"][0]["pointer"], "/items/1");
        assert_eq!(rig.get("/v1/buckets/B").await.expect(200)["used"], "3");
        assert_eq!(rig.get("/v1/buckets/B").await.expect(200)["version"], 4);
        assert_eq!(rig.get("/v1/chargeable-events/c2").await.status, 404);
        no_limit(&rig).await;
        let again = rig.post("/v1/chargeable-events", json!({ "items": [item("c2", "x".repeat(200))] })).await.expect(200);
        assert_eq!(again["items"][0]["status"], "recorded", "its external id is free: {again}");
        assert_eq!(rig.get("/v1/buckets/B").await.expect(200)["used"], "4");
        gapless(&rig).await;
    }
}

fn charges(account: &str, types: usize) -> Vec<Value> {
    let amount = json!({ "amount": "0.01", "currency": "EUR" });
    let charge = |n| json!({ "account": account, "type": format!("type-{n:05}"), "occurredAt": "2027-01-09T12:00:00Z", "amount": amount });
    (0..types).map(charge).collect()
}

/// Creates accounts in a monthly cycle on 10 January, each with charges of the given number of types.
async fn billed(rig: &Rig, accounts: &[(&str, usize)]) {
    rig.post("/v1/test-clock", json!({ "now": "2027-01-10T00:00:00Z" })).await;
    rig.post("/v1/bill-cycles", json!({ "externalId": "MONTHLY", "name": "c", "period": "month", "billingDay": 1 })).await.expect(201);
    for (name, types) in accounts {
        rig.post("/v1/accounts", json!({ "externalId": name, "name": name, "currency": "EUR", "billCycle": "MONTHLY" })).await.expect(201);
        rig.post("/v1/chargeable-events", json!({ "items": charges(name, *types) })).await.expect(200);
    }
    rig.post("/v1/test-clock", json!({ "now": "2027-02-01T08:00:00Z" })).await;
}

async fn run(rig: &Rig) -> Value {
    let started = rig.post("/v1/bill-runs", json!({ "externalId": "RUN", "billCycle": "MONTHLY" })).await;
    started.expect(202);
    rig.finish_bill_runs().await;
    rig.get("/v1/bill-runs/RUN").await.expect(200)
}

#[tokio::test]
async fn in_a_bill_run_the_account_whose_invoice_would_not_fit_fails_alone_and_is_told_of() {
    for rig in Rig::everywhere().await {
        billed(&rig, &[("A", 2), ("B", 60), ("C", 2)]).await;
        limit(&rig, 6_000).await;
        let run = run(&rig).await;
        assert_eq!((&run["status"], &run["invoices"], &run["failed"]), (&json!("completed"), &json!(2), &json!(1)), "{run}");
        let all = events(&rig).await;
        let failed: Vec<_> = all.iter().filter(|(kind, _)| kind == "account.billing_failed").map(|(_, event)| event).collect();
        assert_eq!(failed.len(), 1);
        assert_eq!(
            (&failed[0]["data"]["after"]["externalId"], &failed[0]["data"]["parameters"]["billingError.code"]),
            (&json!("B"), &json!("event_too_large"))
        );
        assert_eq!(
            rig.get("/v1/chargeable-events?account=B&state=unbilled&limit=200").await.expect(200)["items"].as_array().map(Vec::len),
            Some(60)
        );
        gapless(&rig).await;
    }
}

#[tokio::test]
async fn a_run_ends_even_where_not_so_much_as_a_failure_can_be_told() {
    let rig = Rig::new().await;
    billed(&rig, &[("A", 2)]).await;
    rig.post("/v1/bill-runs", json!({ "externalId": "RUN", "billCycle": "MONTHLY" })).await.expect(202);
    limit(&rig, 10).await;
    let mut cursors = BillRunCursors::default();
    for _ in 0..10 {
        rig.app.advance_bill_runs(&mut cursors).await.expect("an advance");
    }
    assert_eq!(rig.app.advance_bill_runs(&mut cursors).await.expect("an advance"), 0, "nothing that could be done at once");
    no_limit(&rig).await;
    while rig.app.advance_bill_runs(&mut cursors).await.expect("an advance") > 0 {}
    let run = rig.get("/v1/bill-runs/RUN").await.expect(200);
    assert_eq!((&run["status"], &run["failed"]), (&json!("completed"), &json!(1)), "{run}");
}

#[tokio::test]
async fn what_is_due_and_would_not_fit_is_put_off_and_keeps_nothing_else_waiting() {
    for rig in Rig::everywhere().await {
        rig.post("/v1/test-clock", json!({ "now": "2027-01-10T00:00:00Z" })).await.expect(200);
        let (old, new) = (rig.cycle(1).await, rig.cycle(15).await);
        let account = rig.account(&old).await;
        let planned = json!({ "billCycle": new, "validFrom": "2027-01-20T00:00:00Z" });
        rig.post(&format!("/v1/accounts/{account}/bill-cycle"), planned).await.expect(200);
        limit(&rig, 100).await;
        rig.post("/v1/test-clock", json!({ "now": "2027-01-21T00:00:00Z" })).await.expect(200);
        assert_eq!(rig.app.perform_due().await.expect("performed"), 1);
        assert_eq!(rig.app.perform_due().await.expect("performed"), 0, "it is not found at each look");
        no_limit(&rig).await;
        assert_eq!(rig.app.perform_due().await.expect("performed"), 0);
        rig.post("/v1/test-clock", json!({ "now": "2027-01-21T01:00:01Z" })).await.expect(200);
        assert_eq!(rig.app.perform_due().await.expect("performed"), 1, "but later");
        let changed = rig.get(&format!("/v1/accounts/{account}")).await.expect(200);
        assert_eq!(changed["billCycle"]["billCycleId"], new.as_str(), "{changed}");
        assert_eq!(rig.app.perform_due().await.expect("performed"), 0);
        gapless(&rig).await;
    }
}

#[tokio::test]
async fn an_invoice_of_many_lines_is_told_of_without_them_and_they_are_read_in_parts() {
    for rig in Rig::everywhere().await {
        billed(&rig, &[("A", 600), ("B", 3)]).await;
        run(&rig).await;
        let listed = rig.get("/v1/invoices").await.expect(200);
        let of = |account: &Value| {
            let items = listed["items"].as_array().expect("items");
            items.iter().find(|invoice| invoice["accountId"] == account["id"]).expect("an invoice").clone()
        };
        let (large, small) = (of(&rig.get("/v1/accounts/A").await.expect(200)), of(&rig.get("/v1/accounts/B").await.expect(200)));
        let without = |told: &Value| (told.get("lines").cloned(), told["lineCount"].clone(), told["linesOperation"].clone());
        let reference = (None, json!(600), json!("getInvoiceLines"));
        assert_eq!(without(&large), reference, "in a list");
        let path = |invoice: &Value| format!("/v1/invoices/{}", invoice["id"].as_str().expect("an id"));
        let whole = rig.get(&path(&large)).await.expect(200);
        assert_eq!((whole["lines"].as_array().map(Vec::len), whole.get("lineCount"), whole.get("linesOperation")), (Some(600), None, None));
        assert_eq!(rig.get(&path(&small)).await.expect(200), small, "of few lines nothing is left out");
        assert_eq!(small["lines"].as_array().map(Vec::len), Some(3));

        let delivered = rig.post(&format!("{}/deliver", path(&large)), json!({})).await.expect(200);
        let entity = &delivered["entities"][0];
        assert_eq!((without(&entity["before"]), without(&entity["after"])), (reference.clone(), reference.clone()));
        assert_eq!(entity["after"]["total"], whole["total"]);
        for (kind, event) in events(&rig).await.iter().filter(|(kind, _)| kind.starts_with("invoice.")) {
            let (after, of_small) = (&event["data"]["after"], event["data"]["after"]["id"] == small["id"]);
            assert!(if of_small { *after == small } else { without(after) == reference }, "{kind}: {after}");
        }

        let (mut lines, mut cursor, mut parts) = (Vec::new(), String::new(), 0);
        loop {
            let part = rig.get(&format!("{}/lines?limit=200{cursor}", path(&large))).await.expect(200);
            lines.extend(part["items"].as_array().expect("items").clone());
            parts += 1;
            let Some(next) = part["nextCursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!((Value::Array(lines), parts), (whole["lines"].clone(), 3));
        rig.get(&format!("{}/lines?limit=200{cursor}", path(&small))).await.refused(400, "bad_cursor");
        rig.get("/v1/invoices/none/lines").await.refused(404, "invoice_not_found");
        let number = small["number"].as_str().expect("a number");
        assert_eq!(rig.get(&format!("/v1/invoices/{number}/lines")).await.expect(200), json!({ "items": small["lines"] }));
    }
}

/// Submits custom events of two tenants; returns the foreign tenant's key.
async fn submitted(rig: &Rig) -> String {
    let other = rig.key_of("other", &["*"]).await;
    let bearer = format!("Bearer {other}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let kind = json!({ "name": "noted", "title": "Noted", "schema": { "type": "object" } });
    rig.post("/v1/event-types", kind.clone()).await.expect(201);
    rig.raw("POST", "/v1/event-types", &headers, kind.to_string()).await.expect(201);
    let item = |key: &str, length: usize| json!({ "type": "custom.noted", "key": key, "data": { "text": "x".repeat(length) } });
    let items = json!({ "items": [item("a", 1), item("a", 6_000), item("b", 1), item("a", 2), item("a", 9_000), item("a", 3)] });
    rig.post("/v1/events", items).await.expect(202);
    rig.raw("POST", "/v1/events", &headers, json!({ "items": [item("a", 6_000)] }).to_string()).await.expect(202);
    bearer
}

/// Sets aside the queued events, as the relay does at a limit.
async fn set_aside(rig: &Rig, lease: &Lease, event_max: u64) {
    let events = rig.store.unpublished(1_000).await.expect("events");
    let mut keys = Vec::new();
    let mut aside = Vec::new();
    for event in &events {
        let key = (&event.tenant, &event.key);
        if event.body.len() as u64 > event_max || keys.contains(&key) {
            keys.push(key);
            aside.push(event.position);
        }
    }
    assert!(rig.store.set_aside(lease, &aside, event_max).await.expect("set aside"));
    assert!(!rig.store.set_aside(&Lease { fence: 0, ..lease.clone() }, &aside, event_max).await.expect("asked"), "no lease");
}

async fn in_line(rig: &Rig) -> Vec<(String, i64)> {
    rig.store.unpublished(1_000).await.expect("events").into_iter().map(|event| (event.key.to_string(), event.sequence)).collect()
}

#[tokio::test]
async fn events_set_aside_are_listed_and_redriven_by_those_they_belong_to_once_they_fit() {
    for rig in Rig::everywhere().await {
        let other = submitted(&rig).await;
        let lease = rig.store.acquire_lease("relay", "me", Duration::from_secs(600)).await.expect("asked").expect("free");
        assert_eq!(rig.get("/readyz").await.expect(200)["parts"]["setAside"]["status"], "ok");
        set_aside(&rig, &lease, 8_000).await;
        let line = |of: &[(&str, i64)]| of.iter().map(|(key, n)| ((*key).to_owned(), *n)).collect::<Vec<_>>();
        assert_eq!(in_line(&rig).await, line(&[("a", 1), ("b", 1)]));
        let ready = rig.get("/readyz").await.expect(200);
        assert_eq!((&ready["status"], &ready["setAsideEvents"]), (&json!("degraded"), &json!(3)), "{ready}");
        assert_eq!(ready["parts"]["setAside"]["status"], "degraded", "{ready}");

        let listed = rig.get("/v1/set-aside-events").await.expect(200);
        let told = |member: &str| listed["items"].as_array().expect("items").iter().map(|one| one[member].clone()).collect::<Vec<_>>();
        assert_eq!(
            (told("sequence"), told("waiting"), told("sizeMax")),
            (vec![json!(4), json!(2)], vec![json!(1), json!(3)], vec![json!(8_000); 2])
        );
        assert!(told("size").iter().all(|size| size.as_i64().is_some_and(|size| size > 10_000)), "{listed}");
        let page = rig.get("/v1/set-aside-events?limit=1").await.expect(200);
        let next = page["nextCursor"].as_str().expect("more");
        assert_eq!(
            rig.get(&format!("/v1/set-aside-events?limit=1&cursor={next}")).await.expect(200),
            json!({ "items": [listed["items"][1]] })
        );
        let explained = rig.get(&format!("/v1/events/{}/explanation", told("eventId")[0].as_str().expect("an id"))).await.expect(200);
        assert_eq!((&explained["onStream"], &explained["setAside"]), (&json!(false), &json!(true)));
        let reader = format!("Bearer {}", rig.key_of("default", &["deliveries:read"]).await);
        let headers = [("authorization", reader.as_str()), ("content-type", "application/json")];
        rig.raw("GET", "/v1/set-aside-events", &headers, Vec::new()).await.expect(200);
        rig.raw("POST", "/v1/set-aside-events/redrive", &headers, "{}").await.refused(403, "insufficient_scope");

        // After a loss of the stream, set-aside events stay set aside and all others are queued again.
        let slot = Slot::all().next().expect("a slot");
        let published: Vec<Published> = (1..=100).map(|position| Published { sequence: position as u64, position, slot }).collect();
        assert!(rig.store.mark_published(&lease, &published, 100).await.expect("marked"));
        assert_eq!(in_line(&rig).await, line(&[]));
        let lost = Lost { before: 0, after: 0, deleted: Vec::new() };
        assert_eq!(rig.store.put_back_lost(&Lease { fence: 0, ..lease.clone() }, &lost, 1_000).await.expect("asked"), None, "no lease");
        assert_eq!(rig.store.put_back_lost(&lease, &lost, 1_000).await.expect("put back"), Some(100));
        assert_eq!(in_line(&rig).await, line(&[("a", 1), ("b", 1)]));
        limit(&rig, 12_000).await;
        let redrive = async |choice: Value| rig.post("/v1/set-aside-events/redrive", choice).await.expect(202);
        assert_eq!(redrive(json!({ "ids": [told("eventId")[0]] })).await, json!({ "events": 0, "tooLarge": 1 }), "it is 14 kB");
        assert_eq!(rig.store.put_back_redriven(&lease).await.expect("asked"), Some(0));
        assert_eq!(redrive(json!({ "ids": ["none"] })).await, json!({ "events": 0, "tooLarge": 0 }));
        assert_eq!(redrive(json!({})).await, json!({ "events": 1, "tooLarge": 1 }));
        assert_eq!(rig.store.put_back_redriven(&Lease { fence: 0, ..lease.clone() }).await.expect("asked"), None, "no lease");
        assert_eq!(rig.store.put_back_redriven(&lease).await.expect("asked"), Some(4));
        assert_eq!(in_line(&rig).await, line(&[("a", 1), ("a", 2), ("b", 1), ("a", 3), ("a", 4), ("a", 5)]));
        set_aside(&rig, &lease, 12_000).await;
        assert_eq!(in_line(&rig).await, line(&[("a", 1), ("a", 2), ("b", 1), ("a", 3)]), "as far as it goes");

        let headers = [("authorization", other.as_str()), ("content-type", "application/json")];
        let foreign = rig.raw("GET", "/v1/set-aside-events", &headers, Vec::new()).await.expect(200);
        assert_eq!(foreign["items"].as_array().map(Vec::len), Some(1), "the other tenant's own");
        let choice = json!({ "ids": [told("eventId")[0]] }).to_string();
        let redriven = rig.raw("POST", "/v1/set-aside-events/redrive", &headers, choice).await.expect(202);
        assert_eq!(redriven, json!({ "events": 0, "tooLarge": 0 }));
    }
}
