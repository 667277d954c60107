//! Usage identifiers, buckets and contracts over HTTP.

use serde_json::{Value, json};

use crate::rig::Rig;

/// Creates an account with a service; returns the service's id.
pub(crate) async fn service(rig: &Rig) -> String {
    rig.post("/v1/test-clock", json!({ "now": "2027-01-10T00:00:00Z" })).await;
    let cycle = rig.cycle(1).await;
    rig.create("/v1/accounts", json!({ "externalId": "A", "name": "A", "currency": "EUR", "billCycle": cycle })).await;
    rig.create("/v1/services", json!({ "externalId": "S", "account": "A", "name": "Truck 42", "serviceType": "iot" })).await
}

pub(crate) fn usage(quantity: &str) -> Value {
    json!({ "usageIdentifier": { "kind": "iccid", "value": "8949" }, "type": "data", "quantity": quantity, "unit": "MB",
            "amount": { "amount": "0.01", "currency": "EUR" }, "occurredAt": "2027-01-09T12:00:00Z" })
}

fn kinds(transaction: &Value) -> Vec<&str> {
    transaction["events"].as_array().into_iter().flatten().filter_map(|event| event["type"].as_str()).collect()
}

#[tokio::test]
async fn usage_reported_under_an_identifier_counts_its_service_s_buckets_down_tier_by_tier() {
    for rig in Rig::everywhere().await {
        service(&rig).await;
        rig.create("/v1/usage-identifiers", json!({ "externalId": "I", "service": "S", "kind": "iccid", "value": "8949" })).await;
        let tiers = json!([{ "name": "80 percent", "upTo": "8" }, { "upTo": "10" }]);
        rig.create("/v1/buckets", json!({ "externalId": "B", "service": "S", "name": "Data", "unit": "MB", "tiers": tiers })).await;
        let items = [usage("7.999999"), usage("0.000001"), usage("5"), usage("1")];
        let answer = rig.post("/v1/chargeable-events", json!({ "items": items })).await.expect(200);
        let transactions: Vec<&Value> = answer["items"].as_array().unwrap().iter().map(|item| &item["transaction"]).collect();
        assert_eq!(kinds(transactions[0]), ["chargeable_event.created", "bucket.updated", "usage_identifier.updated"]);
        assert_eq!(kinds(transactions[1]), ["chargeable_event.created", "bucket.updated", "usage_threshold.exceeded"]);
        assert_eq!(kinds(transactions[2]), ["chargeable_event.created", "bucket.updated", "usage_threshold.exceeded"]);
        assert_eq!(kinds(transactions[3]), ["chargeable_event.created", "bucket.updated"], "told once");
        let bucket = rig.get("/v1/buckets/B").await.expect(200);
        assert_eq!((bucket["used"].as_str(), bucket["tiersUsedUp"].as_i64()), (Some("14"), Some(2)));
        assert_eq!(rig.get("/v1/usage-identifiers/I").await.expect(200)["lastUsageOn"], "2027-01-09");
        let other_unit = {
            let mut item = usage("5");
            item["unit"] = "minute".into();
            item
        };
        let answer = rig.post("/v1/chargeable-events", json!({ "items": [other_unit] })).await.expect(200);
        assert_eq!(kinds(&answer["items"][0]["transaction"]), ["chargeable_event.created"]);
        rig.post("/v1/buckets/B/reset", json!({})).await.expect(200);
        assert_eq!(rig.get("/v1/buckets/B").await.expect(200)["used"], "0");
    }
}

