//! E-mail configuration: accounts, templates, system users and the suppression list.

use serde_json::{Value, json};

use crate::rig::Rig;

fn after(done: &Value) -> &Value {
    &done["entities"][0]["after"]
}

fn account(name: &str, more: Value) -> Value {
    let mut body = json!({ "name": name, "server": "smtp.example.com", "fromName": "Acme", "fromAddress": "billing@example.com" });
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    body
}

#[tokio::test]
async fn one_account_is_the_default_and_the_next_takes_its_place() {
    for rig in Rig::everywhere().await {
        let first = rig.post("/v1/smtp-accounts", account("one", json!({}))).await.expect(201);
        assert_eq!((&after(&first)["isDefault"], &after(&first)["port"]), (&json!(true), &json!(25)));
        let second = rig.create("/v1/smtp-accounts", account("two", json!({}))).await;
        let moved = rig.patch(&format!("/v1/smtp-accounts/{second}"), json!({ "isDefault": true })).await.expect(200);
        assert_eq!(moved["entities"].as_array().map(Vec::len), Some(2), "both have changed");
        let listed = rig.get("/v1/smtp-accounts").await.expect(200);
        let defaults: Vec<&Value> = listed["items"].as_array().expect("items").iter().map(|one| &one["isDefault"]).collect();
        assert_eq!(defaults, [&json!(false), &json!(true)]);
    }
}

#[tokio::test]
async fn a_password_is_never_shown_and_goes_with_its_user() {
    for rig in Rig::everywhere().await {
        let made = rig.post("/v1/smtp-accounts", account("a", json!({ "username": "u", "password": "hunter2" }))).await;
        assert!(!made.text.contains("hunter2"));
        let id = after(&made.expect(201))["id"].as_str().expect("an id").to_owned();
        let path = format!("/v1/smtp-accounts/{id}");
        let changed = rig.patch(&path, json!({ "password": "hunter3" })).await;
        assert!(!changed.text.contains("hunter3"));
        let changed = changed.expect(200);
        assert_eq!((&after(&changed)["version"], &after(&changed)["hasPassword"]), (&json!(2), &json!(true)));
        rig.patch(&path, json!({ "security": "none" })).await.refused(422, "credentials_in_clear");
        let open = rig.patch(&path, json!({ "security": "none", "username": "" })).await.expect(200);
        assert_eq!((after(&open).get("username"), &after(&open)["hasPassword"]), (None, &json!(false)));
        rig.patch(&path, json!({ "username": "u" })).await.refused(422, "credentials_incomplete");
    }
}

