//! Authentication by API key.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use aws_lc_rs::{constant_time, digest, rand};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use billwire_schemas::{clock::Timestamp, ids::TenantId};
use billwire_store::{ApiKey, Error, commit::Failure};

use crate::{App, Caller};

/// Cache of recently used keys. A revoked key is refused after [`REMEMBERED`] at the latest.
#[derive(Default)]
pub(crate) struct Cache(Mutex<HashMap<String, (ApiKey, Instant)>>);

/// How long a cached key is valid.
const REMEMBERED: Duration = Duration::from_secs(5);

/// Maximum number of cached keys; beyond it, the cache is cleared.
const CACHE_MAX: usize = 10_000;

/// A newly created key; its token is not stored.
#[derive(Debug)]
pub struct NewKey {
    /// The token that the caller sends.
    pub token: String,
    /// The stored key, with the hash of the token.
    pub key: ApiKey,
}

fn hash(token: &str) -> String {
    digest::digest(&digest::SHA256, token.as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// The id of the key with this token: the first 16 hex digits of its hash, so that any text can be a token.
fn key_id(token: &str) -> String {
    hash(token)[..16].to_owned()
}

/// Creates a key with this token, or with 256 random bits.
///
/// # Errors
/// When the system's random generator fails.
pub fn new_key(tenant: TenantId, name: &str, scopes: Vec<String>, token: Option<String>, now: Timestamp) -> Result<NewKey, Error> {
    let token = match token {
        Some(token) => token,
        None => {
            let mut raw = [0u8; 32];
            rand::fill(&mut raw).map_err(|_| Error::Other("the system's random generator failed".into()))?;
            format!("bw_{}", URL_SAFE_NO_PAD.encode(raw))
        }
    };
    let key = ApiKey { id: key_id(&token), tenant, name: name.to_owned(), hash: hash(&token), scopes, created_at: now, revoked_at: None };
    Ok(NewKey { token, key })
}

impl App {
    /// The caller with this bearer token; `None` if the key is unknown or revoked.
    ///
    /// # Errors
    /// A database failure.
    pub async fn authenticate(&self, token: &str) -> Result<Option<Caller>, Failure> {
        let hash = hash(token);
        let id = hash[..16].to_owned();
        let remembered = {
            let cache = self.keys.0.lock().unwrap_or_else(PoisonError::into_inner);
            cache.get(&id).filter(|(_, at)| at.elapsed() < REMEMBERED).map(|(key, _)| key.clone())
        };
        let key = match remembered {
            Some(key) => key,
            None => {
                let Some(key) = self.store.api_key(&id).await? else { return Ok(None) };
                let mut cache = self.keys.0.lock().unwrap_or_else(PoisonError::into_inner);
                if cache.len() >= CACHE_MAX {
                    cache.clear();
                }
                cache.insert(id, (key.clone(), Instant::now()));
                key
            }
        };
        let equal = constant_time::verify_slices_are_equal(key.hash.as_bytes(), hash.as_bytes()).is_ok();
        Ok((equal && key.revoked_at.is_none()).then_some(Caller { tenant: key.tenant, actor: key.name, scopes: key.scopes }))
    }
}
