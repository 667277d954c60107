//! Due dates of usage identifiers and contracts, and concurrent requests for the same identifier.

use serde_json::{Value, json};

use crate::{rig::Rig, usage::service};

/// The parameters of all events of a type, in order.
async fn told(rig: &Rig, kind: &str) -> Vec<Value> {
    let events = rig.store.unpublished(1_000_000).await.expect("events");
    let of_kind = events.iter().filter(|event| event.kind == kind);
    of_kind.map(|event| serde_json::from_str::<Value>(&event.body).expect("JSON")["data"]["parameters"].clone()).collect()
}

async fn charge(rig: &Rig, amount: &str, at: &str) {
    let item = json!({ "service": "S", "type": "data", "amount": { "amount": amount, "currency": "EUR" }, "occurredAt": at });
    let answer = rig.post("/v1/chargeable-events", json!({ "items": [item] })).await.expect(200);
    assert_eq!(answer["items"][0].get("problem"), None, "{answer}");
}

#[tokio::test]
async fn an_identifier_without_usage_is_told_of_once_until_usage_comes_again() {
    for rig in Rig::everywhere().await {
        service(&rig).await;
        let identifier = json!({ "externalId": "I", "service": "S", "kind": "iccid", "value": "8949", "dormantAfterDays": 3 });
        rig.create("/v1/usage-identifiers", identifier).await;
        rig.at("2027-01-13T23:00:00Z").await;
        assert_eq!(told(&rig, "usage_identifier.dormant").await.len(), 0);
        rig.at("2027-01-14T00:00:00Z").await;
        let dormant = told(&rig, "usage_identifier.dormant").await;
        assert_eq!(dormant.len(), 1);
        assert_eq!((&dormant[0]["usageIdentifier.value"], &dormant[0]["usageIdentifier.dormantAfterDays"]), (&json!("8949"), &json!(3)));
        assert_eq!((&dormant[0]["service.name"], &dormant[0]["account.name"]), (&json!("Truck 42"), &json!("A")));
        assert!(rig.get("/v1/usage-identifiers/I").await.expect(200)["dormantSince"].is_string());
        // Setting the same number of days is not usage.
        rig.patch("/v1/usage-identifiers/I", json!({ "dormantAfterDays": 3 })).await.expect(200);
        rig.at("2027-01-20T00:00:00Z").await;
        assert_eq!(told(&rig, "usage_identifier.dormant").await.len(), 1, "told once");

        let used = json!({ "usageIdentifier": { "kind": "iccid", "value": "8949" }, "type": "data",
                           "amount": { "amount": "0.01", "currency": "EUR" }, "occurredAt": "2027-01-20T00:00:00Z" });
        rig.post("/v1/chargeable-events", json!({ "items": [used] })).await.expect(200);
        let awake = rig.get("/v1/usage-identifiers/I").await.expect(200);
        assert_eq!((awake.get("dormantSince"), &awake["lastUsageOn"]), (None, &json!("2027-01-20")));
        rig.at("2027-01-24T00:00:00Z").await;
        assert_eq!(told(&rig, "usage_identifier.dormant").await.len(), 2, "and again after usage");
    }
}

#[tokio::test]
async fn each_missed_period_of_a_contract_is_compared_with_its_own_charges_in_order() {
    for rig in Rig::everywhere().await {
        service(&rig).await;
        let tier = |name: &str, amount: &str| json!({ "name": name, "commit": { "amount": amount, "currency": "EUR" } });
        let contract = json!({ "externalId": "C", "account": "A", "name": "Frame", "startDate": "2027-01-10", "endDate": "2027-03-20",
                               "periodMonths": 1, "tiers": [tier("Silver", "100"), tier("Gold", "500")] });
        rig.create("/v1/contracts", contract).await;
        charge(&rig, "999", "2027-01-09T23:59:59.999999Z").await;
        charge(&rig, "120.5", "2027-01-10T00:00:00Z").await;
        rig.post("/v1/test-clock", json!({ "now": "2027-03-01T00:00:00Z" })).await.expect(200);
        charge(&rig, "499.999999", "2027-02-10T00:00:00Z").await;
        charge(&rig, "0.000001", "2027-02-28T00:00:00Z").await;
        rig.at("2027-04-01T00:00:00Z").await;

        let short = told(&rig, "contract.under_commit").await;
        let short: Vec<[&str; 4]> = short
            .iter()
            .map(|p| ["contract.periodStart", "contract.tier", "contract.spend", "contract.shortfall"].map(|n| p[n].as_str().unwrap_or("")))
            .collect();
        assert_eq!(
            short,
            [
                ["2027-01-10", "Gold", "120.50", "379.50"],
                ["2027-03-10", "Silver", "0.00", "100.00"],
                ["2027-03-10", "Gold", "0.00", "500.00"]
            ]
        );
        let ended = rig.get("/v1/contracts/C").await.expect(200);
        assert_eq!((&ended["status"], &ended["period"]), (&json!("ended"), &json!({ "start": "2027-03-10", "end": "2027-03-20" })));
        assert_eq!(rig.get("/v1/contracts?status=ended&account=A").await.expect(200)["items"][0], ended);
        rig.patch("/v1/contracts/C", json!({ "name": "x" })).await.refused(409, "contract_ended");
    }
}

