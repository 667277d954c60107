//! P8 and P11 for large events: events that do not fit the stream are refused before acceptance; events that cannot be published
//! nevertheless are set aside individually; invoices stay deliverable regardless of their number of lines.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{BOTH, Database, Gateway, Setup},
    nats::Nats,
    peers,
    receiver::Receiver,
    reserved_port,
    story::SECRET,
};
use serde_json::{Value, json};

/// Creates a custom type whose events carry a text, and a webhook subscription for it.
async fn noted(api: &Api, receiver: &Receiver) {
    let schema = json!({ "type": "object", "properties": { "text": { "type": "string" } } });
    let kind = json!({ "name": "noted", "title": "Noted", "orderingKey": "key", "schema": schema });
    api.post("/v1/event-types", kind).await.expect(201);
    wanted(api, receiver, "custom.noted").await;
}

/// Creates an in-order webhook subscription for events of these types.
async fn wanted(api: &Api, receiver: &Receiver, types: &str) {
    let endpoint = api.create("/v1/webhook-endpoints", json!({ "name": "e", "url": receiver.url(), "secret": SECRET })).await;
    let queue = api.create("/v1/queues", json!({ "name": "q", "mode": "in_order", "eventTypes": [types] })).await;
    let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
    api.create("/v1/subscriptions", json!({ "name": "w", "queueId": queue, "action": action })).await;
}

fn note(key: &str, text: &str) -> Value {
    json!({ "type": "custom.noted", "key": key, "data": { "text": text } })
}

/// The texts that arrived with an ordering key, in order; long texts are replaced by their length.
fn texts(receiver: &Receiver, key: &str) -> Vec<String> {
    let calls = receiver.calls().into_iter().map(|call| call.json()).filter(|call| call["partitionkey"] == key);
    let text = |call: Value| call["data"]["after"]["text"].as_str().unwrap().to_owned();
    calls.map(text).map(|text| if text.len() > 100 { text.len().to_string() } else { text }).collect()
}