#[tokio::test]
async fn recipients_are_addresses_users_or_parameters_that_the_events_offer() {
    let rig = Rig::new().await;
    let user = json!({ "name": "Ada", "email": "ada@example.com", "language": "de", "timeZone": "Europe/Zurich" });
    let user = rig.create("/v1/system-users", user).await;
    let queue =
        rig.create("/v1/queues", json!({ "name": "q", "mode": "in_order", "eventTypes": ["invoice.posted", "bill_run.started"] })).await;
    let predefined = rig.get("/v1/notification-templates/predefined").await.expect(200);
    let posted = predefined["items"].as_array().expect("items").iter().find(|one| one["name"] == "invoice.posted").expect("one");
    let mail = |to: Value, types: Value, template: &Value| {
        json!({ "name": "s", "queueId": queue, "eventTypes": types,
                "action": { "type": "email", "notificationTemplateId": template, "to": to } })
    };
    let wanted = |to: Value| mail(to, json!(["invoice.posted"]), &posted["id"]);
    rig.post("/v1/subscriptions", wanted(json!(["a@example.com"]))).await.refused(422, "smtp_account_unknown");
    rig.create("/v1/smtp-accounts", account("one", json!({}))).await;

    let shapeless = rig.post("/v1/subscriptions", wanted(json!(["a@example.com", "a b@example.com", ".a@example.com"]))).await;
    let named: Vec<String> = shapeless.violations("schema_violation").into_iter().map(|(at, _)| at).collect();
    assert_eq!(named, ["/action/to/1", "/action/to/2"]);
    let nobody = wanted(json!(["0198c0de-0000-7000-8000-00000000ffff"]));
    assert_eq!(rig.post("/v1/subscriptions", nobody).await.refused(422, "system_user_unknown")["errors"][0]["pointer"], "/action/to/0");
    let near = rig.post("/v1/subscriptions", wanted(json!(["contact.emial"]))).await.refused(422, "expression_unknown_parameter");
    assert!(near["detail"].as_str().is_some_and(|detail| detail.contains("contact.email")), "{near}");
    let spanning = mail(json!(["contact.email"]), json!(["bill_run.started"]), &posted["id"]);
    rig.post("/v1/subscriptions", spanning).await.refused(422, "expression_unknown_parameter");

    let made = rig.post("/v1/subscriptions", wanted(json!(["a@example.com", user, "contact.email"]))).await.expect(201);
    assert_eq!(after(&made)["action"]["to"], json!(["a@example.com", user, "contact.email"]));
    rig.delete(&format!("/v1/system-users/{user}")).await.refused(409, "still_in_use");
    rig.delete("/v1/system-users/nobody").await.refused(404, "system_user_not_found");
    let wrong = json!({ "name": "Bob", "email": "bob@example.com", "language": "und", "timeZone": "Mars/Olympus" });
    rig.post("/v1/system-users", wrong).await.refused(422, "language_unknown");
}

#[tokio::test]
async fn one_rule_says_what_an_address_is_wherever_one_is_given() {
    let rig = Rig::new().await;
    let customer = rig.account(&rig.cycle(1).await).await;
    rig.create("/v1/smtp-accounts", account("sender", json!({}))).await;
    let test = format!("/v1/smtp-accounts/{}/test", rig.create("/v1/smtp-accounts", account("test", json!({}))).await);
    let queue = rig.queue("q", &["account.created"]).await;
    let endpoint = format!("/v1/webhook-endpoints/{}", rig.endpoint("e").await);
    let places = |address: &str, n: usize| {
        let hook = json!({ "name": format!("hook {n}"), "url": "https://crm.example.com/", "ownerEmail": address });
        let action = json!({ "type": "email", "notificationTemplateId": "nothing", "to": ["a@example.org"], "cc": [address] });
        let subscription = json!({ "name": format!("s {n}"), "queueId": queue, "eventTypes": ["account.created"], "action": action });
        [
            ("POST", "/v1/contacts".to_owned(), json!({ "account": customer, "name": "Ann", "email": address }), "/email", 201),
            ("POST", "/v1/smtp-accounts".to_owned(), account(&format!("a {n}"), json!({ "fromAddress": address })), "/fromAddress", 201),
            ("POST", "/v1/system-users".to_owned(), json!({ "name": format!("Ann {n}"), "email": address }), "/email", 201),
            ("POST", "/v1/suppressed-addresses".to_owned(), json!({ "address": address }), "/address", 201),
            ("POST", "/v1/webhook-endpoints".to_owned(), hook, "/ownerEmail", 201),
            ("PATCH", endpoint.clone(), json!({ "ownerEmail": address }), "/ownerEmail", 200),
            ("POST", "/v1/subscriptions".to_owned(), subscription, "/action/cc/0", 422),
        ]
    };
    let good = ["o'brien@example.org", "a+b=c@example.org", "dörte@bücher.example", "用户@例子.广告", "हिन्दी@example.org"];
    for (n, address) in good.into_iter().enumerate() {
        for (method, path, body, _, status) in places(address, n) {
            let answer = rig.call(method, &path, &[], Some(&body)).await;
            assert_eq!(answer.status, status, "{address} {path}: {}", answer.text);
        }
    }
    let bad = [
        "a..b@example.org",
        ".a@example.org",
        "a@-example.org",
        "a@exa_mple.org",
        "a@b@example.org",
        "\"a\"@example.org",
        "a@[127.0.0.1]",
        "a\u{202e}b@example.org",
        "a b@example.org",
    ];
    for (n, address) in bad.into_iter().enumerate() {
        for (method, path, body, place, _) in
            places(address, 100 + n).into_iter().chain([("POST", test.clone(), json!({ "to": address }), "/to", 200)])
        {
            let named = rig.call(method, &path, &[], Some(&body)).await.violations("schema_violation");
            assert!(!named.is_empty() && named.iter().all(|(at, _)| at == place), "{address} {path}: {named:?}");
        }
    }
}

