//! Who may connect, and the end of a connection whose key no longer works.

use std::time::{Duration, Instant};

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{BOTH, Database, Gateway, Setup},
    nats::ShippedNats,
    reserved_port,
};
use serde_json::{Value, json};

use super::{Tenant, closed, connect, consumer, events, is_refused, key, read};

/// How long a revocation may take until the connection is cut.
const CUT_WITHIN: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn only_a_key_that_works_here_and_may_read_the_stream_is_let_in() {
    let setup = Setup::new("let-in", Database::Sqlite);
    let gateway = setup.start().await;
    let operator = setup.api();
    let tenant = Tenant::new(&operator, "acme").await;
    let (api, of) = (&tenant.api, &tenant.subscription);
    connect(of, &tenant.key).await.expect("the right key");
    let (_, scopeless) = key(api, json!({ "name": "scopeless", "scopes": ["events:read", "stream_subscriptions:read"] })).await;
    let (_, elsewhere) = key(api, json!({ "name": "elsewhere", "scopes": ["stream:read"], "allowedNetworks": ["203.0.113.0/24"] })).await;
    let (_, here) = key(api, json!({ "name": "here", "scopes": ["stream:read"], "allowedNetworks": ["127.0.0.0/8"] })).await;
    let soon = chrono::Utc::now() + chrono::TimeDelta::milliseconds(1_500);
    let (_, expiring) = key(api, json!({ "name": "expiring", "scopes": ["stream:read"], "expiresAt": soon })).await;
    let short_lived = connect(of, &expiring).await.expect("not expired yet");
    connect(of, &here).await.expect("from this network");
    is_refused(of, &scopeless).await;
    is_refused(of, &elsewhere).await;
    is_refused(of, "nobody-has-this-key").await;
    is_refused(of, "").await;
    closed(&short_lived).await;
    assert!(chrono::Utc::now() < soon + chrono::TimeDelta::from_std(CUT_WITHIN).expect("a time"), "cut off at its end");
    is_refused(of, &expiring).await;
    // Without a subscription there is nothing to read.
    let (_, idle) = key(&operator, json!({ "name": "idle", "scopes": ["stream:read"] })).await;
    is_refused(of, &idle).await;

    let told = async |api: &Api, kind: &str| -> Vec<Value> {
        let listed = api.get(&format!("/v1/audit-entries?kind={kind}&limit=200")).await.expect(200);
        listed["items"].as_array().expect("items").clone()
    };
    eventually("the connections in the audit", async || {
        let entries = told(api, "connections").await;
        entries.iter().any(|entry| entry["connections"][0]["by"]["apiKeyId"] == json!(tenant.key_id)).then_some(())
    })
    .await;
    for code in ["insufficient_scope", "network_not_allowed", "unauthenticated"] {
        eventually("the refusals in the audit", async || {
            let entries = told(api, "refusals").await;
            let refusals = entries.iter().flat_map(|entry| entry["refusals"].as_array().expect("refusals"));
            refusals.into_iter().any(|one| one["code"] == code && one["operation"] == "connectToNats").then_some(())
        })
        .await;
    }
    assert!(gateway.stop().await.success());
}

