//! Bill runs that start by themselves on the billing dates of their cycle.

use billwire_app::BillRunCursors;
use serde_json::{Value, json};

use crate::rig::Rig;

/// A monthly cycle on the 1st whose runs start at 3:00 in Berlin, and an account with a package of 31.00; the date is 10 January.
async fn world(rig: &Rig) {
    rig.post("/v1/test-clock", json!({ "now": "2027-01-10T00:00:00Z" })).await.expect(200);
    rig.put("/v1/billing-settings", json!({ "timeZone": "Europe/Berlin" })).await.expect(200);
    let cycle = json!({ "externalId": "M", "name": "c", "period": "month", "billingDay": 1, "autoRun": { "hour": 3 } });
    rig.create("/v1/bill-cycles", cycle).await;
    rig.create("/v1/accounts", json!({ "externalId": "A", "name": "A", "currency": "EUR", "billCycle": "M" })).await;
    let fee = json!({ "amount": "31.00", "currency": "EUR" });
    rig.create("/v1/packages", json!({ "externalId": "P", "name": "P", "recurringFee": fee })).await;
    rig.create("/v1/package-subscriptions", json!({ "externalId": "S", "account": "A", "package": "P", "startDate": "2027-01-10" })).await;
    rig.post("/v1/package-subscriptions/S/status", json!({ "status": "active" })).await.expect(200);
}

async fn all(rig: &Rig, path: &str) -> Vec<Value> {
    rig.get(path).await.expect(200)["items"].as_array().expect("items").clone()
}

