//! The master key and the admin key at startup: a wrong key is refused, a changed one replaces the old one.

use std::time::Duration;

use billwire_tests::{
    api::Api,
    gateway::{BOTH, Database, Gateway, Setup},
    reserved_port,
};
use serde_json::json;

const FIRST: &str = "q83vEjRWeJq83vEjRWeJq83vEjRWeJq83vEjRWeJq80=";
const SECOND: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const STRANGE: &str = "Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";

/// Checks that a start with this master key is refused, in one line that names the setting.
async fn refused(setup: &mut Setup, key: &str) {
    setup.set("BILLWIRE_MASTER_KEY", key);
    for arguments in [&["serve"][..], &["keys", "list"], &["migrate"]] {
        let mut command = tokio::process::Command::from(setup.command(arguments));
        let run = tokio::time::timeout(Duration::from_secs(60), command.kill_on_drop(true).output());
        let output = run.await.unwrap_or_else(|_| panic!("{arguments:?} is not refused")).expect("a run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments:?}");
        let line = said.lines().last().unwrap_or_default();
        assert!(line.starts_with("billwire: BILLWIRE_MASTER_KEY: ") && line.contains("does not open the secrets"), "{said}");
        assert!(!said.contains(key), "{said}");
    }
}

async fn endpoint(api: &Api) -> String {
    api.create("/v1/webhook-endpoints", json!({ "name": "e", "url": "https://example.com/" })).await
}

/// Uses the sealed secret of an endpoint.
async fn used(api: &Api, endpoint: &str) {
    api.patch(&format!("/v1/webhook-endpoints/{endpoint}"), json!({ "headers": { "x-a": "b" } })).await.expect(200);
}

/// Runs a statement that no operation runs.
async fn sql(setup: &Setup, statement: &'static str) {
    match &setup.database_url {
        Some(url) => {
            sqlx::query(statement).execute(&sqlx::PgPool::connect(url).await.unwrap()).await.unwrap();
        }
        None => {
            let url = format!("sqlite://{}", setup.data_dir().join("billwire.db").display());
            sqlx::query(statement).execute(&sqlx::SqlitePool::connect(&url).await.unwrap()).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_master_key_is_refused_at_start() {
    for database in BOTH {
        let mut setup = Setup::new("master-key", database);
        // Nothing is sealed yet, but the database is already bound to the key.
        setup.start().await.stop().await;
        refused(&mut setup, STRANGE).await;
        setup.set("BILLWIRE_MASTER_KEY", FIRST);
        let gateway = setup.start().await;
        let made = endpoint(&setup.api()).await;
        gateway.stop().await;
        // A database of the previous version has no check value.
        sql(&setup, "DELETE FROM setting WHERE key = 'master_key_check'").await;
        refused(&mut setup, STRANGE).await;
        setup.set("BILLWIRE_MASTER_KEY", FIRST);
        let gateway = setup.start().await;
        used(&setup.api(), &made).await;
        gateway.stop().await;
        refused(&mut setup, STRANGE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_master_key_opens_everything_and_the_old_one_can_go() {
    for database in BOTH {
        let mut setup = Setup::new("rotation", database);
        let gateway = setup.start().await;
        let made = endpoint(&setup.api()).await;
        gateway.stop().await;
        for key in [format!("{SECOND},{FIRST}"), SECOND.to_owned()] {
            setup.set("BILLWIRE_MASTER_KEY", key);
            let gateway = setup.start().await;
            used(&setup.api(), &made).await;
            gateway.stop().await;
        }
        refused(&mut setup, FIRST).await;
    }
}

async fn status(setup: &Setup, key: &str) -> u16 {
    Api::new(&format!("http://{}", setup.address), key).get("/v1/queues").await.status
}

/// Starts with this admin key; empty for none.
async fn with_key(setup: &mut Setup, key: &str) -> Gateway {
    setup.key = key.to_owned();
    setup.address.set_port(reserved_port());
    setup.start().await
}

fn keys(setup: &Setup, arguments: &[&str]) -> serde_json::Value {
    let output = setup.command(&[&["--output", "json", "keys"], arguments].concat()).output().expect("a run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_admin_key_replaces_the_old_one() {
    for database in BOTH {
        let mut setup = Setup::new("admin-key", database);
        with_key(&mut setup, "key-a").await.stop().await;
        let made = keys(&setup, &["create", "admin"])["key"].as_str().unwrap().to_owned();
        let gateway = with_key(&mut setup, "key-a").await;
        assert_eq!([status(&setup, "key-a").await, status(&setup, &made).await], [200, 200]);
        gateway.stop().await;

        let gateway = with_key(&mut setup, "key-b").await;
        let states = [status(&setup, "key-a").await, status(&setup, "key-b").await, status(&setup, &made).await];
        assert_eq!(states, [401, 200, 200], "the old one is revoked, and no other");
        gateway.stop().await;

        let gateway = with_key(&mut setup, "").await;
        assert_eq!([status(&setup, "key-a").await, status(&setup, "key-b").await], [401, 200], "unset: nothing changes");
        gateway.stop().await;

        let gateway = with_key(&mut setup, "key-a").await;
        assert_eq!([status(&setup, "key-a").await, status(&setup, "key-b").await], [200, 401], "set again, in force again");
        gateway.stop().await;

        let listed = keys(&setup, &["list"]);
        let live = listed["items"].as_array().unwrap().iter().filter(|key| key["revokedAt"].is_null() && key["id"] != id_of(&made));
        keys(&setup, &["revoke", live.map(|key| key["id"].as_str().unwrap()).next().unwrap()]);
        let gateway = with_key(&mut setup, "key-a").await;
        assert_eq!(status(&setup, "key-a").await, 401, "what a person revoked does not come back by itself");
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_person_made_may_serve_as_the_admin_key_and_is_not_taken_away() {
    let mut setup = Setup::new("own-key", Database::Sqlite);
    with_key(&mut setup, "key-a").await.stop().await;
    let made = keys(&setup, &["create", "mine"])["key"].as_str().unwrap().to_owned();
    for (key, expected) in [(made.as_str(), [401, 200, 401]), ("key-c", [401, 200, 200])] {
        let gateway = with_key(&mut setup, key).await;
        assert_eq!([status(&setup, "key-a").await, status(&setup, &made).await, status(&setup, "key-c").await], expected);
        gateway.stop().await;
    }
}

/// The id of the key with this token, as `keys list` prints it.
fn id_of(token: &str) -> String {
    let output = std::process::Command::new("sh").args(["-c", "printf %s \"$1\" | sha256sum", "sh", token]).output().expect("sha256sum");
    String::from_utf8_lossy(&output.stdout)[..16].to_owned()
}
