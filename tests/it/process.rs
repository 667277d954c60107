//! The program from an operator's view: clear messages on errors, and a clean shutdown.

use std::process::Output;

use billwire_tests::gateway::{Database, Setup};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_gateway_leaves_no_child_behind() {
    let setup = Setup::new("clean", Database::Sqlite);
    let gateway = setup.start().await;
    let nats = setup.nats_pid().expect("a pid");
    assert!(std::path::Path::new(&format!("/proc/{nats}")).exists());
    assert!(gateway.stop().await.success());
    assert!(!std::path::Path::new(&format!("/proc/{nats}")).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_rests_in_clear() {
    let mut setup = Setup::new("secret", Database::Sqlite);
    setup.set("BILLWIRE_LOG", "trace");
    let gateway = setup.start().await;
    let api = setup.api();
    let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let body = serde_json::json!({ "name": "e", "url": "https://example.com/", "secret": secret });
    let headers = [("Idempotency-Key", "make-endpoint")];
    let made = api.send(reqwest::Method::POST, "/v1/webhook-endpoints", Some(&body), &headers).await;
    assert!(made.text.contains(secret), "shown once, in the answer");
    let again = api.send(reqwest::Method::POST, "/v1/webhook-endpoints", Some(&body), &headers).await;
    assert_eq!(made.text, again.text, "a repeat answers the same bytes");
    let smtp = serde_json::json!({ "name": "m", "server": "mail.example.com", "port": 465, "security": "tls", "fromName": "B",
        "fromAddress": "b@example.com", "username": "u", "password": "hunter2-canary" });
    assert!(!api.post("/v1/smtp-accounts", smtp).await.text.contains("hunter2-canary"));
    gateway.stop().await;
    for entry in std::fs::read_dir(setup.data_dir())
        .expect("a folder")
        .flatten()
        .chain(std::fs::read_dir(&setup.folder.0).expect("a folder").flatten())
    {
        let Ok(bytes) = std::fs::read(entry.path()) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        for canary in ["C2FVsBQIhrscChlQIMV", "hunter2-canary", billwire_tests::gateway::ADMIN_KEY] {
            assert!(!text.contains(canary), "{canary} stands in {}", entry.path().display());
        }
    }
}
