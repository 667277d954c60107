//! Each refusal, with its code.

use billwire_api::Options;
use serde_json::{Value, json};

use crate::rig::Rig;

#[tokio::test]
async fn bill_cycles() {
    let rig = Rig::new().await;
    let make = |body: Value| rig.post("/v1/bill-cycles", body);
    make(json!({ "name": "c", "period": "month" })).await.refused(422, "billing_day_required");
    make(json!({ "name": "c", "period": "month", "billingDay": 29 })).await.refused(422, "billing_day_out_of_range");
    make(json!({ "name": "c", "period": "week", "billingDay": 8 })).await.refused(422, "billing_day_out_of_range");
    make(json!({ "name": "c", "period": "day", "billingDay": 1 })).await.refused(422, "billing_day_not_allowed");
    make(json!({ "name": "c", "period": "year", "billingDay": 1 })).await.refused(422, "billing_month_required");
    make(json!({ "name": "c", "period": "month", "billingDay": 1, "billingMonth": 1 })).await.refused(422, "billing_month_not_allowed");
    let both = make(json!({ "name": "c", "period": "year" })).await.refused(422, "billing_day_required");
    assert_eq!(both["errors"].as_array().map(Vec::len), Some(2));
    assert_eq!(both["errors"][1]["pointer"], "/billingMonth");
    make(json!({ "externalId": "x", "name": "c", "period": "day" })).await.expect(201);
    make(json!({ "externalId": "x", "name": "c", "period": "day" })).await.refused(409, "external_id_taken");
    rig.get("/v1/bill-cycles/nowhere").await.refused(404, "bill_cycle_not_found");
    rig.patch("/v1/bill-cycles/nowhere", json!({ "name": "d" })).await.refused(404, "bill_cycle_not_found");
    rig.delete("/v1/bill-cycles/nowhere").await.refused(404, "bill_cycle_not_found");
    let account = rig.account("x").await;
    rig.delete("/v1/bill-cycles/x").await.refused(409, "still_in_use");
    let other = rig.cycle(2).await;
    let planned = json!({ "billCycle": other, "validFrom": "2035-06-01T00:00:00Z" });
    rig.post(&format!("/v1/accounts/{account}/bill-cycle"), planned).await.expect(200);
    rig.delete(&format!("/v1/bill-cycles/{other}")).await.refused(409, "still_in_use");
}

