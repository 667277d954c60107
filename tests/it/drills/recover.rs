//! `billwire recover` on a database that was restored to an older moment: it takes back what the stream has, or begins a new epoch.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Stdio,
    time::Duration,
};

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{Database, Setup},
    peers, reserved_port,
};
use serde_json::{Value, json};

use crate::{catalogue::cause_all, plain};

use super::{
    Scene, events, in_order,
    restore::{Backup, refuses, restored, work},
    stream,
    stream::billing,
};

/// Runs `billwire recover` to its end; gives what it says.
pub(crate) fn recover(setup: &Setup, how: &[&str]) -> Value {
    let arguments = [&["recover", "--output", "json"], how].concat();
    let output = setup.command(&arguments).output().expect("billwire recover");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Runs `billwire recover`, which refuses; gives why.
fn refuses_to_recover(setup: &Setup) -> String {
    let output = setup.command(&["recover"]).output().expect("billwire recover");
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_is_named_and_not_recovered() {
    let scene = restored("damaged", Database::Sqlite).await;
    let file = scene.setup.data_dir().join("billwire.db");
    let mut pages = std::fs::read(&file).expect("the database");
    // As of a write-ahead log of another database: pages that are whole, in the place of others.
    let (from, to) = (pages.len() / 8192 * 4096, pages.len() / 16384 * 4096);
    pages.copy_within(from..from + 4096 * 20, to);
    std::fs::write(&file, pages).expect("written");
    let said = refuses_to_recover(&scene.setup);
    assert!(said.contains("the database is damaged; stop the gateway and restore a backup"), "{said}");
}

/// Starts `billwire recover` and kills it, again and again, a little later each time; then runs it to its end.
pub(crate) async fn recover_killed(setup: &Setup, how: &[&str]) -> Value {
    for round in 1..8 {
        let mut child = setup.command(&[&["recover"], how].concat()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("billwire");
        tokio::time::sleep(Duration::from_millis(150 * round)).await;
        let _ = child.kill();
        let _ = child.wait();
    }
    recover(setup, how)
}

async fn taken_back(database: Database, killed: bool) {
    let mut scene = restored("taken-back", database).await;
    let before = scene.receiver.calls().len();
    let told = match killed {
        false => recover(&scene.setup, &["--take-back"]),
        true => recover_killed(&scene.setup, &["--take-back"]).await,
    };
    if !killed {
        assert!(told["missing"]["transactions"].as_u64().is_some_and(|missing| missing >= 60), "{told}");
        assert_eq!(told["missing"]["transactions"], told["takenBack"]["transactions"], "{told}");
        assert_eq!((&told["takenBack"]["objectsNotRestored"], &told["missing"]["gaps"]), (&json!(0), &json!(0)), "{told}");
    }
    assert_eq!(recover(&scene.setup, &["--take-back"])["missing"]["events"], 0, "a second run has nothing to do");
    let gateway = scene.setup.start().await;
    scene.api.get("/readyz").await.expect(200);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(scene.receiver.calls().len(), before, "nothing is delivered twice");
    work(&mut scene).await;
    scene.end(gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_restored_database_lacks_is_taken_back_from_the_stream_on_sqlite() {
    taken_back(Database::Sqlite, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_restored_database_lacks_is_taken_back_from_the_stream_on_postgres() {
    taken_back(Database::Postgres, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_that_takes_back_and_is_killed_is_continued() {
    taken_back(Database::Sqlite, true).await;
    taken_back(Database::Postgres, true).await;
}

/// The ids in the lists of events that a new epoch leaves out; a run that was killed may have written one too.
pub(crate) fn left_out(setup: &Setup) -> BTreeSet<String> {
    let files = std::fs::read_dir(setup.data_dir()).expect("a folder").map(|entry| entry.expect("an entry").path());
    let lists = files.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    let lines = lists.flat_map(|path| std::fs::read_to_string(path).expect("a list").lines().map(str::to_owned).collect::<Vec<_>>());
    let ids = lines.map(|line| serde_json::from_str::<Value>(&line).expect("JSON")["id"].as_str().expect("an id").to_owned());
    let ids: BTreeSet<String> = ids.collect();
    assert!(!ids.is_empty());
    ids
}

/// Stream, receiver and warehouse have what the API has and what was left out, each once, in order and without a gap.
pub(crate) async fn agrees_with(scene: &Scene, left_out: &BTreeSet<String>) {
    let stored: BTreeSet<String> = events(&scene.api).await;
    assert_eq!(stored.intersection(left_out).count(), 0, "what was left out is not there");
    let all: BTreeSet<String> = stored.union(left_out).cloned().collect();
    let folder = scene.setup.data_dir().join("warehouse");
    let loaded = eventually("the warehouse", async || {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let loaded = peers::warehouse(&folder);
        (loaded["rows"].as_u64()? >= all.len() as u64).then_some(loaded)
    })
    .await;
    let held: BTreeSet<String> = loaded["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    assert_eq!(held.symmetric_difference(&all).collect::<Vec<_>>(), Vec::<&String>::new(), "the warehouse");
    assert_eq!((loaded["rows"].as_u64(), &loaded["gaps"]), (Some(all.len() as u64), &json!(0)), "each once, without a gap");
    eventually("the last webhook", async || {
        let got: BTreeSet<String> = scene.receiver.calls().iter().map(|call| call.header("webhook-id").to_owned()).collect();
        got.is_superset(&all).then_some(())
    })
    .await;
    let called: Vec<Value> = scene.receiver.calls().iter().map(billwire_tests::receiver::Call::json).collect();
    in_order("webhooks", &called, &all);
    in_order("the stream", &stream(&scene.setup).await, &all);
}

async fn new_epoch(database: Database, killed: bool) {
    let mut scene = restored("new-epoch", database).await;
    match killed {
        false => recover(&scene.setup, &["--new-epoch"]),
        true => recover_killed(&scene.setup, &["--new-epoch"]).await,
    };
    assert_eq!(recover(&scene.setup, &["--new-epoch"])["missing"]["events"], 0, "a second run has nothing to do");
    let gateway = scene.setup.start().await;
    work(&mut scene).await;
    agrees_with(&scene, &left_out(&scene.setup)).await;
    assert!(gateway.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_epoch_uses_no_number_again_on_sqlite() {
    new_epoch(Database::Sqlite, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_epoch_uses_no_number_again_on_postgres() {
    new_epoch(Database::Postgres, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_epoch_that_is_killed_at_its_beginning_is_begun_again() {
    new_epoch(Database::Sqlite, true).await;
    new_epoch(Database::Postgres, true).await;
}

/// Operations that were accepted after the restore, before it could be recognised, are kept: they get numbers after those on the stream.
async fn accepted_meanwhile(database: Database, how: &str) {
    let mut scene = restored("meanwhile", database).await;
    let port = reserved_port();
    let server = scene.setup.nats_server(port);
    // NATS is away at the start: nobody can tell that the database is an older one.
    drop(server);
    let gateway = scene.setup.start().await.leaving("the database is an older one");
    work(&mut scene).await;
    let server = scene.setup.nats_server(port);
    eventually("a refusal", async || (scene.api.get("/readyz").await.status == 503).then_some(())).await;
    refuses(&scene).await;
    assert!(gateway.stop().await.success());
    let told = recover(&scene.setup, &[how]);
    assert!(told["unpublishedEvents"].as_u64().is_some_and(|kept| kept >= 60), "{told}");
    let gateway = scene.setup.start().await;
    work(&mut scene).await;
    let left_out = if how == "--new-epoch" { left_out(&scene.setup) } else { BTreeSet::new() };
    agrees_with(&scene, &left_out).await;
    assert!(gateway.stop().await.success());
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_on_a_restored_database_is_kept_by_a_new_epoch() {
    accepted_meanwhile(Database::Sqlite, "--new-epoch").await;
    accepted_meanwhile(Database::Postgres, "--new-epoch").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_on_a_restored_database_is_kept_beside_what_is_taken_back() {
    accepted_meanwhile(Database::Sqlite, "--take-back").await;
    accepted_meanwhile(Database::Postgres, "--take-back").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_does_not_run_beside_a_gateway() {
    let (scene, gateway) = Scene::new("beside", Database::Postgres).await;
    let mut command = scene.setup.command(&["recover"]);
    command.env("BILLWIRE_DATA_DIR", scene.setup.folder.0.join("other")).env("BILLWIRE_NATS_URL", scene.setup.nats_address());
    let output = command.output().expect("billwire recover");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("a gateway runs on this database"), "{said}");
    let output = scene.setup.command(&["recover"]).output().expect("billwire recover");
    assert!(!output.status.success());
    assert!(gateway.stop().await.success());
    assert_eq!(recover(&scene.setup, &[])["missing"]["events"], 0, "and has nothing to do afterwards");
}

/// The stream has lost what the database lacks: it still says how far the database had known it.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_is_refused_where_the_stream_was_purged_too() {
    let (mut scene, gateway) = Scene::new("purged-too", Database::Sqlite).await;
    work(&mut scene).await;
    assert!(gateway.stop().await.success());
    let _server = scene.setup.nats_server(reserved_port());
    let backup = Backup::of(&scene.setup);
    for _ in 0..2 {
        let gateway = scene.setup.start().await;
        work(&mut scene).await;
        assert!(gateway.stop().await.success());
    }
    backup.restore(&mut scene.setup);
    billing(&scene.setup).await.purge().await.expect("a purge");
    let gateway = scene.setup.start_with(&["serve", "--roles", "api,relay"]).await.leaving("the database is an older one");
    refuses(&scene).await;
    assert!(gateway.stop().await.success());
    let told = recover(&scene.setup, &["--new-epoch"]);
    assert!(told["unknownBatches"].as_u64().is_some_and(|batches| batches > 0), "{told}");
    let gateway = scene.setup.start().await;
    work(&mut scene).await;
    let rows = peers::warehouse(&scene.setup.data_dir().join("warehouse"));
    assert_eq!(rows["ids"].as_array().map(Vec::len), rows["rows"].as_u64().map(|rows| rows as usize), "no row is there twice");
    assert!(gateway.stop().await.success());
}

/// Lists of everything that has events.
const LISTS: [&str; 16] = [
    "accounts",
    "bill-cycles",
    "bill-runs",
    "buckets",
    "business-transactions",
    "chargeable-events",
    "contacts",
    "contracts",
    "credits",
    "events",
    "invoices",
    "package-subscriptions",
    "packages",
    "payments",
    "refunds",
    "services",
];

/// What the API says of all objects, without business transactions that have no events.
async fn everything(api: &Api) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for list in LISTS {
        let mut cursor = String::new();
        loop {
            let page = api.get(&format!("/v1/{list}?limit=200{cursor}")).await.expect(200);
            let items = page["items"].as_array().expect("items").iter().filter(|item| item["events"] != json!([]));
            found.extend(items.map(|item| (format!("{list} {}", item["id"]), item.clone())));
            let Some(next) = page["nextCursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
    }
    found
}

/// An account with attributes that has paid for another one: its invoice has the charge of the other one alone.
async fn paid_for(api: &Api) {
    api.post("/v1/bill-cycles", json!({ "externalId": "PAY", "name": "c", "period": "month", "billingDay": 1 })).await.expect(201);
    for account in ["payer", "paid"] {
        let attributes = json!({ "side": account });
        let body = json!({ "externalId": account, "name": account, "currency": "EUR", "billCycle": "PAY", "attributes": attributes });
        api.post("/v1/accounts", body).await.expect(201);
    }
    api.post("/v1/accounts/paid/payer", json!({ "payer": "payer" })).await.expect(200);
    let now = api.get("/v1/accounts/paid").await.expect(200)["createdAt"].clone();
    for account in ["payer", "paid"] {
        let item = json!({ "account": account, "type": "data", "amount": { "amount": "1", "currency": "EUR" }, "occurredAt": now });
        api.post("/v1/chargeable-events", json!({ "items": [item] })).await.expect(200);
    }
    let removed = api.post("/v1/accounts/paid/payer/remove", json!({})).await.expect(200);
    assert_eq!(removed["events"][1]["type"], "account.billed_to_payer", "{removed}");
}

/// The accounts that are found by their attribute.
async fn found_by_attribute(api: &Api) -> Vec<Value> {
    let mut found = Vec::new();
    for account in ["payer", "paid"] {
        let page = api.get(&format!("/v1/accounts?attribute=side:{account}")).await.expect(200);
        found.extend(page["items"].as_array().expect("items").iter().map(|item| item["externalId"].clone()));
    }
    found
}

/// Every event of the catalogue, and every object behind them; `whole`: with the business transactions themselves on the stream.
async fn taken_back_all(whole: bool) {
    let (mut setup, gateway, api) = plain("taken-back-all", Database::Postgres).await;
    api.put("/v1/stream-settings", json!({ "businessTransactions": whole })).await.expect(200);
    assert!(gateway.stop().await.success());
    let backup = Backup::of(&setup);
    let gateway = setup.start().await;
    cause_all(&api).await;
    paid_for(&api).await;
    let before = eventually("the clock to have nothing to do", async || {
        let before = everything(&api).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        (everything(&api).await == before).then_some(before)
    })
    .await;
    assert!(gateway.stop().await.success());
    backup.restore(&mut setup);
    let told = recover(&setup, &["--take-back"]);
    let list = std::fs::read_to_string(told["takenBack"]["list"].as_str().expect("a list")).expect("a list");
    assert_eq!(list, "", "everything was restored");
    let gateway = setup.start().await.leaving("its queues are not there");
    assert_eq!(found_by_attribute(&api).await, ["payer", "paid"]);
    let after = everything(&api).await;
    let differ = before.iter().flat_map(|(id, one)| {
        let after = after.get(id).cloned().unwrap_or_default();
        let members = one.as_object().expect("an object").iter();
        let differ = members.filter(|(name, value)| after.get(name.as_str()) != Some(value));
        differ.map(|(name, value)| format!("{id} {name}: {value} -> {:?}", after.get(name))).collect::<Vec<_>>()
    });
    let differ: Vec<String> = differ.collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert_eq!(before.len(), after.len());
    let wholes = before.values().filter(|one| one["data"]["object"]["type"] == "businessTransaction").count();
    assert_eq!(wholes > 100, whole, "{wholes}");
    assert!(gateway.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_is_what_the_api_said_before() {
    taken_back_all(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_with_whole_business_transactions_is_what_the_api_said_before() {
    taken_back_all(true).await;
}