#[tokio::test]
async fn templates_are_translated_changed_and_previewed() {
    let rig = Rig::new().await;
    let translation = json!({ "subject": "Neu", "text": "{{ account.name }} am {{ account.periodEnd|date }}" });
    let body = json!({ "name": "t", "eventTypes": ["account.bill_cycle_changed"], "subject": "New",
                       "text": "{{ account.name }} on {{ account.periodEnd|date }}", "translations": { "de": translation } });
    let template = rig.create("/v1/notification-templates", body.clone()).await;
    let preview = format!("/v1/notification-templates/{template}/preview");
    let english = rig.post(&preview, json!({})).await.expect(200);
    let german = rig.post(&preview, json!({ "language": "de-CH", "eventType": "account.bill_cycle_changed" })).await.expect(200);
    assert!(english["text"].as_str().is_some_and(|text| text.contains(" on ")), "{english}");
    assert_eq!((&german["subject"], &german["language"]), (&json!("Neu"), &json!("de-CH")));
    let named: Vec<&Value> = german["parameters"].as_array().expect("parameters").iter().map(|one| &one["name"]).collect();
    assert_eq!(named, ["account.name", "account.periodEnd"]);

    // Parts that are not saved, which follow the rules of those that are.
    let unsaved =
        rig.post(&preview, json!({ "subject": "Draft for {{ account.name }}", "html": "<p>{{ account.name }}</p>" })).await.expect(200);
    assert!(unsaved["subject"].as_str().is_some_and(|subject| subject.starts_with("Draft for ")), "{unsaved}");
    assert!(unsaved["html"].is_string() && unsaved["text"] == english["text"], "{unsaved}");
    let refused = rig.post(&preview, json!({ "text": "{{ account.nmae }}" })).await.refused(422, "template_unknown_parameter");
    assert_eq!(refused["errors"][0]["pointer"], "/text");
    rig.post(&preview, json!({ "text": "{% if %}" })).await.refused(422, "template_syntax");
    let translated = rig.post(&preview, json!({ "language": "de", "subject": "Draft" })).await.expect(200);
    assert_eq!(translated["subject"], "Neu", "the parts are of the template's own language");
    assert_eq!(rig.post(&preview, json!({})).await.expect(200), english, "nothing was saved");

    let path = format!("/v1/notification-templates/{template}");
    let typo = rig.patch(&path, json!({ "text": "line one\n{{ account.nmae }}" })).await.refused(422, "template_unknown_parameter");
    assert!(typo["detail"].as_str().is_some_and(|detail| detail.contains("line 2, column 4") && detail.contains("account.name")), "{typo}");
    rig.patch(&path, json!({ "translations": { "xx-!": translation } })).await.refused(422, "language_unknown");
    let many: serde_json::Map<String, Value> = (0..51).map(|n| (format!("de-x-a{n}"), translation.clone())).collect();
    rig.patch(&path, json!({ "translations": many })).await.refused(422, "translations_too_many");
    let changed = rig.patch(&path, json!({ "text": "{{ account.statusReason }}", "translations": {} })).await.expect(200);
    assert_eq!(after(&changed)["version"], 2);

    // The preview of a past event, with its actual parameters.
    let account = rig.account(&rig.cycle(1).await).await;
    let changed = rig.post(&format!("/v1/accounts/{account}/status"), json!({ "status": "suspended" })).await.expect(200);
    let event = &changed["events"][0]["id"];
    let absent = rig.post(&preview, json!({ "eventId": event })).await.refused(422, "template_not_rendered");
    assert!(absent["detail"].as_str().is_some_and(|detail| detail.contains("account.statusReason")), "{absent}");
    rig.post(&preview, json!({ "eventId": "nothing" })).await.refused(404, "event_not_found");
    for (scopes, expected) in [(&["notification_templates:read"][..], 403), (&["notification_templates:read", "events:read"], 422)] {
        let header = format!("Bearer {}", rig.key_of("default", scopes).await);
        let headers = [("authorization", header.as_str()), ("content-type", "application/json")];
        let answer = rig.raw("POST", &preview, &headers, json!({ "eventId": event }).to_string()).await;
        assert_eq!(answer.status, expected, "what an event says is for those who may read events: {}", answer.text);
    }
    rig.post(&preview, json!({ "timeZone": "Mars/Olympus" })).await.refused(422, "time_zone_unknown");
    let both = rig.post(&preview, json!({ "eventId": event, "eventType": "account.created" })).await;
    assert_eq!(both.violations("schema_violation"), [("/eventId".to_owned(), "not_allowed".to_owned())]);
}

