//! Limits of requests: per API key, per tenant, and of wrong credentials.

use std::time::{Duration, Instant};

use billwire_api::Options;
use serde_json::{Value, json};

use crate::rig::{Answer, Rig};

async fn reads(rig: &Rig, key: &str) -> Answer {
    rig.by(key, "GET", "/v1/queues", &Value::Null).await
}

/// How many of 100 calls are answered, and how many could be at this rate, with a burst of a second.
async fn answered(rig: &Rig, key: &str, per_second: u128) -> (usize, usize) {
    let begun = Instant::now();
    let mut count = 0;
    for _ in 0..100 {
        let answer = reads(rig, key).await;
        if answer.status == 200 {
            count += 1;
            continue;
        }
        let wait: u64 = answer.header("retry-after").parse().expect("seconds");
        assert!((1..=2).contains(&wait), "{wait}");
        answer.refused(429, "too_many_requests");
    }
    (count, (per_second + begun.elapsed().as_millis() * per_second / 1_000 + 1) as usize)
}

#[tokio::test]
async fn a_key_and_all_keys_of_a_tenant_have_a_rate_and_others_are_not_affected() {
    let options = Options { requests_per_key: 5, requests_per_tenant: 8, ..Options::default() };
    let rig = Rig::with(options, false).await;
    let keys = [rig.key_of("acme", &["queues:read"]).await, rig.key_of("acme", &["queues:read"]).await];
    let other = rig.key_of("other", &["queues:read"]).await;
    let first = reads(&rig, &keys[0]).await;
    assert_eq!(first.header("ratelimit-policy"), r#""key";q=5;w=1, "tenant";q=8;w=1"#);
    assert_eq!(first.header("ratelimit"), r#""key";r=4;t=1, "tenant";r=7;t=1"#);
    first.expect(200);
    let (count, most) = answered(&rig, &keys[0], 5).await;
    assert!(count >= 4 && count <= most, "{count} of at most {most}");
    let (count, most) = answered(&rig, &keys[1], 8).await;
    assert!(count <= most, "{count} of at most {most}");
    assert_eq!(reads(&rig, &other).await.status, 200, "another tenant");
    // Whatever the refusal is.
    for (path, status) in [("/v1/queues?limit=0", 400), ("/v1/accounts", 403), ("/v1/queues/none", 404)] {
        let refused = rig.by(&other, "GET", path, &Value::Null).await;
        assert_eq!((refused.status, refused.header("ratelimit").is_empty()), (status, false), "{path}: {}", refused.text);
    }
}

#[tokio::test]
async fn the_operator_gives_a_tenant_a_limit_of_its_own() {
    for rig in Rig::everywhere_with(Options::default()).await {
        let limits = json!({ "requestsPerSecond": 3 });
        let made = rig.post("/v1/tenants", json!({ "tenantId": "acme", "name": "Acme", "limits": limits })).await.expect(201);
        let key = made["entities"][0]["after"]["adminKey"].as_str().expect("a key").to_owned();
        let (count, most) = answered(&rig, &key, 3).await;
        assert!((3..=most).contains(&count), "{count} of at most {most}");
        assert_eq!(rig.get("/v1/tenants/acme").await.expect(200)["limits"], limits);
        rig.patch("/v1/tenants/acme", json!({ "limits": {} })).await.expect(200);
        let begun = Instant::now();
        while !reads(&rig, &key).await.header("ratelimit-policy").contains("q=5000") {
            assert!(begun.elapsed() < Duration::from_secs(30), "the limit stays");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(rig.get("/v1/tenants/acme").await.expect(200).get("limits"), None);
        let refused = rig.patch("/v1/tenants/acme", json!({ "limits": { "requestsPerSecond": 0 } })).await;
        assert_eq!(refused.violations("schema_violation")[0].0, "/limits/requestsPerSecond");
    }
}

#[tokio::test]
async fn wrong_credentials_are_slowed_and_right_ones_are_not() {
    let rig = Rig::with(Options { wrong_credentials_per_minute: 3, ..Options::default() }, false).await;
    let statuses = async || {
        let mut statuses = Vec::new();
        for _ in 0..5 {
            statuses.push(reads(&rig, "nobody-has-this-key").await.status);
        }
        statuses
    };
    let first = statuses().await;
    assert_eq!(first[..3], [401; 3], "{first:?}");
    let more = statuses().await;
    assert!(more.contains(&429), "{more:?}");
    assert_eq!(reads(&rig, &rig.key).await.status, 200);
}
