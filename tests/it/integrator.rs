//! The command line of integrators: what happened, what became of it, again, and an example of it.

use billwire_tests::{
    eventually,
    gateway::{Database, Setup},
    receiver::{Answer, Receiver},
};
use serde_json::{Value, json};

/// What a command prints, or what it fails with.
fn run(setup: &Setup, arguments: &[&str]) -> Result<String, String> {
    let base = setup.api().base;
    let output = setup.command(&[arguments, &["--api", &base, "--key", &setup.key]].concat()).output().expect("a run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn told(setup: &Setup, arguments: &[&str]) -> String {
    run(setup, arguments).unwrap_or_else(|why| panic!("{arguments:?}: {why}"))
}

/// What a command prints for programs.
fn json_of(setup: &Setup, arguments: &[&str]) -> Value {
    let printed = told(setup, &[arguments, &["--output", "json"]].concat());
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {printed}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_integrator_finds_what_failed_sees_why_and_mends_it_on_the_command_line() {
    let mut setup = Setup::new("integrator", Database::Sqlite);
    setup.set("BILLWIRE_WEBHOOK_RETRY_PLAN", "0s".to_owned());
    let receiver = Receiver::start().await;
    receiver.known_to(&mut setup);
    let gateway = setup.start().await;
    let api = setup.api();
    let schema = json!({ "type": "object", "properties": { "iccid": { "type": "string" } }, "required": ["iccid"] });
    api.post("/v1/event-types", json!({ "name": "sim_swapped", "title": "SIM swapped", "orderingKey": "key", "schema": schema }))
        .await
        .expect(201);
    let endpoint = api.create("/v1/webhook-endpoints", json!({ "name": "crm", "url": receiver.url() })).await;
    let queue = api.create("/v1/queues", json!({ "name": "all", "mode": "out_of_order", "eventTypes": ["account.*", "custom.*"] })).await;
    let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
    let subscription = api.create("/v1/subscriptions", json!({ "name": "news", "queueId": queue, "action": action })).await;
    receiver.script([Answer::Echo(400)]);
    let account = api.account(&api.bill_cycle(1).await).await;

    // Found, explained and seen with what was sent and what came back.
    let event = json_of(&setup, &["events", "list", "--type", "account.*", "--account", &account, "--from", "1h"])["items"][0].clone();
    let id = event["id"].as_str().expect("an id");
    assert_eq!(serde_json::from_str::<Value>(&told(&setup, &["events", "show", id])).ok(), Some(event.clone()));
    let listed = told(&setup, &["events", "list", "--limit", "1", "--type", "bill_cycle.created"]);
    assert!(listed.starts_with("TIME") && listed.lines().count() == 2 && listed.contains("bill_cycle.created"), "{listed}");
    let dead = eventually("a dead letter", async || {
        let found = json_of(&setup, &["dead-letters", "list", "--subscription", &subscription]);
        found["items"][0]["id"].as_str().map(str::to_owned)
    })
    .await;
    let explained = told(&setup, &["explain", id]);
    assert!(explained.contains(&format!("subscription 'news': matched; delivery {dead} dead (attempts: 1)")), "{explained}");
    let seen = told(&setup, &["deliveries", "show", &dead]);
    for shown in [
        "attempt 1 at ",
        ": 400 in ",
        &format!("> POST {}", receiver.url()),
        &format!("> webhook-id: {id}"),
        "< set-cookie: [redacted]",
        "< you said",
    ] {
        assert!(seen.contains(shown), "{shown} is not in\n{seen}");
    }

    // Mended: nothing is chosen by accident.
    let refused = run(&setup, &["dead-letters", "redrive"]).expect_err("refused");
    assert!(refused.contains("--all"), "{refused}");
    assert_eq!(told(&setup, &["dead-letters", "redrive", &dead]), "1 redriven");
    eventually("the success", async || {
        let found = json_of(&setup, &["deliveries", "list", "--state", "succeeded", "--event", id, "--status", "204"]);
        (found["items"][0]["id"] == dead.as_str()).then_some(())
    })
    .await;
    let refused = run(&setup, &["deliveries", "retry", &dead]).expect_err("it succeeded");
    assert!(refused.contains("409"), "{refused}");
    assert_eq!(told(&setup, &["dead-letters", "discard", "--all"]), "0 discarded");

    // Again, and an example of it.
    let counted = json_of(&setup, &["replay", &subscription, "--from", "1h", "--dry-run"]);
    assert_eq!((&counted["matched"], &counted["dryRun"]), (&json!(1), &json!(true)));
    let calls = receiver.count();
    told(&setup, &["replay", &subscription, "--from", "1h", "--types", "account.created"]);
    eventually("the replayed call", async || (receiver.count() > calls).then_some(())).await;
    let tested = told(&setup, &["trigger", "invoice.posted", "--endpoint", "crm"]);
    assert!(tested.starts_with("delivered: 204 in "), "{tested}");
    let submitted = json_of(&setup, &["trigger", "custom.sim_swapped", "--data", r#"{"iccid":"89"}"#, "--ordering-key", "k1"]);
    let submitted = submitted["items"][0]["transaction"]["events"][0]["id"].as_str().expect("an event").to_owned();
    eventually("the call of what was triggered", async || {
        receiver.calls().iter().any(|call| call.header("webhook-id") == submitted).then_some(())
    })
    .await;

    // What is wrong is said with what to do.
    for (arguments, said) in [
        (&["trigger", "invoice.posted"][..], "come from operations alone"),
        (&["trigger", "invoice.posted", "--endpoint", "nobody"], "--endpoint: there is no webhook endpoint 'nobody'"),
        (&["trigger", "custom.sim_swapped", "--data", "{"], "--data: "),
        (&["events", "list", "--from", "yesterday"], "or how long ago: 90s, 15m, 2h, 7d"),
        (&["events", "list", "--limit", "0"], "'--limit <LIMIT>'"),
        (&["events", "list", "--type", "invoice.nope*"], "the API answered 422"),
        (&["explain", "01a22cb2-bd11-771a-85bc-7af33cf680fc"], "the API answered 404"),
    ] {
        let refused = run(&setup, arguments).expect_err("refused");
        assert!(refused.contains(said), "{arguments:?}: {refused}");
    }
    let away = setup.command(&["events", "list", "--api", "http://127.0.0.1:9", "--key", "k"]).output().expect("a run");
    assert!(String::from_utf8_lossy(&away.stderr).contains("no answer from http://127.0.0.1:9/"), "{away:?}");
    assert!(gateway.stop().await.success());
}
