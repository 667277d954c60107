//! The story: an account from its first bill cycle to its cancellation. Every step calls the public API. The expected events come from
//! the response, or, for what the clock does, from the list of events.

use std::{collections::BTreeMap, time::Duration};

use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    events::selection::is_business_transaction,
};
use chrono::{SecondsFormat, TimeDelta};
use console::style;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    client::Api,
    setup::{self, CYCLES},
    terminal,
};

/// An event of the story, which must arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedEvent {
    /// The event's id.
    pub id: String,
    /// The event's type.
    pub kind: String,
    /// When the operation was decided, by the system clock.
    pub at: Timestamp,
    /// Whether it must also arrive by e-mail.
    pub mailed: bool,
}

/// The events in a business transaction; `shift` is how far business time is ahead of the system clock.
///
/// # Errors
/// When the response is not a business transaction.
pub fn expected_events(operation: &str, transaction: &Value, shift: TimeDelta) -> Result<Vec<ExpectedEvent>, String> {
    let read = || {
        let at: Timestamp = transaction["occurredAt"].as_str()?.parse().ok()?;
        let events = transaction["events"].as_array()?.iter().map(|event| {
            let (id, kind) = (event["id"].as_str()?.to_owned(), event["type"].as_str()?.to_owned());
            let mailed = setup::mailed(&kind);
            Some(ExpectedEvent { id, kind, at: at - shift, mailed })
        });
        events.collect::<Option<Vec<_>>>()
    };
    read().ok_or_else(|| format!("{operation} did not return a business transaction: {transaction}"))
}

/// The id of the object that a business transaction created.
///
/// # Errors
/// When the response is not a business transaction.
pub fn created(operation: &str, transaction: &Value) -> Result<String, String> {
    let id = transaction["entities"][0]["id"].as_str().map(str::to_owned);
    id.ok_or_else(|| format!("{operation} did not return a business transaction: {transaction}"))
}

/// Plays the story; returns its events. Business time is `shift` ahead of the system clock.
///
/// # Errors
/// The first refusal.
pub async fn play(api: &Api, shift: TimeDelta) -> Result<Vec<ExpectedEvent>, String> {
    let mut story = Story { api, shift, account: String::new(), ids: BTreeMap::new(), events: Vec::new() };
    story.bill_cycle().await?;
    story.usage().await?;
    story.billing().await?;
    story.money().await?;
    Ok(story.events)
}

struct Story<'a> {
    api: &'a Api,
    shift: TimeDelta,
    account: String,
    /// The ids of the objects that the story has created, by names that only the story uses.
    ids: BTreeMap<&'static str, String>,
    events: Vec<ExpectedEvent>,
}

fn eur(amount: &str) -> Value {
    json!({ "amount": amount, "currency": "EUR" })
}

