//! History of business transactions and events, and parameters of data sources.

use serde_json::{Value, json};

use crate::rig::Rig;

fn ids(answer: &Value) -> Vec<String> {
    answer["items"].as_array().expect("items").iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn transactions_and_events_are_answered_as_they_were_recorded() {
    let rig = Rig::new().await;
    let made = rig.post("/v1/bill-cycles", json!({ "name": "c", "period": "month", "billingDay": 1 })).await;
    let text = made.text.clone();
    let made = made.expect(201);
    let id = made["id"].as_str().expect("an id");
    assert_eq!(rig.get(&format!("/v1/business-transactions/{id}")).await.text, text);
    let event = made["events"][0]["id"].as_str().expect("an id");
    let stored = rig.store.unpublished(10).await.expect("events");
    assert_eq!(rig.get(&format!("/v1/events/{event}")).await.text, stored[0].body);
    for nothing in ["nowhere", "0198c0de-0000-7000-8000-00000000dead"] {
        rig.get(&format!("/v1/business-transactions/{nothing}")).await.refused(404, "business_transaction_not_found");
        rig.get(&format!("/v1/events/{nothing}")).await.refused(404, "event_not_found");
    }
    let secret = rig.post("/v1/webhook-endpoints", json!({ "name": "e", "url": "https://crm.example.com" })).await.expect(201);
    let kept = rig.get(&format!("/v1/business-transactions/{}", secret["id"].as_str().expect("an id"))).await;
    assert!(!kept.text.contains("whsec_"), "a secret is shown once");
}

#[tokio::test]
async fn the_past_is_listed_newest_first_and_filtered() {
    for rig in Rig::everywhere().await {
        list_the_past(rig).await;
    }
}

async fn list_the_past(mut rig: Rig) {
    rig.post("/v1/test-clock", json!({ "now": "2031-01-01T00:00:00Z" })).await.expect(200);
    let cycle = rig.cycle(1).await;
    rig.post("/v1/test-clock", json!({ "now": "2031-02-01T00:00:00Z" })).await.expect(200);
    let body = json!({ "externalId": "CRM-1", "name": "Acme", "currency": "EUR", "billCycle": cycle });
    let account = rig.create("/v1/accounts", body).await;
    rig.post("/v1/accounts/CRM-1/status", json!({ "status": "suspended" })).await.expect(200);
    rig.post("/v1/test-clock", json!({ "now": "2031-03-01T00:00:00Z" })).await.expect(200);
    let queue = rig.queue("q", &["account.created"]).await;
    rig.account(&cycle).await;

    let count = |answer: &Value| answer["items"].as_array().expect("items").len();
    let operations = |answer: &Value| -> Vec<String> {
        answer["items"].as_array().expect("items").iter().map(|item| item["operation"].as_str().expect("text").to_owned()).collect()
    };
    let all = rig.get("/v1/business-transactions").await.expect(200);
    assert_eq!(
        operations(&all),
        ["createAccount", "createQueue", "changeAccountStatus", "createAccount", "createBillCycle", "createApiKey"]
    );
    for (filter, wanted) in [
        ("operation=createAccount".to_owned(), 2),
        ("account=CRM-1".to_owned(), 2),
        (format!("account={account}&operation=createAccount"), 1),
        (format!("objectId={account}"), 2),
        (format!("objectId={queue}"), 1),
        (format!("objectId={cycle}"), 1),
        ("from=2031-02-01T00:00:00Z".to_owned(), 4),
        ("to=2031-02-01T00:00:00Z".to_owned(), 2),
        ("from=2031-02-01T00:00:00Z&to=2031-03-01T00:00:00Z".to_owned(), 2),
        ("account=nobody".to_owned(), 0),
    ] {
        assert_eq!(count(&rig.get(&format!("/v1/business-transactions?{filter}")).await.expect(200)), wanted, "{filter}");
    }
    for (filter, wanted) in [
        (String::new(), 5),
        ("type=account.created".to_owned(), 2),
        ("account=CRM-1".to_owned(), 3),
        (format!("account=CRM-1&key={account}"), 3),
        ("account=CRM-1&key=other".to_owned(), 0),
        (format!("key={account}&type=account.status_changed"), 1),
        ("key=no.key".to_owned(), 0),
        (format!("objectId={cycle}"), 1),
        ("from=2031-02-01T00:00:00Z&to=2031-03-01T00:00:00Z".to_owned(), 3),
        ("account=nobody".to_owned(), 0),
    ] {
        assert_eq!(count(&rig.get(&format!("/v1/events?{filter}")).await.expect(200)), wanted, "{filter}");
    }
    rig.get("/v1/events?from=yesterday").await.refused(400, "invalid_parameter");
    for list in ["events", "business-transactions"] {
        let whole = ids(&rig.get(&format!("/v1/{list}")).await.expect(200));
        let (mut seen, mut path) = (Vec::new(), format!("/v1/{list}?limit=2"));
        loop {
            let part = rig.get(&path).await.expect(200);
            seen.extend(ids(&part));
            let Some(cursor) = part.get("nextCursor") else { break };
            path = format!("/v1/{list}?limit=2&cursor={}", cursor.as_str().expect("text"));
        }
        assert_eq!(seen, whole);
    }
    rig.key = rig.key_of("other", &["*"]).await;
    assert_eq!(count(&rig.get("/v1/events").await.expect(200)), 0);
    let own = rig.get("/v1/business-transactions").await.expect(200);
    assert_eq!(operations(&own), ["createApiKey"], "its own key alone");
}

#[tokio::test]
async fn data_sources_add_parameters_at_the_moment_of_the_event() {
    for rig in Rig::everywhere().await {
        add_by_sources(rig).await;
    }
}

async fn add_by_sources(rig: Rig) {
    let cycle = rig.cycle(1).await;
    let source = json!({ "name": "cycle", "object": "account", "path": ["billCycle"] });
    let id = rig.create("/v1/data-sources", source.clone()).await;
    rig.post("/v1/data-sources", source).await.refused(409, "name_taken");
    let offered = rig.get("/v1/event-types/account.created").await.expect(200);
    assert!(offered["parameters"].as_array().expect("parameters").iter().any(|p| p["name"] == "cycle.name" && p["emailOnly"] == false));

    let template = |text: &str, types: Value| json!({ "name": "t", "eventTypes": types, "subject": "s", "text": text });
    let near = rig.post("/v1/notification-templates", template("{{ cycle.nmae }}", json!(["account.created"]))).await;
    assert!(near.refused(422, "template_unknown_parameter")["detail"].as_str().is_some_and(|detail| detail.contains("cycle.name")));
    rig.post("/v1/notification-templates", template("{{ cycle.name }}", json!(["bill_cycle.created"])))
        .await
        .refused(422, "template_unknown_parameter");
    let template = rig.create("/v1/notification-templates", template("{{ cycle.name }}", json!(["account.created"]))).await;

    let account = rig.account(&cycle).await;
    let events = rig.get(&format!("/v1/events?account={account}")).await.expect(200);
    assert_eq!(events["items"][0]["data"]["parameters"]["cycle.name"], "c");
    assert_eq!(events["items"][0]["data"]["parameters"]["cycle.id"], cycle.as_str());

    rig.delete(&format!("/v1/data-sources/{id}")).await.refused(409, "still_in_use");
    rig.delete(&format!("/v1/notification-templates/{template}")).await.expect(200);
    let found = rig.get(&format!("/v1/data-sources/{id}")).await.expect(200);
    assert_eq!(rig.get("/v1/data-sources").await.expect(200)["items"][0], found);
    rig.delete(&format!("/v1/data-sources/{id}")).await.expect(200);
    rig.get(&format!("/v1/data-sources/{id}")).await.refused(404, "data_source_not_found");
    rig.delete("/v1/data-sources/nowhere").await.refused(404, "data_source_not_found");
    let account = rig.account(&cycle).await;
    let events = rig.get(&format!("/v1/events?account={account}")).await.expect(200);
    assert_eq!(events["items"][0]["data"]["parameters"].get("cycle.name"), None);
}

#[tokio::test]
async fn each_refusal_of_a_data_source_has_its_code() {
    let rig = Rig::new().await;
    let make =
        |name: &str, object: &str, path: Value| rig.post("/v1/data-sources", json!({ "name": name, "object": object, "path": path }));
    let impossible = make("x", "invoice", json!(["account", "bilCycle"])).await.refused(422, "data_source_path_impossible");
    assert_eq!(impossible["errors"][0]["pointer"], "/path/1");
    assert!(impossible["detail"].as_str().is_some_and(|detail| detail.contains("billCycle") && detail.contains("billingContact")));
    make("x", "invoise", json!(["account"])).await.refused(422, "data_source_object_unknown");
    make("account", "invoice", json!(["account"])).await.refused(422, "data_source_name_reserved");
    make("x", "invoice", json!([])).await.refused(400, "schema_violation");
    make("a.b", "invoice", json!(["account"])).await.refused(400, "schema_violation");
    for number in 0..50 {
        make(&format!("s{number}"), "account", json!(["billCycle"])).await.expect(201);
    }
    make("last", "account", json!(["billCycle"])).await.refused(409, "too_many_data_sources");
}

#[tokio::test]
async fn what_leads_over_a_person_is_kept_for_email_alone() {
    let rig = Rig::new().await;
    let account = rig.account(&rig.cycle(1).await).await;
    let source = json!({ "name": "payer", "object": "account", "path": ["billingContact"] });
    rig.create("/v1/data-sources", source).await;
    let offered = rig.get("/v1/event-types/account.updated").await.expect(200);
    let parameters = offered["parameters"].as_array().expect("parameters");
    let personal = |name: &Value| name.as_str().is_some_and(|name| name.starts_with("contact.") || name.starts_with("payer."));
    assert!(parameters.iter().any(|p| p["name"] == "payer.name") && parameters.iter().any(|p| p["name"] == "contact.name"));
    assert!(parameters.iter().all(|p| p["emailOnly"] == personal(&p["name"])));

    let contact = json!({ "account": account, "role": "billing", "name": "Ada Example", "email": "ada@example.com" });
    let contact = rig.create("/v1/contacts", contact).await;
    rig.patch(&format!("/v1/accounts/{account}"), json!({ "billingContact": contact })).await.expect(200);
    let events = rig.get(&format!("/v1/events?account={account}&type=account.updated")).await;
    assert!(!events.text.contains("Ada Example"), "{}", events.text);
    let events = events.expect(200);
    let names = events["items"][0]["data"]["parameters"].as_object().expect("parameters").keys();
    assert!(names.clone().all(|name| !personal(&json!(name))));
    let id = events["items"][0]["id"].as_str().expect("an id").parse().expect("an id");
    let tenant = billwire_schemas::ids::TenantId::default_tenant();
    let private = rig.store.private_parameters(&tenant, id).await.expect("read").expect("there are some");
    let private: Value = serde_json::from_str(&private).expect("JSON");
    assert_eq!((&private["contact.name"], &private["payer.email"]), (&json!("Ada Example"), &json!("ada@example.com")));
    let foreign = "other".parse().expect("a tenant");
    assert_eq!(rig.store.private_parameters(&foreign, id).await.expect("read"), None);

    let body = json!({ "name": "t", "eventTypes": ["account.updated"], "subject": "s", "text": "{{ contact.name }} {{ payer.email }}" });
    rig.create("/v1/notification-templates", body).await;
}

#[tokio::test]
async fn the_stream_is_tailed_where_there_is_one_and_only_for_types_that_exist() {
    let rig = Rig::new().await;
    rig.get("/v1/events/tail?type=account.creatd").await.refused(422, "event_type_unknown");
    rig.get("/v1/events/tail?type=*.%3E").await.refused(422, "event_type_unknown");
    rig.get("/v1/events/tail?waitSeconds=26").await.refused(400, "invalid_parameter");
    rig.get("/v1/events/tail").await.refused(503, "unavailable");
}