/// The clock jumps by half a year: contract periods, dormancy and a planned change of cycle fall due in between.
#[tokio::test]
async fn what_falls_due_in_a_jump_happens_at_its_moments_in_their_order_whatever_its_kind() {
    for rig in Rig::everywhere().await {
        service(&rig).await;
        let tier = json!({ "name": "Gold", "commit": { "amount": "100", "currency": "EUR" } });
        let contract =
            json!({ "externalId": "C", "account": "A", "name": "Frame", "startDate": "2027-01-10", "periodMonths": 1, "tiers": [tier] });
        rig.create("/v1/contracts", contract).await;
        let identifier = json!({ "externalId": "I", "service": "S", "kind": "iccid", "value": "8949", "dormantAfterDays": 60 });
        rig.create("/v1/usage-identifiers", identifier).await;
        let cycle = rig.cycle(15).await;
        let planned = json!({ "billCycle": cycle, "validFrom": "2027-05-01T00:00:00Z" });
        rig.post("/v1/accounts/A/bill-cycle", planned).await.expect(200);
        let jump = "2027-07-01T00:00:00Z";
        rig.at(jump).await;

        let events = rig.store.unpublished(1_000_000).await.expect("events");
        let events: Vec<Value> = events.iter().map(|event| serde_json::from_str(&event.body).expect("JSON")).collect();
        let late: Vec<(&str, &str)> = events
            .iter()
            .filter(|event| event["recordedtime"].as_str().is_some_and(|recorded| recorded.starts_with("2027-07-01T00:00:0")))
            .filter(|event| {
                ["contract.under_commit", "usage_identifier.dormant", "account.bill_cycle_changed"]
                    .iter()
                    .any(|kind| event["type"] == *kind)
            })
            .map(|event| (event["time"].as_str().unwrap(), event["type"].as_str().unwrap()))
            .collect();
        let commit = "contract.under_commit";
        let expected = [
            ("2027-02-10T00:00:00Z", commit),
            ("2027-03-10T00:00:00Z", commit),
            ("2027-03-12T00:00:00Z", "usage_identifier.dormant"),
            ("2027-04-10T00:00:00Z", commit),
            ("2027-05-01T00:00:00Z", "account.bill_cycle_changed"),
            ("2027-05-10T00:00:00Z", commit),
            ("2027-06-10T00:00:00Z", commit),
        ];
        assert_eq!(late, expected);
        assert_eq!(rig.get("/v1/usage-identifiers/I").await.expect(200)["dormantSince"], "2027-03-12T00:00:00Z");
        let page = rig.get("/v1/business-transactions?operation=performAccountBillCycleChange").await.expect(200);
        let transaction = &page["items"][0];
        assert_eq!(transaction["occurredAt"], "2027-05-01T00:00:00Z");
        assert!(transaction["recordedAt"].as_str().is_some_and(|at| at.starts_with("2027-07-01T00:00:0")), "{transaction}");
    }
}

#[tokio::test]
async fn a_spend_beyond_all_range_does_not_stop_the_clock() {
    for rig in Rig::everywhere().await {
        service(&rig).await;
        let tier = json!({ "name": "Gold", "commit": { "amount": "9000000000000", "currency": "EUR" } });
        let contract =
            json!({ "externalId": "C", "account": "A", "name": "Frame", "startDate": "2027-01-05", "periodMonths": 1, "tiers": [tier] });
        rig.create("/v1/contracts", contract).await;
        for _ in 0..3 {
            charge(&rig, "9000000000000", "2027-01-09T00:00:00Z").await;
        }
        rig.at("2027-02-05T00:00:00Z").await;
        assert_eq!(rig.get("/v1/contracts/C").await.expect(200)["period"]["start"], "2027-02-05");
        assert_eq!(told(&rig, "contract.under_commit").await.len(), 0, "more was spent than was promised");
    }
}

