//! Tenants under the operator's hand: what is due to a suspended one waits, and of a deleted one nothing is left.

use std::process::Command;

use async_nats::jetstream;
use billwire_tests::{
    api::Api,
    eventually,
    gateway::{BOTH, Gateway, Setup, nats_client},
    receiver::Receiver,
    required,
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

/// All that the database holds, as text.
fn dump(setup: &Setup) -> String {
    const SQLITE: &str = "import sqlite3, sys\nfor line in sqlite3.connect(sys.argv[1]).iterdump(): print(line)";
    let mut command = match &setup.database_url {
        Some(url) => {
            let mut dump = Command::new("pg_dump");
            dump.args(["--enable-row-security", "--data-only", "--inserts", url]);
            dump
        }
        None => {
            let mut dump = Command::new(required("BILLWIRE_TEST_PYTHON"));
            dump.args(["-c", SQLITE]).arg(setup.data_dir().join("billwire.db"));
            dump
        }
    };
    let output = command.output().expect("a dump");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A tenant with something in every corner: deliveries that succeeded, wait and failed, a plan, a charge, roles and an audit.
async fn furnished(operator: &Api, tenant: &str, receiver: &Receiver, accounts: usize) -> Api {
    let made = operator.post("/v1/tenants", json!({ "tenantId": tenant, "name": tenant, "timeZone": "Europe/Berlin" })).await.expect(201);
    let api = Api::new(&operator.base, made["entities"][0]["after"]["adminKey"].as_str().expect("a key"));
    let endpoint = json!({ "name": "e", "url": receiver.url(), "path": format!("/{tenant}") });
    let endpoint = api.create("/v1/webhook-endpoints", endpoint).await;
    for mode in ["in_order", "out_of_order"] {
        let queue = api.create("/v1/queues", json!({ "name": mode, "mode": mode, "eventTypes": ["account.created"] })).await;
        let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
        api.create("/v1/subscriptions", json!({ "name": mode, "queueId": queue, "action": action })).await;
    }
    api.create("/v1/roles", json!({ "name": "reader", "scopes": ["accounts:read"] })).await;
    let cycle = json!({ "externalId": "M1", "name": "c", "period": "month", "billingDay": 1 });
    api.create("/v1/bill-cycles", cycle).await;
    for number in 0..accounts {
        let account = json!({
            "externalId": format!("{tenant}-{number}"), "name": format!("{tenant} customer"), "currency": "EUR", "billCycle": "M1",
            "attributes": { "region": tenant },
        });
        let account = api.create("/v1/accounts", account).await;
        let charge = json!({
            "account": account, "type": "data", "occurredAt": "2026-01-01T00:00:00Z",
            "amount": { "currency": "EUR", "amount": "1.00" },
        });
        let recorded = api.post("/v1/chargeable-events", json!({ "items": [charge] })).await;
        assert!(recorded.status < 300, "{}", recorded.text);
    }
    api
}

/// Kills and starts the gateway while the tenant is being deleted, until it is deleted.
async fn deleted(setup: &Setup, mut gateway: Gateway, tenant: &str, kills: usize) -> Gateway {
    let path = format!("/v1/tenants/{tenant}/deletion");
    for _ in 0..kills {
        let before = setup.api().get(&path).await.expect(200)["rowsDeleted"].as_i64();
        let went_on = async || {
            let state = setup.api().get(&path).await.expect(200);
            (state["rowsDeleted"].as_i64() > before || state.get("completedAt").is_some()).then_some(())
        };
        eventually("progress", went_on).await;
        gateway.kill();
        gateway = setup.start().await;
    }
    eventually("the end of the deletion", async || setup.api().get(&path).await.expect(200).get("completedAt").cloned()).await;
    gateway
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_deleted_tenant_nothing_is_left_but_its_name_and_others_miss_nothing() {
    for database in BOTH {
        let mut setup = Setup::new("tenant-deleted", database);
        setup.set("BILLWIRE_OPERATION_TIMEOUT_MS", "2000").set("BILLWIRE_WAREHOUSE_AGE_MS", "200");
        let receiver = Receiver::start().await;
        receiver.known_to(&mut setup);
        let gateway = setup.start().await;
        let operator = setup.api();
        let gone = furnished(&operator, "gonetenant", &receiver, 40).await;
        let kept = furnished(&operator, "keptneighbour", &receiver, 10).await;
        let count = |tenant: &str| receiver.calls().into_iter().filter(|call| call.path == format!("/hooks/{tenant}")).count();
        eventually("deliveries of both", async || (count("gonetenant") > 20 && count("keptneighbour") == 20).then_some(())).await;
        operator.post("/v1/tenants/gonetenant/suspend", json!({})).await.expect(200);
        operator.delete("/v1/tenants/gonetenant").await.expect(200);
        // The neighbour goes on meanwhile.
        let before = kept.get("/v1/events?limit=200").await.expect(200)["items"].as_array().map(Vec::len);
        let gateway = deleted(&setup, gateway, "gonetenant", 2).await;
        assert_eq!(gone.get("/v1/accounts").await.status, 401, "no key is left");
        assert_eq!(operator.get("/v1/tenants/gonetenant").await.expect(200)["status"], "deleted");
        operator.post("/v1/tenants", json!({ "tenantId": "gonetenant", "name": "again" })).await.refused(409, "tenant_exists");
        assert_eq!(kept.get("/v1/events?limit=200").await.expect(200)["items"].as_array().map(Vec::len), before);
        kept.create("/v1/accounts", json!({ "externalId": "after", "name": "A", "currency": "EUR", "billCycle": "M1" })).await;
        let heard = async || {
            let calls = receiver.calls();
            calls
                .iter()
                .any(|call| call.path == "/hooks/keptneighbour" && String::from_utf8_lossy(&call.body).contains("\"after\""))
                .then_some(())
        };
        eventually("the neighbour's next event", heard).await;
        let context = jetstream::new(nats_client(&setup.nats_address()).await);
        let stream = context.get_stream("BILLING").await.expect("the stream");
        let left = stream.get_last_raw_message_by_subject("billing.gonetenant.>").await;
        assert!(left.is_err(), "{left:?}");
        assert!(stream.get_last_raw_message_by_subject("billing.keptneighbour.>").await.is_ok());
        let verified = setup.command(&["audit", "verify"]).output().expect("a run");
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
        gateway.stop().await;
        let dump = dump(&setup);
        let rest: Vec<&str> = dump.lines().filter(|line| line.contains("gonetenant")).collect();
        let allowed = |line: &&str| {
            ["configuration", "business_transaction", "tenant_deletion", "audit_entry"].iter().any(|table| line.contains(table))
        };
        assert!(rest.iter().all(allowed), "{rest:#?}");
        assert!(rest.len() < 10, "the operator's own records of the tenant: {rest:#?}");
        assert!(dump.contains("keptneighbour-9"), "the neighbour's accounts are there");
    }
}