#[tokio::test]
async fn accounts() {
    let rig = Rig::new().await;
    let cycle = rig.cycle(1).await;
    let make = |body: Value| rig.post("/v1/accounts", body);
    make(json!({ "name": "a", "currency": "EUR", "billCycle": "nowhere" })).await.refused(422, "bill_cycle_unknown");
    make(json!({ "name": "a", "currency": "EUX", "billCycle": cycle })).await.refused(422, "currency_unknown");
    let company = json!({ "name": "c", "country": "UK" });
    make(json!({ "name": "a", "currency": "EUR", "billCycle": cycle, "company": company })).await.refused(422, "country_unknown");
    make(json!({ "name": "a", "currency": "EUR", "billCycle": cycle, "paymentTermDays": 366 }))
        .await
        .refused(422, "payment_term_out_of_range");
    make(json!({ "name": "a", "currency": "EUR", "billCycle": cycle, "billingDay": 3 })).await.refused(422, "billing_day_not_allowed");
    let individual = rig.create("/v1/bill-cycles", json!({ "name": "i", "period": "month", "individual": true })).await;
    make(json!({ "name": "a", "currency": "EUR", "billCycle": individual })).await.refused(422, "billing_day_required");
    make(json!({ "name": "a", "currency": "EUR", "billCycle": individual, "billingDay": 31 }))
        .await
        .refused(422, "billing_day_out_of_range");
    make(json!({ "externalId": "x", "name": "a", "currency": "EUR", "billCycle": individual, "billingDay": 28 })).await.expect(201);
    make(json!({ "externalId": "x", "name": "a", "currency": "EUR", "billCycle": cycle })).await.refused(409, "external_id_taken");
    rig.get("/v1/accounts/nowhere").await.refused(404, "account_not_found");

    let status = |to: &str| rig.post("/v1/accounts/x/status", json!({ "status": to }));
    status("active").await.refused(409, "status_unchanged");
    make(json!({ "externalId": "y", "name": "a", "currency": "EUR", "billCycle": cycle, "status": "inactive" })).await.expect(201);
    rig.post("/v1/accounts/y/status", json!({ "status": "suspended" })).await.refused(409, "status_transition_not_allowed");
    let update = |account: &str, body: Value| {
        let path = format!("/v1/accounts/{account}");
        let rig = &rig;
        async move { rig.patch(&path, body).await }
    };
    update("x", json!({ "billingContact": "nobody" })).await.refused(422, "contact_unknown");
    let contact = json!({ "externalId": "p", "account": "y", "name": "Ada", "email": "ada@example.com" });
    rig.post("/v1/contacts", contact).await.expect(201);
    update("x", json!({ "billingContact": "p" })).await.refused(422, "contact_of_other_account");
    update("nowhere", json!({ "billingContact": "nobody" })).await.refused(404, "account_not_found");
    rig.delete("/v1/accounts/nowhere").await.refused(404, "account_not_found");
    rig.delete("/v1/accounts/x").await.refused(409, "account_not_inactive");
    rig.delete("/v1/accounts/y").await.refused(409, "still_in_use");
    rig.call("DELETE", "/v1/accounts/y", &[("if-match", "\"9\"")], None).await.refused(412, "stale_version");
    rig.post("/v1/accounts/nowhere/cancel", json!({})).await.refused(404, "account_not_found");
    status("deactivated").await.expect(200);
    rig.post("/v1/accounts/x/cancel", json!({})).await.refused(409, "account_deactivated");
    update("x", json!({ "billingContact": "nobody" })).await.refused(409, "account_deactivated");
    rig.delete("/v1/accounts/x").await.refused(409, "account_deactivated");
    status("active").await.refused(409, "account_deactivated");
    rig.post("/v1/accounts/nowhere/status", json!({ "status": "active" })).await.refused(404, "account_not_found");
}

#[tokio::test]
async fn bill_cycle_changes() {
    let rig = Rig::new().await;
    let cycle = rig.cycle(1).await;
    let account = rig.account(&cycle).await;
    let path = format!("/v1/accounts/{account}");
    let nobody = "0198c0de-0000-7000-8000-00000000dead";
    let update = |path: &str, body: Value| {
        let path = format!("{path}/bill-cycle");
        let rig = &rig;
        async move { rig.post(&path, body).await }
    };
    update(&path, json!({ "billCycle": cycle, "billingDay": 3 })).await.refused(422, "billing_day_not_allowed");
    update(&path, json!({ "billCycle": cycle, "validFrom": "2001-01-01T00:00:00Z" })).await.refused(422, "valid_from_in_past");
    for unknown in ["nowhere", nobody] {
        update(&path, json!({ "billCycle": unknown })).await.refused(422, "bill_cycle_unknown");
        // The addressed object is checked before references in the body.
        update(&format!("/v1/accounts/{nobody}"), json!({ "billCycle": unknown })).await.refused(404, "account_not_found");
        update("/v1/accounts/nowhere", json!({ "billCycle": unknown })).await.refused(404, "account_not_found");
        let stale = rig.call("POST", &format!("{path}/bill-cycle"), &[("if-match", "\"9\"")], Some(&json!({ "billCycle": unknown }))).await;
        stale.refused(412, "stale_version");
    }
    for what in ["cancel", "perform"] {
        let of = |account: &str| format!("/v1/accounts/{account}/bill-cycle-change/{what}");
        rig.post(&of(&account), json!({})).await.refused(409, "no_bill_cycle_change_in_progress");
        rig.post(&of(nobody), json!({})).await.refused(404, "account_not_found");
        rig.post(&of("nowhere"), json!({})).await.refused(404, "account_not_found");
    }
    rig.post(&format!("{path}/status"), json!({ "status": "deactivated" })).await.expect(200);
    for anything in [cycle.as_str(), "nowhere", nobody] {
        update(&path, json!({ "billCycle": anything })).await.refused(409, "account_deactivated");
    }
    for what in ["cancel", "perform"] {
        rig.post(&format!("{path}/bill-cycle-change/{what}"), json!({})).await.refused(409, "account_deactivated");
    }
}

