//! Equal requests sent many times at once, to two processes: each happens once, and all answers are the same.

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{Database, Setup},
    reserved_port,
};
use futures::future::join_all;
use reqwest::Method;
use serde_json::json;

use super::length;

/// Equal requests at once.
const EQUAL: usize = 64;

#[tokio::test(flavor = "multi_thread")]
async fn equal_requests_to_two_processes_happen_once_and_are_answered_alike() {
    let rounds = length("ONCE_ROUNDS", 10);
    let setup = Setup::new("once-twice", Database::Postgres);
    let gateway = setup.start().await;
    let address = format!("127.0.0.1:{}", reserved_port());
    let second = setup.apis(&address);
    let apis = [setup.api(), Api::new(&format!("http://{address}"), &setup.key)];
    eventually("the second process", async || {
        let answer = apis[1].try_send(Method::GET, "/livez", None, &[]).await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await;
    let cycle = apis[0].bill_cycle(1).await;
    for round in 0..rounds {
        let external = format!("order-{round}");
        let body = json!({ "externalId": external, "name": "Acme", "currency": "EUR", "billCycle": cycle });
        let headers = [("Idempotency-Key", external.as_str())];
        let calls = (0..EQUAL).map(|number| apis[number % 2].send(Method::POST, "/v1/accounts", Some(&body), &headers));
        let answers = join_all(calls).await;
        for answer in &answers {
            assert_eq!((answer.status, &answer.text), (201, &answers[0].text), "round {round}");
        }
        // Its events are those of one operation.
        let account = answers[0].json()["entities"][0]["id"].as_str().expect("an id").to_owned();
        let events = apis[1].get(&format!("/v1/events?objectId={account}")).await.expect(200);
        assert_eq!(events["items"].as_array().map(Vec::len), Some(1), "round {round}: {events}");
    }
    println!("{rounds} rounds of {EQUAL} equal requests, each done once");
    assert!(second.stop().await.success());
    assert!(gateway.stop().await.success());
}
