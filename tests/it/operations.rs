//! Properties of every operation: executed exactly once, atomically, and without changes if refused. On both databases.

use billwire_tests::gateway::BOTH;
use futures::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::plain;

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_sent_many_times_at_once_happens_once() {
    for database in BOTH {
        let (_setup, _gateway, api) = plain("once", database).await;
        let cycle = api.bill_cycle(1).await;
        let body = json!({ "name": "Acme", "currency": "EUR", "billCycle": cycle });
        let sent = (0..64).map(|_| api.send(Method::POST, "/v1/accounts", Some(&body), &[("Idempotency-Key", "order-4711")]));
        let answers = join_all(sent).await;
        assert!(answers.iter().all(|a| a.status == 201 && a.text == answers[0].text), "equal bytes");
        assert_eq!(api.get("/v1/accounts").await.json()["items"].as_array().expect("items").len(), 1);

        let other = json!({ "name": "Other", "currency": "EUR", "billCycle": cycle });
        let answer = api.send(Method::POST, "/v1/accounts", Some(&other), &[("Idempotency-Key", "order-4711")]).await;
        answer.refused(422, "idempotency_key_reused");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_changes_of_one_account_all_count() {
    for database in BOTH {
        let (_setup, _gateway, api) = plain("concurrent", database).await;
        let cycles = [api.bill_cycle(1).await, api.bill_cycle(15).await];
        let account = api.account(&cycles[0]).await;
        let path = format!("/v1/accounts/{account}/bill-cycle");
        let changes = (0..200).map(|i| api.post(&path, json!({ "billCycle": cycles[i % 2] })));
        for answer in join_all(changes).await {
            answer.expect(200);
        }
        assert_eq!(api.get(&format!("/v1/accounts/{account}")).await.json()["version"], 201);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_accounts_with_the_same_external_id_is_refused() {
    for database in BOTH {
        let (_setup, _gateway, api) = plain("external-id", database).await;
        let cycle = api.bill_cycle(1).await;
        let body = json!({ "externalId": "CRM-1", "name": "Acme", "currency": "EUR", "billCycle": cycle });
        let answers = join_all((0..16).map(|_| api.post("/v1/accounts", body.clone()))).await;
        let made = answers.iter().filter(|a| a.status == 201).count();
        assert_eq!(made, 1);
        for answer in answers.into_iter().filter(|a| a.status != 201) {
            answer.refused(409, "external_id_taken");
        }
        assert_eq!(api.get("/v1/accounts/CRM-1").await.expect(200)["externalId"], "CRM-1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_does_not_cut_its_operation_in_half() {
    for database in BOTH {
        let (_setup, _gateway, api) = plain("hang-up", database).await;
        let cycles = [api.bill_cycle(1).await, api.bill_cycle(15).await];
        let account = api.account(&cycles[0]).await;
        let path = format!("/v1/accounts/{account}/bill-cycle");
        for i in 0..100u64 {
            let change = json!({ "billCycle": cycles[(i % 2) as usize] });
            let sent = api.post(&path, change);
            let _ = tokio::time::timeout(std::time::Duration::from_micros(200 + 37 * i), sent).await;
        }
        // Accepted operations are complete: the version counts exactly the transactions, and the account can still be changed.
        let before = api.get(&format!("/v1/accounts/{account}")).await.json()["version"].as_i64().expect("a version");
        let after = api.post(&path, json!({ "billCycle": cycles[0] })).await.expect(200);
        assert!(after["entities"][0]["version"].as_i64().expect("a version") > before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_if_match_changes_nothing() {
    let (_setup, _gateway, api) = plain("stale", BOTH[0]).await;
    let cycle = api.bill_cycle(1).await;
    let account = api.account(&cycle).await;
    let path = format!("/v1/accounts/{account}");
    let body = json!({ "status": "suspended" });
    let status = format!("{path}/status");
    api.send(Method::POST, &status, Some(&body), &[("If-Match", "\"7\"")]).await.refused(412, "stale_version");
    let etag = api.get(&path).await.headers["etag"].to_str().expect("text").to_owned();
    api.send(Method::POST, &status, Some(&body), &[("If-Match", &etag)]).await.expect(200);
}
