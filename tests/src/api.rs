//! A client of the public API, like that of an external system.

use std::time::{Duration, Instant};

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::PATIENCE;

/// A response, parsed.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("not JSON ({e}): {}", self.text))
    }

    /// The body; panics if the status differs from `status`.
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    /// Checks a refusal's status and code.
    pub fn refused(self, status: u16, code: &str) -> Value {
        let body = self.json();
        assert_eq!((self.status, body["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        body
    }
}

#[derive(Clone)]
pub struct Api {
    pub base: String,
    pub key: String,
    pub client: reqwest::Client,
}

impl Api {
    pub fn new(base: &str, key: &str) -> Self {
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(64).build().expect("a client");
        Self { base: base.to_owned(), key: key.to_owned(), client }
    }

    pub async fn try_send(&self, method: Method, path: &str, body: Option<&Value>, headers: &[(&str, &str)]) -> reqwest::Result<Answer> {
        let mut request = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(body);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response: Response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, text: response.text().await? })
    }

    /// Sends a call, and again for as long as the gateway refuses it as `busy`: it has changed nothing then and asks for that, and on a machine
    /// whose cores are all taken it is the right answer.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>, headers: &[(&str, &str)]) -> Answer {
        let began = Instant::now();
        loop {
            let answer = self.try_send(method.clone(), path, body, headers).await.unwrap_or_else(|e| panic!("{path}: {e:?}"));
            if answer.status != 503 || answer.json()["code"] != "busy" || began.elapsed() > PATIENCE {
                return answer;
            }
            eprintln!("{method} {path} is sent again: {}", answer.text);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, &[]).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(&body), &[]).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(&body), &[]).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(&body), &[]).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None, &[]).await
    }

    /// Creates an object and returns its id.
    pub async fn create(&self, path: &str, body: Value) -> String {
        let transaction = self.post(path, body).await.expect(201);
        transaction["entities"][0]["id"].as_str().expect("an id").to_owned()
    }

    /// A monthly bill cycle on `day`.
    pub async fn bill_cycle(&self, day: u32) -> String {
        self.create("/v1/bill-cycles", json!({ "name": format!("Monthly {day}"), "period": "month", "billingDay": day })).await
    }

    /// An active account on `bill_cycle`.
    pub async fn account(&self, bill_cycle: &str) -> String {
        self.create("/v1/accounts", json!({ "name": "Acme Telecom", "currency": "EUR", "billCycle": bill_cycle })).await
    }
}
