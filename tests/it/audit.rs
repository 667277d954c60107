//! The audit: what is in it, and that whoever changes the database by hand is found out.

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{BOTH, Database, Setup},
    history::execute,
};
use serde_json::{Value, json};

/// What `billwire audit verify` prints, and whether it succeeds.
fn verify(setup: &Setup) -> (bool, Value) {
    let output = setup.command(&["--output", "json", "audit", "verify"]).output().expect("a run");
    let text = String::from_utf8_lossy(&output.stdout);
    let printed = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text} {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.success(), printed)
}

fn faults(printed: &Value, tenant: &str) -> Vec<String> {
    let of = printed["tenants"].as_array().expect("tenants").iter().find(|of| of["tenant"] == tenant).expect("the tenant");
    of["faults"].as_array().expect("faults").iter().map(|fault| fault.as_str().expect("a text").to_owned()).collect()
}

/// Everything in the audit, oldest first, once it has as many of a kind.
async fn entries(api: &Api, kind: &str, count: usize) -> Vec<Value> {
    let path = format!("/v1/audit-entries?limit=200&kind={kind}");
    eventually("the entries", async || {
        let mut items = api.get(&path).await.expect(200)["items"].as_array().expect("items").clone();
        items.reverse();
        Some(items).filter(|items| items.len() >= count)
    })
    .await
}

