//! What is due while an outsider holds what one of it needs: everything else is performed, and that one is reported and tried again.

use billwire_tests::{eventually, gateway::Database};
use serde_json::json;

use super::{outsider, run};
use crate::plain;

#[tokio::test(flavor = "multi_thread")]
async fn a_due_action_that_cannot_be_performed_is_reported_and_holds_up_no_other() {
    let (setup, gateway, api) = plain("due-locked", Database::Postgres).await;
    let (first, other) = (api.bill_cycle(1).await, api.bill_cycle(15).await);
    let clock = async |now: &str| api.post("/v1/test-clock", json!({ "now": now })).await.expect(200);
    clock("2090-05-10T12:00:00Z").await;
    let mut accounts = Vec::new();
    for _ in 0..4 {
        let account = api.account(&first).await;
        let change = json!({ "billCycle": other, "validFrom": "2090-05-20T00:00:00Z" });
        api.post(&format!("/v1/accounts/{account}/bill-cycle"), change).await.expect(200);
        accounts.push(account);
    }
    let is_changed = async |account: &String| {
        let account = api.get(&format!("/v1/accounts/{account}")).await.expect(200);
        account["billCycle"]["billCycleId"] == other.as_str()
    };
    let part = async || api.get("/readyz").await.expect(200)["parts"]["due"].clone();
    let mut outsider = outsider(&setup).await;
    run(&mut outsider, &format!("BEGIN; SELECT * FROM ordering_key WHERE key = '{}' FOR UPDATE", accounts[0])).await;
    clock("2090-05-20T00:00:01Z").await;
    for account in &accounts[1..] {
        eventually("the changes of others", async || is_changed(account).await.then_some(())).await;
    }
    let told = eventually("a report", async || Some(part().await).filter(|part| part["status"] == "degraded")).await;
    assert!(told["detail"].as_str().is_some_and(|detail| detail.contains(&accounts[0])), "{told}");
    assert!(!is_changed(&accounts[0]).await);
    run(&mut outsider, "COMMIT").await;
    clock("2090-05-20T00:02:00Z").await;
    eventually("the change", async || is_changed(&accounts[0]).await.then_some(())).await;
    eventually("the end of the report", async || (part().await["status"] == "ok").then_some(())).await;
    assert!(gateway.stop().await.success());
}
