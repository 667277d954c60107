//! Drills: operators, outsiders and full disks at work while clients are. Each ends with one comparison: what the API says happened is on the
//! stream, at the receiver, in the warehouse and in the database, each event once and in order.

mod answers;
mod deadlines;
mod disk;
mod due;
mod pool;
pub(crate) mod recover;
pub(crate) mod restore;
mod speed;
mod start;
pub(crate) mod stream;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_nats::jetstream::{self, consumer::pull::OrderedConfig};
use billwire_tests::{
    api::{Answer, Api},
    eventually,
    gateway::{Database, Gateway, Setup, nats_client},
    peers,
    receiver::Receiver,
    story::subscribe,
};
use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::task::JoinHandle;

/// Clients of every drill.
const CLIENTS: usize = 6;

/// A request with its own Idempotency-Key, and its answer.
#[derive(Clone)]
struct Asked {
    client: usize,
    key: String,
    /// External id of the account to create or change.
    account: String,
    creates: bool,
    body: Value,
    answer: Answer,
    began: Instant,
    took: Duration,
}

impl Asked {
    /// The status, the code of a refusal, and whether it says when to retry.
    fn told(&self) -> String {
        if self.is_accepted() {
            return self.answer.status.to_string();
        }
        let again = if self.answer.headers.contains_key("retry-after") { ", Retry-After" } else { "" };
        format!("{} {}{again}", self.answer.status, self.answer.json()["code"].as_str().unwrap_or_default())
    }

    fn is_accepted(&self) -> bool {
        matches!(self.answer.status, 200 | 201)
    }
}

/// A gateway with one in-order subscription for everything, and clients that work.
pub(crate) struct Scene {
    pub(crate) setup: Setup,
    pub(crate) receiver: Receiver,
    pub(crate) api: Api,
    cycle: Value,
    /// Other business transactions of the drill.
    pub(crate) more: Vec<Value>,
    asked: Arc<Mutex<Vec<Asked>>>,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
    /// How often the clients were started.
    round: usize,
    /// How long each client waits between two requests.
    pub(crate) pause: Duration,
}

impl Scene {
    pub(crate) async fn new(name: &str, database: Database) -> (Self, Gateway) {
        Self::on(Setup::new(name, database)).await
    }

    pub(crate) async fn on(mut setup: Setup) -> (Self, Gateway) {
        let receiver = Receiver::start().await;
        receiver.known_to(&mut setup);
        setup.set("BILLWIRE_WEBHOOK_RETRY_PLAN", vec!["100ms"; 200].join(","));
        let gateway = setup.start().await;
        let api = setup.api();
        subscribe(&api, &receiver, "all", "in_order").await;
        let cycle = api.post("/v1/bill-cycles", json!({ "name": "c", "period": "month", "billingDay": 1 })).await.expect(201);
        (
            Self {
                setup,
                receiver,
                api,
                cycle,
                more: Vec::new(),
                asked: Arc::default(),
                stop: Arc::default(),
                clients: Vec::new(),
                round: 0,
                pause: Duration::ZERO,
            },
            gateway,
        )
    }

