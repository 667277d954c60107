//! Custom attributes of accounts, services, package subscriptions and invoices.

use serde_json::{Map, Value, json};

use crate::rig::Rig;

/// The paths of an object of each noun that has attributes, and of the list that it is in.
async fn objects(rig: &Rig) -> [(String, &'static str); 4] {
    let cycle = rig.cycle(1).await;
    let account = rig.account(&cycle).await;
    let service = rig.create("/v1/services", json!({ "account": account, "name": "S", "serviceType": "mobile" })).await;
    let fee = json!({ "amount": "1", "currency": "EUR" });
    let package = rig.create("/v1/packages", json!({ "name": "P", "recurringFee": fee })).await;
    let subscription = rig.create("/v1/package-subscriptions", json!({ "account": account, "package": package })).await;
    let leaving = rig.account(&cycle).await;
    let item = json!({ "account": leaving, "type": "voice", "amount": fee, "occurredAt": "2027-06-01T00:00:00Z" });
    rig.post("/v1/chargeable-events", json!({ "items": [item] })).await.expect(200);
    rig.post(&format!("/v1/accounts/{leaving}/cancel"), json!({})).await.expect(200);
    let invoice = rig.create(&format!("/v1/accounts/{leaving}/invoices"), json!({})).await;
    let paid = json!({ "account": leaving, "amount": fee, "method": "card" });
    rig.post("/v1/payments", paid).await.expect(201);
    let of = |list: &'static str, id: String| (format!("{list}/{id}"), list);
    [of("/v1/accounts", account), of("/v1/services", service), of("/v1/package-subscriptions", subscription), of("/v1/invoices", invoice)]
}

async fn rig_in_june() -> Vec<Rig> {
    let rigs = Rig::everywhere().await;
    for rig in &rigs {
        rig.post("/v1/test-clock", json!({ "now": "2027-06-10T00:00:00Z" })).await.expect(200);
    }
    rigs
}

/// The ids that a list has for a query.
async fn found(rig: &Rig, list: &str, query: &str) -> Vec<Value> {
    let answer = rig.get(&format!("{list}?{query}")).await.expect(200);
    answer["items"].as_array().expect("items").iter().map(|item| item["id"].clone()).collect()
}

#[tokio::test]
async fn attributes_are_merged_told_of_and_found() {
    for rig in rig_in_june().await {
        for (path, list) in objects(&rig).await {
            let id = rig.get(&path).await.expect(200)["id"].clone();
            let patch = |attributes: Value| {
                let (rig, path) = (&rig, path.clone());
                async move { rig.patch(&path, json!({ "attributes": attributes })).await.expect(200)["entities"][0].clone() }
            };
            let set = patch(json!({ "region": "EMEA", "cost-center": "7: a", "x.y": "Ä" })).await;
            assert_eq!((set["before"].get("attributes"), &set["after"]["attributes"]["region"]), (None, &json!("EMEA")), "{path}");
            assert_eq!(patch(json!({ "region": "EMEA", "nothing": null })).await["action"], "unchanged", "{path}");
            for query in ["attribute=region:EMEA", "attribute=cost-center:7:+a&attribute=x.y:%C3%84", "attribute=region:EMEA&limit=1"] {
                assert_eq!(found(&rig, list, query).await, std::slice::from_ref(&id), "{list} {query}");
            }
            for query in ["attribute=region:emea", "attribute=region:EMEA&attribute=x.y:a", "attribute=Region:EMEA"] {
                assert_eq!(found(&rig, list, query).await, Vec::<Value>::new(), "{list} {query}");
            }
            let changed = patch(json!({ "region": "APAC", "x.y": null })).await;
            assert_eq!(changed["before"]["attributes"], json!({ "region": "EMEA", "cost-center": "7: a", "x.y": "Ä" }));
            assert_eq!(changed["after"]["attributes"], json!({ "region": "APAC", "cost-center": "7: a" }));
            assert_eq!(found(&rig, list, "attribute=region:EMEA").await, Vec::<Value>::new(), "{list}");
            assert_eq!(found(&rig, list, "attribute=region:APAC").await, std::slice::from_ref(&id), "{list}");
            assert_eq!(patch(Value::Null).await["after"].get("attributes"), None, "{path}");
            assert_eq!(found(&rig, list, "attribute=region:APAC").await, Vec::<Value>::new(), "{list}");
        }
    }
}

#[tokio::test]
async fn new_objects_have_attributes_and_deleted_ones_are_not_found_by_them() {
    for rig in rig_in_june().await {
        let cycle = rig.cycle(1).await;
        let attributes = json!({ "region": "EMEA" });
        let body = json!({ "name": "A", "currency": "EUR", "billCycle": cycle, "attributes": attributes });
        let account = rig.create("/v1/accounts", body).await;
        let body = json!({ "account": account, "name": "S", "serviceType": "sim", "attributes": attributes });
        let service = rig.create("/v1/services", body).await;
        let package = json!({ "name": "P", "recurringFee": { "amount": "1", "currency": "EUR" } });
        let package = rig.create("/v1/packages", package).await;
        let body = json!({ "account": account, "package": package, "attributes": attributes });
        let subscription = rig.create("/v1/package-subscriptions", body).await;
        for (list, id) in [("accounts", account), ("services", service.clone()), ("package-subscriptions", subscription)] {
            assert_eq!(found(&rig, &format!("/v1/{list}"), "attribute=region:EMEA").await, [json!(id)], "{list}");
        }
        rig.delete(&format!("/v1/services/{service}")).await.expect(200);
        assert_eq!(found(&rig, "/v1/services", "attribute=region:EMEA").await, Vec::<Value>::new());
    }
}

#[tokio::test]
async fn the_events_of_an_account_s_objects_offer_the_attributes_around_them() {
    let rig = Rig::new().await;
    let cycle = rig.cycle(1).await;
    let body = json!({ "name": "A", "currency": "EUR", "billCycle": cycle, "attributes": { "region": "EMEA" } });
    let account = rig.create("/v1/accounts", body).await;
    let body = json!({ "account": account, "name": "S", "serviceType": "sim", "attributes": { "truck": "42" } });
    let made = rig.post("/v1/services", body).await.expect(201);
    let event = rig.get(&format!("/v1/events/{}", made["events"][0]["id"].as_str().expect("an id"))).await.expect(200);
    let parameters = &event["data"]["parameters"];
    assert_eq!(parameters["account.attributes"], json!({ "region": "EMEA" }), "{event}");
    assert_eq!(parameters["service.attributes"], json!({ "truck": "42" }));
}

#[tokio::test]
async fn filters_paths_and_templates_name_attributes() {
    let rig = Rig::new().await;
    let queue = rig.queue("q", &["service.*"]).await;
    let endpoint = rig.endpoint("e").await;
    let action = json!({ "type": "webhook", "webhookEndpointId": endpoint, "path": "/{account.attributes.region}" });
    let subscribe = |name: &str, filter: &str, action: &Value| {
        let body = json!({ "name": name, "queueId": queue, "eventTypes": ["service.created"], "filter": filter, "action": action });
        let rig = &rig;
        async move { rig.post("/v1/subscriptions", body).await }
    };
    let filter = "account.attributes.region == 'EMEA' && 'cost-center' in service.attributes && service.attributes['cost-center'] == '7'";
    subscribe("s", filter, &action).await.expect(201);
    let refused = subscribe("t", "account.atributes.region == 'EMEA'", &action).await.refused(422, "expression_unknown_parameter");
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("account.attributes")), "{refused}");
    let path = json!({ "type": "webhook", "webhookEndpointId": endpoint, "path": "/{invoice.attributes.region}" });
    subscribe("u", "true", &path).await.refused(422, "expression_unknown_parameter");
    let template = |name: &str, text: &str| {
        let body = json!({ "name": name, "eventTypes": ["service.created"], "subject": "s", "text": text });
        let rig = &rig;
        async move { rig.post("/v1/notification-templates", body).await }
    };
    template("a", "{{ account.attributes.region }} {{ service.attributes['cost-center']|default('none') }}").await.expect(201);
    template("b", "{{ account.attributes }}").await.refused(422, "template_unknown_parameter");
}

