//! Each operation, successfully.

use std::time::Duration;

use billwire_schemas::{
    clock::{Clock, SystemClock},
    delivery::{AttemptRecord, Delivery, DeliveryState, Report},
    events::catalogue,
    ids::{DeliveryId, EventId, OrderingKey, QueueId, Slot, SubscriptionId, TenantId, fresh},
    signing_secret::Key,
};
use serde_json::{Value, json};

use crate::rig::Rig;

#[tokio::test]
async fn a_bill_cycle_is_made_found_by_both_its_names_and_listed() {
    let rig = Rig::new().await;
    let made = rig
        .post(
            "/v1/bill-cycles",
            json!({ "externalId": "Y/1 ä", "name": "Yearly", "period": "year", "billingDay": 15, "billingMonth": 3, "length": 2 }),
        )
        .await;
    let location = made.header("location").to_owned();
    let made = made.expect(201);
    assert_eq!(
        (&made["operation"], &made["actor"], &made["events"][0]["type"]),
        (&json!("createBillCycle"), &json!("crm"), &json!("bill_cycle.created"))
    );
    let id = made["entities"][0]["id"].as_str().expect("an id");
    assert_eq!(location, format!("/v1/bill-cycles/{id}"));
    let by_id = rig.get(&location).await;
    assert_eq!(by_id.header("etag"), "\"1\"");
    let by_id = by_id.expect(200);
    assert_eq!(by_id, made["entities"][0]["after"]);
    assert_eq!(rig.get("/v1/bill-cycles/Y%2F1%20%C3%A4").await.expect(200), by_id);
    assert_eq!(rig.get("/v1/bill-cycles").await.expect(200), json!({ "items": [by_id] }));
}

#[tokio::test]
async fn an_account_lives() {
    let rig = Rig::new().await;
    let (first, other) = (rig.cycle(1).await, rig.cycle(15).await);
    let made =
        rig.post("/v1/accounts", json!({ "externalId": "CRM-1", "name": "Acme", "currency": "EUR", "billCycle": first })).await.expect(201);
    let id = made["account"].as_str().expect("an id").to_owned();
    let path = format!("/v1/accounts/{id}");

    let later = json!({ "billCycle": other, "validFrom": "2035-06-01T02:00:00.5+02:00" });
    let planned = rig.post(&format!("{path}/bill-cycle"), later.clone()).await.expect(200);
    assert_eq!(planned["entities"][0]["after"]["plannedBillCycleChange"]["validFrom"], "2035-06-01T00:00:00.500Z");
    let cancel = format!("{path}/bill-cycle-change/cancel");
    // Without a body, the media type is optional.
    let cancelled = rig.call("POST", &cancel, &[], None).await.expect(200);
    assert_eq!(cancelled["entities"][0]["after"].get("plannedBillCycleChange"), None);
    rig.post(&format!("{path}/bill-cycle"), later).await.expect(200);
    rig.post("/v1/accounts/CRM-1/bill-cycle-change/perform", json!({})).await.expect(200);
    let at_once = rig.post("/v1/accounts/CRM-1/bill-cycle", json!({ "billCycle": first })).await.expect(200);
    assert_eq!(at_once["events"][1]["type"], "account.bill_cycle_changed");

    let suspended = rig.post(&format!("{path}/status"), json!({ "status": "suspended", "reason": "unpaid" })).await.expect(200);
    assert_eq!(suspended["entities"][0]["after"]["statusReason"], "unpaid");
    let account = rig.get("/v1/accounts/CRM-1").await;
    assert_eq!(account.header("etag"), "\"7\"");
    assert_eq!(account.expect(200)["status"], "suspended");
    assert_eq!(rig.get("/v1/accounts?status=active").await.expect(200), json!({ "items": [] }));
    assert_eq!(rig.get("/v1/accounts?status=suspended").await.expect(200)["items"][0]["id"], id.as_str());
}

