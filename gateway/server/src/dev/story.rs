//! The story: an account, a change of bill cycle that is planned, cancelled, planned again and performed, and a suspension.
//! Every step is a call of the public API; what it promises is taken from its answer.

use billwire_schemas::clock::Timestamp;
use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Value, json};

use super::{
    client::Api,
    setup::{self, CYCLES},
    terminal::{Terminal, Tone},
};

/// An event that an accepted operation promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its id.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// When the operation was decided, in business time.
    pub at: Timestamp,
    /// Whether it is also owed by e-mail.
    pub mailed: bool,
}

/// The events in a business transaction.
///
/// # Errors
/// When the answer is no business transaction.
pub fn told(operation: &str, transaction: &Value) -> Result<Vec<Told>, String> {
    let read = || {
        let at: Timestamp = transaction["occurredAt"].as_str()?.parse().ok()?;
        let events = transaction["events"].as_array()?.iter().map(|event| {
            let (id, kind) = (event["id"].as_str()?.to_owned(), event["type"].as_str()?.to_owned());
            let mailed = setup::mailed(&kind);
            Some(Told { id, kind, at, mailed })
        });
        events.collect::<Option<Vec<_>>>()
    };
    read().ok_or_else(|| format!("{operation} answered no business transaction: {transaction}"))
}

/// The id of the object a business transaction made.
///
/// # Errors
/// When the answer is no business transaction.
pub fn created(operation: &str, transaction: &Value) -> Result<String, String> {
    let id = transaction["entities"][0]["id"].as_str().map(str::to_owned);
    id.ok_or_else(|| format!("{operation} answered no business transaction: {transaction}"))
}

/// Plays it, `now` being business time; gives the events that are owed.
///
/// # Errors
/// The first refusal.
pub async fn play(api: &Api, terminal: Terminal, now: Timestamp) -> Result<Vec<Told>, String> {
    let [(first, _), (second, _)] = CYCLES;
    let mut story = Story { api, terminal, events: Vec::new() };
    let body = json!({ "name": "Acme Telecom", "currency": "EUR", "billCycle": first });
    let made = story.step("createAccount", "/accounts", body, &format!("Acme Telecom, billed on {first}")).await?;
    let account = format!("/accounts/{}", created("createAccount", &made)?);
    let (change, cancel, perform) =
        (format!("{account}/bill-cycle"), format!("{account}/bill-cycle-change/cancel"), format!("{account}/bill-cycle-change/perform"));
    let from = now + TimeDelta::days(30);
    let planned = json!({ "billCycle": second, "validFrom": from.to_rfc3339_opts(SecondsFormat::Secs, true) });
    let outcome = format!("planned: {second} from {}", from.date_naive());
    story.step("updateAccountBillCycle", &change, planned.clone(), &outcome).await?;
    story.step("cancelAccountBillCycleChange", &cancel, json!({}), &format!("cancelled: stays on {first}")).await?;
    story.step("updateAccountBillCycle", &change, planned, &format!("{outcome}, after all")).await?;
    story.step("performAccountBillCycleChange", &perform, json!({}), &format!("performed: on {second} now")).await?;
    let status = format!("{account}/status");
    for (to, reason) in [("suspended", "unpaid_invoice"), ("active", "paid")] {
        let body = json!({ "status": to, "reason": reason });
        story.step("changeAccountStatus", &status, body, &format!("{to}, reason: {reason}")).await?;
    }
    Ok(story.events)
}

struct Story<'a> {
    api: &'a Api,
    terminal: Terminal,
    events: Vec<Told>,
}

impl Story<'_> {
    async fn step(&mut self, operation: &str, path: &str, body: Value, outcome: &str) -> Result<Value, String> {
        let calling = self.terminal.during(|| operation.to_owned(), self.api.post(path, &body));
        let transaction = calling.await?.success(operation)?;
        let events = told(operation, &transaction)?;
        let names: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
        self.terminal.done(operation, outcome);
        self.terminal.line(&self.terminal.paint(Tone::Faint, &format!("      {}", names.join(", "))));
        self.events.extend(events);
        Ok(transaction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_owed_is_read_from_the_answer() {
        let answer = json!({ "occurredAt": "2027-01-15T09:30:00.000001Z", "entities": [{ "id": "a" }],
            "events": [{ "id": "1", "type": "account.updated" }, { "id": "2", "type": "account.bill_cycle_changed" }] });
        let events = told("x", &answer).unwrap();
        assert_eq!(events.iter().map(|e| (e.id.as_str(), e.mailed)).collect::<Vec<_>>(), [("1", false), ("2", true)]);
        assert_eq!(created("x", &answer).as_deref(), Ok("a"));
        assert!(told("x", &json!({ "events": [] })).unwrap_err().contains("no business transaction"));
    }
}
