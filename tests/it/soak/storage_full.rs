//! P1 and P3 while the database's disk is temporarily full: accepted operations are kept, refused ones leave no trace, and work resumes by
//! itself once there is space.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use billwire_tests::{
    Folder,
    api::{Answer, Api},
    eventually,
    gateway::{Database, Gateway, Setup},
    peers, required, root,
    small_mount::SmallMount,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{Dice, length};

const CLIENTS: usize = 6;

/// Periods in which the disk is full for a while.
fn rounds() -> usize {
    usize::try_from(length("DISK_ROUNDS", 4)).expect("a number")
}

/// A disk with room for what is accepted in all of them.
fn disk() -> SmallMount {
    SmallMount::new("full", 64 + 16 * u32::try_from(rounds()).expect("few"))
}

/// A request with its own Idempotency-Key.
#[derive(Clone)]
struct Ask {
    key: String,
    /// External id of the account to create or change.
    account: String,
    creates: bool,
    body: Value,
}

impl Ask {
    fn create(key: String, cycle: &str) -> Self {
        let body = json!({ "name": key, "externalId": key, "currency": "EUR", "billCycle": cycle });
        Self { account: key.clone(), creates: true, body, key }
    }

    fn update(key: String, account: &str) -> Self {
        Self { account: account.to_owned(), creates: false, body: json!({ "name": key }), key }
    }

    async fn send(&self, api: &Api) -> Answer {
        let (method, path) = match self.creates {
            true => (Method::POST, "/v1/accounts".to_owned()),
            false => (Method::PATCH, format!("/v1/accounts/{}", self.account)),
        };
        api.send(method, &path, Some(&self.body), &[("Idempotency-Key", &self.key)]).await
    }
}

/// The replies the clients received.
#[derive(Default)]
struct History {
    /// In the order of the replies.
    accepted: Mutex<Vec<(Ask, Answer)>>,
    refused: Mutex<Vec<Ask>>,
    /// Number of refusals by code.
    codes: Mutex<BTreeMap<String, usize>>,
}

impl History {
    fn accepted(&self) -> usize {
        self.accepted.lock().unwrap().len()
    }

    fn refused(&self) -> usize {
        self.refused.lock().unwrap().len()
    }

    /// Sends the request and records the reply; returns whether it was accepted.
    async fn ask(&self, api: &Api, ask: Ask) -> bool {
        let answer = ask.send(api).await;
        let accepted = matches!(answer.status, 200 | 201);
        if accepted {
            self.accepted.lock().unwrap().push((ask, answer));
        } else {
            let again = if answer.headers.contains_key("retry-after") { ", Retry-After" } else { "" };
            let code = format!("{} {}{again}", answer.status, answer.json()["code"].as_str().unwrap_or_default());
            *self.codes.lock().unwrap().entry(code).or_default() += 1;
            self.refused.lock().unwrap().push(ask);
        }
        accepted
    }
}

/// Creates and changes accounts until `stop`.
async fn work(api: Api, client: String, cycle: String, history: Arc<History>, stop: Arc<AtomicBool>) {
    let mut account: Option<String> = None;
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let key = format!("{client}-{n}");
        let ask = match &account {
            Some(account) if n % 3 != 0 => Ask::update(key.clone(), account),
            _ => Ask::create(key.clone(), &cycle),
        };
        let creates = ask.creates;
        if !history.ask(&api, ask).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        } else if creates {
            account = Some(key);
        }
    }
}

