//! The console in a real browser: every page, and an operator's errand; and what it calls, against the document.

use std::{collections::BTreeMap, path::PathBuf};

use billwire_tests::{
    eventually,
    gateway::{Database, Setup},
    peers,
    receiver::Receiver,
    required, root,
};
use serde_json::{Value, json};

/// Compressed bytes of all that the page loads, at most.
const BYTES_MAX: u64 = 250_000;

/// Runs a scenario of `console.cjs`.
async fn browser(wanted: Value) -> Value {
    tokio::task::spawn_blocking(move || peers::run("console.cjs", &[&wanted.to_string()])).await.expect("its end")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_works_on_phone_and_desk_and_an_operator_mends_what_they_find() {
    let mut setup = Setup::new("console", Database::Sqlite);
    // Its certificate is of an issuer that the gateway does not trust.
    let untrusted = Receiver::named("untrusted.example", None).await;
    setup.set("BILLWIRE_WEBHOOK_CONNECT_TO", format!("untrusted.example={}", untrusted.address));
    let gateway = setup.start_with(&["dev"]).await.leaving("the errand leaves what it found");
    let api = setup.api();
    eventually("the sample", async || (api.get("/v1/stream-subscriptions/warehouse").await.status == 200).then_some(())).await;
    let axe = PathBuf::from(required("BILLWIRE_TEST_JS")).join("node_modules/axe-core/axe.min.js");
    let page = json!({
        "chromium": peers::chromium(), "console": format!("{}/console", api.base), "folder": setup.folder.0.join("browser").display().to_string(),
        "key": setup.key, "axe": axe.display().to_string(),
    });
    let with = |more: Value| {
        let mut wanted = page.clone();
        wanted.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        wanted
    };

    let seen = browser(with(json!({ "scenario": "pages", "shapes": [[390, "dark"], [1280, "light"]] }))).await;
    for nothing in ["violations", "errors", "blocked", "failed", "overflow"] {
        assert_eq!(seen[nothing], json!([]), "{nothing}");
    }
    assert_eq!(seen["alerts"], 0, "a hostile name is text");
    assert_eq!(seen["leaked"], false, "a password that was typed stands nowhere on the page");
    assert!(seen["pages"].as_u64() > Some(100), "{seen}");
    assert!(seen["bytes"].as_u64().is_some_and(|bytes| bytes < BYTES_MAX), "{}", seen["bytes"]);

    let secret = std::fs::read_to_string(setup.data_dir().join("dev/webhook.secret")).expect("the secret");
    let errand = with(json!({
        "scenario": "errand", "bad": "https://untrusted.example", "good": "https://receiver.billwire.test", "path": "/hooks", "secret": secret.trim(),
    }));
    let seen = browser(errand).await;
    assert!(seen["reason"].as_str().is_some_and(|reason| reason.contains("certificate")), "{seen}");
    assert!(seen["told"].as_str().is_some_and(|told| told.contains("3 dead letters")), "it says how many: {seen}");
    assert_eq!((&seen["arrived"], &seen["left"]), (&json!(3), &json!(0)), "{seen}");
    assert!(seen["clicks"].as_u64() <= Some(6), "{seen}");
    assert_eq!((&seen["errors"], &seen["failed"]), (&json!([]), &json!([])), "{seen}");
    assert_eq!(untrusted.count(), 0, "nothing was sent to it");
    assert!(gateway.stop().await.success());
}

#[test]
fn the_console_calls_what_the_document_has() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).expect("a file");
    let document: Value = serde_json::from_str(&read("openapi/openapi.json")).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let known: BTreeMap<String, (String, String)> = paths
        .iter()
        .flat_map(|(path, methods)| {
            let call = move |(method, operation): (&String, &Value)| {
                let text = |member: &str| operation[member].as_str().expect("a text").to_owned();
                (text("operationId"), (format!("{} {path}", method.to_uppercase()), text("description")))
            };
            methods.as_object().expect("methods").iter().map(call)
        })
        .collect();
    let called = read("gateway/api/assets/console/operations.js");
    let entries = called
        .lines()
        .filter_map(|line| line.trim().trim_end_matches(',').split_once(": "))
        .filter_map(|(id, told)| Some((id, told.strip_prefix('"')?.strip_suffix('"')?)));
    let (calls, scopes): (Vec<_>, Vec<_>) = entries.partition(|(_, told)| told.contains(' '));
    assert!(calls.len() > 50 && scopes.len() == calls.len(), "{} calls, {} scopes", calls.len(), scopes.len());
    for (id, call) in calls {
        assert_eq!(known.get(id).map(|known| known.0.as_str()), Some(call), "{id}");
    }
    for (id, scope) in scopes {
        assert!(known.get(id).is_some_and(|known| known.1.contains(&format!("Scope: `{scope}`"))), "{id}: {scope}");
    }
}
