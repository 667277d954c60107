//! API keys: who calls.

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

/// Keys seen lately. A revoked key is refused at the latest after [`REMEMBERED`].
#[derive(Default)]
pub(crate) struct Cache(Mutex<HashMap<String, (ApiKey, Instant)>>);

/// How long a key is trusted without asking the database again.
const REMEMBERED: Duration = Duration::from_secs(5);

/// Keys remembered at the most; past that, all are asked for again.
const CACHE_MAX: usize = 10_000;

/// A key at its birth, the only time its text is known.
#[derive(Debug)]
pub struct NewKey {
    /// What the caller sends.
    pub token: String,
    /// What rests.
    pub key: ApiKey,
}

fn hash(token: &str) -> String {
    digest::digest(&digest::SHA256, token.as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// The id of the key with this text: the first half of its hash's hex, so that any text can serve as a key.
fn key_id(token: &str) -> String {
    hash(token)[..16].to_owned()
}

/// Makes a key; `token`: the text it shall have, else 256 random bits.
///
/// # Errors
/// When the system gives no randomness.
pub fn new_key(tenant: TenantId, name: &str, scopes: Vec<String>, token: Option<String>, now: Timestamp) -> Result<NewKey, Error> {
    let token = match token {
        Some(token) => token,
        None => {
            let mut raw = [0u8; 32];
            rand::fill(&mut raw).map_err(|_| Error::Other("the system gives no randomness".into()))?;
            format!("bw_{}", URL_SAFE_NO_PAD.encode(raw))
        }
    };
    let key = ApiKey { id: key_id(&token), tenant, name: name.to_owned(), hash: hash(&token), scopes, created_at: now, revoked_at: None };
    Ok(NewKey { token, key })
}

impl App {
    /// Who sends this bearer token; `None`: nobody we know, or a revoked key.
    ///
    /// # Errors
    /// The database's failure.
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
