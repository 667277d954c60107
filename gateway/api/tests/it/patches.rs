//! Updates: null unsets a member, and what changes nothing makes no version and no event.

use serde_json::{Value, json};

use crate::rig::Rig;

/// The body of an update of each object that has one: what is there before, what null unsets, and the members that are gone then.
async fn updates(rig: &Rig) -> Vec<(String, Value, Value)> {
    let cycle = json!({ "name": "c", "period": "month", "billingDay": 1, "announceDays": 3, "autoRun": { "hour": 3 } });
    let cycle = rig.create("/v1/bill-cycles", cycle).await;
    let account = rig.account(&cycle).await;
    let contact = json!({ "account": account, "role": "billing", "name": "Ada", "email": "a@example.com", "phone": "1", "language": "de" });
    let contact = rig.create("/v1/contacts", contact).await;
    let fee = json!({ "amount": "1", "currency": "EUR" });
    let package = rig
        .create("/v1/packages", json!({ "name": "P", "recurringFee": fee, "description": "D", "recurringPeriod": { "unit": "month" } }))
        .await;
    let service = rig.create("/v1/services", json!({ "account": account, "name": "S", "serviceType": "mobile" })).await;
    let identifier = json!({ "service": service, "kind": "iccid", "value": "1", "dormantAfterDays": 3 });
    let identifier = rig.create("/v1/usage-identifiers", identifier).await;
    let bucket = json!({ "service": service, "name": "B", "unit": "MB", "tiers": [{ "upTo": "1" }], "resets": "billingPeriod" });
    let bucket = rig.create("/v1/buckets", bucket).await;
    let contract = json!({ "account": account, "name": "C", "startDate": "2027-06-01", "endDate": "2028-06-01", "periodMonths": 1, "tiers": [{ "name": "T", "commit": fee }] });
    let contract = rig.create("/v1/contracts", contract).await;
    let queue = json!({ "name": "q", "mode": "in_order", "eventTypes": ["invoice.*"], "objects": [{ "object": "account", "events": ["created"] }] });
    let queue = rig.create("/v1/queues", queue).await;
    let endpoint = json!({ "name": "e", "url": "https://crm.example.com/hook", "path": "/x", "auth": { "type": "bearer", "token": "t" },
        "headers": { "X-Key": "k" }, "retryWaits": [1], "maxInFlight": 2, "maxPerSecond": 3, "ownerEmail": "o@example.com" });
    let endpoint = rig.create("/v1/webhook-endpoints", endpoint).await;
    let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
    let subscription = json!({ "name": "s", "queueId": queue, "eventTypes": ["invoice.*"], "filter": "account.currency == 'EUR'",
        "parameters": { "a.b": "'x'" }, "action": action });
    let subscription = rig.create("/v1/subscriptions", subscription).await;
    let user = json!({ "name": "u", "email": "u@example.com", "language": "de", "timeZone": "Europe/Berlin" });
    let user = rig.create("/v1/system-users", user).await;
    let template = json!({ "name": "t", "eventTypes": ["invoice.posted"], "subject": "s", "text": "t", "html": "<p>h</p>",
        "translations": { "de": { "subject": "s", "text": "t" } } });
    let template = rig.create("/v1/notification-templates", template).await;
    let smtp = json!({ "name": "m", "server": "mail.example.com", "fromName": "A", "fromAddress": "a@example.com", "security": "tls",
        "username": "u", "password": "p", "maxPerSecond": 3 });
    let smtp = rig.create("/v1/smtp-accounts", smtp).await;
    let company = json!({ "name": "Acme plc" });
    let of_account = json!({ "company": company, "billingContact": contact, "paymentTermDays": 9 });
    rig.patch(&format!("/v1/accounts/{account}"), of_account.clone()).await.expect(200);
    vec![
        (format!("accounts/{account}"), of_account, json!({ "company": null, "billingContact": null, "paymentTermDays": null })),
        (format!("contacts/{contact}"), json!({ "name": "Ada", "phone": "1" }), json!({ "phone": null, "language": null })),
        (
            format!("packages/{package}"),
            json!({ "recurringFee": fee, "recurringPeriod": { "unit": "month", "length": 1 } }),
            json!({ "description": null, "recurringPeriod": null }),
        ),
        (format!("services/{service}"), json!({ "name": "S" }), json!({})),
        (format!("bill-cycles/{cycle}"), json!({ "autoRun": { "hour": 3 } }), json!({ "announceDays": null, "autoRun": null })),
        (format!("usage-identifiers/{identifier}"), json!({ "dormantAfterDays": 3 }), json!({ "dormantAfterDays": null })),
        (format!("buckets/{bucket}"), json!({ "tiers": [{ "upTo": "1.0" }], "resets": "billingPeriod" }), json!({ "resets": null })),
        (format!("contracts/{contract}"), json!({ "endDate": "2028-06-01" }), json!({ "endDate": null })),
        (format!("subscriptions/{subscription}"), json!({ "action": action }), json!({ "filter": null, "parameters": null })),
        (format!("queues/{queue}"), json!({ "mode": "in_order" }), json!({ "objects": null })),
        (
            format!("webhook-endpoints/{endpoint}"),
            json!({ "auth": { "type": "bearer", "token": "t" }, "headers": { "X-Key": "k" } }),
            json!({ "path": null, "auth": null, "headers": null, "retryWaits": null, "maxInFlight": null, "maxPerSecond": null, "ownerEmail": null }),
        ),
        (format!("system-users/{user}"), json!({ "language": "de" }), json!({ "language": null, "timeZone": null })),
        (format!("notification-templates/{template}"), json!({ "html": "<p>h</p>" }), json!({ "html": null, "translations": null })),
        (format!("smtp-accounts/{smtp}"), json!({ "password": "p", "port": 25 }), json!({ "username": null, "maxPerSecond": null })),
    ]
}