impl Story<'_> {
    /// A change of bill cycle that is planned, cancelled, planned again and performed.
    async fn bill_cycle(&mut self) -> Result<(), String> {
        let [(first, _), (second, _)] = CYCLES;
        let body = json!({ "name": "Acme Telecom", "currency": "EUR", "billCycle": first });
        self.account = self.make("account", "createAccount", "/accounts", body, &format!("Acme Telecom, billed on {first}")).await?;
        let account = format!("/accounts/{}", self.account);
        let (change, cancel, perform) = (
            format!("{account}/bill-cycle"),
            format!("{account}/bill-cycle-change/cancel"),
            format!("{account}/bill-cycle-change/perform"),
        );
        let from = self.now() + TimeDelta::days(30);
        let planned = json!({ "billCycle": second, "validFrom": from.to_rfc3339_opts(SecondsFormat::Secs, true) });
        let outcome = format!("planned: {second} from {}", from.date_naive());
        self.step("updateAccountBillCycle", &change, planned.clone(), &outcome).await?;
        self.step("cancelAccountBillCycleChange", &cancel, json!({}), &format!("cancelled: stays on {first}")).await?;
        self.step("updateAccountBillCycle", &change, planned, &format!("{outcome}, after all")).await?;
        self.step("performAccountBillCycleChange", &perform, json!({}), &format!("performed: on {second} now")).await?;
        Ok(())
    }

    /// A package, a service, and usage that uses up its bucket.
    async fn usage(&mut self) -> Result<(), String> {
        let account = self.account.clone();
        let body = json!({ "name": "Fleet M", "recurringFee": eur("9.90") });
        let package = self.make("package", "createPackage", "/packages", body, "Fleet M, 9.90 EUR a period").await?;
        let body = json!({ "account": account, "package": package });
        let subscription = self.make("subscription", "subscribePackage", "/package-subscriptions", body, "Acme takes Fleet M").await?;
        let active = json!({ "status": "active" });
        let path = format!("/package-subscriptions/{subscription}/status");
        self.step("changePackageSubscriptionStatus", &path, active.clone(), "active: its fee is due from now on").await?;
        let body = json!({ "account": account, "packageSubscription": subscription, "name": "Truck 42", "serviceType": "iot-sim" });
        let service = self.make("service", "createService", "/services", body, "Truck 42, a SIM").await?;
        self.step("transitionService", &format!("/services/{service}/status"), active, "active").await?;
        let body = json!({ "service": service, "kind": "iccid", "value": account, "dormantAfterDays": 30 });
        self.make("identifier", "createUsageIdentifier", "/usage-identifiers", body, "dormant after 30 days without usage").await?;
        let tiers = json!([{ "name": "80 percent", "upTo": "80" }, { "name": "all", "upTo": "100" }]);
        let body = json!({ "service": service, "name": "Data 100 MB", "unit": "MB", "tiers": tiers });
        self.make("bucket", "createBucket", "/buckets", body, "100 MB, with events at 80 and at 100").await?;
        let item = |quantity: &str, amount: &str| {
            json!({ "usageIdentifier": { "kind": "iccid", "value": account }, "type": "data", "quantity": quantity, "unit": "MB",
                    "amount": eur(amount), "occurredAt": self.now() })
        };
        let items = json!({ "items": [item("60", "0.60"), item("30", "0.3049"), item("5", "4.00")] });
        let answer = self.call("recordChargeableEvents", "/chargeable-events", &items).await?;
        let mut charge = String::new();
        let mut events = Vec::new();
        for item in answer["items"].as_array().into_iter().flatten() {
            charge = created("recordChargeableEvents", &item["transaction"])?;
            events.extend(expected_events("recordChargeableEvents", &item["transaction"], self.shift)?);
        }
        self.show("recordChargeableEvents", "three charges, 95 MB: the 80 % tier is used up", events);
        let body = json!({ "chargeType": "CREDIT", "amount": eur("3.00"), "reason": "goodwill", "user": "csr-17" });
        let path = format!("/chargeable-events/{charge}/adjustments");
        self.step("adjustChargeableEvent", &path, body, "3.00 of 4.00 EUR credited").await?;
        Ok(())
    }

    /// The period ends; a bill run posts the invoice, and it is delivered.
    async fn billing(&mut self) -> Result<(), String> {
        let account = self.call_get(&format!("/accounts/{}", self.account)).await?;
        let end = account["billCycle"]["period"]["end"].as_str().unwrap_or_default().to_owned();
        let moment: Timestamp = format!("{end}T06:00:00Z").parse().map_err(|_| format!("the account has no period: {account}"))?;
        self.clock(moment).await?;
        let run = json!({ "billCycle": CYCLES[1].0 });
        let made = self.bill_run(&run, &format!("everything before {end} on {}", CYCLES[1].0)).await?;
        self.happens("bill run", &made, &["bill_run.completed"]).await?;
        let account = self.account.clone();
        self.happens("bill run", &account, &["invoice.posted"]).await?;
        let invoices = self.call_get(&format!("/invoices?account={account}")).await?;
        let invoice = invoices["items"][0].clone();
        let id = invoice["id"].as_str().unwrap_or_default().to_owned();
        let total = invoice["total"]["amount"].as_str().unwrap_or_default();
        let outcome = format!("invoice {} over {total} EUR", invoice["number"].as_str().unwrap_or_default());
        self.step("deliverInvoice", &format!("/invoices/{id}/deliver"), json!({}), &outcome).await?;
        Ok(())
    }

    /// Starts a bill run. A cycle has one at a time, so a run that a killed story left in progress must end first.
    async fn bill_run(&mut self, body: &Value, outcome: &str) -> Result<String, String> {
        for _ in 0..HAPPENS_TRIES {
            let answer = self.api.post("/bill-runs", body).await?;
            if answer.body["code"] != "bill_run_in_progress" {
                let made = answer.success("startBillRun")?;
                self.show("startBillRun", outcome, expected_events("startBillRun", &made, self.shift)?);
                return created("startBillRun", &made);
            }
            sleep(HAPPENS_EVERY).await;
        }
        Err(format!("an earlier bill run of the cycle did not end within {} s", happens_max()))
    }

    /// A payment fails, another one pays a part, the rest becomes overdue; then everything is cancelled.
    async fn money(&mut self) -> Result<(), String> {
        let account = self.account.clone();
        let error = json!({ "code": "insufficient_funds", "message": "The card was declined" });
        let failed = json!({ "account": account, "method": "card", "amount": eur("5.00"), "status": "failed", "error": error });
        self.step("recordPayment", "/payments", failed, "failed: the card was declined").await?;
        let paid = json!({ "account": account, "method": "transfer", "amount": eur("5.00") });
        let payment = self.make("payment", "recordPayment", "/payments", paid, "5.00 EUR received").await?;
        let refund = json!({ "payment": payment, "amount": eur("1.00"), "reason": "paid too much" });
        self.step("createRefund", "/refunds", refund, "1.00 EUR refunded").await?;
        let credit = json!({ "account": account, "amount": eur("2.00"), "reason": "outage" });
        self.step("createCredit", "/credits", credit, "2.00 EUR off the next invoice").await?;
        // After the payment term and after the days without usage, on whatever day of the month the story begins.
        self.clock(self.now() + TimeDelta::days(40)).await?;
        self.happens("the clock", &account, &["invoice.overdue", "usage_identifier.dormant"]).await?;
        let path = format!("/package-subscriptions/{}/cancel", self.ids.get("subscription").cloned().unwrap_or_default());
        self.step("cancelPackageSubscription", &path, json!({}), "Fleet M is cancelled").await?;
        let path = format!("/accounts/{account}/cancel");
        self.step("cancelAccount", &path, json!({ "reason": "unpaid_invoice" }), "Acme is cancelled, and its service with it").await?;
        Ok(())
    }

    /// Business time.
    fn now(&self) -> Timestamp {
        SystemClock.now() + self.shift
    }

    /// Moves business time to `moment`.
    async fn clock(&mut self, moment: Timestamp) -> Result<(), String> {
        let body = json!({ "now": moment.to_rfc3339_opts(SecondsFormat::Secs, true) });
        self.call("setTestClock", "/test-clock", &body).await?;
        self.shift = moment - SystemClock.now();
        terminal::done("setTestClock", &format!("business time is {}", moment.date_naive()));
        Ok(())
    }

    /// Waits for events of these types with the ordering key `key`, and adds all events with that key.
    async fn happens(&mut self, who: &str, key: &str, kinds: &[&str]) -> Result<(), String> {
        let path = format!("/events?key={key}&limit=200");
        for _ in 0..HAPPENS_TRIES {
            let page = self.call_get(&path).await?;
            let items = page["items"].as_array().cloned().unwrap_or_default();
            if !kinds.iter().all(|kind| items.iter().any(|event| event["type"] == *kind)) {
                sleep(HAPPENS_EVERY).await;
                continue;
            }
            let fresh = items.iter().rev().filter_map(|event| {
                let (id, kind) = (event["id"].as_str()?.to_owned(), event["type"].as_str()?.to_owned());
                // A tenant may have whole business transactions on its stream; they arrive nowhere.
                if is_business_transaction(&kind) {
                    return None;
                }
                // What fell due while the clock jumped is as old as the jump, and was recorded after it.
                let at: Timestamp = event["recordedtime"].as_str().or(event["time"].as_str())?.parse().ok()?;
                let mailed = setup::mailed(&kind);
                (!self.events.iter().any(|known| known.id == id)).then_some(ExpectedEvent { id, kind, at: at - self.shift, mailed })
            });
            let fresh: Vec<ExpectedEvent> = fresh.collect();
            self.show(who, &format!("{}, when due", kinds.join(", ")), fresh);
            return Ok(());
        }
        Err(format!("{} did not happen within {} s", kinds.join(", "), happens_max()))
    }

    /// A step that creates an object; `name` is what the story calls the object.
    async fn make(&mut self, name: &'static str, operation: &str, path: &str, body: Value, outcome: &str) -> Result<String, String> {
        let made = self.step(operation, path, body, outcome).await?;
        let id = created(operation, &made)?;
        self.ids.insert(name, id.clone());
        Ok(id)
    }

    async fn step(&mut self, operation: &str, path: &str, body: Value, outcome: &str) -> Result<Value, String> {
        let transaction = self.call(operation, path, &body).await?;
        let events = expected_events(operation, &transaction, self.shift)?;
        self.show(operation, outcome, events);
        Ok(transaction)
    }

    async fn call(&self, operation: &str, path: &str, body: &Value) -> Result<Value, String> {
        let calling = terminal::during(operation, self.api.post(path, body));
        calling.await?.success(operation)
    }

    async fn call_get(&self, path: &str) -> Result<Value, String> {
        self.api.get(path).await?.success(&format!("GET {path}"))
    }

    fn show(&mut self, who: &str, outcome: &str, events: Vec<ExpectedEvent>) {
        let names: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
        terminal::done(who, outcome);
        terminal::line(&style(format!("      {}", names.join(", "))).dim().to_string());
        self.events.extend(events);
    }
}

/// How often, and how many times, the effects of the clock or of a bill run are looked up.
const HAPPENS_EVERY: Duration = Duration::from_millis(200);
const HAPPENS_TRIES: u32 = 600;

/// The longest wait, in seconds.
fn happens_max() -> f64 {
    HAPPENS_EVERY.as_secs_f64() * f64::from(HAPPENS_TRIES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_events_are_read_from_the_response() {
        let answer = json!({ "occurredAt": "2027-01-15T09:30:00.000001Z", "entities": [{ "id": "a" }],
            "events": [{ "id": "1", "type": "account.updated" }, { "id": "2", "type": "account.bill_cycle_changed" }] });
        let events = expected_events("x", &answer, TimeDelta::zero()).unwrap();
        assert_eq!(events.iter().map(|e| (e.id.as_str(), e.mailed)).collect::<Vec<_>>(), [("1", false), ("2", true)]);
        assert_eq!(created("x", &answer).as_deref(), Ok("a"));
        assert!(
            expected_events("x", &json!({ "events": [] }), TimeDelta::zero())
                .unwrap_err()
                .contains("did not return a business transaction")
        );
    }
}