#[tokio::test]
async fn each_refusal_of_usage_identifiers_buckets_and_contracts_has_its_code() {
    let rig = Rig::new().await;
    service(&rig).await;
    let identifier = |service: &str| json!({ "externalId": "I", "service": service, "kind": "iccid", "value": "8949" });
    rig.post("/v1/usage-identifiers", identifier("none")).await.refused(422, "service_unknown");
    rig.create("/v1/usage-identifiers", identifier("S")).await;
    let twin = json!({ "service": "S", "kind": "iccid", "value": "8949" });
    rig.post("/v1/usage-identifiers", twin).await.refused(409, "usage_identifier_taken");
    rig.post("/v1/usage-identifiers", identifier("S")).await.refused(409, "external_id_taken");
    rig.get("/v1/usage-identifiers/none").await.refused(404, "usage_identifier_not_found");

    let bucket = |sizes: &[&str]| {
        let tiers: Vec<Value> = sizes.iter().map(|size| json!({ "upTo": size })).collect();
        json!({ "externalId": "B", "service": "S", "name": "Data", "unit": "MB", "tiers": tiers })
    };
    rig.post("/v1/buckets", bucket(&["5", "5"])).await.refused(422, "tiers_not_ascending");
    rig.post("/v1/buckets", bucket(&["0.0000001"])).await.refused(422, "amount_too_fine");
    rig.create("/v1/buckets", bucket(&["5", "10"])).await;
    rig.post("/v1/chargeable-events", json!({ "items": [usage("6")] })).await.expect(200);
    for lowered in [json!([{ "upTo": "5" }, { "upTo": "6" }]), json!([{ "upTo": "4" }, { "upTo": "10" }])] {
        rig.patch("/v1/buckets/B", json!({ "tiers": lowered })).await.refused(422, "tiers_not_extendable");
    }
    rig.patch("/v1/buckets/B", json!({ "tiers": [{ "upTo": "5" }, { "upTo": "7" }, { "upTo": "9" }] })).await.expect(200);
    rig.get("/v1/buckets/none").await.refused(404, "bucket_not_found");
    rig.delete("/v1/services/S").await.refused(409, "still_in_use");

    let contract = |start: &str, end: &str, commits: &[(&str, &str)]| {
        let tiers: Vec<Value> =
            commits.iter().map(|(amount, currency)| json!({ "name": "T", "commit": { "amount": amount, "currency": currency } })).collect();
        json!({ "externalId": "C", "account": "A", "name": "Frame", "startDate": start, "endDate": end, "periodMonths": 1, "tiers": tiers })
    };
    let of = async |body: Value| rig.post("/v1/contracts", body).await;
    of(contract("2027-01-05", "2027-01-05", &[("1", "EUR")])).await.refused(422, "end_date_before_start");
    of(contract("2026-11-05", "2028-01-05", &[("1", "EUR")])).await.refused(422, "contract_too_long_ago");
    of(contract("2027-01-05", "2028-01-05", &[("1", "USD")])).await.refused(422, "currency_mismatch");
    of(contract("2027-01-05", "2028-01-05", &[("0", "EUR")])).await.refused(422, "amount_not_positive");
    of(contract("2027-01-05", "2028-01-05", &[("2", "EUR"), ("2", "EUR")])).await.refused(422, "tiers_not_ascending");
    of(contract("2027-01-05", "2028-01-05", &[("1", "EUR")])).await.expect(201);
    rig.patch("/v1/contracts/C", json!({ "endDate": "2027-01-09" })).await.refused(422, "end_date_in_past");
    rig.delete("/v1/contracts/C").await.refused(409, "contract_started");
    rig.get("/v1/contracts/none").await.refused(404, "contract_not_found");
    let mut nobody = usage("1");
    nobody["usageIdentifier"]["value"] = "none".into();
    let mut torn = usage("1");
    torn["account"] = rig.create("/v1/accounts", json!({ "name": "B", "currency": "EUR", "billCycle": rig.cycle(2).await })).await.into();
    let refused = rig.post("/v1/chargeable-events", json!({ "items": [nobody, torn] })).await.refused(422, "nothing_accepted");
    assert_eq!(refused["errors"][0]["code"], "usage_identifier_unknown");
    assert_eq!(refused["errors"][1]["code"], "reference_mismatch");
}

