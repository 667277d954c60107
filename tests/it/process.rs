//! The program from an operator's view: clear messages on errors, and a clean shutdown.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use billwire_tests::{
    eventually,
    gateway::{ADMIN_KEY, BOTH, Database, Setup},
};
use serde_json::json;

fn error(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_in_the_same_data_directory_says_so_in_one_line() {
    let setup = Setup::new("second", Database::Sqlite);
    let _gateway = setup.start().await;
    let line = error(&setup.command(&["serve", "--listen", "127.0.0.1:0"]).output().expect("a run"));
    assert!(line.contains("another billwire works in"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named_with_what_to_do() {
    let setup = Setup::new("port", Database::Sqlite);
    let taken = std::net::TcpListener::bind(setup.address).expect("the port");
    let line = error(&setup.command(&["serve"]).output().expect("a run"));
    assert!(line.contains("cannot listen on") && line.contains("BILLWIRE_LISTEN"), "{line}");
    drop(taken);
}

#[test]
fn a_missing_nats_server_is_named_with_what_to_do() {
    let mut setup = Setup::new("no-nats", Database::Sqlite);
    setup.set("BILLWIRE_NATS_SERVER", "/nowhere/nats-server");
    let line = error(&setup.command(&["serve"]).output().expect("a run"));
    assert!(line.contains("no nats-server") && line.contains("make run"), "{line}");
}

#[test]
fn an_unknown_setting_is_an_error_that_names_it() {
    let mut setup = Setup::new("unknown", Database::Sqlite);
    setup.set("BILLWIRE_LISTN", "127.0.0.1:1");
    let line = error(&setup.command(&["serve"]).output().expect("a run"));
    assert!(line.contains("BILLWIRE_LISTN") && line.contains("did you mean BILLWIRE_LISTEN?"), "{line}");
}

#[test]
fn a_warehouse_that_is_no_local_directory_is_refused_by_every_role() {
    let mut setup = Setup::new("warehouse-url", Database::Sqlite);
    setup.set("BILLWIRE_WAREHOUSE_URL", "s3://bucket/events");
    for role in ["api", "relay", "clock", "consumers"] {
        let line = error(&setup.command(&["serve", "--roles", role]).output().expect("a run"));
        assert!(line.contains("BILLWIRE_WAREHOUSE_URL") && line.contains("s3://bucket/events"), "{role}: {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_gateway_leaves_no_child_behind() {
    let setup = Setup::new("clean", Database::Sqlite);
    let gateway = setup.start().await;
    let nats = setup.nats_pid().expect("a pid");
    assert!(std::path::Path::new(&format!("/proc/{nats}")).exists());
    assert!(gateway.stop().await.success());
    assert!(!std::path::Path::new(&format!("/proc/{nats}")).exists());
}

/// Every file at or below `folder` with its content, readable or not as text.
fn contents(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        match std::fs::read(entry.path()) {
            Ok(bytes) => found.push((entry.path(), bytes)),
            Err(_) if entry.path().is_dir() => contents(&entry.path(), found),
            Err(_) => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_rests_in_clear() {
    for database in BOTH {
        let mut setup = Setup::new("secret", database);
        setup.set("BILLWIRE_LOG", "trace");
        let gateway = setup.start().await.leaving("example.com takes no deliveries");
        let api = setup.api();
        let queue = api.create("/v1/queues", json!({ "name": "q", "mode": "in_order", "eventTypes": ["*"] })).await;
        let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        let certificate = rcgen::generate_simple_self_signed(["client.example".to_owned()]).expect("a certificate");
        let (pem, key) = (certificate.cert.pem(), certificate.signing_key.serialize_pem());
        let auth = json!({ "type": "oauth2", "tokenUrl": "https://example.com/token", "clientId": "c", "clientSecret": "oauth2-canary" });
        let body = json!({ "name": "e", "url": "https://example.com/", "secret": secret, "auth": auth,
            "headers": { "x-canary": "header-canary" }, "clientCertificate": { "certificate": pem, "key": key } });
        let headers = [("Idempotency-Key", "make-endpoint")];
        let made = api.send(reqwest::Method::POST, "/v1/webhook-endpoints", Some(&body), &headers).await;
        assert_eq!(made.status, 201, "{}", made.text);
        assert!(made.text.contains(secret), "shown once, in the answer");
        let again = api.send(reqwest::Method::POST, "/v1/webhook-endpoints", Some(&body), &headers).await;
        assert_eq!(made.text, again.text, "a repeat answers the same bytes");
        let basic = json!({ "type": "basic", "username": "u", "password": "basic-canary" });
        let other = api.post("/v1/webhook-endpoints", json!({ "name": "b", "url": "https://example.com/", "auth": basic })).await;
        let endpoint = other.expect(201)["entities"][0]["id"].as_str().expect("an id").to_owned();
        api.create(
            "/v1/subscriptions",
            json!({ "name": "s", "queueId": queue, "action": { "type": "webhook", "webhookEndpointId": endpoint } }),
        )
        .await;
        let smtp = json!({ "name": "m", "server": "mail.example.com", "port": 465, "security": "tls", "fromName": "B",
            "fromAddress": "b@example.com", "username": "u", "password": "hunter2-canary" });
        assert!(!api.post("/v1/smtp-accounts", smtp).await.text.contains("hunter2-canary"));
        api.bill_cycle(1).await;
        eventually("the warehouse has a file", async || setup.data_dir().join("warehouse/events").exists().then_some(())).await;
        let mut found = Vec::new();
        if let Some(url) = &setup.database_url {
            let dump = Command::new("pg_dump").args(["--enable-row-security", url]).output().expect("pg_dump");
            assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
            found.push((PathBuf::from("PostgreSQL"), dump.stdout));
        }
        gateway.stop().await;
        contents(&setup.folder.0, &mut found);
        assert!(found.iter().any(|(path, _)| path.components().any(|part| part.as_os_str() == "nats")), "the stream's files are looked at");
        let line = key.lines().nth(1).expect("a line of the key");
        let canaries = ["C2FVsBQIhrscChlQIMV", "hunter2-canary", "oauth2-canary", "header-canary", "basic-canary", line, ADMIN_KEY];
        for (path, bytes) in &found {
            let text = String::from_utf8_lossy(bytes);
            for canary in canaries {
                assert!(!text.contains(canary), "{canary} stands in {}", path.display());
            }
        }
    }
}