/// Connects, does what must cut the connection off, and checks that it is cut in time and stays so.
async fn cut_by(tenant: &Tenant, text: &str, what: &str, how: impl AsyncFnOnce()) {
    let client = connect(&tenant.subscription, text).await.expect("connected");
    how().await;
    let took = closed(&client).await;
    println!("{what}: cut off after {took:?}");
    assert!(took < CUT_WITHIN, "{what}: {took:?}");
    is_refused(&tenant.subscription, text).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_cut_off_within_a_second_of_its_keys_end() {
    for database in BOTH {
        let setup = Setup::new("cut-off", database);
        let gateway = setup.start().await;
        let operator = setup.api();
        let (tenant, neighbour) = (Tenant::new(&operator, "acme").await, Tenant::new(&operator, "neighbour").await);
        let bystander = connect(&neighbour.subscription, &neighbour.key).await.expect("connected");
        let api = &tenant.api;
        let (id, revoked) = key(api, json!({ "name": "revoked", "scopes": ["stream:read"] })).await;
        cut_by(&tenant, &revoked, "a revoked key", async || {
            api.post(&format!("/v1/api-keys/{id}/revoke"), json!({})).await.expect(200);
        })
        .await;
        let (id, rotated) = key(api, json!({ "name": "rotated", "scopes": ["stream:read"] })).await;
        cut_by(&tenant, &rotated, "a rotated key", async || {
            api.post(&format!("/v1/api-keys/{id}/rotate"), json!({ "overlapSeconds": 0 })).await.expect(200);
        })
        .await;
        let (id, overlapping) = key(api, json!({ "name": "overlapping", "scopes": ["stream:read"] })).await;
        cut_by(&tenant, &overlapping, "the end of a rotation", async || {
            api.post(&format!("/v1/api-keys/{id}/rotate"), json!({ "overlapSeconds": 2 })).await.expect(200);
            tokio::time::sleep(Duration::from_secs(2)).await;
        })
        .await;
        let role = api.create("/v1/roles", json!({ "name": "reader", "scopes": ["stream:read"] })).await;
        let (_, of_role) = key(api, json!({ "name": "of-role", "roles": ["reader"] })).await;
        cut_by(&tenant, &of_role, "a role that lost the scope", async || {
            api.patch(&format!("/v1/roles/{role}"), json!({ "scopes": ["events:read"] })).await.expect(200);
        })
        .await;
        cut_by(&tenant, &tenant.key, "a suspended tenant", async || {
            operator.post("/v1/tenants/acme/suspend", json!({})).await.expect(200);
        })
        .await;
        operator.post("/v1/tenants/acme/resume", json!({})).await.expect(200);
        eventually("the tenant to be let in again", async || connect(&tenant.subscription, &tenant.key).await.ok()).await;
        assert_eq!(bystander.connection_state(), async_nats::connection::State::Connected, "nobody else is cut off");
        assert!(gateway.stop().await.success());
    }
}

/// Another gateway on the same database and NATS.
async fn beside(setup: &Setup) -> (Gateway, Api) {
    let mut address = setup.address;
    address.set_port(reserved_port());
    let gateway = setup.apis(&address.to_string());
    let api = Api::new(&format!("http://{address}"), &setup.key);
    eventually("the second gateway", async || api.try_send(reqwest::Method::GET, "/livez", None, &[]).await.ok()).await;
    (gateway, api)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_share_the_work_and_one_goes_on_alone() {
    for database in BOTH {
        let mut setup = Setup::new("two-gateways", database);
        if setup.database_url.is_none() {
            setup.database_url = Some(format!("sqlite://{}", setup.folder.0.join("shared.db").display()));
        }
        let mut nats = ShippedNats::new(&mut setup);
        nats.start().await;
        let first = setup.start().await;
        let (second, second_api) = beside(&setup).await;
        let tenant = Tenant::new(&setup.api(), "acme").await;
        let of = &tenant.subscription;
        for _ in 0..20 {
            connect(of, &tenant.key).await.expect("one of them answers");
        }
        // What one gateway has done, the other one knows.
        let client = connect(of, &tenant.key).await.expect("connected");
        first.kill();
        for _ in 0..10 {
            connect(of, &tenant.key).await.expect("the other one answers");
        }
        let by = Api::new(&second_api.base, &tenant.api.key);
        let began = Instant::now();
        by.post(&format!("/v1/api-keys/{}/revoke", tenant.key_id), json!({})).await.expect(200);
        closed(&client).await;
        assert!(began.elapsed() < CUT_WITHIN, "{:?}", began.elapsed());
        is_refused(of, &tenant.key).await;
        let (_, another) = key(&by, json!({ "name": "another", "scopes": ["stream:read"] })).await;
        let live = connect(of, &another).await.expect("connected");

        // Nobody answers: nobody connects, and who is connected stays so.
        second.kill();
        // The client may take the server's first word for its consent; the server closes the connection in the end.
        if let Ok(client) = connect(of, &another).await {
            closed(&client).await;
        }
        assert_eq!(live.connection_state(), async_nats::connection::State::Connected);
        let again = setup.start().await;
        let made = events(&Api::new(&setup.api().base, &tenant.api.key), 1).await;
        assert_eq!(read(&consumer(of, live).await, 1).await, made);
        connect(of, &another).await.expect("answered again");
        assert!(again.stop().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_a_number_of_connections_and_wrong_keys_are_slowed() {
    let mut setup = Setup::new("bounded", Database::Sqlite);
    setup.set("BILLWIRE_STREAM_CONNECTIONS_PER_TENANT", "3").set("BILLWIRE_WRONG_CREDENTIALS_PER_MINUTE", "5");
    let gateway = setup.start().await;
    let tenant = Tenant::new(&setup.api(), "acme").await;
    let of = &tenant.subscription;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(connect(of, &tenant.key).await.expect("connected"));
    }
    is_refused(of, &tenant.key).await;
    open.pop();
    eventually("a place", async || connect(of, &tenant.key).await.ok()).await;
    for _ in 0..5 {
        assert!(connect(of, "wrong").await.is_err());
    }
    let began = Instant::now();
    assert!(connect(of, "wrong").await.is_err());
    assert!(began.elapsed() > Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(gateway.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_callout_subscriptions_are_refused_and_all_else_works() {
    let mut setup = Setup::new("no-callout", Database::Sqlite);
    let mut nats = billwire_tests::nats::Nats::new(&mut setup);
    nats.start(&setup, 1 << 20);
    let gateway = setup.start().await;
    let api = setup.api();
    api.bill_cycle(1).await;
    api.post("/v1/stream-subscriptions", json!({ "name": "s" })).await.refused(409, "stream_access_not_configured");
    assert_eq!(api.get("/v1/stream-subscriptions").await.expect(200)["items"], json!([]));
    assert!(gateway.stop().await.success());
    let half = setup.command(&["serve"]).env("BILLWIRE_NATS_CALLOUT_URL", "nats://a:b@127.0.0.1:1").output().expect("a run");
    assert!(String::from_utf8_lossy(&half.stderr).contains("belong together"), "{}", String::from_utf8_lossy(&half.stderr));
}