#[tokio::test]
async fn an_update_that_changes_nothing_is_answered_with_the_object_as_it_is() {
    for rig in Rig::everywhere().await {
        rig.post("/v1/test-clock", json!({ "now": "2027-06-10T00:00:00Z" })).await.expect(200);
        for (path, same, _) in updates(&rig).await {
            let before = rig.get(&format!("/v1/{path}")).await;
            let (etag, before) = (before.header("etag").to_owned(), before.expect(200));
            for body in [json!({}), same] {
                let answer = rig.patch(&format!("/v1/{path}"), body.clone()).await.expect(200);
                let entity = &answer["entities"][0];
                assert_eq!((&entity["action"], &entity["after"]), (&json!("unchanged"), &before), "{path} {body}");
                assert_eq!((&answer["events"], entity.get("before"), &entity["version"]), (&json!([]), None, &before["version"]), "{path}");
                let recorded = rig.get(&format!("/v1/business-transactions/{}", answer["id"].as_str().expect("an id"))).await.expect(200);
                assert_eq!(recorded, answer);
            }
            let after = rig.get(&format!("/v1/{path}")).await;
            assert_eq!((after.header("etag"), after.json()), (etag.as_str(), before), "{path}");
        }
    }
}

#[tokio::test]
async fn null_unsets_what_is_optional_and_nothing_else() {
    let rig = Rig::new().await;
    rig.post("/v1/test-clock", json!({ "now": "2027-06-10T00:00:00Z" })).await.expect(200);
    let shown = |name: &str| match name {
        "billingContact" => "billingContactId".to_owned(),
        "headers" => "headerNames".to_owned(),
        name => name.to_owned(),
    };
    for (path, _, unset) in updates(&rig).await {
        let path = format!("/v1/{path}");
        let before = rig.get(&path).await.expect(200);
        rig.patch(&path, unset.clone()).await.expect(200);
        let after = rig.get(&path).await.expect(200);
        for name in unset.as_object().expect("members").keys().map(|name| shown(name)) {
            assert!(before.get(&name).is_some() && after.get(&name).is_none(), "{path} {name}: {before} {after}");
        }
        if path.contains("usage-identifiers") {
            continue;
        }
        let refused = rig.patch(&path, json!({ "name": null })).await.violations("schema_violation");
        assert_eq!(refused, [("/name".to_owned(), "wrong_type".to_owned())], "{path}");
    }
}

#[tokio::test]
async fn a_changed_secret_is_a_change() {
    let rig = Rig::new().await;
    for (path, _, _) in updates(&rig).await {
        let body = match path.split('/').next() {
            Some("webhook-endpoints") => json!({ "auth": { "type": "bearer", "token": "another" } }),
            Some("smtp-accounts") => json!({ "password": "another" }),
            _ => continue,
        };
        let answer = rig.patch(&format!("/v1/{path}"), body).await.expect(200);
        assert_eq!((&answer["entities"][0]["action"], &answer["entities"][0]["version"]), (&json!("updated"), &json!(2)), "{path}");
    }
}

#[tokio::test]
async fn settings_that_are_set_to_what_they_are_stay_at_their_version() {
    let rig = Rig::new().await;
    for path in ["/v1/billing-settings", "/v1/retention-settings"] {
        rig.put(path, json!({})).await.expect(200);
        let answer = rig.put(path, json!({})).await.expect(200);
        assert_eq!((&answer["entities"][0]["action"], &answer["entities"][0]["version"]), (&json!("unchanged"), &json!(1)), "{path}");
    }
}
