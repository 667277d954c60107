//! What rows start from: an account on a monthly cycle, and ways to whatever else they need.

use std::time::{Duration, Instant};

use billwire_tests::{PATIENCE, api::Api, eventually};
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};

/// One row's own account and what hangs on it.
pub struct World {
    pub api: Api,
    pub cycle: String,
    pub account: String,
    /// Ids the row has made, by its own names.
    pub ids: std::collections::BTreeMap<&'static str, String>,
    /// Keys whose events count for this row: those of the account, and of objects that belong to none.
    keys: Vec<String>,
}

impl World {
    pub async fn new(api: &Api) -> Self {
        let cycle = api.bill_cycle(1).await;
        let account = api.account(&cycle).await;
        let keys = vec![account.clone(), cycle.clone()];
        Self { api: api.clone(), cycle, account, ids: Default::default(), keys }
    }

    /// Every event of this row's keys so far, in the order of the outbox within each key.
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

    /// The events once there are `count` of them; a clock needs a moment. More are looked for, too.
    pub async fn events_when(&self, count: usize) -> Vec<Value> {
        let until = Instant::now() + PATIENCE;
        loop {
            let found = self.events().await;
            // Too few are for the caller to name.
            if found.len() >= count || Instant::now() > until {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Also counts the events of an object that belongs to no account.
    pub fn watch(&mut self, key: &str) {
        self.keys.push(key.to_owned());
    }

    pub fn id(&self, name: &str) -> &str {
        self.ids.get(name).unwrap_or_else(|| panic!("no {name} was made"))
    }

    /// Creates something under a name of the row's own.
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

    /// Business time, as the gateway tells it.
    pub async fn now(&self) -> String {
        let account = self.api.get(&format!("/v1/business-transactions?account={}&limit=1", self.account)).await.expect(200);
        account["items"][0]["occurredAt"].as_str().expect("a moment").to_owned()
    }

    /// Its date.
    pub async fn today(&self) -> String {
        self.now().await[..10].to_owned()
    }

    /// Moves business time on.
    pub async fn days_pass(&self, days: i64) {
        let now: DateTime<Utc> = self.now().await.parse().expect("a moment");
        self.api.post("/v1/test-clock", json!({ "now": now + TimeDelta::days(days) })).await.expect(200);
    }

    /// Waits until the object at `path` says so.
    pub async fn until(&self, path: &str, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        eventually(what, async || Some(self.api.get(path).await.expect(200)).filter(|found| fits(found))).await
    }
}
