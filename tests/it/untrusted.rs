//! Malicious templates and JSON Schemas of tenants: each is refused or ends as a dead letter, while all other tenants are served.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{Database, Setup},
    peers::Peer,
};
use serde_json::{Value, json};

/// Sources that overflow a compiler's stack.
fn uncompilable() -> Vec<(&'static str, String)> {
    vec![
        ("not", format!("{{{{ {}true }}}}", "not ".repeat(2_340))),
        ("attributes", format!("{{{{ account{} }}}}", ".a".repeat(1_346))),
        ("elif", format!("{{% if false %}}{}{{% endif %}}", "{% elif false %}".repeat(837))),
        ("minus", format!("{{{{ {}1 }}}}", "-".repeat(20_000))),
        ("filters", format!("{{{{ 'a'{} }}}}", "|upper".repeat(10_000))),
        ("sums", format!("{{{{ 1{} }}}}", "+1".repeat(20_000))),
    ]
}

/// Sources that compile and then overflow a stack, or never terminate.
fn unrenderable() -> Vec<(&'static str, String)> {
    let nested = "{% set ns=namespace(a=1) %}{% for i in range(5000) %}{% set ns.a={\"a\":ns.a} %}{% endfor %}";
    let lists = "{% set ns=namespace(a=[]) %}{% for i in range(5000) %}{% set ns.a=[ns.a] %}{% endfor %}";
    let doubled = format!("{{% set a=[1] %}}{}", "{% set a=[a,a] %}".repeat(40));
    let both = format!("{doubled}{{% set b=[1] %}}{}", "{% set b=[b,b] %}".repeat(40));
    vec![
        ("nested", nested.to_owned()),
        ("nested string", format!("{lists}{{{{ (ns.a|string)|length }}}}")),
        ("nested equal", format!("{lists}{{{{ ns.a == [ns.a] }}}}")),
        ("nested slice", format!("{lists}{{{{ ns.a[:]|length }}}}")),
        ("doubled string", format!("{doubled}{{{{ (a|string)|length }}}}")),
        ("doubled concatenated", format!("{doubled}{{{{ (a~\"\")|length }}}}")),
        ("doubled equal", format!("{both}{{{{ a == b }}}}")),
        ("doubled less", format!("{both}{{{{ a < b }}}}")),
        ("doubled unique", format!("{both}{{{{ [a,b]|unique|length }}}}")),
        ("doubled sort", format!("{both}{{{{ [a,b]|sort|length }}}}")),
        ("grown", format!("{{% set a=[1] %}}{}{{{{ a|length }}}}", "{% set a=a+a %}".repeat(40))),
    ]
}

/// Polls `/livez` continuously and reports the longest response time.
struct Pulse {
    stop: Arc<AtomicBool>,
    longest: tokio::task::JoinHandle<Duration>,
}

impl Pulse {
    fn of(setup: &Setup) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, api) = (stop.clone(), setup.api());
        let longest = tokio::spawn(async move {
            let mut longest = Duration::ZERO;
            while !stopped.load(Ordering::Relaxed) {
                let begin = Instant::now();
                assert_eq!(api.get("/livez").await.status, 200);
                longest = longest.max(begin.elapsed());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            longest
        });
        Self { stop, longest }
    }

    async fn end(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        self.longest.await.expect("alive all the while")
    }
}

/// A template for account status changes.
fn template(name: &str, text: &str) -> Value {
    json!({ "name": name, "eventTypes": ["account.status_changed"], "subject": "News", "text": text })
}

/// Creates an SMTP account for the mailbox, and a queue of status changes.
async fn mail(api: &Api, mailbox: &Peer) -> (String, String) {
    let port = mailbox.hear()["port"].as_u64().expect("a port");
    let smtp = json!({ "name": "mail", "server": "127.0.0.1", "port": port, "security": "none",
                       "fromName": "Billing", "fromAddress": "billing@example.com" });
    let smtp = api.create("/v1/smtp-accounts", smtp).await;
    let queue = json!({ "name": "q", "mode": "out_of_order", "eventTypes": ["account.status_changed"] });
    (smtp, api.create("/v1/queues", queue).await)
}

async fn subscribed(api: &Api, name: &str, (smtp, queue): &(String, String), template: &str) -> String {
    let action = json!({ "type": "email", "smtpAccountId": smtp, "notificationTemplateId": template, "to": ["finance@example.com"] });
    api.create("/v1/subscriptions", json!({ "name": name, "queueId": queue, "action": action })).await
}

