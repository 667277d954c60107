//! Swagger UI in a real browser, as an integrator uses it.

use billwire_tests::{
    gateway::{Database, Setup},
    peers,
};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn an_integrator_finds_an_operation_by_its_id_and_runs_it_on_the_page() {
    let setup = Setup::new("docs-page", Database::Sqlite);
    let gateway = setup.start().await;
    let api = setup.api();
    let (monthly, other) = (api.bill_cycle(1).await, api.bill_cycle(15).await);
    let account = api.account(&monthly).await;
    let wanted = json!({
        "chromium": peers::chromium(), "docs": format!("http://{}/docs", setup.address),
        "folder": setup.folder.0.join("browser").display().to_string(), "key": setup.key, "operation": "updateAccountBillCycle",
        "values": { "account": account }, "request": json!({ "billCycle": other }).to_string(),
    });
    let seen = tokio::task::spawn_blocking(move || peers::run("browser_docs.cjs", &[&wanted.to_string()])).await.expect("its end");
    let found: Vec<&str> = seen["found"].as_array().expect("operations").iter().filter_map(Value::as_str).collect();
    assert!(found.contains(&"updateAccountBillCycle") && !found.contains(&"listApiKeys"), "{found:?}");
    assert_eq!(seen["shown"], json!([200]), "refusals are shown on demand");
    for status in [200, 400, 404, 412, 503] {
        assert!(seen["all"].as_array().is_some_and(|all| all.contains(&json!(status))), "{status}: {}", seen["all"]);
    }
    assert_eq!(seen["status"].as_str().map(str::trim), Some("200"), "{seen}");
    let body: Value = serde_json::from_str(seen["body"].as_str().expect("a body")).expect("JSON");
    assert_eq!(
        (&body["operation"], &body["entities"][0]["after"]["billCycle"]["billCycleId"]),
        (&json!("updateAccountBillCycle"), &json!(other)),
        "{body}"
    );
    assert_eq!(seen["blocked"], json!([]), "the page asks nobody else");
    assert!(gateway.stop().await.success());
}