#[tokio::test]
async fn a_value_goes_to_one_identifier_even_when_two_accounts_ask_at_once() {
    for rig in Rig::everywhere().await {
        let cycle = rig.cycle(1).await;
        let mut services = Vec::new();
        for _ in 0..6 {
            let account = rig.account(&cycle).await;
            services.push(rig.create("/v1/services", json!({ "account": account, "name": "s", "serviceType": "iot" })).await);
        }
        let page_request = |service: usize, value: usize| {
            let body = json!({ "service": services[service], "kind": "iccid", "value": value.to_string() });
            let rig = &rig;
            async move { rig.post("/v1/usage-identifiers", body).await }
        };
        for round in 0..20 {
            let (a, b, c, d, e, f) = tokio::join!(
                page_request(0, round),
                page_request(1, round),
                page_request(2, round),
                page_request(3, round),
                page_request(4, round),
                page_request(5, round)
            );
            let mut made = 0;
            for answer in [a, b, c, d, e, f] {
                if answer.status == 201 {
                    made += 1;
                } else {
                    answer.refused(409, "usage_identifier_taken");
                }
            }
            assert_eq!(made, 1, "round {round}");
        }
    }
}

#[tokio::test]
async fn a_deactivated_account_s_usage_objects_take_no_changes() {
    let rig = Rig::new().await;
    service(&rig).await;
    rig.create("/v1/usage-identifiers", json!({ "externalId": "I", "service": "S", "kind": "iccid", "value": "8949" })).await;
    let bucket = json!({ "externalId": "B", "service": "S", "name": "Data", "unit": "MB", "tiers": [{ "upTo": "5" }] });
    rig.create("/v1/buckets", bucket.clone()).await;
    let tiers = json!([{ "name": "T", "commit": { "amount": "1", "currency": "EUR" } }]);
    let contract = json!({ "externalId": "C", "account": "A", "name": "F", "startDate": "2027-02-01", "periodMonths": 1, "tiers": tiers });
    rig.create("/v1/contracts", contract.clone()).await;
    // Each with a taken external id and with missing references, while other changes are still accepted.
    rig.post("/v1/buckets", bucket.clone()).await.refused(409, "external_id_taken");
    rig.post("/v1/contracts", contract.clone()).await.refused(409, "external_id_taken");
    let with = |body: &Value, member: &str, value: Value| {
        let mut body = body.clone();
        body[member] = value;
        body
    };
    rig.post("/v1/buckets", with(&bucket, "service", "none".into())).await.refused(422, "service_unknown");
    rig.post("/v1/contracts", with(&contract, "account", "none".into())).await.refused(422, "account_unknown");
    let unknown = json!([{ "name": "T", "commit": { "amount": "9000000000001", "currency": "EUX" } }]);
    let both = rig.post("/v1/contracts", with(&contract, "tiers", unknown)).await.refused(422, "amount_out_of_range");
    assert_eq!(both["errors"][1]["code"], "currency_unknown");

    rig.post("/v1/accounts/A/status", json!({ "status": "deactivated" })).await.expect(200);
    let fresh = |body: &Value, id: &str| with(body, "externalId", id.into());
    let identifier = json!({ "service": "S", "kind": "iccid", "value": "1" });
    for (path, body) in
        [("/v1/usage-identifiers", identifier), ("/v1/buckets", fresh(&bucket, "B2")), ("/v1/contracts", fresh(&contract, "C2"))]
    {
        rig.post(path, body).await.refused(409, "account_deactivated");
    }
    rig.post("/v1/buckets/B/reset", json!({})).await.refused(409, "account_deactivated");
    let changes = [
        ("/v1/usage-identifiers/I", json!({ "dormantAfterDays": 3 })),
        ("/v1/buckets/B", json!({ "name": "x" })),
        ("/v1/contracts/C", json!({ "name": "x" })),
    ];
    for (path, body) in changes {
        rig.patch(path, body).await.refused(409, "account_deactivated");
        rig.delete(path).await.refused(409, "account_deactivated");
    }
}