#[tokio::test]
async fn configuration() {
    let rig = Rig::new().await;
    let queue = rig.queue("q", &["account.created"]).await;
    let endpoint = rig.endpoint("e").await;
    let taken = [
        ("queues", json!({ "name": "q", "mode": "in_order", "eventTypes": ["account.created"] })),
        ("webhook-endpoints", json!({ "name": "e", "url": "https://crm.example.com" })),
    ];
    for (noun, body) in taken {
        rig.post(&format!("/v1/{noun}"), body).await.refused(409, "name_taken");
    }
    let unknown =
        rig.post("/v1/queues", json!({ "name": "z", "mode": "out_of_order", "eventTypes": ["account.created", "account.creatd"] })).await;
    assert_eq!(unknown.refused(422, "event_type_unknown")["errors"][0]["pointer"], "/eventTypes/1");

    let to_endpoint = json!({ "type": "webhook", "webhookEndpointId": endpoint });
    let subscribe = |queue: &str, types: Value, action: Value| {
        let body = json!({ "name": "s", "queueId": queue, "eventTypes": types, "action": action });
        let rig = &rig;
        async move { rig.post("/v1/subscriptions", body).await }
    };
    subscribe("nowhere", json!([]), to_endpoint.clone()).await.refused(422, "queue_unknown");
    subscribe(&queue, json!(["account.nothing"]), to_endpoint.clone()).await.refused(422, "event_type_unknown");
    subscribe(&queue, json!(["account.updated"]), to_endpoint.clone()).await.refused(422, "event_type_not_on_queue");
    subscribe(&queue, json!([]), json!({ "type": "webhook", "webhookEndpointId": queue })).await.refused(422, "webhook_endpoint_unknown");
    let mail = |smtp: &str, template: &str| json!({ "type": "email", "smtpAccountId": smtp, "notificationTemplateId": template, "to": ["a@example.com"] });
    subscribe(&queue, json!([]), mail("x", "y")).await.refused(422, "smtp_account_unknown");
    let smtp = json!({ "name": "s", "server": "smtp.example.com", "fromName": "n", "fromAddress": "a@example.com" });
    let smtp = rig.create("/v1/smtp-accounts", smtp).await;
    subscribe(&queue, json!([]), mail(&smtp, "y")).await.refused(422, "notification_template_unknown");
    let template = json!({ "name": "t", "subject": "s", "text": "{{ billCycle.name }}" });
    let template = rig.create("/v1/notification-templates", template).await;
    subscribe(&queue, json!([]), mail(&smtp, &template)).await.refused(422, "template_unknown_parameter");
    subscribe(&queue, json!([]), to_endpoint).await.expect(201);
    rig.delete(&format!("/v1/queues/{queue}")).await.refused(409, "still_in_use");
    rig.delete(&format!("/v1/webhook-endpoints/{endpoint}")).await.refused(409, "still_in_use");
    for noun in ["queue", "subscription", "webhook-endpoint", "smtp-account", "notification-template"] {
        let code = format!("{}_not_found", noun.replace('-', "_"));
        for id in ["nowhere", "0198c0de-0000-7000-8000-00000000dead"] {
            rig.get(&format!("/v1/{noun}s/{id}")).await.refused(404, &code);
            rig.delete(&format!("/v1/{noun}s/{id}")).await.refused(404, &code);
        }
    }
}

