//! `billwire listen`: events on a developer's machine.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
};

use billwire_tests::{
    PATIENCE,
    gateway::{Database, program},
    peers::Peer,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::plain;

/// A plain HTTP server like a developer's: it answers each call with `status` and returns what it received.
async fn receiver(status: &'static str) -> (String, tokio::sync::mpsc::Receiver<(Value, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let (sender, calls) = tokio::sync::mpsc::channel(100);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut read = Vec::new();
                loop {
                    let head_end = loop {
                        if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                            break at + 4;
                        }
                        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                            return;
                        }
                    };
                    let head = String::from_utf8_lossy(&read[..head_end]).into_owned();
                    let headers: serde_json::Map<String, Value> = head
                        .lines()
                        .filter_map(|line| line.split_once(": "))
                        .map(|(name, value)| (name.to_ascii_lowercase(), value.into()))
                        .collect();
                    let length: usize = headers["content-length"].as_str().and_then(|text| text.parse().ok()).expect("a length");
                    while read.len() < head_end + length {
                        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let body = String::from_utf8(read[head_end..head_end + length].to_vec()).expect("text");
                    read.drain(..head_end + length);
                    let _ = stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
                    let _ = sender.send((headers.into(), body)).await;
                }
            });
        }
    });
    (url, calls)
}

/// The program as a developer starts it, and its output lines.
struct Listening {
    child: Child,
    lines: mpsc::Receiver<Value>,
}

impl Listening {
    fn start(api: &str, key: &str, more: &[&str]) -> Self {
        let mut child = Command::new(program())
            .args(["--output", "json", "listen", "--api", api, "--key", key])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let output = child.stdout.take().expect("a pipe");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).expect("JSON lines")).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    fn next(&self) -> Value {
        self.lines.recv_timeout(PATIENCE).expect("a line")
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[tokio::test(flavor = "multi_thread")]
async fn events_come_to_a_local_url_signed_filtered_and_in_order_with_a_log() {
    let (_setup, _gateway, api) = plain("listen", Database::Sqlite).await;
    let cycle = api.bill_cycle(1).await;
    api.account(&cycle).await;
    let (url, mut calls) = receiver("202 Accepted").await;
    let filter = "event.type != 'account.updated'";
    let more = ["--forward-to", &url, "--types", "account.*,invoice.*", "--filter", filter, "--secret", SECRET, "--print"];
    let listening = Listening::start(&api.base, &api.key, &more);
    assert_eq!(listening.next(), json!({ "listening": true }));
    let account = api.account(&cycle).await;
    api.post(&format!("/v1/accounts/{account}/status"), json!({ "status": "suspended" })).await.expect(200);
    let mut peer = Peer::start("verify_webhooks.py", &[SECRET]);
    for kind in ["account.created", "account.status_changed"] {
        let (headers, body) = tokio::time::timeout(PATIENCE, calls.recv()).await.expect("in time").expect("a call");
        let event: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!((event["type"].as_str(), event["subject"].as_str()), (Some(kind), Some(account.as_str())));
        peer.say(&json!({ "headers": headers, "body": body }));
        assert_eq!(peer.hear()["ok"], true, "signed as in production");
        let stored = api.get(&format!("/v1/events/{}", event["id"].as_str().expect("an id"))).await;
        assert_eq!(stored.text, body, "the very bytes");
        let line = listening.next();
        assert_eq!((&line["type"], &line["status"], &line["event"]), (&json!(kind), &json!(202), &event));
    }
    assert!(calls.try_recv().is_err(), "nothing from before, and nothing filtered out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_not_there_is_told_of_and_listening_goes_on() {
    let (_setup, _gateway, api) = plain("listen-away", Database::Sqlite).await;
    let cycle = api.bill_cycle(1).await;
    let listening = Listening::start(&api.base, &api.key, &["--forward-to", "http://127.0.0.1:9/hook", "--types", "account.created"]);
    assert_eq!(listening.next(), json!({ "listening": true }));
    for _ in 0..2 {
        api.account(&cycle).await;
        let line = listening.next();
        assert_eq!((&line["type"], &line["status"]), (&json!("account.created"), &Value::Null));
        assert!(line["error"].as_str().is_some_and(|error| error.contains("refused")), "{line}");
    }
}

#[test]
fn what_cannot_work_is_said_at_once() {
    let run = |arguments: &[&str]| {
        let output = Command::new(program()).arg("listen").args(arguments).output().expect("run");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(run(&["--key", "k", "--filter", "account."]).contains("--filter"));
    assert!(run(&["--key", "k", "--forward-to", "http://localhost/x", "--secret", "pw"]).contains("--secret"));
    assert!(run(&["--key", "k", "--forward-to", "localhost:3000"]).contains("--forward-to"));
}
