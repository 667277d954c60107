//! The master key and the admin key at startup: a wrong key is refused, a changed one replaces the old one.

use std::time::Duration;

use billwire_tests::{
    api::Api,
    eventually,
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
async fn a_login_is_kept_for_later_commands_until_it_is_forgotten() {
    let mut setup = Setup::new("login", Database::Sqlite);
    let folder = setup.data_dir().with_file_name("profiles");
    setup.set("XDG_CONFIG_HOME", folder.display().to_string());
    let gateway = setup.start().await;
    let api = format!("http://{}", setup.address);
    let run = |arguments: &[&str]| {
        let output = setup.command(arguments).output().expect("a run");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    };
    let (done, said) = run(&["login", "--api", &api, "--key", "nobody-has-this-key"]);
    assert!(!done && said.contains("401"), "{said}");
    let (done, said) = run(&["keys", "list", "--profile", "default"]);
    assert!(!done && said.contains("billwire login"), "{said}");
    let (done, said) = run(&["login", "--api", &api, "--key", &setup.key]);
    assert!(done && !said.contains(&setup.key), "{said}");
    let (done, said) = run(&["keys", "list", "--profile", "default"]);
    assert!(done && said.contains("admin"), "{said}");
    let (done, said) = run(&["logout"]);
    assert!(done, "{said}");
    assert!(!run(&["keys", "list", "--profile", "default"]).0);
    gateway.stop().await;
}

/// Admin keys that an operator may choose.
const KEYS: [&str; 3] = ["first-admin-key-012345", "second-admin-key-67890", "third-admin-key-abcdef"];

fn created(setup: &Setup, name: &str) -> serde_json::Value {
    keys(setup, &["create", name, "--scopes", "*"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_admin_key_replaces_the_old_one() {
    let [a, b, _] = KEYS;
    for database in BOTH {
        let mut setup = Setup::new("admin-key", database);
        with_key(&mut setup, a).await.stop().await;
        let made = created(&setup, "another")["key"].as_str().unwrap().to_owned();
        let gateway = with_key(&mut setup, a).await;
        assert_eq!([status(&setup, a).await, status(&setup, &made).await], [200, 200]);
        gateway.stop().await;

        let gateway = with_key(&mut setup, b).await;
        let states = [status(&setup, a).await, status(&setup, b).await, status(&setup, &made).await];
        assert_eq!(states, [401, 200, 200], "the old one works no more, and no other is touched");
        gateway.stop().await;

        let gateway = with_key(&mut setup, "").await;
        assert_eq!([status(&setup, a).await, status(&setup, b).await], [401, 200], "unset: nothing changes");
        gateway.stop().await;

        let gateway = with_key(&mut setup, a).await;
        assert_eq!([status(&setup, a).await, status(&setup, b).await], [200, 401], "set again, in force again");
        gateway.stop().await;

        let listed = keys(&setup, &["list"]);
        let admin = listed["items"].as_array().unwrap().iter().find(|key| key["name"] == "admin").expect("the admin key");
        keys(&setup, &["revoke", admin["id"].as_str().unwrap()]);
        let gateway = with_key(&mut setup, a).await;
        assert_eq!(status(&setup, a).await, 401, "what a person revoked does not come back by itself");
        gateway.stop().await;
        let gateway = with_key(&mut setup, b).await;
        assert_eq!([status(&setup, a).await, status(&setup, b).await], [401, 200], "another one works");
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_person_made_may_serve_as_the_admin_key_and_is_not_taken_away() {
    let [a, _, c] = KEYS;
    let mut setup = Setup::new("own-key", Database::Sqlite);
    with_key(&mut setup, a).await.stop().await;
    let made = created(&setup, "mine")["key"].as_str().unwrap().to_owned();
    for (key, expected) in [(made.as_str(), [401, 200, 401]), (c, [401, 200, 200])] {
        let gateway = with_key(&mut setup, key).await;
        assert_eq!([status(&setup, a).await, status(&setup, &made).await, status(&setup, c).await], expected);
        gateway.stop().await;
    }
}

fn refused_by_cli(setup: &Setup, arguments: &[&str]) -> String {
    let output = setup.command(arguments).output().expect("a run");
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn weak_admin_keys_unknown_scopes_and_keys_without_scopes_are_refused() {
    let mut setup = Setup::new("weak-key", Database::Sqlite);
    setup.key = "a".to_owned();
    assert!(refused_by_cli(&setup, &["serve"]).contains("BILLWIRE_ADMIN_KEY: must have at least 20"));
    assert!(refused_by_cli(&setup, &["keys", "create", "k"]).contains("--scopes"));
    assert!(refused_by_cli(&setup, &["keys", "create", "k", "--scopes", "acounts:read"]).contains("accounts:read"));
    let unknown = refused_by_cli(&setup, &["keys", "create", "k", "--scopes", "accounts:read", "--tenant", "nobody"]);
    assert!(unknown.contains("There is no tenant 'nobody'"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_manages_keys_over_the_api_and_a_key_works_from_its_networks_alone() {
    let setup = Setup::new("keys-api", Database::Sqlite);
    let gateway = setup.start().await;
    let api = format!("http://{}", setup.address);
    let over_api = |arguments: &[&str]| keys(&setup, &[arguments, &["--api", &api, "--key", &setup.key]].concat());
    let of = |name: &str, network: &str| {
        let made = over_api(&["create", name, "--scopes", "queues:read", "--allow-network", network]);
        (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
    };
    let ((here, key), (_, elsewhere)) = (of("here", "127.0.0.0/8"), of("elsewhere", "203.0.113.0/24"));
    assert_eq!([status(&setup, &key).await, status(&setup, &elsewhere).await], [200, 403]);
    let rotated = over_api(&["rotate", &here])["key"].as_str().unwrap().to_owned();
    assert_eq!([status(&setup, &key).await, status(&setup, &rotated).await], [200, 200]);
    over_api(&["revoke", &here]);
    eventually("both texts to be refused", async || {
        ([status(&setup, &key).await, status(&setup, &rotated).await] == [401, 401]).then_some(())
    })
    .await;
    let names: Vec<_> = over_api(&["list"])["items"].as_array().unwrap().iter().map(|key| key["name"].clone()).collect();
    assert_eq!(names, ["admin", "here", "elsewhere"]);
    let refused = refused_by_cli(&setup, &["keys", "revoke", &here, "--api", &api, "--key", &setup.key]);
    assert!(refused.contains("revoked already"), "{refused}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_of_a_key_nor_its_plain_hash_rests_in_the_database() {
    let setup = Setup::new("keys-at-rest", Database::Sqlite);
    let gateway = setup.start().await;
    let made = setup.api().post("/v1/api-keys", json!({ "name": "k", "scopes": ["*"] })).await.expect(201);
    let key = made["entities"][0]["after"]["key"].as_str().unwrap().to_owned();
    gateway.stop().await;
    let output = std::process::Command::new("sh").args(["-c", "printf %s \"$1\" | sha256sum", "sh", &key]).output().expect("sha256sum");
    let plain_hash = String::from_utf8_lossy(&output.stdout)[..64].to_owned();
    for file in std::fs::read_dir(setup.data_dir()).unwrap().flatten().filter(|file| file.path().is_file()) {
        let bytes = std::fs::read(file.path()).unwrap();
        for secret in [&key, &plain_hash] {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{:?}", file.path());
        }
    }
}