#[tokio::test]
async fn webhook_endpoints() {
    let rig = Rig::new().await;
    for (url, code) in [
        ("http://crm.example.com", "url_not_https"),
        ("https://crm.example.com:8443", "url_has_port"),
        ("https://u:p@crm.example.com", "url_has_user_info"),
        ("https://crm.example.com/#x", "url_has_fragment"),
        ("https://127.0.0.1/", "url_host_forbidden"),
        ("not a url", "url_unparsable"),
        (&format!("https://crm.example.com/{}", "x".repeat(2048)), "url_too_long"),
    ] {
        rig.post("/v1/webhook-endpoints", json!({ "name": "e", "url": url })).await.refused(422, code);
    }
    let both = rig.post("/v1/webhook-endpoints", json!({ "name": "e", "url": "http://localhost", "secret": "whsec_short" })).await;
    let codes: Vec<_> =
        both.refused(422, "secret_invalid")["errors"].as_array().expect("errors").iter().map(|e| e["code"].clone()).collect();
    assert_eq!(codes, ["secret_invalid", "url_not_https", "url_host_forbidden"]);
}

#[tokio::test]
async fn smtp_accounts_and_templates() {
    let rig = Rig::new().await;
    let smtp = |more: Value| {
        let mut body = json!({ "name": "s", "server": "smtp.example.com", "fromName": "n", "fromAddress": "a@example.com" });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let rig = &rig;
        async move { rig.post("/v1/smtp-accounts", body).await }
    };
    smtp(json!({ "username": "u" })).await.refused(422, "credentials_incomplete");
    let clear = smtp(json!({ "username": "u", "password": "hunter2", "security": "none" })).await;
    assert!(!clear.text.contains("hunter2"));
    clear.refused(422, "credentials_in_clear");
    smtp(json!({})).await.expect(201);
    smtp(json!({})).await.refused(409, "name_taken");

    let template = |text: &str, types: Value| {
        let body = json!({ "name": "t", "eventTypes": types, "subject": "s", "text": text });
        let rig = &rig;
        async move { rig.post("/v1/notification-templates", body).await }
    };
    template("{{ account.name", json!([])).await.refused(422, "template_syntax");
    template("{{ account.nmae }}", json!(["account.created"])).await.refused(422, "template_unknown_parameter");
    template(&format!("{{{{ {}true }}}}", "not ".repeat(2_340)), json!([])).await.refused(422, "template_too_complex");
    template("{% include 'x' %}", json!([])).await.refused(422, "template_forbidden");
    template("x", json!(["account.creatd"])).await.refused(422, "event_type_unknown");
    template("x", json!([])).await.expect(201);
    template("x", json!([])).await.refused(409, "name_taken");
}

#[tokio::test]
async fn the_test_clock_where_it_is_off() {
    let rig = Rig::with(Options::default(), false).await;
    rig.post("/v1/test-clock", json!({ "now": "2031-05-01T00:00:00Z" })).await.refused(403, "test_clock_not_allowed");
}

#[tokio::test]
async fn a_foreign_tenants_entity_looks_like_none() {
    let mut rig = Rig::new().await;
    let cycle = rig.cycle(1).await;
    let account = rig.account(&cycle).await;
    let queue = rig.queue("q", &["account.created"]).await;
    rig.key = rig.key_of("other", &["*"]).await;
    rig.get(&format!("/v1/accounts/{account}")).await.refused(404, "account_not_found");
    rig.get(&format!("/v1/bill-cycles/{cycle}")).await.refused(404, "bill_cycle_not_found");
    rig.get(&format!("/v1/queues/{queue}")).await.refused(404, "queue_not_found");
    rig.delete(&format!("/v1/queues/{queue}")).await.refused(404, "queue_not_found");
    rig.post(&format!("/v1/accounts/{account}/bill-cycle"), json!({ "billCycle": cycle })).await.refused(404, "account_not_found");
    rig.post("/v1/accounts", json!({ "name": "a", "currency": "EUR", "billCycle": cycle })).await.refused(422, "bill_cycle_unknown");
    assert_eq!(rig.get("/v1/accounts").await.expect(200), json!({ "items": [] }));
}