    /// Starts the clients, each with an account of its own, and waits until all are at work.
    pub(crate) async fn start_work(&mut self) {
        self.round += 1;
        let round = self.round;
        for client in 0..CLIENTS {
            let cycle = self.cycle["entities"][0]["id"].as_str().expect("an id").to_owned();
            let (api, asked, stop, pause) = (self.api.clone(), self.asked.clone(), self.stop.clone(), self.pause);
            self.clients.push(tokio::spawn(async move {
                let account = format!("a{client}");
                let mut creates = asked.lock().unwrap().iter().all(|one: &Asked| one.client != client || !one.is_accepted());
                for n in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let key = format!("c{client}-{round}-{n}");
                    let body = match creates {
                        true => json!({ "name": key, "externalId": account, "currency": "EUR", "billCycle": cycle }),
                        false => json!({ "name": key }),
                    };
                    let one = ask(&api, client, key, &account, creates, body).await;
                    let accepted = one.is_accepted();
                    creates &= !accepted;
                    asked.lock().unwrap().push(one);
                    tokio::time::sleep(if accepted { pause } else { Duration::from_millis(20) }).await;
                }
            }));
        }
        self.all_work("each client to work").await;
    }

    /// Waits until each client has had ten more requests accepted.
    pub(crate) async fn all_work(&self, what: &str) {
        let count = || {
            let asked = self.asked.lock().unwrap();
            (0..CLIENTS).map(|client| asked.iter().filter(|one| one.client == client && one.is_accepted()).count()).collect::<Vec<_>>()
        };
        let before = count();
        eventually(what, async || count().iter().zip(&before).all(|(now, before)| *now >= before + 10).then_some(())).await;
    }

    /// Stops the clients.
    pub(crate) async fn rest(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in std::mem::take(&mut self.clients) {
            client.await.expect("a client");
        }
        self.stop.store(false, Ordering::Relaxed);
    }

    /// The requests that were answered since a second after `from`: those that were being committed then have been answered.
    fn since(&self, from: Instant) -> Vec<Asked> {
        let settled = from + Duration::from_secs(1);
        self.asked.lock().unwrap().iter().filter(|one| one.began + one.took >= settled).cloned().collect()
    }

    /// How often each answer was given.
    pub(crate) fn told(&self) -> BTreeMap<String, usize> {
        let mut told = BTreeMap::new();
        for one in self.asked.lock().unwrap().iter() {
            *told.entry(one.told()).or_default() += 1;
        }
        told
    }

    /// Stops the clients, and repeats with its key whatever was refused. Then everything must agree with the API.
    pub(crate) async fn end(self, gateway: Gateway) {
        self.end_with(gateway, true).await;
    }

    /// The same, where the stream was made to lose events that others of the same key outlived: they come back later.
    pub(crate) async fn end_with_holes(self, gateway: Gateway) {
        self.end_with(gateway, false).await;
    }

    /// Stops the clients, repeats with its key whatever was refused, and compares everything with what the API says.
    async fn end_with(mut self, gateway: Gateway, stream_in_order: bool) {
        self.rest().await;
        let (accepted, refused): (Vec<Asked>, Vec<Asked>) =
            std::mem::take(&mut *self.asked.lock().unwrap()).into_iter().partition(Asked::is_accepted);
        let mut settled = accepted;
        for one in refused {
            // Where a refused request created the account, a later one has.
            let exists = one.creates && settled.iter().any(|other| other.creates && other.account == one.account);
            let again = ask(&self.api, one.client, one.key, &one.account, one.creates, one.body).await;
            assert!(again.is_accepted() || (exists && again.answer.status == 409), "{}: {}", again.key, again.answer.text);
            if again.is_accepted() {
                settled.push(again);
            }
        }
        self.compare(&settled, stream_in_order).await;
        assert!(gateway.stop().await.success());
    }

    /// P1 to P7: everything agrees with the API.
    async fn compare(&self, accepted: &[Asked], stream_in_order: bool) {
        let mut changes: HashMap<&str, i64> = HashMap::new();
        for one in accepted {
            *changes.entry(&one.account).or_default() += 1;
        }
        for (account, changes) in changes {
            let version = self.api.get(&format!("/v1/accounts/{account}")).await.expect(200)["version"].as_i64();
            assert_eq!(version, Some(changes), "{account}: accepted and kept differ");
        }
        let stored = events(&self.api).await;
        let accepted: Vec<Value> = accepted.iter().map(|one| one.answer.json()).collect();
        let promised: BTreeSet<String> = accepted.iter().chain([&self.cycle]).chain(&self.more).flat_map(event_ids).collect();
        assert_eq!(promised.symmetric_difference(&stored).collect::<Vec<_>>(), Vec::<&String>::new(), "accepted and stored differ");

        let folder = self.setup.data_dir().join("warehouse");
        let loaded = eventually("the warehouse", async || {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let loaded = peers::warehouse(&folder);
            (loaded["rows"].as_u64()? >= stored.len() as u64).then_some(loaded)
        })
        .await;
        let held: BTreeSet<String> = loaded["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
        assert_eq!(held.symmetric_difference(&stored).collect::<Vec<_>>(), Vec::<&String>::new(), "the warehouse");
        assert_eq!((loaded["rows"].as_u64(), &loaded["gaps"]), (Some(stored.len() as u64), &json!(0)), "each once, without a gap");

        eventually("the last webhook", async || {
            let got: BTreeSet<String> = self.receiver.calls().iter().map(|call| call.header("webhook-id").to_owned()).collect();
            got.is_superset(&stored).then_some(())
        })
        .await;
        let called: Vec<Value> = self.receiver.calls().iter().map(|call| place_of(&call.json())).collect();
        in_order("webhooks", &called, &stored);
        eventually("the stream to have everything", async || {
            let there: BTreeSet<String> = stream(&self.setup).await.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
            there.is_superset(&stored).then_some(())
        })
        .await;
        if stream_in_order {
            in_order("the stream", &stream(&self.setup).await, &stored);
        }
        println!("{} events agree; {} webhooks", stored.len(), called.len());
    }
}

