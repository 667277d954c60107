//! Tenants under the operator's hand: what is due to a suspended one waits.

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{BOTH, Setup},
    receiver::Receiver,
};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

/// Whether the plan of the tenant's account has come true, as a key that works says.
async fn is_performed(api: &Api) -> bool {
    api.get("/v1/accounts/A").await.expect(200).get("plannedBillCycleChange").is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_of_a_suspended_tenant_wait_in_order_and_those_of_others_do_not() {
    for database in BOTH {
        let mut setup = Setup::new("suspended", database);
        let receiver = Receiver::start().await;
        receiver.known_to(&mut setup);
        let gateway = setup.start().await;
        let operator = setup.api();
        let mut apis = Vec::new();
        for tenant in ["acme", "neighbour"] {
            let made = operator.post("/v1/tenants", json!({ "tenantId": tenant, "name": tenant })).await.expect(201);
            let api = Api::new(&operator.base, made["entities"][0]["after"]["adminKey"].as_str().expect("a key"));
            let endpoint = json!({ "name": "e", "url": receiver.url(), "path": format!("/{tenant}") });
            let endpoint = api.create("/v1/webhook-endpoints", endpoint).await;
            let types = ["account.created", "account.bill_cycle_changed"];
            let queue = api.create("/v1/queues", json!({ "name": "q", "mode": "in_order", "eventTypes": types })).await;
            let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
            api.create("/v1/subscriptions", json!({ "name": "s", "queueId": queue, "action": action })).await;
            for day in [1, 2, 3] {
                let cycle = json!({ "externalId": format!("M{day}"), "name": "c", "period": "month", "billingDay": day });
                api.create("/v1/bill-cycles", cycle).await;
            }
            api.create("/v1/accounts", json!({ "externalId": "A", "name": "A", "currency": "EUR", "billCycle": "M1" })).await;
            apis.push(api);
        }
        let told = |tenant: &str| {
            let path = format!("/hooks/{tenant}");
            let calls = receiver.calls().into_iter().filter(|call| call.path == path);
            calls.map(|call| serde_json::from_slice::<Value>(&call.body).expect("JSON")["type"].clone()).collect::<Vec<_>>()
        };
        let heard = async |tenant: &str, count: usize| {
            eventually("the calls", async || Some(told(tenant)).filter(|calls| calls.len() >= count)).await
        };
        assert_eq!([heard("acme", 1).await, heard("neighbour", 1).await], [["account.created"], ["account.created"]]);
        // Both have a plan that falls due while one of them is suspended.
        let due = Utc::now() + TimeDelta::hours(1);
        for api in &apis {
            api.post("/v1/accounts/A/bill-cycle", json!({ "billCycle": "M2", "validFrom": due })).await.expect(200);
        }
        operator.post("/v1/tenants/acme/suspend", json!({})).await.expect(200);
        operator.post("/v1/test-clock", json!({ "now": due + TimeDelta::hours(1) })).await.expect(200);
        heard("neighbour", 2).await;
        eventually("the suspension to be known", async || (apis[0].get("/v1/accounts").await.status == 403).then_some(())).await;
        // The neighbour's next event comes after whatever the other one was owed.
        apis[1].post("/v1/accounts/A/bill-cycle", json!({ "billCycle": "M3" })).await.expect(200);
        heard("neighbour", 3).await;
        assert_eq!(told("acme"), ["account.created"], "nothing is delivered");
        operator.post("/v1/tenants/acme/resume", json!({})).await.expect(200);
        assert_eq!(heard("acme", 2).await, ["account.created", "account.bill_cycle_changed"]);
        eventually("the plan to be performed", async || (apis[0].get("/v1/accounts").await.status == 200).then_some(())).await;
        assert!(is_performed(&apis[0]).await, "what fell due was done meanwhile");
        gateway.stop().await;
    }
}
