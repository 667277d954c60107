//! Calls from a developer's machine: to the gateway's API, to the identity provider that they sign in at, and to a receiver under development. The rules for destinations do not apply
//! here, since the developer names both hosts and no tenant does.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use url::Url;

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// A client for a developer's own addresses.
#[derive(Clone)]
pub struct UnguardedClient(reqwest::Client);

impl UnguardedClient {
    /// A client whose calls may take as long as `call`.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    #[expect(clippy::disallowed_methods, reason = "the addresses are the developer's own, not a tenant's")]
    pub fn new(call: Duration) -> Result<Self, String> {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(call).build();
        client.map(Self).map_err(|error| error.to_string())
    }

    async fn read(mut response: reqwest::Response) -> Result<(u16, Bytes), String> {
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(plain)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(format!("the answer is larger than {ANSWER_BYTES_MAX} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, body.into()))
    }

    /// GETs a public document.
    ///
    /// # Errors
    /// Why there is no answer, for people.
    pub async fn read_document(&self, url: Url) -> Result<(u16, Bytes), String> {
        Self::read(self.0.get(url).send().await.map_err(plain)?).await
    }

    /// GETs `url` with a bearer token.
    ///
    /// # Errors
    /// Why there is no answer, for people.
    pub async fn get(&self, url: Url, token: &str) -> Result<(u16, Bytes), String> {
        Self::read(self.0.get(url).bearer_auth(token).send().await.map_err(plain)?).await
    }

    /// Sends DELETE to `url` with a bearer token.
    ///
    /// # Errors
    /// Why there is no answer, for people.
    pub async fn delete(&self, url: Url, token: &str) -> Result<(u16, Bytes), String> {
        Self::read(self.0.delete(url).bearer_auth(token).send().await.map_err(plain)?).await
    }

    /// POSTs `body` to `url`.
    ///
    /// # Errors
    /// Why there is no answer, for people.
    pub async fn post(&self, url: Url, headers: HeaderMap, body: Bytes) -> Result<(u16, Bytes), String> {
        Self::read(self.0.post(url).headers(headers).body(body).send().await.map_err(plain)?).await
    }
}

/// The innermost reason: the outer ones only say that something was sent.
fn plain(error: reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = &error;
    while let Some(below) = inner.source() {
        inner = below;
    }
    inner.to_string()
}
