//! The programs of the guide for receivers (consumers/webhook/README.md), by language: receivers of real deliveries, and subscribers of the real
//! stream. The guide quotes them as they are.

mod front;
mod quotes;
mod receiving;
mod subscribing;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::OpenOptions,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
};

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{Database, Setup},
    reserved_port, root,
};
use serde_json::{Value, json};

use self::front::Front;

/// The command of a program: one of this workspace, or one that `tools/receivers` builds.
fn command(setup: &Setup, language: &str, kind: &str) -> Vec<String> {
    if language == "rust" {
        let program = if kind == "receiver" { env!("CARGO_BIN_EXE_webhook-receiver") } else { env!("CARGO_BIN_EXE_stream-subscriber") };
        return vec![program.to_owned()];
    }
    let folder = setup.folder.0.join("programs");
    let built = Command::new(root().join("tools/receivers")).arg(folder).arg(language).output().expect("tools/receivers");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let told = String::from_utf8(built.stdout).expect("text");
    let own = format!("{language} {kind} ");
    let line = told.lines().find_map(|line| line.strip_prefix(own.as_str())).expect("a command");
    line.split(' ').map(str::to_owned).collect()
}

/// A running program. Dropping it kills it.
struct Program {
    child: Child,
    incoming: mpsc::Receiver<Value>,
    printed: Vec<Value>,
}

impl Program {
    fn start(setup: &Setup, command: &[String], arguments: &[&str]) -> Self {
        // Its name makes it a part of what a failed test prints.
        let log = OpenOptions::new().create(true).append(true).open(setup.folder.0.join("program.log")).expect("a log");
        let mut child =
            Command::new(&command[0]).args(&command[1..]).args(arguments).stdout(Stdio::piped()).stderr(log).spawn().expect("it starts");
        let output = child.stdout.take().expect("a pipe");
        let (sender, incoming) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).expect("a line of JSON")).is_err() {
                    return;
                }
            }
        });
        Self { child, incoming, printed: Vec::new() }
    }

    /// What it has printed so far.
    fn lines(&mut self) -> &[Value] {
        self.printed.extend(self.incoming.try_iter());
        &self.printed
    }

    fn ids(&mut self) -> BTreeSet<&str> {
        self.lines().iter().map(|line| text(line, "id")).collect()
    }

    /// Waits for the lines of these events, and checks that there is one for each, in order within each key.
    async fn has_taken(&mut self, events: &BTreeMap<String, Value>) {
        eventually("a line for each event", async || (self.lines().len() >= events.len()).then_some(())).await;
        let mut last = BTreeMap::new();
        for line in self.lines() {
            let event = events.get(text(line, "id")).unwrap_or_else(|| panic!("{line} is of none of the events"));
            let expected = json!({
                "id": event["id"], "type": event["type"], "key": event["partitionkey"], "sequence": event["sequence"], "late": false,
            });
            assert_eq!(*line, expected);
            let before = last.insert(text(line, "key"), text(line, "sequence"));
            assert!(before.is_none_or(|before| before < text(line, "sequence")), "{line} comes after {before:?}");
        }
        assert_eq!((self.lines().len(), self.ids().len()), (events.len(), events.len()), "each once");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().expect("a text")
}

/// The accounts of a story, and the bill cycle that they are on.
struct Story {
    api: Api,
    cycle: String,
    accounts: Vec<String>,
}

impl Story {
    async fn begin(api: &Api) -> Self {
        Self { api: api.clone(), cycle: api.bill_cycle(1).await, accounts: Vec::new() }
    }

    /// Two more accounts, then two changes of each account that there is.
    async fn go_on(&mut self) {
        for _ in 0..2 {
            self.accounts.push(self.api.account(&self.cycle).await);
        }
        for account in &self.accounts {
            for status in ["suspended", "active"] {
                self.api.post(&format!("/v1/accounts/{account}/status"), json!({ "status": status })).await.expect(200);
            }
        }
    }
}

/// All events of accounts and bill cycles.
async fn events(api: &Api) -> BTreeMap<String, Value> {
    let page = api.get("/v1/events?limit=200").await.expect(200);
    assert_eq!(page.get("nextCursor"), None, "all on one page");
    let ours = |event: &&Value| ["account.", "bill_cycle."].iter().any(|object| text(event, "type").starts_with(object));
    page["items"].as_array().expect("items").iter().filter(ours).map(|event| (text(event, "id").to_owned(), event.clone())).collect()
}

async fn programs_work(language: &str) {
    let mut setup = Setup::new(&format!("guide-{language}"), Database::Sqlite);
    setup.set("BILLWIRE_WEBHOOK_RETRY_PLAN", "0s,100ms,500ms,2s,5s");
    let port = reserved_port();
    let front = Front::start(&mut setup, port).await;
    let gateway = setup.start().await.leaving("webhooks for a receiver that has ended, once the subscriber goes on");
    receiving::receives(&setup, language, port, &front).await;
    // The guide says why there is none.
    if language != "java" {
        subscribing::subscribes(&setup, language).await;
    }
    assert!(gateway.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_programs_in_python_take_each_event_once_and_nothing_forged() {
    programs_work("python").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_programs_in_typescript_take_each_event_once_and_nothing_forged() {
    programs_work("typescript").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_programs_in_java_take_each_event_once_and_nothing_forged() {
    programs_work("java").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_programs_in_go_take_each_event_once_and_nothing_forged() {
    programs_work("go").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_programs_in_rust_take_each_event_once_and_nothing_forged() {
    programs_work("rust").await;
}
