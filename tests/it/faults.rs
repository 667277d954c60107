//! P1-P7 under `kill -9`. Clients work continuously and record the replies; the gateway is killed at random times; in the end the recorded
//! history is compared with receiver and warehouse.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_nats::jetstream::{self, consumer::pull::OrderedConfig};
use billwire_tests::{
    api::Api,
    eventually,
    gateway::{Database, Setup, kill, nats_client, signal},
    peers,
    receiver::{Answer, Receiver},
    story::subscribe,
};
use futures::StreamExt;
use serde_json::{Value, json};

const ACCOUNTS: usize = 12;
const CLIENTS: usize = 4;

/// The replies the clients received.
#[derive(Default)]
struct History {
    /// Reply by idempotency key: exactly the accepted operations.
    accepted: Mutex<BTreeMap<String, Value>>,
    /// Requests without a reply: (key, path, body).
    unknown: Mutex<Vec<(String, String, Value)>>,
    asked: AtomicUsize,
}

/// Changes accounts continuously until `stop`. An operation whose reply is lost is repeated later with the same key until it gets a
/// reply.
async fn work(api: Api, client: usize, accounts: Arc<Vec<String>>, cycles: Arc<Vec<String>>, history: Arc<History>, stop: Arc<AtomicBool>) {
    let mut n = 0usize;
    while !stop.load(Ordering::Relaxed) {
        let again = history.unknown.lock().unwrap().pop();
        let (key, path, body) = again.unwrap_or_else(|| {
            n += 1;
            history.asked.fetch_add(1, Ordering::Relaxed);
            // Each client has its own accounts, so an account's history must follow the client's order.
            let account = &accounts[client + CLIENTS * (n % (ACCOUNTS / CLIENTS))];
            (format!("c{client}-{n}"), format!("/v1/accounts/{account}/bill-cycle"), json!({ "billCycle": cycles[n % 2] }))
        });
        match api.try_send(reqwest::Method::POST, &path, Some(&body), &[("Idempotency-Key", &key)]).await {
            Ok(answer) if answer.status == 200 => {
                let before = history.accepted.lock().unwrap().insert(key.clone(), answer.json());
                assert!(before.is_none_or(|b| b == answer.json()), "{key} was answered twice, differently");
            }
            Ok(answer) if answer.status != 503 => panic!("{key}: {} {}", answer.status, answer.text),
            _ => {
                history.unknown.lock().unwrap().push((key, path, body));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

/// A pseudo-random sequence; a run can be repeated with its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// Every event on the stream, by stream sequence.
async fn stream(setup: &Setup) -> BTreeMap<u64, Value> {
    let stream = jetstream::new(nats_client(&setup.nats_address()).await).get_stream("BILLING").await.expect("the stream");
    let last = stream.get_info().await.expect("its state").state.last_sequence;
    let consumer = stream.create_consumer(OrderedConfig::default()).await.expect("a consumer");
    let mut messages = consumer.messages().await.expect("messages");
    let mut events = BTreeMap::new();
    while events.keys().last() < Some(&last) {
        let message = messages.next().await.expect("no end").expect("a message");
        events.insert(message.info().expect("a place").stream_sequence, serde_json::from_slice(&message.payload).expect("JSON"));
    }
    events
}

/// P4: how many transactions' messages do not stand in the stream one after the other, in their order.
fn cut_transactions(seen: &BTreeMap<u64, Value>, transactions: &BTreeMap<String, Vec<String>>) -> usize {
    let mut first: HashMap<&str, u64> = HashMap::new();
    for (at, event) in seen {
        first.entry(event["id"].as_str().unwrap()).or_insert(*at);
    }
    let is_cut = |events: &&Vec<String>| {
        let places: Vec<u64> = events.iter().map(|id| first[id.as_str()]).collect();
        assert!(places.is_sorted(), "{events:?} are out of order at {places:?}");
        places.windows(2).any(|pair| pair[1] != pair[0] + 1)
    };
    transactions.values().filter(is_cut).count()
}

struct Scene {
    setup: Setup,
    receiver: Receiver,
    api: Api,
    accounts: Arc<Vec<String>>,
    cycles: Arc<Vec<String>>,
    /// Events of the set-up that must be delivered.
    owed: Vec<Value>,
}

/// Creates accounts, cycles and one in-order webhook subscription for everything. The gateway keeps running.
async fn scene(name: &str, database: Database) -> (Scene, billwire_tests::gateway::Gateway) {
    let mut setup = Setup::new(name, database);
    let receiver = Receiver::start().await;
    receiver.known_to(&mut setup);
    setup.set("BILLWIRE_WEBHOOK_RETRY_PLAN", vec!["100ms"; 200].join(","));
    setup.set("BILLWIRE_LOG", "warn");
    let gateway = setup.start().await;
    let api = setup.api();
    subscribe(&api, &receiver, "all", "in_order").await;
    let mut owed = Vec::new();
    let mut cycles = Vec::new();
    for day in [1, 15] {
        let made = api.post("/v1/bill-cycles", json!({ "name": "c", "period": "month", "billingDay": day })).await.expect(201);
        cycles.push(made["entities"][0]["id"].as_str().unwrap().to_owned());
        owed.push(made);
    }
    let mut accounts = Vec::new();
    for i in 0..ACCOUNTS {
        let body = json!({ "name": format!("Account {i}"), "currency": "EUR", "billCycle": cycles[0] });
        let made = api.post("/v1/accounts", body).await.expect(201);
        accounts.push(made["entities"][0]["id"].as_str().unwrap().to_owned());
        owed.push(made);
    }
    let (accounts, cycles) = (Arc::new(accounts), Arc::new(cycles));
    (Scene { setup, receiver, api, accounts, cycles, owed }, gateway)
}

impl Scene {
    fn start_work(&self, history: &Arc<History>, stop: &Arc<AtomicBool>) -> Vec<tokio::task::JoinHandle<()>> {
        let one = |client| work(self.api.clone(), client, self.accounts.clone(), self.cycles.clone(), history.clone(), stop.clone());
        (0..CLIENTS).map(|client| tokio::spawn(one(client))).collect()
    }

    /// Waits until everything is delivered and loaded, then checks P1 to P7.
    async fn check(&self, history: &History) {
        let accepted = history.accepted.lock().unwrap().clone();
        // P1: every accepted operation still returns the same reply for its key, and no account changed more often than accepted.
        let mut changes: HashMap<String, i64> = HashMap::new();
        for transaction in accepted.values() {
            *changes.entry(transaction["account"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        for account in self.accounts.iter() {
            let version = self.api.get(&format!("/v1/accounts/{account}")).await.expect(200)["version"].as_i64().unwrap();
            assert_eq!(version, 1 + changes.get(account).copied().unwrap_or(0), "account {account}: accepted and kept differ");
        }
        let owed: BTreeSet<String> = self
            .owed
            .iter()
            .chain(accepted.values())
            .flat_map(|t| t["events"].as_array().unwrap().iter().map(|e| e["id"].as_str().unwrap().to_owned()))
            .collect();

        // P2, P3, P7: the warehouse contains exactly the expected events, each once; P5: without gaps per key.
        let folder = self.setup.data_dir().join("warehouse");
        let loaded = eventually("the warehouse", async || {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let loaded = peers::warehouse(&folder);
            (loaded["rows"].as_u64()? >= owed.len() as u64).then_some(loaded)
        })
        .await;
        let held: BTreeSet<String> = loaded["ids"].as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect();
        assert_eq!(held.difference(&owed).collect::<Vec<_>>(), Vec::<&String>::new(), "invented");
        assert_eq!(owed.difference(&held).collect::<Vec<_>>(), Vec::<&String>::new(), "lost");
        assert_eq!(loaded["rows"].as_u64(), Some(owed.len() as u64), "each once");
        assert_eq!(loaded["gaps"], 0);

        // P2, P3, P6 at the receiver, and P5: per key, first occurrences arrive in order without gaps.
        eventually("the last webhooks", async || {
            let got: BTreeSet<String> = self.receiver.calls().iter().map(|c| c.header("webhook-id").to_owned()).collect();
            got.is_superset(&owed).then_some(())
        })
        .await;
        let mut last: HashMap<String, i64> = HashMap::new();
        let mut seen = BTreeSet::new();
        let mut repeats = 0;
        for call in self.receiver.calls() {
            let event = call.json();
            let id = event["id"].as_str().unwrap().to_owned();
            assert!(owed.contains(&id), "invented: {id}");
            if !seen.insert(id) {
                repeats += 1;
                continue;
            }
            let (key, sequence) =
                (event["partitionkey"].as_str().unwrap().to_owned(), event["sequence"].as_str().unwrap().parse::<i64>().unwrap());
            let before = last.insert(key.clone(), sequence).unwrap_or(0);
            assert_eq!(sequence, before + 1, "key {key}: {sequence} came after {before}");
        }
        println!("{} operations accepted, {} events, {repeats} webhooks repeated", accepted.len(), owed.len());
    }

    /// The events of every transaction, by its id.
    fn transactions(&self, history: &History) -> BTreeMap<String, Vec<String>> {
        let text = |value: &Value| value["id"].as_str().unwrap().to_owned();
        let accepted = history.accepted.lock().unwrap();
        let all = self.owed.iter().chain(accepted.values());
        all.map(|transaction| (text(transaction), transaction["events"].as_array().unwrap().iter().map(text).collect())).collect()
    }

    /// Repeats every request whose reply was lost.
    async fn settle(&self, history: &Arc<History>) {
        let unknown = std::mem::take(&mut *history.unknown.lock().unwrap());
        for (key, path, body) in unknown {
            let answer = self.api.send(reqwest::Method::POST, &path, Some(&body), &[("Idempotency-Key", &key)]).await.expect(200);
            history.accepted.lock().unwrap().insert(key, answer);
        }
    }
}

/// `nats_too`: nats-server is killed as well. Killed while it stores a batch, it may keep the beginning of the batch alone; the rest then
/// follows right behind.
async fn killed_at_random(database: Database, rounds: u64, seed: u64, nats_too: bool) {
    let (scene, mut gateway) = scene("kill", database).await;
    let (history, stop) = (Arc::new(History::default()), Arc::new(AtomicBool::new(false)));
    let workers = scene.start_work(&history, &stop);
    let mut dice = Dice(seed);
    for round in 0..rounds {
        // Mostly short runs, and some long enough for leases, retries and loads to start.
        let life = if round % 5 == 4 { 1500 } else { 50 + dice.roll(500) };
        tokio::time::sleep(Duration::from_millis(life)).await;
        // The receiver also fails at times. Failures do not accumulate, or the receiver would get hardly any calls between kills.
        scene.receiver.forget_script();
        scene.receiver.script((0..dice.roll(6)).map(|_| Answer::Status(503)));
        gateway.kill();
        if nats_too
            && dice.roll(3) == 0
            && let Some(pid) = scene.setup.nats_pid()
        {
            signal(&pid, "-9");
        }
        gateway = scene.setup.start().await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    // Fewer would be no evidence.
    let enough = async || (history.accepted.lock().unwrap().len() as u64 > rounds).then_some(());
    eventually("more operations accepted than kills", enough).await;
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.expect("the client's own checks hold");
    }
    scene.settle(&history).await;
    scene.check(&history).await;
    let cut = cut_transactions(&stream(&scene.setup).await, &scene.transactions(&history));
    assert_eq!(cut, 0, "transactions are cut");
    gateway.stop().await;
}

/// Kills per database in `make test`; `BILLWIRE_TEST_KILLS` sets another number.
fn rounds() -> u64 {
    std::env::var("BILLWIRE_TEST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(50)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_invented_doubled_or_reordered_by_kills_on_sqlite() {
    killed_at_random(Database::Sqlite, rounds(), 4711, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_invented_doubled_or_reordered_by_kills_on_postgres() {
    killed_at_random(Database::Postgres, rounds(), 1742, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_stay_whole_on_the_stream_while_the_gateway_is_killed() {
    killed_at_random(Database::Postgres, rounds() / 3, 2671, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_are_accepted_while_nats_is_away_and_told_when_it_is_back() {
    let (scene, gateway) = scene("nats-away", Database::Sqlite).await;
    let (history, stop) = (Arc::new(History::default()), Arc::new(AtomicBool::new(false)));
    assert!(gateway.stop().await.success());
    // The same store, but NATS as a server of its own that can go and come back.
    let port = billwire_tests::reserved_port();
    let mut scene = scene;
    let mut server = scene.setup.nats_server(port);
    let gateway = scene.setup.start().await;
    let workers = scene.start_work(&history, &stop);
    let accepted = || history.accepted.lock().unwrap().len();
    for _ in 0..3 {
        let before = accepted();
        tokio::time::sleep(Duration::from_millis(1000)).await;
        let with = accepted() - before;
        drop(server);
        let before = accepted();
        tokio::time::sleep(Duration::from_millis(1000)).await;
        println!("{with} operations accepted in a second with NATS, {} in one without", accepted() - before);
        eventually("accepting to go on while NATS is away", async || (accepted() > before + 10).then_some(())).await;
        server = scene.setup.nats_server(port);
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.expect("the client's own checks hold");
    }
    scene.settle(&history).await;
    scene.check(&history).await;
    gateway.stop().await;
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_nats_server_that_dies_alone_is_started_again_and_nothing_is_lost() {
    let (scene, gateway) = scene("nats-dies", Database::Sqlite).await;
    let (history, stop) = (Arc::new(History::default()), Arc::new(AtomicBool::new(false)));
    let workers = scene.start_work(&history, &stop);
    let address = scene.setup.nats_address();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let pid = scene.setup.nats_pid().expect("a pid");
        signal(&pid, "-9");
        eventually("another nats-server", async || scene.setup.nats_pid().filter(|now| !now.is_empty() && *now != pid)).await;
    }
    assert_eq!(scene.setup.nats_address(), address, "the same port and login, so that every client comes back");
    tokio::time::sleep(Duration::from_millis(700)).await;
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.expect("the client's own checks hold");
    }
    scene.settle(&history).await;
    scene.check(&history).await;
    let log = std::fs::read_to_string(scene.setup.folder.0.join("gateway.log")).unwrap();
    assert!(log.contains("the private nats-server ended unexpectedly"), "told of");
    assert!(gateway.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_deleted_is_filled_again_and_nothing_is_delivered_or_loaded_twice_as_new() {
    let (scene, gateway) = scene("stream-lost", Database::Sqlite).await;
    let (history, stop) = (Arc::new(History::default()), Arc::new(AtomicBool::new(false)));
    let workers = scene.start_work(&history, &stop);
    tokio::time::sleep(Duration::from_millis(1000)).await;
    gateway.kill();
    let pid = scene.setup.nats_pid().expect("a pid");
    kill(&pid).await;
    std::fs::remove_dir_all(scene.setup.data_dir().join("nats/store")).expect("the store is gone");
    let gateway = scene.setup.start().await;
    tokio::time::sleep(Duration::from_millis(1000)).await;
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.expect("the client's own checks hold");
    }
    scene.settle(&history).await;
    scene.check(&history).await;
    gateway.stop().await;
}