fn changes(entries: &[Value]) -> Vec<&Value> {
    entries.iter().flat_map(|entry| entry["changes"].as_array().expect("changes")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_refusals_and_first_uses_are_in_the_audit_without_personal_data() {
    for database in BOTH {
        let setup = Setup::new("audit", database);
        let gateway = setup.start().await;
        let api = setup.api();
        let made = api.post("/v1/api-keys", json!({ "name": "Jane Doe", "scopes": ["accounts:read"] })).await.expect(201);
        let after = &made["entities"][0]["after"];
        let reader = Api::new(&api.base, after["key"].as_str().expect("a key"));
        reader.get("/v1/accounts").await.expect(200);
        for _ in 0..3 {
            assert_eq!(reader.post("/v1/bill-cycles", json!({})).await.status, 403);
        }
        assert_eq!(Api::new(&api.base, "nobody-has-this-key").get("/v1/queues").await.status, 401);
        let cycle = api.bill_cycle(1).await;
        let account = json!({ "name": "Jane Doe", "currency": "EUR", "billCycle": cycle });
        let account = api.post("/v1/accounts", account).await.expect(201);

        let all = eventually("all changes", async || {
            let all = entries(&api, "changes", 1).await;
            let done = changes(&all).iter().any(|change| change["operation"] == "createAccount");
            done.then_some(all)
        })
        .await;
        let numbers: Vec<i64> = all.iter().map(|entry| entry["number"].as_i64().expect("a number")).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
        let of = |operation: &str| changes(&all).into_iter().find(|change| change["operation"] == operation).expect("the change").clone();
        let created = of("createAccount");
        assert_eq!(created["businessTransactionId"], account["id"]);
        assert_eq!((&created["secretShown"], &of("createApiKey")["secretShown"]), (&Value::Null, &json!(true)));
        let first = entries(&api, "firstUse", 2).await;
        assert!(first.iter().any(|entry| entry["apiKeyId"] == after["id"]), "{first:?}");
        assert_eq!(created["by"]["apiKeyId"].as_str().map(str::len), Some(36), "the admin key");
        let refusals = eventually("the refusals", async || {
            let all = entries(&api, "refusals", 1).await;
            let refusals: Vec<Value> = all.iter().flat_map(|entry| entry["refusals"].as_array().expect("refusals").clone()).collect();
            let count = |code: &str| refusals.iter().filter(|one| one["code"] == code).filter_map(|one| one["count"].as_u64()).sum::<u64>();
            ((count("insufficient_scope"), count("unauthenticated")) == (3, 1)).then_some(refusals)
        })
        .await;
        let scope = refusals.iter().find(|one| one["code"] == "insufficient_scope").expect("there");
        assert_eq!((&scope["operation"], &scope["by"]["apiKeyId"]), (&json!("createBillCycle"), &after["id"]));
        let whole = api.get("/v1/audit-entries?limit=200").await.expect(200).to_string();
        assert!(!whole.contains("Jane"), "{whole}");

        gateway.stop().await;
        let (right, printed) = verify(&setup);
        assert!(right && faults(&printed, "default").is_empty(), "{printed}");
        let export = setup.command(&["audit", "export", "--tenant", "default"]).output().expect("a run");
        let lines: Vec<Value> =
            String::from_utf8_lossy(&export.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let exported: Vec<i64> = lines.iter().map(|line| line["entry"]["number"].as_i64().expect("a number")).collect();
        assert_eq!(exported, (1..=exported.len() as i64).collect::<Vec<_>>());
        assert!(lines.iter().all(|line| line["hash"].as_str().is_some_and(|hash| hash.len() == 64)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_counted_beyond_what_an_address_may_send_too() {
    let mut setup = Setup::new("audit-slowed", Database::Sqlite);
    setup.set("BILLWIRE_WRONG_CREDENTIALS_PER_MINUTE", "1");
    let gateway = setup.start().await;
    let api = setup.api();
    let stranger = Api::new(&api.base, "nobody-has-this-key");
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(stranger.get("/v1/queues").await.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    eventually("all three", async || {
        let all = entries(&api, "refusals", 1).await;
        let refusals = all.iter().flat_map(|entry| entry["refusals"].as_array().expect("refusals"));
        let count: u64 = refusals.filter(|one| one["code"] == "unauthenticated").filter_map(|one| one["count"].as_u64()).sum();
        (count == 3).then_some(())
    })
    .await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_somebody_changes_by_hand_is_named() {
    for database in BOTH {
        let setup = Setup::new("audit-tampered", database);
        let gateway = setup.start().await;
        let api = setup.api();
        let mut made = Vec::new();
        for day in 1..=6 {
            let cycle = json!({ "name": "c", "period": "month", "billingDay": day });
            made.push(api.post("/v1/bill-cycles", cycle).await.expect(201)["id"].as_str().expect("an id").to_owned());
            let all = format!("entry {day}");
            eventually(&all, async || (changes(&entries(&api, "changes", 1).await).len() >= day).then_some(())).await;
        }
        let last = entries(&api, "changes", 6).await.last().expect("entries")["number"].as_i64().expect("a number");
        gateway.stop().await;
        let transaction = |n: usize| match setup.database_url {
            Some(_) => format!("id = '{}'", made[n]),
            None => format!("id = unhex('{}')", made[n].replace('-', "")),
        };
        let mut expected = Vec::new();
        for (sql, fault) in [
            (
                format!("UPDATE business_transaction SET body = body || ' ' WHERE {}", transaction(0)),
                format!("business transaction {} was altered", made[0]),
            ),
            (format!("DELETE FROM business_transaction WHERE {}", transaction(1)), format!("business transaction {} is missing", made[1])),
            (
                "UPDATE audit_entry SET body = replace(body, 'changes', 'chamges') WHERE number = 1".to_owned(),
                "entry 1 was altered".to_owned(),
            ),
            (format!("DELETE FROM audit_entry WHERE number = {}", last - 1), format!("entry {} is missing", last - 1)),
            (format!("DELETE FROM audit_entry WHERE number = {last}"), format!("the entries {} to {last} are missing", last - 1)),
            (format!("UPDATE audit_head SET number = {}", last - 2), "the record of the last entry was altered or removed".to_owned()),
        ] {
            execute(&setup, &sql).await;
            if fault.starts_with("the ") {
                // What was the end is told another way now.
                expected.retain(|fault: &String| !fault.ends_with("missing") || fault.starts_with("business"));
                expected.retain(|fault| !fault.starts_with("the "));
            }
            expected.push(fault);
            let (right, printed) = verify(&setup);
            let found = faults(&printed, "default");
            assert!(!right, "{sql}: {printed}");
            for fault in &expected {
                assert!(found.iter().any(|found| found.starts_with(fault.as_str())), "{sql}: {fault}: {found:?}");
            }
            assert_eq!(found.len(), expected.len(), "{sql}: {found:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_entries_are_deleted_and_the_rest_is_verified_from_where_it_begins() {
    const DAYS: i64 = 30;
    for database in BOTH {
        let mut setup = Setup::new("audit-retention", database);
        setup.set("BILLWIRE_RETENTION_AUDIT_DAYS", DAYS.to_string());
        let gateway = setup.start().await;
        let api = setup.api();
        for day in 1..=5 {
            api.bill_cycle(day).await;
        }
        let all = entries(&api, "changes", 1).await;
        eventually("all changes", async || (changes(&entries(&api, "changes", 1).await).len() >= 5).then_some(())).await;
        gateway.stop().await;
        // As if two months had passed since the first entries. Only bodies are in the chain.
        let old = DAYS * 2 * 86_400_000_000;
        execute(&setup, &format!("UPDATE audit_entry SET occurred_at = occurred_at - {old}")).await;
        let gateway = setup.start().await;
        let first = eventually("the purge", async || {
            let left = entries(&setup.api(), "changes", 0).await;
            let gone = !left.iter().any(|entry| entry["number"] == all[0]["number"]);
            gone.then(|| left.first().map(|entry| entry["number"].clone()))
        })
        .await;
        gateway.stop().await;
        let (right, printed) = verify(&setup);
        assert!(right, "{printed} {first:?}");
        execute(&setup, "UPDATE audit_head SET purged = purged - 1").await;
        let (right, printed) = verify(&setup);
        assert!(!right && faults(&printed, "default").iter().any(|fault| fault.contains("deleted after its retention")), "{printed}");
    }
}
