//! Slots: sixteen consumers for everything, shared out among processes; queues that are held and catch up from SQL; and the take-over from
//! the version that had consumers for each queue.

use std::collections::{BTreeMap, BTreeSet};

use async_nats::{HeaderMap, jetstream};
use billwire_tests::{
    api::Api,
    eventually,
    gateway::{BOTH, Database, Gateway, Setup, nats_client},
    receiver::Receiver,
};
use futures::TryStreamExt;
use serde_json::{Value, json};

const SEAL: &str = "Billwire-Seal";

async fn world(name: &str, database: Database, roles: &str) -> (Setup, Receiver, Gateway, Api) {
    let mut setup = Setup::new(name, database);
    let receiver = Receiver::start().await;
    receiver.known_to(&mut setup);
    let gateway = setup.start_with(&["serve", "--roles", roles]).await;
    let api = setup.api();
    (setup, receiver, gateway, api)
}

const ALL: &str = "api,relay,clock,consumers";

async fn queue(api: &Api, receiver: &Receiver, name: &str, mode: &str) -> String {
    let endpoint = api.create("/v1/webhook-endpoints", json!({ "name": name, "url": receiver.url() })).await;
    let queue = api.create("/v1/queues", json!({ "name": name, "mode": mode, "eventTypes": ["account.*"] })).await;
    let action = json!({ "type": "webhook", "webhookEndpointId": endpoint, "path": format!("/{name}") });
    api.create("/v1/subscriptions", json!({ "name": name, "queueId": queue, "action": action })).await;
    queue
}

async fn set_status(api: &Api, account: &str, status: &str) {
    api.post(&format!("/v1/accounts/{account}/status"), json!({ "status": status })).await.expect(200);
}

async fn stream(setup: &Setup) -> jetstream::stream::Stream {
    let context = jetstream::new(nats_client(&setup.nats_address()).await);
    eventually("the stream", async || context.get_stream("BILLING").await.ok()).await
}

async fn consumers(setup: &Setup) -> Vec<String> {
    stream(setup).await.consumer_names().try_collect().await.expect("the consumers")
}

/// The first arrivals at a path, as ordering key and sequence; panics if one came before its predecessor.
fn in_order(receiver: &Receiver, path: &str) -> BTreeMap<String, i64> {
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for call in receiver.calls().into_iter().filter(|call| call.path.ends_with(path)) {
        let event = call.json();
        if seen.insert(event["id"].to_string()) {
            let sequence: i64 = event["sequence"].as_str().expect("a sequence").parse().expect("a number");
            let before = last.insert(event["partitionkey"].to_string(), sequence);
            assert!(before.is_none_or(|before| before < sequence), "{sequence} after {before:?}");
        }
    }
    last
}