fn of(items: &[Value], member: &str) -> Vec<String> {
    items.iter().map(|item| item[member].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn a_clock_that_jumps_a_year_starts_each_run_in_order_at_its_moment() {
    for rig in Rig::everywhere().await {
        world(&rig).await;
        assert_eq!(
            rig.get("/v1/bill-cycles/M").await.expect(200)["nextRun"],
            json!({ "billingDate": "2027-02-01", "at": "2027-02-01T02:00:00Z" })
        );
        rig.at("2027-02-01T01:59:59Z").await;
        assert_eq!(all(&rig, "/v1/bill-runs").await, [] as [Value; 0], "not before its hour");
        rig.at("2028-01-10T00:00:00Z").await;

        let runs = all(&rig, "/v1/bill-runs?billCycle=M").await;
        let dates: Vec<String> = (2..=12).map(|month| format!("2027-{month:02}-01")).chain(["2028-01-01".to_owned()]).collect();
        assert_eq!(of(&runs, "billingDate"), dates);
        let moments = dates.iter().enumerate().map(|(n, date)| format!("{date}T0{}:00:00Z", if (2..=8).contains(&n) { 1 } else { 2 }));
        assert_eq!(of(&runs, "startedAt"), moments.collect::<Vec<_>>(), "3:00 in Berlin, in winter and summer");
        let mut started = all(&rig, "/v1/business-transactions?operation=startBillRun").await;
        started.reverse();
        assert_eq!(of(&started, "occurredAt"), of(&runs, "startedAt"));
        assert!(started.iter().all(|one| one["actor"] == "clock" && one["recordedAt"].is_string()), "{started:?}");
        assert_eq!(rig.get("/v1/bill-cycles/M").await.expect(200)["nextRun"]["billingDate"], "2028-02-01");

        rig.app.advance_bill_runs(&mut BillRunCursors::default()).await.expect("an advance");
        let billed = all(&rig, "/v1/bill-runs?billCycle=M").await.iter().filter(|run| run["accounts"] == 1).count();
        assert_eq!(billed, 1, "the runs of a cycle wait for each other");
        rig.finish_bill_runs().await;
        let invoices = all(&rig, "/v1/invoices?account=A&limit=200").await;
        let totals: Vec<&str> = invoices.iter().map(|one| one["total"]["amount"].as_str().expect("an amount")).collect();
        assert_eq!((totals.len(), totals[0], totals[1]), (12, "22.00", "31.00"), "{totals:?}");
        assert_eq!(of(&invoices, "billRunId"), of(&runs, "id"), "in the order of the runs");
    }
}

#[tokio::test]
async fn a_billing_date_that_has_a_run_gets_no_second_one() {
    for rig in Rig::everywhere().await {
        world(&rig).await;
        rig.post("/v1/test-clock", json!({ "now": "2027-02-01T00:30:00Z" })).await.expect(200);
        rig.post("/v1/bill-runs", json!({ "externalId": "BY-HAND", "billCycle": "M" })).await.expect(202);
        rig.at("2027-02-02T00:00:00Z").await;
        assert_eq!(of(&all(&rig, "/v1/bill-runs").await, "externalId"), ["BY-HAND"]);
        assert_eq!(rig.get("/v1/bill-cycles/M").await.expect(200)["nextRun"]["billingDate"], "2027-03-01");
        // The run by hand still runs when the next one falls due.
        rig.at("2027-03-01T12:00:00Z").await;
        rig.post("/v1/bill-runs", json!({ "billCycle": "M" })).await.refused(409, "bill_run_in_progress");
        rig.finish_bill_runs().await;
        let runs = all(&rig, "/v1/bill-runs").await;
        assert_eq!(
            (of(&runs, "billingDate"), of(&runs, "status")),
            (vec!["2027-02-01".to_owned(), "2027-03-01".to_owned()], vec!["completed".to_owned(), "completed".to_owned()],)
        );
        rig.post("/v1/bill-runs", json!({ "billCycle": "M" })).await.expect(202);
    }
}

#[tokio::test]
async fn runs_that_no_longer_start_by_themselves_are_not_started() {
    let rig = Rig::new().await;
    world(&rig).await;
    rig.patch("/v1/bill-cycles/M", json!({ "autoRun": null, "announceDays": 3 })).await.expect(200);
    let cycle = rig.get("/v1/bill-cycles/M").await.expect(200);
    assert_eq!((cycle.get("autoRun"), cycle.get("nextRun")), (None, None));
    rig.at("2027-02-02T00:00:00Z").await;
    assert_eq!(all(&rig, "/v1/bill-runs").await, [] as [Value; 0]);
    rig.patch("/v1/bill-cycles/M", json!({ "autoRun": { "hour": 0 } })).await.expect(200);
    rig.at("2027-03-02T00:00:00Z").await;
    assert_eq!(of(&all(&rig, "/v1/bill-runs").await, "billingDate"), ["2027-03-01"]);
    let announced = all(&rig, "/v1/events?type=bill_run.upcoming").await;
    assert_eq!(of(&announced, "time"), ["2027-02-25T23:00:00Z", "2027-01-28T23:00:00Z"], "announcements go on");
}

#[tokio::test]
async fn an_individual_cycle_and_an_hour_that_does_not_exist_are_refused() {
    let rig = Rig::new().await;
    let cycle = |auto_run: Value| json!({ "externalId": "I", "name": "c", "period": "month", "individual": true, "autoRun": auto_run });
    let refused = rig.post("/v1/bill-cycles", cycle(json!({ "hour": 3 }))).await.refused(422, "auto_run_not_allowed");
    assert_eq!(refused["errors"][0]["pointer"], "/autoRun");
    let hour = rig.post("/v1/bill-cycles", cycle(json!({ "hour": 24 }))).await.violations("schema_violation");
    assert_eq!(hour, [("/autoRun/hour".to_owned(), "out_of_range".to_owned())]);
    let mut without = cycle(Value::Null);
    without.as_object_mut().expect("members").remove("autoRun");
    rig.create("/v1/bill-cycles", without).await;
    rig.patch("/v1/bill-cycles/I", json!({ "autoRun": { "hour": 3 } })).await.refused(422, "auto_run_not_allowed");
}

#[tokio::test]
async fn a_run_that_starts_by_itself_bills_an_account_at_the_end_of_its_own_period_alone() {
    for rig in Rig::everywhere().await {
        rig.at("2027-01-01T08:00:00Z").await;
        let cycle =
            json!({ "externalId": "Q", "name": "quarterly", "period": "month", "length": 3, "billingDay": 5, "autoRun": { "hour": 1 } });
        rig.create("/v1/bill-cycles", cycle).await;
        for (account, since) in [("A", "2027-01-05T08:00:00Z"), ("B", "2027-02-05T08:00:00Z")] {
            rig.at(since).await;
            let body = json!({ "externalId": account, "name": account, "currency": "EUR", "billCycle": "Q" });
            rig.create("/v1/accounts", body).await;
            let item =
                json!({ "account": account, "type": "data", "amount": { "amount": "1.00", "currency": "EUR" }, "occurredAt": since });
            rig.post("/v1/chargeable-events", json!({ "items": [item] })).await.expect(200);
        }
        let mut billed = Vec::new();
        for month in 3..=6 {
            rig.at(&format!("2027-{month:02}-05T08:00:00Z")).await;
            rig.finish_bill_runs().await;
            for account in ["A", "B"] {
                let invoices = rig.get(&format!("/v1/invoices?account={account}")).await.expect(200);
                billed.push(format!("{month}{account}{}", invoices["items"].as_array().map_or(0, Vec::len)));
            }
        }
        assert_eq!(billed, ["3A0", "3B0", "4A1", "4B0", "5A1", "5B1", "6A1", "6B1"]);
        let runs = rig.get("/v1/bill-runs").await.expect(200);
        assert!(runs["items"].as_array().expect("items").iter().all(|run| run["automatic"] == true), "{runs}");
    }
}