async fn ask(api: &Api, client: usize, key: String, account: &str, creates: bool, body: Value) -> Asked {
    let (method, path) = match creates {
        true => (Method::POST, "/v1/accounts".to_owned()),
        false => (Method::PATCH, format!("/v1/accounts/{account}")),
    };
    let began = Instant::now();
    let answer = api.try_send(method, &path, Some(&body), &[("Idempotency-Key", &key)]).await.expect("an answer");
    Asked { client, key, account: account.to_owned(), creates, body, answer, began, took: began.elapsed() }
}

fn event_ids(transaction: &Value) -> Vec<String> {
    transaction["events"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

/// The ids of all events that the API lists.
async fn events(api: &Api) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let page = api.get(&format!("/v1/events?limit=200{cursor}")).await.expect(200);
        let items = page["items"].as_array().unwrap();
        found.extend(items.iter().map(|event| event["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["nextCursor"].as_str() else { return found };
        cursor = format!("&cursor={next}");
    }
}

/// An event's id and its place in its ordering key.
fn place_of(event: &Value) -> Value {
    json!({ "id": event["id"], "partitionkey": event["partitionkey"], "sequence": event["sequence"] })
}

/// The [`place_of`] every event on the stream, in its order.
pub(crate) async fn stream(setup: &Setup) -> Vec<Value> {
    let stream = jetstream::new(nats_client(&setup.nats_address()).await).get_stream("BILLING").await.expect("the stream");
    let state = stream.get_info().await.expect("its state").state;
    let last = state.last_sequence;
    if state.messages == 0 {
        return Vec::new();
    }
    let consumer = stream.create_consumer(OrderedConfig::default()).await.expect("a consumer");
    let mut messages = consumer.messages().await.expect("messages");
    let mut events = Vec::new();
    loop {
        let message = messages.next().await.expect("no end").expect("a message");
        events.push(place_of(&serde_json::from_slice(&message.payload).expect("JSON")));
        if message.info().expect("a place").stream_sequence >= last {
            return events;
        }
    }
}

/// Exactly these events, and per ordering key the first occurrences in order without a gap.
fn in_order(place: &str, events: &[Value], expected: &BTreeSet<String>) {
    let (mut seen, mut last) = (BTreeSet::new(), HashMap::new());
    for event in events {
        if !seen.insert(event["id"].as_str().unwrap().to_owned()) {
            continue;
        }
        let key = event["partitionkey"].as_str().unwrap();
        let sequence: i64 = event["sequence"].as_str().unwrap().parse().unwrap();
        let before = last.insert(key, sequence).unwrap_or(0);
        assert_eq!(sequence, before + 1, "{place}: key {key}: {sequence} came after {before}");
    }
    assert_eq!(seen.symmetric_difference(expected).collect::<Vec<_>>(), Vec::<&String>::new(), "{place}");
}

/// A connection of an outsider.
async fn outsider(setup: &Setup) -> PgConnection {
    PgConnection::connect(setup.database_url.as_ref().expect("a URL")).await.expect("a connection")
}

async fn run(connection: &mut PgConnection, sql: &str) {
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.expect(sql);
}

/// Ends all other sessions on the database.
const TERMINATE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()";