/// Polls the liveness of the process.
fn watch(api: Api, stop: Arc<AtomicBool>) -> JoinHandle<(usize, Duration)> {
    tokio::spawn(async move {
        let (mut asked, mut longest) = (0, Duration::ZERO);
        while !stop.load(Ordering::Relaxed) {
            let begin = Instant::now();
            api.get("/livez").await.expect(200);
            longest = longest.max(begin.elapsed());
            asked += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        (asked, longest)
    })
}

/// Compares the gateway's current answers with the replies the clients received.
async fn check(api: &Api, history: &History) {
    let (accepted, refused) = (history.accepted.lock().unwrap().clone(), history.refused.lock().unwrap().clone());
    let mut made: BTreeMap<&str, (&str, i64)> = BTreeMap::new();
    for (ask, _) in &accepted {
        let (name, version) = made.entry(&ask.account).or_default();
        (*name, *version) = (&ask.key, *version + 1);
    }
    let mut lost = Vec::new();
    for (account, (name, version)) in &made {
        let answer = api.get(&format!("/v1/accounts/{account}")).await;
        let found = answer.json();
        if answer.status != 200 || (found["name"].as_str(), found["version"].as_i64()) != (Some(*name), Some(*version)) {
            lost.push(format!("{account}: accepted up to {name} (version {version}), kept {}", answer.text));
        }
    }
    assert!(lost.is_empty(), "{} of {} accounts are not as accepted, the first: {}", lost.len(), made.len(), lost[0]);
    for ask in refused.iter().filter(|ask| ask.creates) {
        let answer = api.get(&format!("/v1/accounts/{}", ask.account)).await;
        assert_eq!(answer.status, 404, "{} was refused and is there: {}", ask.key, answer.text);
    }
    for (ask, told) in &accepted {
        let again = ask.send(api).await;
        assert_eq!((again.status, &again.text), (told.status, &told.text), "{} is answered otherwise", ask.key);
        assert_eq!(again.headers.get("idempotency-replayed").map(|value| value.as_bytes()), Some(&b"true"[..]), "{}", ask.key);
    }
}

/// A period of work during which the disk is full for a while; the process stays alive throughout.
async fn round(api: &Api, mount: &SmallMount, dice: &mut Dice, number: usize, cycle: &str, history: &Arc<History>) {
    let (stop, stop_watching) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let watching = watch(api.clone(), stop_watching.clone());
    let one = |client| work(api.clone(), format!("r{number}-c{client}"), cycle.to_owned(), history.clone(), stop.clone());
    let workers: Vec<_> = (0..CLIENTS).map(|client| tokio::spawn(one(client))).collect();
    let more_accepted = async |what: &str| {
        let before = history.accepted();
        eventually(what, async || (history.accepted() > before + 30).then_some(())).await;
    };
    more_accepted("work").await;
    dice.moment().await;
    let (full, begin, before) = (mount.fill(), Instant::now(), history.refused());
    eventually("a refusal, half a second long", async || {
        (history.refused() > before && begin.elapsed() > Duration::from_millis(500)).then_some(())
    })
    .await;
    eventually("the report of a full disk", async || (api.get("/readyz").await.status == 503).then_some(())).await;
    drop(full);
    more_accepted("work goes on by itself").await;
    eventually("readiness", async || (api.get("/readyz").await.status == 200).then_some(())).await;
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.expect("the client's own checks hold");
    }
    check(api, history).await;
    // Refused requests succeed with the same key now that there is space.
    let refused = std::mem::take(&mut *history.refused.lock().unwrap());
    for ask in refused {
        let key = ask.key.clone();
        assert!(history.ask(api, ask).await, "{key} is refused though there is room");
    }
    check(api, history).await;
    stop_watching.store(true, Ordering::Relaxed);
    let (asked, longest) = watching.await.expect("/livez answers throughout");
    println!(
        "round {number}: {} accepted, codes {:?}, /livez {asked} times, at most {longest:?}",
        history.accepted(),
        history.codes.lock().unwrap()
    );
}

async fn full_for_a_while(setup: &Setup, mount: &SmallMount) {
    let mut gateway = setup.start().await;
    let api = setup.api();
    let cycle = api.post("/v1/bill-cycles", json!({ "name": "c", "period": "month", "billingDay": 1 })).await.expect(201);
    let cycle_id = cycle["entities"][0]["id"].as_str().unwrap();
    let history = Arc::new(History::default());
    let mut dice = Dice::new();
    for number in 0..rounds() {
        round(&api, mount, &mut dice, number, cycle_id, &history).await;
        told_of(setup, &cycle, &history).await;
        gateway = restarted(setup, gateway, number).await;
        check(&api, &history).await;
    }
    let codes = history.codes.lock().unwrap().clone();
    assert!(codes.get("503 storage_full, Retry-After").is_some_and(|given| *given >= rounds()), "{codes:?}");
    assert!(codes.keys().all(|told| told.starts_with("503 ") && told.ends_with(", Retry-After")), "{codes:?}");
    assert!(gateway.stop().await.success());
}

