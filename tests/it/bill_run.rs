//! Bill runs of a gateway that is killed repeatedly: every charge is invoiced exactly once.

use std::{collections::BTreeMap, time::Duration};

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{BOTH, Setup},
};
use serde_json::{Value, json};

const ACCOUNTS: usize = 300;
const CHARGES: usize = 20;

/// Every item of a list.
async fn all(api: &Api, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("{path}limit=200{cursor}")).await.expect(200);
        items.extend(page["items"].as_array().expect("items").iter().cloned());
        let Some(next) = page["nextCursor"].as_str() else { return items };
        cursor = format!("&cursor={next}");
    }
}

/// An amount with at most six decimals, in millionths.
fn millionths(amount: &Value) -> i64 {
    let text = amount.as_str().expect("an amount");
    let (units, rest) = text.split_once('.').unwrap_or((text, ""));
    format!("{units}{rest:0<6}").parse().expect("digits")
}

/// Accounts in a monthly cycle with many small charges; returns the sum per account in millionths.
async fn charged(api: &Api) -> BTreeMap<String, i64> {
    api.post("/v1/test-clock", json!({ "now": "2090-02-10T00:00:00Z" })).await.expect(200);
    let cycle = json!({ "externalId": "MONTHLY", "name": "Monthly", "period": "month", "billingDay": 1 });
    api.post("/v1/bill-cycles", cycle).await.expect(201);
    let mut sums = BTreeMap::new();
    for _ in 0..ACCOUNTS {
        sums.insert(api.account("MONTHLY").await, 0);
    }
    let accounts: Vec<String> = sums.keys().cloned().collect();
    for (part, names) in accounts.chunks(40).enumerate() {
        let items: Vec<Value> = names
            .iter()
            .flat_map(|account| (0..CHARGES).map(move |n| (account, n)))
            .map(|(account, n)| {
                let amount = 10_001 + i64::try_from(part * 977 + n * 131).expect("small");
                *sums.entry(account.clone()).or_default() += amount;
                let amount = json!({ "amount": format!("0.{amount:06}"), "currency": "EUR" });
                json!({ "account": account, "type": "data", "occurredAt": "2090-02-09T12:00:00Z", "amount": amount })
            })
            .collect();
        let answer = api.post("/v1/chargeable-events", json!({ "items": items })).await.expect(200);
        assert!(answer["items"].as_array().expect("results").iter().all(|item| item["status"] == "recorded"));
    }
    sums
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_again_and_again_bills_everything_once() {
    for database in BOTH {
        let setup = Setup::new("bill-run", database);
        let mut gateway = setup.start().await;
        let api = setup.api();
        let charged = charged(&api).await;
        api.post("/v1/bill-runs", json!({ "externalId": "RUN", "billCycle": "MONTHLY" })).await.expect(202);
        // Each kill comes once the run has billed more accounts than at the kill before.
        let (mut billed, mut inside) = (0, 0);
        for _ in 0..4 {
            let run = eventually("progress", async || {
                let run = api.get("/v1/bill-runs/RUN").await.json();
                (run["accounts"].as_u64() > Some(billed) || run["status"] == "completed").then_some(run)
            })
            .await;
            billed = run["accounts"].as_u64().expect("a count");
            gateway.kill();
            gateway = setup.start().await;
            // The lease of the killed process is still held, so what the run has billed now it had billed at the kill.
            let run = api.get("/v1/bill-runs/RUN").await.expect(200);
            let accounts = run["accounts"].as_u64().expect("a count");
            inside += usize::from(run["status"] == "running" && (1..ACCOUNTS as u64).contains(&accounts));
        }
        assert!(inside > 0, "no kill fell inside the run");
        let run = eventually("the run's end", async || {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let run = api.get("/v1/bill-runs/RUN").await.json();
            (run["status"] == "completed").then_some(run)
        })
        .await;
        assert_eq!((&run["accounts"], &run["invoices"], &run["failed"]), (&json!(ACCOUNTS), &json!(ACCOUNTS), &json!(0)), "{run}");

        let invoices = all(&api, "/v1/invoices?").await;
        let exact = |invoice: &Value| {
            let lines = invoice["lines"].as_array().expect("lines");
            lines.iter().map(|line| millionths(&line["exact"])).sum::<i64>()
        };
        let billed: BTreeMap<String, i64> =
            invoices.iter().map(|invoice| (invoice["accountId"].as_str().expect("an account").to_owned(), exact(invoice))).collect();
        assert_eq!(invoices.len(), ACCOUNTS, "one each");
        assert_eq!(billed, charged, "what was charged was billed");
        let total: i64 = invoices.iter().map(|invoice| millionths(&invoice["total"]["amount"])).sum();
        assert_eq!(millionths(&run["totals"][0]["amount"]), total, "the run's total is that of its invoices");
        assert_eq!(all(&api, "/v1/chargeable-events?state=unbilled&").await, [] as [Value; 0]);
        let completed = all(&api, "/v1/events?type=bill_run.completed&").await.len();
        let posted = all(&api, "/v1/events?type=invoice.posted&").await.len();
        assert_eq!((completed, posted), (1, ACCOUNTS), "each told once");
    }
}
