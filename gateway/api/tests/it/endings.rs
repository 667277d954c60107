//! The end of an account: what ends with it, at once or planned, and the late usage it takes until its final invoice.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{rig::Rig, usage::service};

fn kinds(transaction: &Value) -> Vec<&str> {
    transaction["events"].as_array().into_iter().flatten().filter_map(|event| event["type"].as_str()).collect()
}

/// The number of recorded events of a type.
async fn count(rig: &Rig, kind: &str) -> usize {
    rig.store.unpublished(1_000_000).await.expect("events").iter().filter(|event| event.kind == kind).count()
}

/// An account with a service, a contract, a package subscription and an identifier that may become dormant.
async fn customer(rig: &Rig) {
    service(rig).await;
    let tier = json!({ "name": "Gold", "commit": { "amount": "100", "currency": "EUR" } });
    let contract =
        json!({ "externalId": "C", "account": "A", "name": "Frame", "startDate": "2027-01-10", "periodMonths": 1, "tiers": [tier] });
    rig.create("/v1/contracts", contract).await;
    let fee = json!({ "amount": "31", "currency": "EUR" });
    rig.create("/v1/packages", json!({ "externalId": "P", "name": "Fleet", "recurringFee": fee })).await;
    rig.create("/v1/package-subscriptions", json!({ "externalId": "F", "account": "A", "package": "P" })).await;
    let identifier = json!({ "externalId": "I", "service": "S", "kind": "iccid", "value": "8949", "dormantAfterDays": 30 });
    rig.create("/v1/usage-identifiers", identifier).await;
}

async fn charge(rig: &Rig, at: &str) -> Value {
    let item = json!({ "account": "A", "usageIdentifier": { "kind": "iccid", "value": "8949" }, "type": "data",
                       "amount": { "amount": "5", "currency": "EUR" }, "occurredAt": at });
    rig.one_item("/v1/chargeable-events", item).await
}

fn refusal(item: &Value) -> &str {
    item["problem"]["code"].as_str().unwrap_or("none")
}

#[tokio::test]
async fn a_cancelled_account_ends_all_that_belongs_to_it_in_one_transaction() {
    for rig in Rig::everywhere().await {
        customer(&rig).await;
        let cycle = rig.cycle(15).await;
        let planned = json!({ "billCycle": cycle, "validFrom": "2027-03-01T00:00:00Z" });
        rig.post("/v1/accounts/A/bill-cycle", planned).await.expect(200);
        rig.post("/v1/accounts/A/status", json!({ "status": "suspended", "endOfPeriod": true })).await.expect(200);
        rig.at("2027-01-20T12:00:00Z").await;
        let made = rig.post("/v1/accounts/A/cancel", json!({ "reason": "moved away" })).await.expect(200);
        let expected = [
            "account.updated",
            "account.status_changed",
            "account.cancelled",
            "account.bill_cycle_change_cancelled",
            "account.status_change_cancelled",
            "service.updated",
            "service.state_changed",
            "contract.updated",
            "contract.under_commit",
            "package_subscription.updated",
            "package.status_changed",
            "package.cancelled",
            "usage_identifier.updated",
        ];
        assert_eq!(kinds(&made), expected);
        let account = rig.get("/v1/accounts/A").await.expect(200);
        assert!(account["deactivatedAt"].as_str().is_some_and(|at| at.starts_with("2027-01-20T12:00:0")), "{account}");
        for member in ["plannedBillCycleChange", "plannedStatusChange", "ending"] {
            assert_eq!(account.get(member), None, "{member}");
        }
        let contract = rig.get("/v1/contracts/C").await.expect(200);
        assert_eq!((&contract["status"], &contract["period"]["end"]), (&json!("ended"), &json!("2027-01-20")));
        let subscription = rig.get("/v1/package-subscriptions/F").await.expect(200);
        assert_eq!(
            (&subscription["status"], &subscription["endDate"], &subscription["statusReason"]),
            (&json!("cancelled"), &json!("2027-01-20"), &json!("moved away"))
        );
        rig.at("2028-01-20T12:00:00Z").await;
        assert_eq!(count(&rig, "contract.under_commit").await, 1, "evaluated once");
        assert_eq!(count(&rig, "usage_identifier.dormant").await, 0);
        assert_eq!(rig.get("/v1/accounts/A").await.expect(200), account, "nothing is due of it");
    }
}