#[tokio::test]
async fn an_external_id_that_looks_like_an_id_is_found() {
    let rig = Rig::new().await;
    let (alias, cycle_alias) = (fresh().to_string(), fresh().to_string());
    rig.create("/v1/bill-cycles", json!({ "externalId": cycle_alias, "name": "c", "period": "month", "billingDay": 2 })).await;
    rig.create("/v1/accounts", json!({ "externalId": alias, "name": "Acme", "currency": "EUR", "billCycle": cycle_alias })).await;
    rig.post(&format!("/v1/accounts/{alias}/bill-cycle"), json!({ "billCycle": cycle_alias })).await.expect(200);
    rig.post(&format!("/v1/accounts/{alias}/status"), json!({ "status": "suspended" })).await.expect(200);
}

#[tokio::test]
async fn what_a_client_has_already_is_not_sent_again() {
    let rig = Rig::new().await;
    let path = format!("/v1/bill-cycles/{}", rig.cycle(1).await);
    for known in ["\"1\"", "W/\"1\"", "\"9\", \"1\"", "*"] {
        let answer = rig.call("GET", &path, &[("if-none-match", known)], None).await;
        assert_eq!((answer.status, answer.header("etag"), answer.text.as_str()), (304, "\"1\"", ""), "{known}");
    }
    rig.call("GET", &path, &[("if-none-match", "\"2\"")], None).await.expect(200);
}

#[tokio::test]
async fn configuration_is_made_found_listed_and_deleted() {
    let rig = Rig::new().await;
    let queue = rig.queue("q", &["account.created", "account.bill_cycle_changed"]).await;
    let endpoint = rig.endpoint("e").await;
    let smtp = json!({ "name": "s", "server": "mail_1.example.com", "fromName": "Acme", "fromAddress": "billing@example.com",
                       "username": "u", "password": "p", "security": "tls", "port": 465 });
    let smtp = rig.create("/v1/smtp-accounts", smtp).await;
    let template =
        json!({ "name": "t", "eventTypes": ["account.created"], "subject": "Hi {{ account.name }}", "text": "a\n\tb", "html": "<p>x</p>" });
    let template = rig.create("/v1/notification-templates", template).await;
    let by_webhook = json!({ "name": "w", "queueId": queue, "action": { "type": "webhook", "webhookEndpointId": endpoint } });
    let by_webhook = rig.create("/v1/subscriptions", by_webhook).await;
    let action =
        json!({ "type": "email", "smtpAccountId": smtp, "notificationTemplateId": template, "to": ["a@example.com", "b@example.com"] });
    let by_email = json!({ "name": "m", "queueId": queue, "eventTypes": ["account.created"], "action": action });
    let by_email = rig.create("/v1/subscriptions", by_email).await;

    let all = [
        ("subscriptions", by_webhook),
        ("subscriptions", by_email),
        ("queues", queue),
        ("webhook-endpoints", endpoint),
        ("smtp-accounts", smtp),
        ("notification-templates", template),
    ];
    for (noun, id) in all {
        let path = format!("/v1/{noun}/{id}");
        let found = rig.get(&path).await.expect(200);
        assert_eq!(found["id"], id.as_str());
        assert_eq!((found.get("password"), found.get("secret")), (None, None), "no secret is answered back");
        assert!(rig.get(&format!("/v1/{noun}")).await.expect(200)["items"].as_array().expect("items").contains(&found));
        let deleted = rig.delete(&path).await.expect(200);
        assert_eq!((&deleted["entities"][0]["action"], &deleted["entities"][0]["before"]), (&json!("deleted"), &found));
        rig.get(&path).await.refused(404, &format!("{}_not_found", noun.trim_end_matches('s').replace('-', "_")));
    }
}

#[tokio::test]
async fn a_signing_secret_is_made_when_absent_and_shown_once() {
    let rig = Rig::new().await;
    let secret_of = |made: Value| made["entities"][0]["after"]["secret"].as_str().expect("a secret").to_owned();
    let make = |name: &str| rig.post("/v1/webhook-endpoints", json!({ "name": name, "url": "https://crm.example.com", "path": "/in?x=1" }));
    let (one, two) = (secret_of(make("1").await.expect(201)), secret_of(make("2").await.expect(201)));
    assert_ne!(one, two);
    assert!(matches!(billwire_schemas::signing_secret::decode(&one), Ok(Key::Shared(key)) if key.len() == 32));
    let given = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let made =
        rig.post("/v1/webhook-endpoints", json!({ "name": "3", "url": "https://crm.example.com", "secret": given })).await.expect(201);
    assert_eq!(secret_of(made), given);
}