/// Alternates between a regular stop and `kill -9`.
async fn restarted(setup: &Setup, gateway: Gateway, number: usize) -> Gateway {
    if number.is_multiple_of(2) {
        assert!(gateway.stop().await.success());
    } else {
        gateway.kill();
    }
    setup.start().await
}

/// P2 and P3: the warehouse gets exactly the events of accepted operations.
async fn told_of(setup: &Setup, first: &Value, history: &History) {
    let accepted: Vec<Value> = history.accepted.lock().unwrap().iter().map(|(_, answer)| answer.json()).collect();
    let events = |transaction: &Value| transaction["events"].as_array().unwrap().clone();
    let owed: BTreeSet<String> =
        accepted.iter().chain([first]).flat_map(events).map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    let folder = setup.data_dir().join("warehouse");
    let loaded = eventually("the warehouse", async || {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let loaded = peers::warehouse(&folder);
        (loaded["rows"].as_u64()? >= owed.len() as u64).then_some(loaded)
    })
    .await;
    let held: BTreeSet<String> = loaded["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    assert_eq!(owed.symmetric_difference(&held).collect::<Vec<_>>(), Vec::<&String>::new(), "lost or invented");
    assert_eq!((loaded["rows"].as_u64(), loaded["gaps"].as_u64()), (Some(owed.len() as u64), Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_accepted_is_lost_on_sqlite_when_the_disk_is_full_for_a_while() {
    let mount = disk();
    let mut setup = Setup::new("storage-full", Database::Sqlite);
    setup.through = mount.entering();
    setup.leaving = Some("the database can be seen only inside the mount");
    setup.database_url = Some(format!("sqlite://{}/billwire.db", mount.inside().display()));
    full_for_a_while(&setup, &mount).await;
}

/// A separate PostgreSQL cluster with one database on the small file system, so that other tests are not affected. Its write-ahead log,
/// without which the whole server stops, is elsewhere.
pub struct Cluster(pub Folder);

impl Cluster {
    fn command(&self, what: &str) -> Command {
        let mut command = Command::new(root().join("tools/pg-cluster"));
        command.arg(what).arg(&self.0.0);
        command
    }

    /// Starts the cluster and returns its URL.
    pub fn start(&self) -> String {
        let done = self.command("start").output().expect("pg-cluster");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).lines().last().unwrap_or_default().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.command("stop").status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_accepted_is_lost_on_postgres_when_the_disk_is_full_for_a_while() {
    required("BILLWIRE_TEST_PG_BIN");
    let mount = disk();
    let cluster = Cluster(Folder::new("pg-full"));
    let server = cluster.start();
    let place = mount.path().join("tablespace");
    std::fs::create_dir(&place).expect("a folder");
    // The server runs as a user other than root, which must own the tablespace's folder.
    let owner = Command::new("chown").arg("--reference").arg(cluster.0.0.join("data")).arg(&place).status().expect("chown");
    assert!(owner.success());
    // Only a superuser makes tablespaces.
    let superuser = server.replace("//billwire@", "//postgres@");
    let database = "CREATE DATABASE small OWNER billwire TABLESPACE small".to_owned();
    for sql in [format!("CREATE TABLESPACE small LOCATION '{}'", place.display()), database] {
        let done = Command::new("psql").args([&superuser, "-qc", &sql]).output().expect("psql");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let mut setup = Setup::new("storage-full", Database::Sqlite);
    let (base, _) = server.rsplit_once('/').expect("a database name");
    setup.database_url = Some(format!("{base}/small"));
    full_for_a_while(&setup, &mount).await;
}