#[tokio::test]
async fn a_reversed_charge_is_given_back_on_the_next_invoice_and_its_usage_to_its_buckets() {
    for rig in Rig::everywhere().await {
        service(&rig).await;
        rig.create("/v1/usage-identifiers", json!({ "externalId": "I", "service": "S", "kind": "iccid", "value": "8949" })).await;
        let bucket = |id: &str| json!({ "externalId": id, "service": "S", "name": "Data", "unit": "MB", "tiers": [{ "upTo": "8" }] });
        rig.create("/v1/buckets", bucket("B")).await;
        let mut item = usage("9");
        item["externalId"] = "c".into();
        item["amount"]["amount"] = "9".into();
        rig.post("/v1/chargeable-events", json!({ "items": [item] })).await.expect(200);
        rig.create("/v1/buckets", bucket("LATER")).await;
        let wrong = json!({ "reason": "r", "replacement": { "externalId": "c", "amount": { "amount": "1", "currency": "EUR" } } });
        rig.post("/v1/chargeable-events/c/reverse", wrong).await.refused(409, "external_id_taken");
        let wrong = json!({ "reason": "r", "replacement": { "quantity": "-1", "amount": { "amount": "1", "currency": "CHF" } } });
        let pairs = [("/replacement/amount/currency", "currency_mismatch"), ("/replacement/quantity", "quantity_negative")];
        let broken = rig.post("/v1/chargeable-events/c/reverse", wrong).await.refused(422, "currency_mismatch");
        let found: Vec<_> = broken["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["pointer"].as_str().unwrap(), one["code"].as_str().unwrap()))
            .collect();
        assert_eq!(found, pairs);
        rig.post("/v1/chargeable-events/none/reverse", json!({ "reason": "r" })).await.refused(404, "chargeable_event_not_found");

        let body = json!({ "reason": "wrong tariff", "replacement": { "externalId": "c2", "quantity": "4", "amount": { "amount": "2", "currency": "EUR" } } });
        let done = rig.post("/v1/chargeable-events/c/reverse", body).await.expect(200);
        let told = [
            "chargeable_event.updated",
            "chargeable_event.reversed",
            "adjustment.created",
            "chargeable_event.created",
            "bucket.updated",
            "bucket.updated",
        ];
        assert_eq!(kinds(&done), told);
        let charge = rig.get("/v1/chargeable-events/c").await.expect(200);
        let replacement = rig.get("/v1/chargeable-events/c2").await.expect(200);
        assert_eq!((&charge["netAmount"]["amount"], &charge["replacedBy"]), (&json!("0.00"), &replacement["id"]));
        assert_eq!((&replacement["occurredAt"], &replacement["unit"]), (&charge["occurredAt"], &json!("MB")));
        let used = |bucket: Value| (bucket["used"].clone(), bucket["tiersUsedUp"].clone());
        assert_eq!(used(rig.get("/v1/buckets/B").await.expect(200)), (json!("4"), json!(0)));
        assert_eq!(used(rig.get("/v1/buckets/LATER").await.expect(200)), (json!("4"), json!(0)), "it never counted the first");
        rig.post("/v1/chargeable-events/c/reverse", json!({ "reason": "r" })).await.refused(409, "charge_reversed");
        let adjustment = json!({ "chargeType": "DEBIT", "amount": { "amount": "1", "currency": "EUR" }, "reason": "r" });
        rig.post("/v1/chargeable-events/c/adjustments", adjustment).await.refused(409, "charge_reversed");
        rig.post("/v1/buckets/B/reset", json!({})).await.expect(200);
        rig.post("/v1/chargeable-events/c2/reverse", json!({ "reason": "r" })).await.expect(200);
        assert_eq!(rig.get("/v1/buckets/B").await.expect(200)["used"], "0", "it was reset since");
        assert_eq!(rig.get("/v1/buckets/LATER").await.expect(200)["used"], "0");
        rig.get("/v1/accounts/A/invoice-preview").await.expect(200);
    }
}

#[tokio::test]
async fn a_repeated_external_id_is_refused_with_the_id_of_what_it_met_and_none_reads_as_another_object_s_id() {
    for rig in Rig::everywhere().await {
        service(&rig).await;
        let item = |external_id: &str| {
            json!({ "externalId": external_id, "account": "A", "type": "data", "amount": { "amount": "1", "currency": "EUR" },
                    "occurredAt": "2027-01-09T12:00:00Z" })
        };
        let answer = rig.post("/v1/chargeable-events", json!({ "items": [item("c"), item("c")] })).await.expect(200);
        let first = answer["items"][0]["transaction"]["entities"][0]["id"].as_str().unwrap().to_owned();
        let refused = |item: &Value| (item["problem"]["code"].clone(), item["problem"]["detail"].as_str().unwrap_or_default().to_owned());
        let expected = (json!("external_id_taken"), format!("There is another chargeableEvent with the external id 'c' already: {first}."));
        assert_eq!(refused(&answer["items"][1]), expected, "met in the same request");
        let answer = rig
            .post("/v1/chargeable-events", json!({ "items": [item("c"), item(&first), item(&uuid::Uuid::nil().to_string())] }))
            .await
            .expect(200);
        assert_eq!(refused(&answer["items"][0]), expected, "met in the database");
        let expected = (json!("external_id_taken"), format!("The external id '{first}' is the id of another chargeableEvent."));
        assert_eq!(refused(&answer["items"][1]), expected);
        assert_eq!(answer["items"][2]["status"], "recorded");
        let account = rig.get("/v1/accounts/A").await.expect(200)["id"].as_str().unwrap().to_owned();
        let contact = json!({ "externalId": account, "name": "B", "currency": "EUR", "billCycle": rig.cycle(2).await });
        rig.post("/v1/accounts", contact).await.refused(409, "external_id_taken");
    }
}
