//! The planned end of an account: performed by the clock, with all that belongs to it, on both databases.

use billwire_tests::{eventually, gateway::BOTH};
use serde_json::{Value, json};

use crate::plain;

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_ends_an_account_and_all_that_belongs_to_it_when_its_cancellation_is_due() {
    for database in BOTH {
        let (_setup, _gateway, api) = plain("ending", database).await;
        api.post("/v1/test-clock", json!({ "now": "2090-05-10T12:00:00Z" })).await.expect(200);
        let account = api.account(&api.bill_cycle(1).await).await;
        let fee = json!({ "amount": "31", "currency": "EUR" });
        api.post("/v1/packages", json!({ "externalId": "P", "name": "Fleet", "recurringFee": fee })).await.expect(201);
        let subscribed = json!({ "externalId": "F", "account": account, "package": "P" });
        api.post("/v1/package-subscriptions", subscribed).await.expect(201);
        let tier = json!({ "name": "Gold", "commit": { "amount": "100", "currency": "EUR" } });
        let contract = json!({ "account": account, "name": "Frame", "startDate": "2090-05-01", "periodMonths": 1, "tiers": [tier] });
        api.post("/v1/contracts", contract).await.expect(201);

        let path = format!("/v1/accounts/{account}");
        api.post(&format!("{path}/cancel"), json!({ "endOfPeriod": true })).await.expect(200);
        api.post("/v1/test-clock", json!({ "now": "2091-05-10T12:00:00Z" })).await.expect(200);
        let ended = eventually("the end", async || {
            let account = api.get(&path).await.json();
            (account["status"] == "deactivated").then_some(account)
        })
        .await;
        assert_eq!((&ended["deactivatedAt"], ended.get("ending")), (&json!("2090-06-01T00:00:00Z"), None));
        let subscription = api.get("/v1/package-subscriptions/F").await.expect(200);
        assert_eq!((&subscription["status"], &subscription["endDate"]), (&json!("cancelled"), &json!("2090-06-01")));

        let page = api.get(&format!("/v1/events?account={account}")).await.expect(200);
        let mut events: Vec<Value> = page["items"].as_array().expect("items").clone();
        events.reverse();
        let told: Vec<(&str, &str)> = events
            .iter()
            .filter(|event| event["recordedtime"].is_string())
            .map(|event| (event["time"].as_str().expect("a time"), event["type"].as_str().expect("a type")))
            .collect();
        let kinds = [
            "account.updated",
            "account.status_changed",
            "account.cancelled",
            "contract.updated",
            "contract.under_commit",
            "contract.updated",
            "package_subscription.updated",
            "package.status_changed",
            "package.cancelled",
        ];
        assert_eq!(told, kinds.map(|kind| ("2090-06-01T00:00:00Z", kind)), "of a year, the day of the end alone");
    }
}