#[tokio::test]
async fn late_usage_and_corrections_are_billed_by_the_final_invoice_and_refused_after_it() {
    for rig in Rig::everywhere().await {
        customer(&rig).await;
        rig.at("2027-01-20T12:00:00Z").await;
        let early = charge(&rig, "2027-01-19T12:00:00Z").await["transaction"]["entities"][0]["id"].as_str().expect("an id").to_owned();
        rig.post("/v1/accounts/A/cancel", json!({})).await.expect(200);
        rig.at("2027-02-01T12:00:00Z").await;
        assert_eq!(refusal(&charge(&rig, "2027-01-20T12:30:00Z").await), "account_deactivated");
        assert_eq!(charge(&rig, "2027-01-20T11:59:59Z").await["status"], "recorded");
        let identifier = rig.get("/v1/usage-identifiers/I").await.expect(200);
        assert_eq!((&identifier["lastUsageOn"], identifier.get("dormantAfterDays")), (&json!("2027-01-20"), None));
        let adjust = |amount: &str| {
            let body = json!({ "chargeType": "CREDIT", "amount": { "amount": amount, "currency": "EUR" }, "reason": "goodwill" });
            let (rig, path) = (&rig, format!("/v1/chargeable-events/{early}/adjustments"));
            async move { rig.post(&path, body).await }
        };
        adjust("1").await.expect(200);
        let made = rig.post("/v1/accounts/A/invoices", json!({})).await.expect(201);
        assert_eq!(made["entities"][0]["after"]["total"]["amount"], "9.00", "5 and 5 less 1; the subscription was not active");
        assert_eq!(refusal(&charge(&rig, "2027-01-19T12:00:00Z").await), "final_invoice_exists");
        adjust("1").await.refused(409, "final_invoice_exists");

        let invoice = made["entities"][0]["id"].as_str().expect("an id").to_owned();
        rig.post(&format!("/v1/invoices/{invoice}/cancel"), json!({})).await.expect(200);
        assert_eq!(charge(&rig, "2027-01-19T12:00:00Z").await["status"], "recorded", "the final invoice is to come again");
        let made = rig.post("/v1/accounts/A/invoices", json!({})).await.expect(201);
        assert_eq!(made["entities"][0]["after"]["total"]["amount"], "14.00");
        adjust("1").await.refused(409, "final_invoice_exists");
        rig.at("2027-06-01T00:00:00Z").await;
        assert_eq!(count(&rig, "usage_identifier.dormant").await, 0);
    }
}

#[tokio::test]
async fn what_is_too_much_for_one_transaction_is_ended_by_those_that_follow() {
    let rig = Rig::new().await;
    customer(&rig).await;
    for _ in 0..340 {
        rig.create("/v1/package-subscriptions", json!({ "account": "A", "package": "P" })).await;
    }
    let made = rig.post("/v1/accounts/A/cancel", json!({})).await.expect(200);
    assert_eq!(made["entities"][0]["after"]["ending"], true);
    assert!((990..=1_000).contains(&kinds(&made).len()), "{}", kinds(&made).len());
    assert_eq!(rig.get("/v1/accounts/A").await.expect(200)["ending"], true);
    rig.at("2027-01-11T00:00:00Z").await;
    let account = rig.get("/v1/accounts/A").await.expect(200);
    assert_eq!((account.get("ending"), &account["version"]), (None, &json!(3)));
    assert_eq!(count(&rig, "package.cancelled").await, 341);
    assert_eq!(count(&rig, "usage_identifier.updated").await, 1);
    let events = rig.store.unpublished(1_000_000).await.expect("events");
    let cancelled = events.iter().filter(|event| event.kind == "package.cancelled");
    let of = |body: &str| serde_json::from_str::<Value>(body).expect("JSON")["transactionid"].to_string();
    assert_eq!(cancelled.map(|event| of(&event.body)).collect::<BTreeSet<_>>().len(), 2, "transactions");
    let last = &rig.get("/v1/business-transactions?operation=cancelAccount&limit=1").await.expect(200)["items"][0];
    assert_eq!(last["occurredAt"], account["deactivatedAt"], "what follows occurred at the end");
    assert_eq!(last["recordedAt"].as_str().map(|at| &at[..10]), Some("2027-01-11"));
    assert_eq!(rig.get("/v1/package-subscriptions/F").await.expect(200)["endDate"], "2027-01-10");
}