#[tokio::test]
async fn each_bound_of_attributes_has_its_refusal() {
    let rig = Rig::new().await;
    rig.post("/v1/test-clock", json!({ "now": "2027-06-10T00:00:00Z" })).await.expect(200);
    let place = |pointer: &str, code: &str| vec![(pointer.to_owned(), code.to_owned())];
    for (path, list) in objects(&rig).await {
        let patch = |attributes: Value| {
            let (rig, path) = (&rig, path.clone());
            async move { rig.patch(&path, json!({ "attributes": attributes })).await }
        };
        for (attributes, pointer, code) in [
            (json!({ "9": "x" }), "/attributes/9", "pattern"),
            (json!({ "a b": "x" }), "/attributes/a b", "pattern"),
            (json!({ "n".repeat(65): "x" }), &*format!("/attributes/{}", "n".repeat(65)), "pattern"),
            (json!({ "a": " " }), "/attributes/a", "pattern"),
            (json!({ "a": "" }), "/attributes/a", "too_short"),
            (json!({ "a": "x".repeat(1_001) }), "/attributes/a", "too_long"),
            (json!({ "a": 1 }), "/attributes/a", "wrong_type"),
            (json!("a"), "/attributes", "wrong_type"),
        ] {
            let violations = patch(attributes.clone()).await.violations("schema_violation");
            assert!(violations.contains(&place(pointer, code)[0]), "{path} {attributes}: {violations:?}");
        }
        let many: Map<String, Value> = (0..51).map(|n| (format!("n{n}"), json!("x"))).collect();
        patch(Value::Object(many.clone())).await.refused(422, "too_many_attributes");
        patch(Value::Object(many.into_iter().take(50).collect())).await.expect(200);
        patch(Value::Null).await.expect(200);
        let large: Map<String, Value> = (0..17).map(|n| (format!("n{n}"), json!("x".repeat(1_000)))).collect();
        let refused = patch(Value::Object(large)).await.refused(422, "attributes_too_large");
        assert_eq!(refused["errors"][0]["pointer"], "/attributes");
        for query in ["attribute=region", "attribute=:xyz", "attribute=9:x", "attribute=region:"] {
            assert_eq!(rig.get(&format!("{list}?{query}")).await.violations("invalid_parameter").len(), 1, "{query}");
        }
        let repeated = ["attribute=a:b"; 11].join("&");
        assert_eq!(rig.get(&format!("{list}?{repeated}")).await.violations("invalid_parameter"), place("attribute", "repeated"));
    }
    let cycle = rig.cycle(1).await;
    let account = json!({ "name": "A", "currency": "EUR", "billCycle": cycle, "attributes": { "a": null } });
    assert_eq!(rig.post("/v1/accounts", account).await.violations("schema_violation"), place("/attributes/a", "wrong_type"));
}