fn arrived(receiver: &Receiver, path: &str) -> usize {
    let calls = receiver.calls().into_iter().filter(|call| call.path.ends_with(path));
    calls.map(|call| call.json()["id"].to_string()).collect::<BTreeSet<_>>().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_consumers_does_not_depend_on_the_number_of_queues() {
    let (setup, receiver, _gateway, api) = world("slots-consumers", Database::Sqlite, ALL).await;
    eventually("sixteen and the warehouse", async || (consumers(&setup).await.len() == 17).then_some(())).await;
    for number in 0..30 {
        queue(&api, &receiver, &format!("q{number}"), if number % 2 == 0 { "in_order" } else { "out_of_order" }).await;
    }
    let cycle = api.bill_cycle(1).await;
    api.account(&cycle).await;
    eventually("the event at every queue", async || (receiver.count() >= 30).then_some(())).await;
    let names = consumers(&setup).await;
    assert_eq!(names.len(), 17, "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn subjects_have_a_slot_and_messages_say_which_part_of_which_transaction_they_are() {
    let (setup, _receiver, gateway, api) = world("slots-subjects", Database::Sqlite, "api,relay,clock").await;
    let cycle = api.bill_cycle(1).await;
    let account = api.account(&cycle).await;
    set_status(&api, &account, "suspended").await;
    let stream = stream(&setup).await;
    let last = eventually("both events of the change", async || {
        stream.get_last_raw_message_by_subject("billing.default.account.status_changed.*.*").await.ok()
    })
    .await;
    let tokens: Vec<&str> = last.subject.split('.').collect();
    assert_eq!((tokens.len(), tokens[5]), (6, account.as_str()));
    assert!(tokens[4].len() == 2 && tokens[4].parse::<u8>().is_ok_and(|slot| slot < 16), "{tokens:?}");
    let event: Value = serde_json::from_slice(&last.payload).expect("JSON");
    assert_eq!((&event["transactionindex"], &event["transactionsize"]), (&json!(2), &json!(2)));
    assert_eq!((&event["operation"], &event["actor"]), (&json!("changeAccountStatus"), &json!("admin")));
    let id = event["transactionid"].as_str().expect("an id");
    let transaction = api.get(&format!("/v1/business-transactions/{id}")).await.expect(200);
    assert_eq!(transaction["events"].as_array().map(Vec::len), Some(2));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_queue_takes_in_what_the_stream_no_longer_has() {
    for database in BOTH {
        for mode in ["in_order", "out_of_order"] {
            let (setup, receiver, gateway, api) = world("slots-pause", database, ALL).await;
            let paused = queue(&api, &receiver, "paused", mode).await;
            queue(&api, &receiver, "running", mode).await;
            let cycle = api.bill_cycle(1).await;
            let before = api.account(&cycle).await;
            eventually("the first event at both", async || (receiver.count() == 2).then_some(())).await;
            api.post(&format!("/v1/queues/{paused}/pause"), json!({})).await.expect(200);
            let accounts = [before, api.account(&cycle).await, api.account(&cycle).await];
            for account in &accounts {
                for status in ["suspended", "active", "suspended"] {
                    set_status(&api, account, status).await;
                }
            }
            let all = arrived_all(&api).await;
            eventually("all at the running queue", async || (arrived(&receiver, "/running") == all).then_some(())).await;
            assert_eq!(arrived(&receiver, "/paused"), 1);
            let lag = api.get(&format!("/v1/queues/{paused}/statistics")).await.expect(200)["lag"].as_u64();
            assert!(lag >= Some(all as u64 - 1), "{lag:?}");
            stream(&setup).await.purge().await.expect("purged");
            api.post(&format!("/v1/queues/{paused}/resume"), json!({})).await.expect(200);
            set_status(&api, &accounts[1], "active").await;
            let all = arrived_all(&api).await;
            eventually("everything at the resumed queue", async || (arrived(&receiver, "/paused") == all).then_some(())).await;
            if mode == "in_order" {
                assert_eq!(in_order(&receiver, "/paused"), in_order(&receiver, "/running"));
            }
            assert!(gateway.stop().await.success());
        }
    }
}

/// How many events of accounts there are.
async fn arrived_all(api: &Api) -> usize {
    let events = api.get("/v1/events?limit=200").await.expect(200);
    let kind = |event: &&Value| event["type"].as_str().is_some_and(|kind| kind.starts_with("account."));
    events["items"].as_array().expect("items").iter().filter(kind).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_paused_and_resumed_under_load_without_loss_or_disorder() {
    for database in BOTH {
        let (_setup, receiver, gateway, api) = world("slots-pause-load", database, ALL).await;
        let paused = queue(&api, &receiver, "paused", "in_order").await;
        let cycle = api.bill_cycle(1).await;
        let accounts: Vec<String> = futures::future::join_all((0..8).map(|_| api.account(&cycle))).await;
        let load = accounts.iter().map(|account| {
            let api = &api;
            async move {
                for round in 0..12 {
                    set_status(api, account, if round % 2 == 0 { "suspended" } else { "active" }).await;
                }
            }
        });
        let switching = async {
            for _ in 0..6 {
                api.post(&format!("/v1/queues/{paused}/pause"), json!({})).await.expect(200);
                api.post(&format!("/v1/queues/{paused}/resume"), json!({})).await.expect(200);
            }
        };
        tokio::join!(futures::future::join_all(load), switching);
        // An account's creation has two events, a change of status two as well.
        let expected = arrived_all_pages(&api).await;
        eventually("everything", async || (arrived(&receiver, "/paused") == expected).then_some(())).await;
        assert_eq!(in_order(&receiver, "/paused").len(), accounts.len());
        assert!(gateway.stop().await.success());
    }
}

async fn arrived_all_pages(api: &Api) -> usize {
    let (mut count, mut cursor) = (0, String::new());
    loop {
        let page = api.get(&format!("/v1/events?limit=200{cursor}")).await.expect(200);
        let kind = |event: &&Value| event["type"].as_str().is_some_and(|kind| kind.starts_with("account."));
        count += page["items"].as_array().expect("items").iter().filter(kind).count();
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return count,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn four_processes_share_the_slots_out_and_three_take_over_from_one() {
    let (setup, receiver, gateway, api) = world("slots-shares", Database::Postgres, "api,relay,clock").await;
    queue(&api, &receiver, "q", "in_order").await;
    let mut processes: Vec<Gateway> = (0..4).map(|number| setup.consumers(number)).collect();
    let url = setup.database_url.clone().expect("PostgreSQL");
    let pool = sqlx::PgPool::connect(&url).await.expect("a connection");
    let shares = async || -> Vec<i64> {
        let sql = "SELECT COUNT(*) FROM lease WHERE name LIKE 'slot-%' AND expires_at > extract(epoch from clock_timestamp()) * 1000000 \
                   GROUP BY owner ORDER BY 1";
        sqlx::query_scalar(sql).fetch_all(&pool).await.expect("the leases")
    };
    eventually("four each", async || (shares().await == [4, 4, 4, 4]).then_some(())).await;
    processes.remove(0).kill();
    eventually("all slots with three", async || {
        let shares = shares().await;
        (shares.len() == 3 && shares.iter().sum::<i64>() == 16 && shares.iter().all(|share| *share <= 6)).then_some(())
    })
    .await;
    let cycle = api.bill_cycle(1).await;
    for _ in 0..20 {
        api.account(&cycle).await;
    }
    let expected = arrived_all(&api).await;
    eventually("events of every slot", async || (arrived(&receiver, "/q") == expected).then_some(())).await;
    // While the others still run: they have something left to acknowledge.
    assert!(gateway.stop().await.success());
}

/// A gateway of version 0.2 left events on the stream under subjects without slots, and consumers of its queues that had acknowledged some.
#[tokio::test(flavor = "multi_thread")]
async fn what_consumers_of_queues_had_not_acknowledged_is_delivered_and_they_are_deleted() {
    for database in BOTH {
        let (setup, receiver, gateway, api) = world("slots-take-over", database, "api,relay,clock").await;
        let queue = queue(&api, &receiver, "q", "in_order").await;
        let cycle = api.bill_cycle(1).await;
        let accounts: Vec<String> = futures::future::join_all((0..5).map(|_| api.account(&cycle))).await;
        for account in &accounts {
            set_status(&api, account, "suspended").await;
        }
        let expected = arrived_all(&api).await;
        without_slots(&setup, expected).await;
        let stream = stream(&setup).await;
        let config = jetstream::consumer::pull::Config {
            durable_name: Some(format!("queue-{queue}-p0-1")),
            filter_subject: "billing.default.>".to_owned(),
            ..Default::default()
        };
        let old = stream.create_consumer(config).await.expect("a consumer");
        let mut acknowledged = old.fetch().max_messages(3).messages().await.expect("messages");
        while let Some(message) = acknowledged.try_next().await.expect("a message") {
            message.double_ack().await.expect("acknowledged");
        }
        assert!(gateway.leaving("it stands for one of version 0.2 that was stopped in the middle").stop().await.success());

        not_taken_over(&setup).await;
        let gateway = setup.start().await;
        eventually("all that was not delivered", async || (arrived(&receiver, "/q") == expected).then_some(())).await;
        assert_eq!(in_order(&receiver, "/q").len(), accounts.len());
        let left: Vec<String> = consumers(&setup).await.into_iter().filter(|name| name.starts_with("queue-")).collect();
        assert!(left.is_empty(), "{left:?}");
        set_status(&api, &accounts[0], "active").await;
        eventually("what comes now", async || (arrived(&receiver, "/q") == expected + 2).then_some(())).await;
        in_order(&receiver, "/q");
        assert!(gateway.stop().await.success());
    }
}

/// The database says that version 0.2 wrote it.
async fn not_taken_over(setup: &Setup) {
    const SQL: &str = "DELETE FROM setting WHERE key = 'slots'";
    let done = match &setup.database_url {
        Some(url) => {
            sqlx::query(SQL).execute(&sqlx::PgPool::connect(url).await.expect("a connection")).await.expect("deleted").rows_affected()
        }
        None => {
            let url = format!("sqlite://{}", setup.data_dir().join("billwire.db").display());
            sqlx::query(SQL).execute(&sqlx::SqlitePool::connect(&url).await.expect("a connection")).await.expect("deleted").rows_affected()
        }
    };
    assert_eq!(done, 1);
}

/// Replaces the messages on the stream by the same ones with subjects as version 0.2 had them. Without a seal, which covers the subject.
async fn without_slots(setup: &Setup, at_least: usize) {
    let client = nats_client(&setup.nats_address()).await;
    let mut stream = stream(setup).await;
    let messages = eventually("all events on the stream", async || {
        let info = stream.info().await.expect("the stream").state.clone();
        (info.messages >= at_least as u64).then_some(info)
    })
    .await;
    let mut old = Vec::new();
    for sequence in messages.first_sequence..=messages.last_sequence {
        old.push(stream.get_raw_message(sequence).await.expect("a message"));
    }
    stream.purge().await.expect("purged");
    let context = jetstream::new(client);
    for message in old {
        let mut tokens: Vec<&str> = message.subject.split('.').collect();
        tokens.remove(4);
        let mut headers = HeaderMap::new();
        for (name, values) in message.headers.iter() {
            let text = name.to_string();
            let keep = !text.eq_ignore_ascii_case(SEAL) && !text.starts_with("Nats-");
            for value in values.iter().filter(|_| keep) {
                headers.append(name.clone(), value.clone());
            }
        }
        // The server still remembers the bare id.
        let id = message.headers.get("Nats-Msg-Id").expect("an id").as_str();
        headers.insert("Nats-Msg-Id", format!("{id}.old").as_str());
        context.publish_with_headers(tokens.join("."), headers, message.payload).await.expect("sent").await.expect("stored");
    }
}