/// The clock jumps by months over a planned end.
#[tokio::test]
async fn a_planned_cancellation_takes_effect_at_the_end_of_the_period_before_all_that_is_due_later() {
    for rig in Rig::everywhere().await {
        customer(&rig).await;
        rig.post("/v1/package-subscriptions/F/status", json!({ "status": "active" })).await.expect(200);
        let planned = rig.post("/v1/accounts/A/cancel", json!({ "endOfPeriod": true, "reason": "moved away" })).await.expect(200);
        assert_eq!(kinds(&planned), ["account.updated", "account.status_change_planned"]);
        let shown = json!({ "status": "deactivated", "reason": "moved away", "services": true, "validFrom": "2027-02-01T00:00:00Z" });
        assert_eq!(rig.get("/v1/accounts/A").await.expect(200)["plannedStatusChange"], shown);
        rig.at("2027-06-01T00:00:00Z").await;
        let account = rig.get("/v1/accounts/A").await.expect(200);
        assert_eq!((&account["status"], &account["deactivatedAt"]), (&json!("deactivated"), &json!("2027-02-01T00:00:00Z")));
        let made = rig.get("/v1/business-transactions?operation=performAccountStatusChange").await.expect(200);
        assert_eq!(made["items"][0]["occurredAt"], "2027-02-01T00:00:00Z");
        let expected = [
            "account.updated",
            "account.status_changed",
            "account.cancelled",
            "service.updated",
            "service.state_changed",
            "contract.updated",
            "contract.under_commit",
            "package_subscription.updated",
            "package.status_changed",
            "package.cancelled",
            "usage_identifier.updated",
        ];
        assert_eq!(kinds(&made["items"][0]), expected);
        assert_eq!((count(&rig, "contract.under_commit").await, count(&rig, "usage_identifier.dormant").await), (1, 0));
        let last = rig.post("/v1/accounts/A/invoices", json!({})).await.expect(201);
        assert_eq!(last["entities"][0]["after"]["total"]["amount"], "22.00", "the days from 10 January to the end of the month");
    }
}

#[tokio::test]
async fn a_contract_whose_period_ends_with_the_account_is_compared_once() {
    for rig in Rig::everywhere().await {
        customer(&rig).await;
        let end = json!({ "validFrom": "2027-03-10T00:00:00Z" });
        rig.post("/v1/accounts/A/cancel", end).await.expect(200);
        rig.at("2027-06-01T00:00:00Z").await;
        assert_eq!(count(&rig, "contract.under_commit").await, 2, "to 10 February and to 10 March");
        let contract = rig.get("/v1/contracts/C").await.expect(200);
        assert_eq!((&contract["status"], &contract["endDate"]), (&json!("ended"), &json!("2027-03-10")));
        assert_eq!(count(&rig, "usage_identifier.dormant").await, 1, "before the end");
    }
}

#[tokio::test]
async fn a_planned_status_change_is_replaced_cancelled_and_performed() {
    for rig in Rig::everywhere().await {
        service(&rig).await;
        let status = |body| rig.post("/v1/accounts/A/status", body);
        status(json!({ "status": "suspended", "validFrom": "2027-02-01T00:00:00Z" })).await.expect(200);
        status(json!({ "status": "suspended", "validFrom": "2027-01-15T00:00:00Z" })).await.expect(200);
        rig.at("2027-01-15T00:00:00Z").await;
        let account = rig.get("/v1/accounts/A").await.expect(200);
        assert_eq!((&account["status"], &account["version"]), (&json!("suspended"), &json!(4)));
        assert_eq!(account["statusHistory"][1]["from"], "2027-01-15");

        status(json!({ "status": "active", "endOfPeriod": true })).await.expect(200);
        let cancelled = rig.post("/v1/accounts/A/status-change/cancel", json!({})).await.expect(200);
        assert_eq!(kinds(&cancelled), ["account.updated", "account.status_change_cancelled"]);
        status(json!({ "status": "active", "endOfPeriod": true, "services": true })).await.expect(200);
        let performed = rig.call("POST", "/v1/accounts/A/status-change/perform", &[], None).await.expect(200);
        assert_eq!(kinds(&performed), ["account.updated", "account.status_changed"]);
        for what in ["cancel", "perform"] {
            rig.post(&format!("/v1/accounts/A/status-change/{what}"), json!({})).await.refused(409, "no_status_change_in_progress");
            rig.post(&format!("/v1/accounts/none/status-change/{what}"), json!({})).await.refused(404, "account_not_found");
        }
        rig.at("2027-06-01T00:00:00Z").await;
        assert_eq!(rig.get("/v1/accounts/A").await.expect(200)["status"], "active");

        status(json!({ "status": "suspended", "validFrom": "2027-05-01T00:00:00Z" })).await.refused(422, "valid_from_in_past");
        let both = json!({ "validFrom": "2028-05-01T00:00:00Z", "endOfPeriod": true });
        rig.post("/v1/accounts/A/cancel", both).await.refused(422, "valid_from_ambiguous");
        status(json!({ "status": "active", "endOfPeriod": true })).await.refused(409, "status_unchanged");
        rig.post("/v1/accounts/A/cancel", json!({})).await.expect(200);
        rig.post("/v1/accounts/A/cancel", json!({ "endOfPeriod": true })).await.refused(409, "account_deactivated");
        for what in ["cancel", "perform"] {
            rig.post(&format!("/v1/accounts/A/status-change/{what}"), json!({})).await.refused(409, "account_deactivated");
        }
    }
}