/// The detail of the last attempt of a subscription's dead letter.
async fn dead(api: &Api, name: &str, subscription: &str) -> String {
    eventually(&format!("a dead letter of {name}"), async || {
        let found = api.get(&format!("/v1/deliveries?subscriptionId={subscription}")).await.expect(200);
        let first = found["items"].as_array()?.first()?.clone();
        (first["state"] == "dead").then(|| first["lastAttempt"]["detail"].as_str().unwrap_or_default().to_owned())
    })
    .await
}

/// Overwrites template texts in the database by name, as a version without checks may have stored them.
fn overwrite(setup: &Setup, texts: &[(&str, String)]) {
    let script = "import json, sqlite3, sys\n\
                  c = sqlite3.connect(sys.argv[1])\n\
                  for name, text in json.load(sys.stdin):\n\
                  \x20 n = c.execute(\"UPDATE configuration SET body = json_set(body, '$.text', ?) \
                  WHERE name = ? AND kind = 'notification_template'\", (text, name)).rowcount\n\
                  \x20 assert n == 1, (name, n)\n\
                  c.commit()\n";
    let file = setup.folder.0.join("texts.json");
    std::fs::write(&file, serde_json::to_vec(texts).expect("texts")).expect("a file");
    let mut command = Command::new("python3");
    command.args(["-c", script]).arg(setup.data_dir().join("billwire.db")).stdin(std::fs::File::open(&file).expect("a file"));
    let done = command.output().expect("python3");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// The sandboxes of a process, including zombies not yet reaped.
fn sandboxes(pid: &str) -> usize {
    let all = std::fs::read_dir("/proc").expect("/proc").flatten().filter(|entry| {
        let path = entry.path();
        let of = |name: &str| std::fs::read_to_string(path.join(name)).unwrap_or_default();
        let parent = of("stat").rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1).map(str::to_owned));
        parent.as_deref() == Some(pid) && (of("cmdline").contains("sandbox") || of("stat").contains(") Z "))
    });
    all.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_would_abort_or_hang_is_refused_when_saved_or_previewed() {
    let setup = Setup::new("untrusted-preview", Database::Sqlite);
    let gateway = setup.start().await;
    let (api, pulse) = (setup.api(), Pulse::of(&setup));
    let harmless = api.create("/v1/notification-templates", template("harmless", "Dear {{ account.name }}")).await;
    for (name, source) in uncompilable() {
        let refused = api.post("/v1/notification-templates", template(name, &source)).await.refused(422, "template_too_complex");
        let detail = refused["detail"].as_str().expect("a detail");
        assert!(refused["errors"][0]["pointer"] == "/text" && detail.contains("line 1, column"), "{name}: {refused}");
        let changed = api.patch(&format!("/v1/notification-templates/{harmless}"), json!({ "text": source })).await;
        changed.refused(422, "template_too_complex");
    }
    let mut longest = Duration::ZERO;
    for (name, source) in unrenderable() {
        let id = api.create("/v1/notification-templates", template(name, &source)).await;
        let begin = Instant::now();
        let preview = api.post(&format!("/v1/notification-templates/{id}/preview"), json!({})).await;
        longest = longest.max(begin.elapsed());
        // A sandbox's stack is large enough for some of the nested sources; these are rendered quickly.
        if preview.status != 200 || !name.starts_with("nested") {
            let refused = preview.refused(422, "template_not_rendered");
            println!("{name}: {} after {:?}", refused["detail"], begin.elapsed());
            assert_eq!(refused["errors"][0]["pointer"], "/text", "{name}");
        } else {
            println!("{name}: rendered after {:?}", begin.elapsed());
        }
    }
    // Later requests are served normally.
    let preview = api.post(&format!("/v1/notification-templates/{harmless}/preview"), json!({})).await.expect(200);
    assert!(preview["text"].as_str().is_some_and(|text| text.starts_with("Dear ")), "{preview}");
    println!("a preview took at most {longest:?}, /livez {:?}", pulse.end().await);
    let left = sandboxes(&gateway.pid());
    assert!((1..=4).contains(&left), "{left} sandboxes");
    assert!(gateway.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_e_mail_whose_template_would_abort_or_hang_is_a_dead_letter_and_the_others_go_on() {
    let setup = Setup::new("untrusted-mail", Database::Sqlite);
    let mailbox = Peer::start("smtp_peer.py", &[]);
    let gateway = setup.start().await;
    let api = setup.api();
    let way = mail(&api, &mailbox).await;
    let all: Vec<(&str, String)> = uncompilable().into_iter().chain(unrenderable()).collect();
    let mut subscriptions = Vec::new();
    for (name, _) in &all {
        let id = api.create("/v1/notification-templates", template(name, "harmless")).await;
        subscriptions.push((*name, subscribed(&api, name, &way, &id).await));
    }
    let good = api.create("/v1/notification-templates", template("good", "Dear {{ account.name }}")).await;
    subscribed(&api, "good", &way, &good).await;
    let account = api.account(&api.bill_cycle(1).await).await;
    assert!(gateway.stop().await.success());

    // Templates stored by a previous version are in the database at startup, and an event is on its way.
    overwrite(&setup, &all);
    let gateway = setup.start().await;
    let (pid, pulse) = (gateway.pid(), Pulse::of(&setup));
    api.post(&format!("/v1/accounts/{account}/status"), json!({ "status": "suspended" })).await.expect(200);
    let good = |mail: &Value| mail["text"].as_str().is_some_and(|text| text.contains("Dear Acme"));
    eventually("the good one's mail", async || mailbox.heard().iter().any(good).then_some(())).await;
    for (name, subscription) in &subscriptions {
        if !name.starts_with("nested") {
            let detail = dead(&api, name, subscription).await;
            println!("{name}: {detail}");
            assert!(detail.contains("the template cannot be rendered: text"), "{name}: {detail}");
        }
    }
    println!("/livez took at most {:?}", pulse.end().await);
    assert_eq!(gateway.pid(), pid);
    assert!(gateway.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn sandboxes_end_with_the_gateway_also_when_that_is_killed() {
    let setup = Setup::new("untrusted-orphans", Database::Sqlite);
    let gateway = setup.start().await;
    let api = setup.api();
    let id = api.create("/v1/notification-templates", template("t", "Dear {{ account.name }}")).await;
    api.post(&format!("/v1/notification-templates/{id}/preview"), json!({})).await.expect(200);
    let sandbox = std::fs::read_dir("/proc").expect("/proc").flatten().find(|entry| {
        let of = |name: &str| std::fs::read_to_string(entry.path().join(name)).unwrap_or_default();
        of("cmdline").contains("sandbox") && of("stat").contains(&format!(" {} ", gateway.pid()))
    });
    let sandbox = sandbox.expect("a sandbox").path();
    assert!(std::fs::read(sandbox.join("environ")).expect("its environment").windows(8).all(|name| name != b"BILLWIRE"));
    gateway.kill();
    // The process is gone or a zombie.
    let ended = || std::fs::read(sandbox.join("cmdline")).map_or(true, |line| line.is_empty());
    eventually("the sandbox to end", async || ended().then_some(())).await;
}

/// Peak resident memory of a process, in MiB.
fn peak(pid: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmHWM")).expect("a peak");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") / 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_of_many_alternatives_takes_neither_memory_nor_time() {
    let setup = Setup::new("untrusted-schema", Database::Sqlite);
    let gateway = setup.start().await;
    let api = setup.api();
    let consts: Vec<Value> = (0..1_900).map(|n| json!({ "const": format!("c{n}") })).collect();
    let schema = json!({ "type": "object", "properties": { "a": { "type": "array", "items": { "anyOf": consts } } } });
    api.post("/v1/event-types", json!({ "name": "many", "title": "Many", "orderingKey": "key", "schema": schema })).await.expect(201);
    let (before, pulse) = (peak(&gateway.pid()), Pulse::of(&setup));
    for (count, code) in [(10, "data_invalid"), (100, "data_invalid"), (1_000, "data_too_complex"), (10_000, "data_too_complex")] {
        let item = json!({ "type": "custom.many", "key": "k", "data": { "a": (0..count).collect::<Vec<_>>() } });
        let begin = Instant::now();
        let answer = api.post("/v1/events", json!({ "items": [item] })).await.json();
        let errors = answer["errors"].as_array().map_or(0, Vec::len);
        println!("{count}: {errors} errors after {:?}, {} MiB", begin.elapsed(), peak(&gateway.pid()));
        assert_eq!((&answer["code"], &answer["errors"][0]["code"]), (&json!("nothing_accepted"), &json!(code)), "{answer}");
        assert!(errors <= 50);
    }
    // Valid data is accepted within the documented work limit.
    let item = json!({ "type": "custom.many", "key": "k", "data": { "a": vec!["c0"; 100] } });
    let answer = api.post("/v1/events", json!({ "items": [item] })).await.expect(202);
    assert_eq!(answer["items"][0]["status"], "recorded", "{answer}");
    println!("/livez took at most {:?}", pulse.end().await);
    let after = peak(&gateway.pid());
    assert!(after < before + 150, "{before} MiB, then {after} MiB");
    assert!(gateway.stop().await.success());
}