#[tokio::test]
async fn deliveries_are_listed_filtered_and_shown_with_their_attempts() {
    let rig = Rig::new().await;
    let (queue, subscription) = (QueueId(fresh()), SubscriptionId(fresh()));
    let now = SystemClock.now();
    let delivery = |state, attempts, tenant: &str| {
        let event = EventId(fresh());
        let report = Report::new(Some(500), "no");
        let last = (attempts > 0).then(|| AttemptRecord { number: attempts, at: now, latency: Duration::from_micros(1_500), report });
        let (tenant, key) = (tenant.parse::<TenantId>().expect("a tenant"), OrderingKey::from(fresh()));
        Delivery {
            forgiven: 0,
            id: DeliveryId::of(event, subscription),
            slot: Slot::of(&tenant, &key),
            tenant,
            event,
            event_type: "account.created".into(),
            queue,
            subscription,
            replay: None,
            key,
            sequence: 1,
            position: 1,
            state,
            attempts,
            next_attempt_at: (state == DeliveryState::Waiting).then_some(now),
            last,
            created_at: now,
        }
    };
    let all = [
        delivery(DeliveryState::Waiting, 1, "default"),
        delivery(DeliveryState::Dead, 3, "default"),
        delivery(DeliveryState::Waiting, 0, "other"),
    ];
    rig.store.record_deliveries(&all.iter().collect::<Vec<_>>(), &[], now).await.expect("recorded");

    assert_eq!(rig.get("/v1/deliveries").await.expect(200)["items"].as_array().map(Vec::len), Some(2), "of this tenant alone");
    let dead = rig.get(&format!("/v1/deliveries?state=dead&subscriptionId={subscription}&eventId={}", all[1].event)).await.expect(200);
    assert_eq!((&dead["items"][0]["id"], dead["items"][0].get("attempts")), (&json!(all[1].id), None));
    let shown = rig.get(&format!("/v1/deliveries/{}", all[0].id)).await.expect(200);
    assert_eq!(shown["attempts"][0]["latencyMs"], 1.5);
    assert_eq!((&shown["state"], &shown["attemptCount"]), (&json!("waiting"), &json!(1)));
    rig.get(&format!("/v1/deliveries/{}", all[2].id)).await.refused(404, "delivery_not_found");
}

#[tokio::test]
async fn the_catalogue_is_told_with_parameters_and_schemas() {
    let rig = Rig::new().await;
    let listed = rig.get("/v1/event-types").await.expect(200);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(catalogue::all().count()));
    for event in catalogue::all() {
        let told = rig.get(&format!("/v1/event-types/{}", event.name)).await.expect(200);
        assert_eq!(told["title"], event.title);
        assert!(told["parameters"].as_array().is_some_and(|parameters| parameters.len() > 5));
        let schema = rig.raw("GET", &format!("/schemas/{}/v1.json", event.name), &[], vec![]).await;
        assert_eq!(schema.header("content-type"), "application/schema+json");
        assert_eq!(schema.json(), told["schema"]);
    }
    rig.get("/v1/event-types/nothing.happened").await.refused(404, "event_type_not_found");
    rig.raw("GET", "/schemas/nothing.happened/v1.json", &[], vec![]).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn the_test_clock_moves_business_time() {
    let rig = Rig::new().await;
    let shown = rig.post("/v1/test-clock", json!({ "now": "2031-05-01T00:00:00Z" })).await.expect(200);
    assert!(shown["now"].as_str().is_some_and(|now| now.starts_with("2031-05-01T00:00:0") && now.ends_with('Z')));
    let made = rig.post("/v1/bill-cycles", json!({ "name": "c", "period": "day" })).await.expect(201);
    assert!(made["occurredAt"].as_str().is_some_and(|at| at.starts_with("2031-05-01")));
}
