//! E-mail: messages per second compared with the SMTP library alone, and the effect of a dead server on another account.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use billwire_tests::{api::Api, eventually, gateway::Database};
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    transport::smtp::{PoolConfig, client::AsyncSmtpConnection, extension::ClientId},
};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::{
    accept::setup,
    report::{Report, ms, quantile},
};

const MAILS: usize = 4_000;

/// Accepts every message and records its arrival time, by the first part of its `Message-ID`.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<HashMap<String, Instant>>>);

impl Sink {
    async fn start() -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let sink = Self::default();
        let kept = sink.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = kept.clone();
                tokio::spawn(async move { kept.converse(stream).await });
            }
        });
        (sink, port)
    }

    async fn converse(self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        writer.write_all(b"220 sink\r\n").await?;
        while let Some(line) = lines.next_line().await? {
            let answer: &[u8] = match line.get(..4).unwrap_or_default() {
                "EHLO" => b"250-sink\r\n250 8BITMIME\r\n",
                "DATA" => {
                    writer.write_all(b"354 go on\r\n").await?;
                    let mut id = String::new();
                    while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                        if let Some(found) = line.strip_prefix("Message-ID: <") {
                            id = found.split('.').next().unwrap_or_default().to_owned();
                        }
                    }
                    self.0.lock().unwrap().insert(id, Instant::now());
                    b"250 taken\r\n"
                }
                _ => b"250 ok\r\n",
            };
            writer.write_all(answer).await?;
        }
        Ok(())
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

async fn account(api: &Api, name: &str, port: u16, connections: u32) -> String {
    let account = json!({ "name": name, "server": "127.0.0.1", "port": port, "security": "none", "connections": connections,
                          "fromName": "Billing", "fromAddress": "billing@acme.example" });
    api.create("/v1/smtp-accounts", account).await
}

/// Creates a subscription that e-mails each status change through this account; returns the queue's id.
async fn subscribe(api: &Api, name: &str, account: &str) -> String {
    let all = api.get("/v1/notification-templates/predefined").await.expect(200);
    let template = all["items"].as_array().expect("items").iter().find(|one| one["name"] == "account.status_changed").expect("one");
    let queue = json!({ "name": name, "mode": "out_of_order", "eventTypes": ["account.status_changed"] });
    let queue = api.create("/v1/queues", queue).await;
    let action = json!({ "type": "email", "smtpAccountId": account, "notificationTemplateId": template["id"], "to": ["ops@example.com"] });
    api.create("/v1/subscriptions", json!({ "name": name, "queueId": queue, "action": action })).await;
    queue
}

async fn accounts(api: &Api) -> Vec<String> {
    let cycle = api.bill_cycle(1).await;
    let mut accounts = Vec::new();
    for _ in 0..200 {
        accounts.push(api.account(&cycle).await);
    }
    accounts
}

async fn change(api: &Api, accounts: &[String], n: usize) -> String {
    let status = if (n / accounts.len()).is_multiple_of(2) { "suspended" } else { "active" };
    let path = format!("/v1/accounts/{}/status", accounts[n % accounts.len()]);
    let answer = api.post(&path, json!({ "status": status })).await.expect(200);
    answer["events"][1]["id"].as_str().expect("an event").to_owned()
}

/// Messages per second with the SMTP library alone, to the same kind of server.
async fn bare(connections: u32, mails: usize, body: &str) -> f64 {
    let (sink, port) = Sink::start().await;
    let pool = PoolConfig::new().max_size(connections);
    let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1").port(port).pool_config(pool).build();
    let began = Instant::now();
    let mut workers = Vec::new();
    for worker in 0..connections as usize {
        let (transport, body) = (transport.clone(), body.to_owned());
        workers.push(tokio::spawn(async move {
            for n in (worker..mails).step_by(connections as usize) {
                let message = Message::builder()
                    .from("billing@acme.example".parse().expect("an address"))
                    .to("ops@example.com".parse().expect("an address"))
                    .subject("status changed")
                    .message_id(Some(format!("<{n}.x@acme.example>")))
                    .body(body.clone())
                    .expect("a message");
                transport.send(message).await.expect("sent");
            }
        }));
    }
    for worker in workers {
        worker.await.expect("a worker");
    }
    let speed = mails as f64 / began.elapsed().as_secs_f64();
    assert_eq!(sink.count(), mails);
    speed
}

