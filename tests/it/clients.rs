//! Clients that third-party generators make of the published document compile, and play a story against the real gateway.

use std::{path::PathBuf, process::Command};

use billwire_tests::{
    gateway::{Database, Setup},
    root,
};
use serde_json::{Value, json};

/// What `openapi/clients/<language>` prints.
async fn plays(language: &str) {
    let setup = Setup::new(&format!("client-{language}"), Database::Sqlite);
    let gateway = setup.start().await;
    let folder: PathBuf = setup.folder.0.join("clients");
    let built = Command::new(root().join("tools/clients")).arg(&folder).arg(language).output().expect("tools/clients");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let api = setup.api();
    let mut story = Command::new(folder.join(language).join("story"));
    let told = story.env("BILLWIRE_URL", &api.base).env("BILLWIRE_API_KEY", &setup.key).output().expect("the story");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let told: Value = serde_json::from_slice(&told.stdout).expect("JSON");
    let expected = json!({
        "once": true,
        "entity": "account",
        "name": "Acme",
        "planned": "account.bill_cycle_change_planned",
        "cancelled": "account.bill_cycle_change_cancelled",
        "problem": { "status": 422, "code": "bill_cycle_unknown", "pointer": "/billCycle" },
        "accounts": 5,
        "recorded": "recorded",
        "left": "2.00",
        "net": "2.00",
    });
    assert_eq!(told, expected, "{language}");
    assert!(gateway.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_in_python_plays_the_story() {
    plays("python").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_in_typescript_plays_the_story() {
    plays("typescript").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_in_go_plays_the_story() {
    plays("go").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_in_java_plays_the_story() {
    plays("java").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_in_rust_plays_the_story() {
    plays("rust").await;
}