#[tokio::test]
async fn a_subscription_s_and_a_service_s_planned_change_is_shown_cancelled_and_performed() {
    for rig in Rig::everywhere().await {
        customer(&rig).await;
        for (path, event, wanted) in
            [("/v1/package-subscriptions/F", "package.status_change", "active"), ("/v1/services/S", "service.state_change", "active")]
        {
            let (rig, to) = (&rig, format!("{path}/status"));
            let plan = async || rig.post(&to, json!({ "status": wanted, "validFrom": "2027-01-15T00:00:00Z" })).await;
            let planned = plan().await.expect(200);
            assert_eq!(kinds(&planned)[1], format!("{event}_planned"));
            let shown = json!({ "status": wanted, "validFrom": "2027-01-15T00:00:00Z" });
            assert_eq!(rig.get(path).await.expect(200)["plannedStatusChange"], shown);
            let cancelled = rig.post(&format!("{path}/status-change/cancel"), json!({})).await.expect(200);
            assert_eq!(kinds(&cancelled)[1], format!("{event}_cancelled"));
            for what in ["cancel", "perform"] {
                rig.post(&format!("{path}/status-change/{what}"), json!({})).await.refused(409, "no_status_change_in_progress");
            }
            plan().await.expect(200);
        }
        rig.at("2027-01-16T00:00:00Z").await;
        for path in ["/v1/package-subscriptions/F", "/v1/services/S"] {
            let object = rig.get(path).await.expect(200);
            assert_eq!((&object["status"], object.get("plannedStatusChange")), (&json!("active"), None));
            assert_eq!(object["statusHistory"].as_array().and_then(|history| history.last()).expect("a status")["from"], "2027-01-15");
        }
        rig.post("/v1/package-subscriptions/F/cancel", json!({ "endOfPeriod": true })).await.expect(200);
        rig.post("/v1/services/S/status", json!({ "status": "suspended", "endOfPeriod": true })).await.expect(200);
        rig.post("/v1/services/S/status-change/perform", json!({})).await.expect(200);
        assert_eq!(rig.get("/v1/services/S").await.expect(200)["status"], "suspended");
        rig.at("2027-02-02T00:00:00Z").await;
        assert_eq!(rig.get("/v1/package-subscriptions/F").await.expect(200)["endDate"], "2027-02-01");
        rig.post("/v1/package-subscriptions/F/cancel", json!({ "endOfPeriod": true })).await.refused(409, "package_subscription_cancelled");
    }
}

#[tokio::test]
async fn the_end_of_the_account_withdraws_what_is_planned_for_its_objects() {
    for rig in Rig::everywhere().await {
        customer(&rig).await;
        rig.post("/v1/package-subscriptions/F/status", json!({ "status": "active", "endOfPeriod": true })).await.expect(200);
        rig.post("/v1/services/S/status", json!({ "status": "active", "endOfPeriod": true })).await.expect(200);
        let made = rig.post("/v1/accounts/A/cancel", json!({ "services": false })).await.expect(200);
        for kind in ["package.status_change_cancelled", "service.state_change_cancelled"] {
            assert!(kinds(&made).contains(&kind), "{kind}");
        }
        rig.at("2027-06-01T00:00:00Z").await;
        assert_eq!(rig.get("/v1/services/S").await.expect(200)["status"], "preactive");
        assert_eq!(rig.get("/v1/package-subscriptions/F").await.expect(200)["status"], "cancelled");
    }
}