/// The same exchange on the library's raw connections, with `TCP_NODELAY`, which its transport cannot set.
async fn bare_undelayed(connections: usize, mails: usize, body: &str) -> f64 {
    let (sink, port) = Sink::start().await;
    let from: lettre::Address = "billing@acme.example".parse().expect("an address");
    let envelope = lettre::address::Envelope::new(Some(from), vec!["ops@example.com".parse().expect("an address")]).expect("an envelope");
    let began = Instant::now();
    let mut workers = Vec::new();
    for worker in 0..connections {
        let (envelope, body) = (envelope.clone(), body.to_owned());
        workers.push(tokio::spawn(async move {
            let tcp = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
            tcp.set_nodelay(true).expect("set");
            let mut connection = AsyncSmtpConnection::connect_with_transport(Box::new(tcp), &ClientId::default()).await.expect("greeted");
            for n in (worker..mails).step_by(connections) {
                let message = format!("Message-ID: <{n}.x@acme.example>\r\nSubject: status changed\r\n\r\n{body}");
                connection.send(&envelope, message.as_bytes()).await.expect("sent");
            }
        }));
    }
    for worker in workers {
        worker.await.expect("a worker");
    }
    let speed = mails as f64 / began.elapsed().as_secs_f64();
    assert_eq!(sink.count(), mails);
    speed
}

/// Sends a backlog of e-mails over the given number of connections.
pub async fn speed(connections: u32, report: &mut Report) {
    let setup = setup("bench-mail", Database::Postgres);
    let gateway = setup.start().await;
    let api = setup.api();
    let (sink, port) = Sink::start().await;
    let queue = subscribe(&api, "mail", &account(&api, "billing", port, connections).await).await;
    let accounts = accounts(&api).await;
    api.post(&format!("/v1/queues/{queue}/pause"), json!({})).await.expect(200);
    let mut n = 0;
    while n < MAILS {
        let some: Vec<_> = (n..n + 100).map(|n| change(&api, &accounts, n)).collect();
        futures::future::join_all(some).await;
        n += 100;
    }
    api.post(&format!("/v1/queues/{queue}/resume"), json!({})).await.expect(200);
    eventually("the first mail", async || (sink.count() > 0).then_some(())).await;
    let first = Instant::now();
    eventually("all mails", async || (sink.count() >= MAILS).then_some(())).await;
    let ours = MAILS as f64 / first.elapsed().as_secs_f64();
    gateway.stop().await;
    let body = "x".repeat(2_200);
    // The SMTP library waits for a delayed acknowledgement per message, so a few messages suffice to measure it.
    let bare = bare(connections, 50 * connections as usize, &body).await;
    let undelayed = bare_undelayed(connections as usize, MAILS, &body).await;
    report.row(
        &format!("mails from a backlog of {MAILS}, text and HTML rendered, through {connections} connection(s)"),
        &format!("{ours:.0}/s"),
        &format!(
            "{bare:.0}/s bare lettre, as many connections ({undelayed:.0}/s on its connections with TCP_NODELAY, nothing looked up or kept)"
        ),
        &format!("{:.0} %", 100.0 * ours / bare),
        ">= 70 %",
    );
}

/// Latency from an operation's reply to the arrival of its e-mail, at 50 per second, with or without another account with a dead server.
async fn latency(dead: bool) -> (Duration, Duration) {
    let setup = setup("bench-mail-apart", Database::Postgres);
    let gateway = setup.start().await;
    let api = setup.api();
    let (sink, port) = Sink::start().await;
    subscribe(&api, "one", &account(&api, "one", port, 4).await).await;
    if dead {
        // Nothing listens there.
        subscribe(&api, "dead", &account(&api, "dead", 9, 4).await).await;
    }
    let accounts = Arc::new(accounts(&api).await);
    let replied: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let mut sent = Vec::new();
    for n in 0..1_500 {
        tick.tick().await;
        let (api, accounts, replied) = (api.clone(), accounts.clone(), replied.clone());
        sent.push(tokio::spawn(async move {
            let id = change(&api, &accounts, n).await;
            replied.lock().unwrap().insert(id, Instant::now());
        }));
    }
    for one in sent {
        one.await.expect("an operation");
    }
    eventually("the mails", async || (sink.count() >= 1_500).then_some(())).await;
    let (arrived, replied) = (sink.0.lock().unwrap().clone(), replied.lock().unwrap().clone());
    let mut found: Vec<Duration> =
        replied.iter().filter_map(|(id, replied)| Some(arrived.get(id)?.saturating_duration_since(*replied))).collect();
    found.sort();
    gateway.stop().await;
    (quantile(&found, 0.5), quantile(&found, 0.99))
}

pub async fn apart(report: &mut Report) {
    let (p50, p99) = latency(false).await;
    let (with_p50, with_p99) = latency(true).await;
    report.row(
        "commit to mail at 50 events/s beside an account whose server is dead",
        &format!("p50 {}, p99 {}", ms(with_p50), ms(with_p99)),
        &format!("p50 {}, p99 {} without it", ms(p50), ms(p99)),
        &format!("{:.2}x, {:.2}x", with_p50.as_secs_f64() / p50.as_secs_f64(), with_p99.as_secs_f64() / p99.as_secs_f64()),
        "p99 unchanged",
    );
}
