//! The complete life of an account's bill cycle change, on both databases.

use billwire_tests::{eventually, gateway::BOTH};
use serde_json::json;

use crate::plain;

fn kinds(transaction: &serde_json::Value) -> Vec<&str> {
    transaction["events"].as_array().expect("events").iter().filter_map(|e| e["type"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_planned_cancelled_planned_again_and_performed() {
    for database in BOTH {
        let (_setup, _gateway, api) = plain("bill-cycle", database).await;
        let (first, fifteenth) = (api.bill_cycle(1).await, api.bill_cycle(15).await);
        let account = api.account(&first).await;
        let path = format!("/v1/accounts/{account}");

        let planned = json!({ "billCycle": fifteenth, "validFrom": "2100-01-01T00:00:00Z" });
        let answer = api.post(&format!("{path}/bill-cycle"), planned.clone()).await.expect(200);
        assert_eq!(answer["operation"], "updateAccountBillCycle");
        assert_eq!(kinds(&answer), ["account.updated", "account.bill_cycle_change_planned"]);
        assert_eq!(answer["entities"][0]["before"]["billCycle"]["billCycleId"], json!(first));
        assert_eq!(answer["entities"][0]["after"]["plannedBillCycleChange"]["billCycleId"], json!(fifteenth));

        let answer = api.post(&format!("{path}/bill-cycle-change/cancel"), json!({})).await.expect(200);
        assert_eq!(kinds(&answer), ["account.updated", "account.bill_cycle_change_cancelled"]);
        api.post(&format!("{path}/bill-cycle-change/cancel"), json!({})).await.refused(409, "no_bill_cycle_change_in_progress");

        api.post(&format!("{path}/bill-cycle"), planned).await.expect(200);
        let answer = api.post(&format!("{path}/bill-cycle-change/perform"), json!({})).await.expect(200);
        assert_eq!(kinds(&answer), ["account.updated", "account.bill_cycle_changed"]);
        let now = api.get(&path).await.expect(200);
        assert_eq!(now["billCycle"]["billCycleId"], json!(fifteenth));
        assert_eq!(now["version"], 5);
        api.post(&format!("{path}/bill-cycle-change/perform"), json!({})).await.refused(409, "no_bill_cycle_change_in_progress");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_performs_a_planned_change_once_when_it_is_due() {
    for database in BOTH {
        let (_setup, _gateway, api) = plain("due", database).await;
        let (first, fifteenth) = (api.bill_cycle(1).await, api.bill_cycle(15).await);
        api.post("/v1/test-clock", json!({ "now": "2090-05-10T12:00:00Z" })).await.expect(200);
        let account = api.account(&first).await;
        let path = format!("/v1/accounts/{account}");
        api.post(&format!("{path}/bill-cycle"), json!({ "billCycle": fifteenth, "validFrom": "2090-05-20T00:00:00Z" })).await.expect(200);
        assert_eq!(api.get(&path).await.json()["billCycle"]["billCycleId"], json!(first));

        api.post("/v1/test-clock", json!({ "now": "2090-05-20T00:00:01Z" })).await.expect(200);
        let changed = eventually("the change", async || {
            let account = api.get(&path).await.json();
            (account["billCycle"]["billCycleId"] == json!(fifteenth)).then_some(account)
        })
        .await;
        assert_eq!(changed["version"], 3, "created, planned, performed: once");
        assert_eq!(changed["billCycle"]["period"], json!({ "start": "2090-05-10", "end": "2090-06-01" }), "the running one ends untouched");
        assert_eq!(changed["billCycle"]["shortPeriod"], json!({ "start": "2090-06-01", "end": "2090-06-15" }));
        assert_eq!(changed.get("plannedBillCycleChange"), None);
    }
}
