//! External ids that are changed by updates.

use billwire_schemas::ids::fresh;
use serde_json::{Value, json};

use crate::rig::Rig;

/// A body that creates each object whose external id an update can change, with its path.
async fn creations(rig: &Rig) -> Vec<(&'static str, Value)> {
    let cycle = rig.cycle(1).await;
    let account = rig.account(&cycle).await;
    let service = rig.create("/v1/services", json!({ "account": account, "name": "S", "serviceType": "mobile" })).await;
    let fee = json!({ "amount": "1", "currency": "EUR" });
    vec![
        ("bill-cycles", json!({ "name": "c", "period": "month", "billingDay": 2 })),
        ("accounts", json!({ "name": "Acme", "currency": "EUR", "billCycle": cycle })),
        ("contacts", json!({ "account": account, "name": "Ada", "email": "a@example.com" })),
        ("packages", json!({ "name": "P", "recurringFee": fee })),
        ("services", json!({ "account": account, "name": "S", "serviceType": "mobile" })),
        ("usage-identifiers", json!({ "service": service, "kind": "iccid", "value": "1" })),
        ("buckets", json!({ "service": service, "name": "B", "unit": "MB", "tiers": [{ "upTo": "1" }] })),
        (
            "contracts",
            json!({ "account": account, "name": "C", "startDate": "2027-06-01", "periodMonths": 1, "tiers": [{ "name": "T", "commit": fee }] }),
        ),
    ]
}

/// The body with an external id; values that must be unique are made so.
fn named(body: &Value, external_id: &str) -> Value {
    let mut body = body.clone();
    body["externalId"] = external_id.into();
    if body.get("value").is_some() {
        body["value"] = fresh().to_string().into();
    }
    body
}

#[tokio::test]
async fn an_update_changes_an_external_id_and_frees_the_old_one() {
    for rig in Rig::everywhere().await {
        rig.post("/v1/test-clock", json!({ "now": "2027-06-10T00:00:00Z" })).await.expect(200);
        for (path, body) in creations(&rig).await {
            let path = format!("/v1/{path}");
            let id = rig.create(&path, named(&body, "old")).await;
            let change = |reference: &str, external_id: Value| {
                let (rig, path) = (&rig, format!("{path}/{reference}"));
                async move { rig.patch(&path, json!({ "externalId": external_id })).await }
            };
            let changed = change("old", json!("new")).await.expect(200);
            let entity = &changed["entities"][0];
            assert_eq!((&entity["before"]["externalId"], &entity["after"]["externalId"]), (&json!("old"), &json!("new")), "{changed}");
            assert_eq!((&entity["id"], &entity["version"], &changed["events"][1]), (&json!(id), &json!(2), &Value::Null), "{changed}");
            assert_eq!(rig.get(&format!("{path}/old")).await.status, 404);
            assert_eq!(rig.get(&format!("{path}/new")).await.expect(200)["id"], json!(id));

            let other = rig.create(&path, named(&body, "old")).await;
            let taken = change("new", json!("old")).await.refused(409, "external_id_taken");
            assert!(taken["detail"].as_str().is_some_and(|detail| detail.contains(&other)), "{taken}");
            change("new", json!(other)).await.refused(409, "external_id_taken");
            let same = change(&id, json!("new")).await.expect(200);
            assert_eq!(same["entities"][0]["action"], "unchanged");
            change("new", json!(id)).await.expect(200);

            let unset = change(&id, Value::Null).await.expect(200);
            assert_eq!(unset["entities"][0]["after"].get("externalId"), None, "{unset}");
            change(&other, json!("new")).await.expect(200);
            assert_eq!(rig.get(&format!("{path}/new")).await.expect(200)["id"], json!(other));
        }
    }
}

#[tokio::test]
async fn accounts_are_searched_by_their_new_external_id() {
    let rig = Rig::new().await;
    let cycle = rig.cycle(1).await;
    let body = json!({ "externalId": "CRM-1", "name": "Acme", "currency": "EUR", "billCycle": cycle });
    let account = rig.create("/v1/accounts", body).await;
    rig.patch("/v1/accounts/CRM-1", json!({ "externalId": "ERP-9" })).await.expect(200);
    let found = |query: &'static str| {
        let rig = &rig;
        async move { rig.get(&format!("/v1/accounts?{query}")).await.expect(200)["items"].as_array().map(Vec::len) }
    };
    assert_eq!((found("text=erp").await, found("externalId=ERP-9").await), (Some(1), Some(1)));
    assert_eq!((found("text=crm").await, found("externalId=CRM-1").await), (Some(0), Some(0)));
    let events = rig.get(&format!("/v1/events?account={account}")).await.expect(200);
    let sequences: Vec<&Value> = events["items"].as_array().expect("events").iter().map(|event| &event["sequence"]).collect();
    assert_eq!(sequences.len(), 2, "both events are in the order of the account: {events}");
}

#[tokio::test]
async fn of_two_objects_that_get_the_same_external_id_at_once_one_is_refused() {
    for rig in Rig::everywhere().await {
        let cycle = rig.cycle(1).await;
        for round in 0..5 {
            let (one, other) = (rig.account(&cycle).await, rig.account(&cycle).await);
            let change = |account: String| {
                let rig = &rig;
                async move { rig.patch(&format!("/v1/accounts/{account}"), json!({ "externalId": format!("X-{round}") })).await.status }
            };
            let mut answers = <[u16; 2]>::from(tokio::join!(change(one), change(other)));
            answers.sort_unstable();
            assert_eq!(answers, [200, 409]);
        }
    }
}

#[tokio::test]
async fn an_operation_never_meets_an_object_that_has_lost_the_external_id_it_names() {
    for rig in Rig::everywhere().await {
        let cycle = rig.cycle(1).await;
        for round in 0..10 {
            let account = rig.account(&cycle).await;
            let external_id = format!("X-{round}");
            rig.patch(&format!("/v1/accounts/{account}"), json!({ "externalId": external_id })).await.expect(200);
            let path = format!("/v1/accounts/{external_id}");
            let lost = async { rig.patch(&format!("/v1/accounts/{account}"), json!({ "externalId": null })).await.expect(200) };
            let (_, renamed) = tokio::join!(lost, rig.patch(&path, json!({ "name": "Named by its external id" })));
            match renamed.status {
                200 => assert_eq!(renamed.json()["entities"][0]["before"]["externalId"], json!(external_id)),
                _ => drop(renamed.refused(404, "account_not_found")),
            }
        }
    }
}
