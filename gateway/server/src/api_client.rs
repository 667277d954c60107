//! Calls of a gateway's API by commands of `billwire`.

use std::time::Duration;

use billwire_webhook::unguarded_client::UnguardedClient;
use bytes::Bytes;
use poem::http::{HeaderMap, HeaderValue, header};
use serde_json::Value;
use url::Url;

use crate::login::{self, Profile, ProfileName};

/// How long a call of the API may take.
const CALL_MAX: Duration = Duration::from_secs(30);
/// Items on a page.
const PAGE: usize = 200;

/// Which gateway to call.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// The gateway's API; absent, and without --profile: the database that is configured here
    #[arg(long)]
    api: Option<Url>,
    /// With --api: the API key to call with
    #[arg(long, env = "BILLWIRE_ADMIN_KEY", hide_env_values = true)]
    key: Option<String>,
    /// The gateway and key that `billwire login` has kept under this name
    #[arg(long, conflicts_with = "api")]
    profile: Option<ProfileName>,
}

impl Place {
    /// The API to call; `None`: the database that is configured here is meant.
    ///
    /// # Errors
    /// One line that says what is wrong and what to do.
    pub async fn api(&self) -> Result<Option<Api>, String> {
        match (&self.profile, &self.api) {
            (Some(name), _) => {
                let Profile { api, key } = login::profile(name).await?;
                Api::new(&api, Some(key)).map(Some)
            }
            (None, Some(api)) => Api::new(api, self.key.clone()).map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// A gateway that is called over its API, and nothing else.
#[derive(Debug, clap::Args)]
pub struct Gateway {
    /// The gateway's API
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub api: Url,
    /// The API key to call with
    #[arg(long, env = "BILLWIRE_ADMIN_KEY", hide_env_values = true, required_unless_present = "profile")]
    pub key: Option<String>,
    /// The gateway and key that `billwire login` has kept under this name
    #[arg(long)]
    pub profile: Option<ProfileName>,
}

impl Gateway {
    /// Its address, and what to call it with.
    ///
    /// # Errors
    /// One line: the profile is not there, or its token cannot be replaced.
    pub async fn profile(&self) -> Result<Profile, String> {
        match &self.profile {
            Some(name) => login::profile(name).await,
            None => Ok(Profile { api: self.api.clone(), key: self.key.clone().unwrap_or_default() }),
        }
    }

    /// Its API.
    ///
    /// # Errors
    /// One line that says what is wrong and what to do.
    pub async fn api(&self) -> Result<Api, String> {
        let Profile { api, key } = self.profile().await?;
        Api::new(&api, Some(key))
    }
}

/// A text member of what the API answers; empty if there is none.
pub fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_default()
}

/// The API of a gateway.
pub struct Api {
    base: Url,
    key: String,
    client: UnguardedClient,
}

impl Api {
    /// The API at this URL, called with this key.
    ///
    /// # Errors
    /// One line: there is no key, or TLS cannot be set up.
    pub fn new(base: &Url, key: Option<String>) -> Result<Self, String> {
        let key = key.ok_or("--key: with --api, give an API key, or set BILLWIRE_ADMIN_KEY")?;
        Ok(Self { base: base.clone(), key, client: UnguardedClient::new(CALL_MAX)? })
    }

    fn url(&self, path: &str) -> Result<Url, String> {
        self.base.join(path).map_err(|e| format!("--api: {e}"))
    }

    /// The answer, or where there was none, and why.
    fn answered<T>(&self, answer: Result<T, String>) -> Result<T, String> {
        answer.map_err(|why| format!("no answer from {}: {why}", self.base))
    }

    /// What the API says, or why it refuses.
    fn said((status, body): (u16, Bytes)) -> Result<Value, String> {
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        if (200..300).contains(&status) {
            return Ok(said);
        }
        let why = match status {
            401 => "the API key is not valid; give another with --key or BILLWIRE_ADMIN_KEY",
            _ => text(&said, "detail"),
        };
        Err(format!("the API answered {status}: {why}"))
    }

    /// A change by POST; gives the first entity after it.
    ///
    /// # Errors
    /// Why it is refused, or why there is no answer.
    pub async fn change(&self, path: &str, body: Value) -> Result<Value, String> {
        Ok(self.post(path, body).await?["entities"][0]["after"].clone())
    }

    /// What a POST answers.
    ///
    /// # Errors
    /// Why it is refused, or why there is no answer.
    pub async fn post(&self, path: &str, body: Value) -> Result<Value, String> {
        let bearer = HeaderValue::from_str(&format!("Bearer {}", self.key)).map_err(|_| "--key: has characters that no key has")?;
        let json = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, bearer), (header::CONTENT_TYPE, json)]);
        Self::said(self.answered(self.client.post(self.url(path)?, headers, body.to_string().into()).await)?)
    }

    /// Deletes; gives the first entity after it.
    ///
    /// # Errors
    /// Why it is refused, or why there is no answer.
    pub async fn delete(&self, path: &str) -> Result<Value, String> {
        let said = Self::said(self.answered(self.client.delete(self.url(path)?, &self.key).await)?)?;
        Ok(said["entities"][0]["after"].clone())
    }

    /// What a GET answers.
    ///
    /// # Errors
    /// Why it is refused, or why there is no answer.
    pub async fn get(&self, path: &str) -> Result<Value, String> {
        Self::said(self.answered(self.client.get(self.url(path)?, &self.key).await)?)
    }

    /// All items of a list.
    ///
    /// # Errors
    /// Why it is refused, or why there is no answer.
    pub async fn list(&self, path: &str) -> Result<Vec<Value>, String> {
        self.first(path, &[], usize::MAX).await
    }

    /// The first items of a list, up to `most`, with these query parameters.
    ///
    /// # Errors
    /// Why it is refused, or why there is no answer.
    pub async fn first(&self, path: &str, query: &[(&str, &str)], most: usize) -> Result<Vec<Value>, String> {
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut url = self.url(path)?;
            let limit = (most - items.len()).clamp(1, PAGE);
            url.query_pairs_mut().extend_pairs(query).append_pair("limit", &limit.to_string());
            if let Some(cursor) = &cursor {
                url.query_pairs_mut().append_pair("cursor", cursor);
            }
            let page = Self::said(self.answered(self.client.get(url, &self.key).await)?)?;
            items.extend(page["items"].as_array().into_iter().flatten().cloned());
            match page["nextCursor"].as_str() {
                Some(next) if items.len() < most => cursor = Some(next.to_owned()),
                _ => return Ok(items),
            }
        }
    }
}
