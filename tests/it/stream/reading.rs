//! Subscribers in Python, JavaScript and Rust read their own events.

use std::collections::BTreeSet;

use billwire_tests::{
    eventually,
    gateway::{BOTH, Database, Setup, signal},
    peers::Peer,
    receiver::Receiver,
    required,
};
use serde_json::{Value, json};

use super::{Subscription, Tenant, connect, consumer, events, read, read_messages, subscription};

fn reader(script: &str, of: &Subscription, key: &str) -> Peer {
    Peer::start(script, &[&of.url, key, &of.inbox, &of.consumer])
}

/// The ids of all events that a peer has told of, which are all of `source`.
struct Heard {
    ids: BTreeSet<String>,
    source: String,
}

impl Heard {
    fn of(source: String) -> Self {
        Self { ids: BTreeSet::new(), source }
    }

    async fn all(&mut self, peer: &Peer, expected: &[String]) {
        eventually("the events", async || {
            for line in peer.heard() {
                if let Some(id) = line["event"].as_str() {
                    assert_eq!(line["source"], self.source, "{line}");
                    self.ids.insert(id.to_owned());
                }
            }
            expected.iter().all(|id| self.ids.contains(id)).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_of_two_tenants_read_their_own_events_in_three_languages_and_go_on_after_a_restart() {
    for database in BOTH {
        let setup = Setup::new("subscribers", database);
        let gateway = setup.start().await;
        let operator = setup.api();
        let tenants = [Tenant::new(&operator, "acme").await, Tenant::new(&operator, "neighbour").await];
        let mut readers = Vec::new();
        for tenant in &tenants {
            for script in ["nats_reader.py", "nats_reader.cjs"] {
                let own = subscription(&tenant.api, json!({ "name": script })).await;
                readers.push((tenant, reader(script, &own, &tenant.key), Heard::of(tenant.source())));
            }
        }
        for round in 0..2 {
            let mut made = Vec::new();
            for tenant in &tenants {
                made.push((tenant.name, events(&tenant.api, 9).await));
            }
            for (tenant, peer, heard) in &mut readers {
                let (_, own) = made.iter().find(|(name, _)| *name == tenant.name).expect("made");
                heard.all(peer, own).await;
            }
            for tenant in &tenants {
                let rust = consumer(&tenant.subscription, connect(&tenant.subscription, &tenant.key).await.expect("connected")).await;
                let (_, own) = made.iter().find(|(name, _)| *name == tenant.name).expect("made");
                let mut found = BTreeSet::new();
                // What the killed server has not written down as acknowledged comes again.
                while !own.iter().all(|id| found.contains(id)) {
                    found.extend(read(&rust, 1).await);
                }
                let of_tenant = |id: &String| made.iter().all(|(name, ids)| *name == tenant.name || !ids.contains(id));
                assert!(found.iter().all(of_tenant), "nothing of the other tenant");
            }
            if round == 0 {
                // It comes back on the same port, with all consumers.
                signal(&setup.nats_pid().expect("running"), "-9");
            }
        }
        for (tenant, ..) in &readers {
            let listed = tenant.api.get("/v1/stream-subscriptions").await.expect(200);
            assert_eq!(listed["items"].as_array().map(Vec::len), Some(3));
        }
        drop(readers);
        assert!(gateway.stop().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_business_transactions_are_read_by_who_chose_them_and_go_to_no_queue() {
    for database in BOTH {
        let mut setup = Setup::new("whole-transactions", database);
        let receiver = Receiver::start().await;
        receiver.known_to(&mut setup);
        let gateway = setup.start().await;
        let api = setup.api();
        api.put("/v1/stream-settings", json!({ "businessTransactions": true })).await.expect(200);
        let endpoint = api.create("/v1/webhook-endpoints", json!({ "name": "e", "url": receiver.url() })).await;
        let queue = api.create("/v1/queues", json!({ "name": "q", "mode": "in_order", "eventTypes": ["*"] })).await;
        let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
        api.create("/v1/subscriptions", json!({ "name": "s", "queueId": queue, "action": action })).await;
        let finance = subscription(&api, json!({ "name": "finance", "eventTypes": ["business_transaction.*"] })).await;
        let everything = subscription(&api, json!({ "name": "everything" })).await;

        let account = api.account(&api.bill_cycle(1).await).await;
        let change =
            api.post(&format!("/v1/accounts/{account}/status"), json!({ "status": "suspended", "reason": "unpaid" })).await.expect(200);
        let open = async |of: &Subscription| consumer(of, connect(of, &setup.key).await.expect("connected")).await;
        let wholes = read_messages(&open(&finance).await, 3).await;
        let types: Vec<&str> = wholes.iter().filter_map(|whole| whole["type"].as_str()).collect();
        let operations = ["createBillCycle", "createAccount", "changeAccountStatus"];
        assert_eq!(types, operations.map(|operation| format!("business_transaction.{operation}")));
        assert_eq!(wholes[2]["data"]["after"], change, "what the operation returned");

        // One, one, and two events, each with the whole behind it.
        let all = read_messages(&open(&everything).await, 7).await;
        let types: Vec<&str> = all.iter().filter_map(|message| message["type"].as_str()).collect();
        assert_eq!(types[4..], ["account.updated", "account.status_changed", "business_transaction.changeAccountStatus"]);
        assert!(all[4..].iter().all(|message| message["transactionid"] == change["id"]));

        let calls = eventually("the webhook calls", async || {
            let calls = receiver.calls();
            (calls.len() >= 4).then_some(calls)
        })
        .await;
        let sent: Vec<Value> = calls.iter().map(|call| call.json()["type"].clone()).collect();
        let events = json!(["bill_cycle.created", "account.created", "account.updated", "account.status_changed"]);
        assert_eq!(
            BTreeSet::from_iter(sent.iter().filter_map(Value::as_str)),
            events.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
        );
        let explained = api.get(&format!("/v1/events/{}/explanation", wholes[2]["id"].as_str().expect("an id"))).await.expect(200);
        assert_eq!(
            explained["queues"].as_array().map(|queues| queues.iter().filter(|one| one["registered"] == true).count()),
            Some(0),
            "{explained}"
        );
        assert!(gateway.stop().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selection_a_start_and_a_reset_decide_what_is_read() {
    let setup = Setup::new("selection", Database::Sqlite);
    let gateway = setup.start().await;
    let api = setup.api();
    let before = events(&api, 3).await;
    eventually("the events to be published", async || {
        let mut stream = super::admin(&setup).await.get_stream("BILLING").await.ok()?;
        (stream.info().await.ok()?.state.messages >= 3).then_some(())
    })
    .await;
    let between = chrono::Utc::now();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let now = subscription(&api, json!({ "name": "now" })).await;
    let all = subscription(&api, json!({ "name": "all", "start": { "type": "everything" } })).await;
    let timed = subscription(&api, json!({ "name": "timed", "start": { "type": "time", "at": between } })).await;
    let accounts = subscription(&api, json!({ "name": "accounts", "eventTypes": ["account.*", "*.deleted"] })).await;
    let after = events(&api, 2).await;
    let cycle = api.bill_cycle(3).await;
    api.account(&cycle).await;
    let cycle_made = 1;

    let key = setup.key.clone();
    let open = async |of: &Subscription| consumer(of, connect(of, &key).await.expect("connected")).await;
    let (mut now_reader, all_reader) = (open(&now).await, open(&all).await);
    assert_eq!(read(&now_reader, 2).await, after);
    assert_eq!(read(&all_reader, 5).await, [before.clone(), after.clone()].concat());
    assert_eq!(read(&open(&timed).await, 2).await, after);
    let found: Vec<String> = read(&open(&accounts).await, 1).await;
    let event = api.get(&format!("/v1/events/{}", found[0])).await.expect(200);
    assert_eq!(event["type"], "account.created");

    // In place: the connection and its consumer go on.
    read(&now_reader, cycle_made + 1).await;
    let reset = format!("/v1/stream-subscriptions/{}/reset", now.id);
    api.post(&reset, json!({ "start": { "type": "everything" } })).await.expect(200);
    assert_eq!(read(&now_reader, 3).await, before);
    api.post(&reset, json!({ "start": { "type": "time", "at": between } })).await.expect(200);
    assert_eq!(read(&now_reader, 2).await, after);
    api.post(&reset, json!({ "start": { "type": "now" } })).await.expect(200);
    let fresh = events(&api, 1).await;
    assert_eq!(read(&now_reader, 1).await, fresh);
    assert_eq!(now_reader.info().await.expect("the consumer's state").num_pending, 0);

    let shown = eventually("the progress", async || {
        let shown = api.get(&format!("/v1/stream-subscriptions/{}", now.id)).await.expect(200);
        (shown["progress"]["pending"] == 0 && shown["progress"]["acknowledgedAt"].is_string()).then_some(shown)
    })
    .await;
    assert_eq!((&shown["progress"]["outstanding"], &shown["resets"]), (&json!(0), &json!(3)));
    api.delete(&format!("/v1/stream-subscriptions/{}", now.id)).await.expect(200);
    eventually("the consumer to go", async || {
        let stream = super::admin(&setup).await.get_stream("BILLING").await.expect("the stream");
        stream.consumer_info(&now.consumer).await.is_err().then_some(())
    })
    .await;
    assert!(gateway.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_examples_run_as_they_are() {
    let setup = Setup::new("examples", Database::Sqlite);
    let gateway = setup.start().await;
    let api = setup.api();
    let base = format!("http://{}", setup.address);
    for language in ["python", "javascript"] {
        subscription(&api, json!({ "name": language })).await;
        let printed = |more: &[&str]| {
            let arguments = [&["stream", "credentials", language, "--api", &base], more].concat();
            let output = setup.command(&arguments).output().expect("a run");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).expect("text")
        };
        let file = setup.folder.0.join(format!("example-{language}.mjs"));
        std::fs::write(&file, printed(&["--example", language])).expect("written");
        let made = events(&api, 2).await;
        let mut command = if language == "python" {
            std::process::Command::new(required("BILLWIRE_TEST_PYTHON"))
        } else {
            let js = std::path::PathBuf::from(required("BILLWIRE_TEST_JS"));
            std::os::unix::fs::symlink(js.join("node_modules"), setup.folder.0.join("node_modules")).expect("linked");
            std::process::Command::new(js.join("node"))
        };
        let mut child = tokio::process::Command::from({
            command.arg(&file).env("BILLWIRE_API_KEY", &setup.key).stdout(std::process::Stdio::piped());
            command
        })
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
        let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(child.stdout.take().expect("a pipe")));
        for id in made {
            let line =
                tokio::time::timeout(billwire_tests::PATIENCE, lines.next_line()).await.expect("in time").expect("read").expect("a line");
            assert_eq!(serde_json::from_str::<Value>(&line).expect("an event")["id"], id);
        }
        let context: Value = serde_json::from_str(&printed(&["--output", "json"])).expect("a context");
        assert_eq!(context["password"], setup.key);
        assert!(printed(&[]).contains("async_nats"));
    }
    assert!(gateway.stop().await.success());
}
