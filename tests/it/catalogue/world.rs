//! The starting point of the rows: an account on a monthly cycle, and helpers to create everything else.

use std::time::{Duration, Instant};

use billwire_tests::{PATIENCE, api::Api, eventually};
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};

/// A row's own account and its objects.
pub struct World {
    pub api: Api,
    pub cycle: String,
    pub account: String,
    /// Ids of created objects, by the row's names for them.
    pub ids: std::collections::BTreeMap<&'static str, String>,
    /// Ordering keys whose events count for this row: the account, and watched objects without an account.
    keys: Vec<String>,
}

impl World {
    pub async fn new(api: &Api) -> Self {
        let cycle = api.bill_cycle(1).await;
        let account = api.account(&cycle).await;
        let keys = vec![account.clone(), cycle.clone()];
        Self { api: api.clone(), cycle, account, ids: Default::default(), keys }
    }

    /// All events of this row's keys so far, in outbox order within each key.
    pub async fn events(&self) -> Vec<Value> {
        let mut found = Vec::new();
        for key in &self.keys {
            let page = self.api.get(&format!("/v1/events?key={key}&limit=200")).await.expect(200);
            let mut events: Vec<Value> = page["items"].as_array().expect("items").clone();
            events.reverse();
            found.extend(events);
        }
        found
    }

    /// The events, once there are at least `count`; the clock needs a moment.
    pub async fn events_when(&self, count: usize) -> Vec<Value> {
        let until = Instant::now() + PATIENCE;
        loop {
            let found = self.events().await;
            // The caller reports missing events.
            if found.len() >= count || Instant::now() > until {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Also counts the events of an object without an account.
    pub fn watch(&mut self, key: &str) {
        self.keys.push(key.to_owned());
    }

    pub fn id(&self, name: &str) -> &str {
        self.ids.get(name).unwrap_or_else(|| panic!("no {name} was made"))
    }

    /// Creates an object and stores its id under a name of the row.
    pub async fn make(&mut self, name: &'static str, path: &str, body: Value) -> String {
        let id = self.api.create(path, body).await;
        self.ids.insert(name, id.clone());
        id
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        let answer = self.api.post(path, body).await;
        assert!((200..300).contains(&answer.status), "{path}: {}", answer.text);
        answer.json()
    }

    pub async fn patch(&self, path: &str, body: Value) -> Value {
        self.api.send(Method::PATCH, path, Some(&body), &[]).await.expect(200)
    }

    pub async fn put(&self, path: &str, body: Value) -> Value {
        self.api.send(Method::PUT, path, Some(&body), &[]).await.expect(200)
    }

    pub async fn delete(&self, path: &str) -> Value {
        self.api.delete(path).await.expect(200)
    }

    /// The gateway's current business time.
    pub async fn now(&self) -> String {
        let account = self.api.get(&format!("/v1/business-transactions?account={}&limit=1", self.account)).await.expect(200);
        account["items"][0]["occurredAt"].as_str().expect("a moment").to_owned()
    }

    /// The date of the current business time.
    pub async fn today(&self) -> String {
        self.now().await[..10].to_owned()
    }

    /// Advances business time.
    pub async fn days_pass(&self, days: i64) {
        let now: DateTime<Utc> = self.now().await.parse().expect("a moment");
        self.api.post("/v1/test-clock", json!({ "now": now + TimeDelta::days(days) })).await.expect(200);
    }

    /// Waits until the object at `path` fits.
    pub async fn until(&self, path: &str, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        eventually(what, async || Some(self.api.get(path).await.expect(200)).filter(|found| fits(found))).await
    }
}