/// A text that no message has room for, and a request has.
const LARGEST: usize = 1_046_500;

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_would_not_fit_is_refused_with_its_size_and_the_limit_and_stops_nobody() {
    for database in BOTH {
        let mut setup = Setup::new("event-size", database);
        let receiver = Receiver::start().await;
        receiver.known_to(&mut setup);
        let gateway = setup.start().await;
        let api = setup.api();
        noted(&api, &receiver).await;
        // The message contains the text in the data, and its beginning as a parameter.
        let items = json!({ "items": [note("a", "1"), note("a", &"x".repeat(LARGEST)), note("a", "2"), note("b", "1")] });
        let told = api.post("/v1/events", items).await.expect(202);
        let judged: Vec<_> = told["items"].as_array().unwrap().iter().map(|item| item["status"].as_str().unwrap()).collect();
        assert_eq!(judged, ["recorded", "refused", "recorded", "recorded"]);
        let problem = &told["items"][1]["problem"];
        assert_eq!(problem["code"], "event_too_large");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("1047552") && detail.contains("105"), "size and limit: {detail}");
        eventually("what was accepted", async || (texts(&receiver, "a") == ["1", "2"] && texts(&receiver, "b") == ["1"]).then_some(()))
            .await;
        // The largest accepted event reaches the stream, even in a batch, where headers are longest. Its key, like everything except the
        // text, is as long as that of the refused one.
        let size: usize = detail.split(|c: char| !c.is_ascii_digit()).find_map(|digits| digits.parse().ok()).expect("a size");
        let fits = "x".repeat(LARGEST - (size - 1_047_552));
        let mut items: Vec<Value> = (0..20).map(|n| note("others", &n.to_string())).collect();
        items.insert(10, note("c", &fits));
        let told = api.post("/v1/events", json!({ "items": items })).await.expect(202);
        assert!(told["items"].as_array().unwrap().iter().all(|item| item["status"] == "recorded"));
        let all = async || (texts(&receiver, "c").len() == 1 && texts(&receiver, "others").len() == 20).then_some(());
        eventually("the largest and those beside it", all).await;
        let sequences: Vec<_> = receiver.calls().iter().map(|call| call.json()["sequence"].as_str().unwrap().to_owned()).collect();
        assert!(sequences.iter().all(|sequence| sequence.parse::<i64>().unwrap() <= 20), "a refused one leaves no gap: {sequences:?}");
        assert!(gateway.stop().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_the_version_before_is_opened_with_what_it_holds() {
    let setup = Setup::new("before-set-aside", Database::Sqlite);
    let gateway = setup.start().await;
    let account = setup.api().account(&setup.api().bill_cycle(1).await).await;
    assert!(gateway.stop().await.success());
    let script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('DROP TABLE set_aside_event'); \
                  c.execute(\"DELETE FROM seaql_migrations WHERE version = 'm0002_set_aside_events'\"); c.commit()";
    let done = Command::new("python3").args(["-c", script]).arg(setup.data_dir().join("billwire.db")).status().expect("python3");
    assert!(done.success());
    let gateway = setup.start().await;
    let api = setup.api();
    assert_eq!(api.get(&format!("/v1/accounts/{account}")).await.expect(200)["version"], 1);
    assert_eq!(api.get("/v1/set-aside-events").await.expect(200), json!({ "items": [] }));
    assert!(gateway.stop().await.success());
}

/// Items with the ordering key `stuck` after the large event; more than the relay reads at once.
const BEHIND: usize = 1_200;

/// Two large events and many small ones with the same key, accepted while NATS is down.
async fn accepted_while_nats_is_away(api: &Api) {
    let large = "x".repeat(200_000);
    let items = json!({ "items": [note("stuck", "before"), note("stuck", &large), note("stuck", &large), note("free", "1")] });
    let told = api.post("/v1/events", items).await.expect(202);
    assert!(told["items"].as_array().unwrap().iter().all(|item| item["status"] == "recorded"), "it fits the limit known by now");
    for part in (0..BEHIND).collect::<Vec<_>>().chunks(1_000) {
        let items: Vec<Value> = part.iter().map(|n| note("stuck", &n.to_string())).collect();
        api.post("/v1/events", json!({ "items": items })).await.expect(202);
    }
    api.post("/v1/events", json!({ "items": [note("free", "2")] })).await.expect(202);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_a_lower_limit_stops_is_set_aside_with_its_key_alone_and_redriven_in_order() {
    for database in BOTH {
        let mut setup = Setup::new("set-aside", database);
        let receiver = Receiver::start().await;
        receiver.known_to(&mut setup);
        let mut nats = Nats::new(&mut setup);
        nats.start(&setup, 1 << 20);
        let gateway = setup.start().await;
        let api = setup.api();
        noted(&api, &receiver).await;
        api.post("/v1/events", json!({ "items": [note("free", "0")] })).await.expect(202);
        eventually("the first", async || (texts(&receiver, "free") == ["0"]).then_some(())).await;
        nats.stop();
        accepted_while_nats_is_away(&api).await;
        nats.start(&setup, 128 << 10);

        eventually("the other key's events", async || (texts(&receiver, "free") == ["0", "1", "2"]).then_some(())).await;
        eventually("what stands before the large one", async || (texts(&receiver, "stuck") == ["before"]).then_some(())).await;
        let aside = eventually("both, set aside", async || {
            let listed = api.get("/v1/set-aside-events").await.expect(200);
            let items = listed["items"].as_array()?.clone();
            (items.len() == 2 && items[0]["waiting"].as_u64() == Some(BEHIND as u64)).then_some(items)
        })
        .await;
        assert_eq!((&aside[1]["type"], &aside[1]["orderingKey"]), (&json!("custom.noted"), &json!("stuck")), "{aside:?}");
        assert_eq!(aside[1]["waiting"], BEHIND + 1, "the other large one too");
        assert!(aside[1]["size"].as_u64().unwrap() > 200_000 && aside[1]["sizeMax"] == 130_048, "{aside:?}");
        let ready = api.get("/readyz").await.expect(200);
        assert_eq!((&ready["parts"]["setAside"]["status"], &ready["setAsideEvents"]), (&json!("degraded"), &json!(2)), "{ready}");
        let told = api.get(&format!("/v1/events/{}/explanation", aside[1]["eventId"].as_str().unwrap())).await.expect(200);
        assert_eq!((&told["onStream"], &told["setAside"]), (&json!(false), &json!(true)));
        assert!(setup.log_tail().contains("set aside"), "the log tells of it");

        // Operations now know the limit, even in a process without NATS.
        refused_without_nats(&setup).await;
        // While the limit stays the same, a redrive has no effect and the event is not checked repeatedly.
        let redrive = json!({ "ids": [aside[1]["eventId"]] });
        assert_eq!(api.post("/v1/set-aside-events/redrive", redrive.clone()).await.expect(202), json!({ "events": 0, "tooLarge": 1 }));
        // A restart does not change that.
        assert!(gateway.leaving("events wait behind those that were set aside").stop().await.success());
        let gateway = setup.start().await;
        api.post("/v1/events", json!({ "items": [note("stuck", "last"), note("free", "3")] })).await.expect(202);
        eventually("the other key's next", async || texts(&receiver, "free").contains(&"3".to_owned()).then_some(())).await;
        assert_eq!(texts(&receiver, "stuck"), ["before"]);

        nats.stop();
        nats.start(&setup, 1 << 20);
        eventually("the larger limit", async || {
            let told = api.post("/v1/set-aside-events/redrive", json!({})).await.expect(202);
            (told["tooLarge"] == 0).then_some(())
        })
        .await;
        let expected: Vec<String> = ["before", "200000", "200000"]
            .map(str::to_owned)
            .into_iter()
            .chain((0..BEHIND).map(|n| n.to_string()))
            .chain(["last".to_owned()])
            .collect();
        eventually("the key's events", async || (texts(&receiver, "stuck").len() >= expected.len()).then_some(())).await;
        assert_eq!(texts(&receiver, "stuck"), expected, "each in its place, each once");
        assert_eq!(api.get("/v1/set-aside-events").await.expect(200), json!({ "items": [] }));
        assert_eq!(api.get("/readyz").await.expect(200)["parts"]["setAside"]["status"], "ok");
        let folder = setup.data_dir().join("warehouse");
        eventually("the warehouse", async || {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            let loaded = peers::warehouse(&folder);
            (loaded["gaps"] == 0 && loaded["rows"].as_u64()? >= (BEHIND + 8) as u64).then_some(())
        })
        .await;
        assert!(gateway.stop().await.success());
    }
}

/// An API-only process refuses events above the limit that another process has read from the server.
async fn refused_without_nats(setup: &Setup) {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], reserved_port()));
    let mut command = setup.command(&["serve", "--roles", "api"]);
    command.env("BILLWIRE_LISTEN", address.to_string()).env("BILLWIRE_DATA_DIR", setup.folder.0.join("api-alone"));
    command.env_remove("BILLWIRE_NATS_URL");
    if setup.database_url.is_none() {
        command.env("BILLWIRE_DATABASE_URL", format!("sqlite://{}", setup.data_dir().join("billwire.db").display()));
    }
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("billwire starts");
    let api = Api::new(&format!("http://{address}"), &setup.key);
    let body = json!({ "items": [note("alone", &"x".repeat(200_000))] });
    let told = eventually("an answer", async || {
        api.try_send(reqwest::Method::POST, "/v1/events", Some(&body), &[]).await.ok().filter(|answer| answer.status == 422)
    })
    .await;
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(told.json()["errors"][0]["code"], "event_too_large", "{}", told.text);
}

/// Creates package subscriptions of one account with several concurrent clients.
async fn subscribed(api: &Api, account: &str, package: &str, count: usize) {
    let next = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (api, next) = (api.clone(), next.clone());
            let body = json!({ "account": account, "package": package, "startDate": "2090-02-10" });
            tokio::spawn(async move {
                while next.fetch_add(1, Ordering::Relaxed) < count {
                    api.create("/v1/package-subscriptions", body.clone()).await;
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("subscribed");
    }
}

/// Records one charge of each of many types.
async fn charged(api: &Api, account: &str, types: usize) {
    for part in (0..types).collect::<Vec<_>>().chunks(1_000) {
        let item = |n: &usize| {
            let amount = json!({ "amount": "0.010000", "currency": "EUR" });
            json!({ "account": account, "type": format!("type-{n:05}"), "occurredAt": "2090-02-09T12:00:00Z", "amount": amount })
        };
        let items: Vec<Value> = part.iter().map(item).collect();
        let told = api.post("/v1/chargeable-events", json!({ "items": items })).await.expect(200);
        assert!(told["items"].as_array().unwrap().iter().all(|item| item["status"] == "recorded"));
    }
}

/// All lines of an invoice, from the operation that its events name.
async fn lines(api: &Api, invoice: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/v1/invoices/{invoice}/lines?limit=200{cursor}")).await.expect(200);
        items.extend(page["items"].as_array().expect("items").iter().cloned());
        let Some(next) = page["nextCursor"].as_str() else { return items };
        cursor = format!("&cursor={next}");
    }
}

const SUBSCRIPTIONS: usize = 2_270;
const CHARGE_TYPES: usize = 6_000;

/// A gateway with one account each of many subscriptions, many charge types and few items, all in one cycle; returns the accounts.
async fn many_lines(setup: &Setup, receiver: &Receiver) -> (Gateway, BTreeMap<String, usize>) {
    let gateway = setup.start().await;
    let api = setup.api();
    wanted(&api, receiver, "invoice.*").await;
    // Subscriptions are billable from the start, so that each needs one call only.
    let statuses = json!({ "statuses": [{ "name": "active", "billable": true }, { "name": "cancelled", "billable": false }],
                           "initial": "active", "cancelled": "cancelled", "transitions": [{ "from": "active", "to": "cancelled" }] });
    api.send(reqwest::Method::PUT, "/v1/billing-settings", Some(&json!({ "packageStatuses": statuses })), &[]).await.expect(200);
    api.post("/v1/test-clock", json!({ "now": "2090-02-10T00:00:00Z" })).await.expect(200);
    let cycle = json!({ "externalId": "MONTHLY", "name": "Monthly", "period": "month", "billingDay": 1 });
    api.post("/v1/bill-cycles", cycle).await.expect(201);
    let fee = json!({ "amount": "1.00", "currency": "EUR" });
    let package = api.create("/v1/packages", json!({ "name": "SIM", "recurringFee": fee })).await;
    let (subscriber, caller, small) = (api.account("MONTHLY").await, api.account("MONTHLY").await, api.account("MONTHLY").await);
    subscribed(&api, &subscriber, &package, SUBSCRIPTIONS).await;
    charged(&api, &caller, CHARGE_TYPES).await;
    charged(&api, &small, 2).await;
    (gateway, BTreeMap::from([(subscriber, SUBSCRIPTIONS), (caller, CHARGE_TYPES), (small, 2)]))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_of_thousands_of_lines_is_posted_and_delivered_and_its_lines_are_read_in_pages() {
    let mut setup = Setup::new("large-invoice", Database::Sqlite);
    let receiver = Receiver::start().await;
    receiver.known_to(&mut setup);
    let (gateway, accounts) = many_lines(&setup, &receiver).await;
    let api = setup.api();
    api.post("/v1/test-clock", json!({ "now": "2090-03-02T00:00:00Z" })).await.expect(200);
    api.post("/v1/bill-runs", json!({ "externalId": "RUN", "billCycle": "MONTHLY" })).await.expect(202);
    let run = eventually("the run's end", async || {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let run = api.get("/v1/bill-runs/RUN").await.json();
        (run["status"] == "completed").then_some(run)
    })
    .await;
    assert_eq!((&run["invoices"], &run["failed"]), (&json!(3), &json!(0)), "{run}");
    for (account, count) in &accounts {
        let listed = api.get(&format!("/v1/invoices?account={account}")).await.expect(200);
        let invoice = listed["items"][0]["id"].as_str().unwrap().to_owned();
        let delivered = api.post(&format!("/v1/invoices/{invoice}/deliver"), json!({})).await;
        assert!(delivered.text.len() < 200_000, "the answer is bounded: {} bytes", delivered.text.len());
        delivered.expect(200);
        let whole = api.get(&format!("/v1/invoices/{invoice}")).await.expect(200);
        assert_eq!(whole["lines"].as_array().map(Vec::len), Some(*count));
        assert_eq!(json!(lines(&api, &invoice).await), whole["lines"], "the pages are the whole");
    }
    let told = |kind: &str| {
        let calls = receiver.calls().into_iter().map(|call| call.json()).filter(|call| call["type"] == kind);
        calls.map(|call| (call["data"]["after"]["accountId"].as_str().unwrap().to_owned(), call)).collect::<BTreeMap<_, _>>()
    };
    for kind in ["invoice.posted", "invoice.delivered"] {
        eventually(&format!("{kind} of each account"), async || {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            (told(kind).len() == accounts.len()).then_some(())
        })
        .await;
        for (account, call) in told(kind) {
            let (count, after) = (accounts[&account], &call["data"]["after"]);
            println!("{kind}: {count} lines, {} bytes", call.to_string().len());
            assert!(call.to_string().len() < 200_000, "{count}");
            if count == 2 {
                assert_eq!(after["lines"].as_array().map(Vec::len), Some(2));
                assert!(after.get("lineCount").is_none() && after.get("linesOperation").is_none(), "{after}");
            } else {
                assert!(after.get("lines").is_none());
                assert_eq!((&after["lineCount"], &after["linesOperation"]), (&json!(count), &json!("getInvoiceLines")));
            }
        }
    }
    assert!(gateway.stop().await.success());
}