#[tokio::test]
async fn every_version_of_a_template_can_be_looked_up_also_when_it_is_gone() {
    let rig = Rig::new().await;
    let template = rig.create("/v1/notification-templates", json!({ "name": "t", "subject": "First", "text": "a" })).await;
    let path = format!("/v1/notification-templates/{template}");
    rig.patch(&path, json!({ "subject": "Second" })).await.expect(200);
    rig.delete(&path).await.expect(200);

    let newest = rig.get(&format!("{path}/versions?limit=2")).await.expect(200);
    let rest = rig.get(&format!("{path}/versions?cursor={}", newest["nextCursor"].as_str().expect("a cursor"))).await.expect(200);
    let told = |one: &Value| json!([one["template"]["version"], one["template"]["subject"]]);
    let all = [&newest, &rest].map(|page| page["items"].as_array().expect("items")).into_iter().flatten();
    assert_eq!(all.map(told).collect::<Vec<_>>(), [json!([2, "Second"]), json!([1, "First"])]);

    let queue = rig.create("/v1/queues", json!({ "name": "q", "mode": "in_order", "eventTypes": ["account.created"] })).await;
    for other in [queue.as_str(), "nothing"] {
        rig.get(&format!("/v1/notification-templates/{other}/versions")).await.refused(404, "notification_template_not_found");
    }
}

#[tokio::test]
async fn predefined_templates_are_there_and_stay_as_they_are() {
    let rig = Rig::new().await;
    let all = rig.get("/v1/notification-templates/predefined").await.expect(200);
    for one in all["items"].as_array().expect("items") {
        let path = format!("/v1/notification-templates/{}", one["id"].as_str().expect("an id"));
        assert_eq!(rig.get(&path).await.expect(200)["predefined"], true);
        let shown = rig.post(&format!("{path}/preview"), json!({})).await.expect(200);
        assert!(shown["html"].as_str().is_some_and(|html| html.contains("<table")), "{}", one["name"]);
        rig.patch(&path, json!({ "subject": "s" })).await.refused(409, "template_predefined");
        rig.delete(&path).await.refused(409, "template_predefined");
    }
}

#[tokio::test]
async fn the_suppression_list_is_seen_and_edited() {
    for rig in Rig::everywhere().await {
        let entry = rig.create("/v1/suppressed-addresses", json!({ "address": "Ann@Example.com" })).await;
        let again = rig.post("/v1/suppressed-addresses", json!({ "address": "ann@example.com" })).await;
        again.refused(409, "address_suppressed");
        assert_eq!(rig.get("/v1/suppressed-addresses").await.expect(200)["items"][0]["address"], "ann@example.com");
        rig.delete(&format!("/v1/suppressed-addresses/{entry}")).await.expect(200);
        rig.get(&format!("/v1/suppressed-addresses/{entry}")).await.refused(404, "suppressed_address_not_found");
    }
}
