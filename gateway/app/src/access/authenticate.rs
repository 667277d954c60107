//! Authentication: by API key here, by the token of an identity provider in [`crate::access::people`].

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use billwire_domain::access::{
    api_key::Unusable,
    audit::{By, Entry},
    grant::Grant,
    token::Fault,
};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::TenantId,
};
use billwire_store::{Credential, CredentialHash, commit::Failure};
use chrono::TimeDelta;

use crate::{
    App, Caller,
    access::{jws, key_text},
};

/// A credential, and what its key allows.
#[derive(Clone)]
pub(crate) struct Known {
    credential: Credential,
    grant: Arc<Grant>,
}

/// What is remembered of recently used credentials or tokens.
pub(crate) struct Remembered<K, V>(Mutex<HashMap<K, (V, Instant)>>);

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// How long a cached credential is used without another look into the database: a revoked key is refused within this time.
const REMEMBERED: Duration = Duration::from_millis(500);

/// Maximum number of cached credentials; beyond it, the cache is cleared.
const CACHE_MAX: usize = 10_000;

/// How exactly it is noted when a key was last used.
const USE_NOTED_EVERY: TimeDelta = TimeDelta::hours(1);

/// A caller who may call.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// Who it is.
    pub caller: Caller,
    /// The requests a second that the tenant may send, if it has a limit of its own.
    pub requests_per_second: Option<NonZeroU32>,
    /// The hash of the API key that the caller sent, if it is one.
    pub credential: Option<CredentialHash>,
    /// Until when the key or token works, as far as is known now.
    pub until: Option<Timestamp>,
}

/// A caller who may not call.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Why.
    pub why: Stranger,
    /// Whose credentials these are, if that is known.
    pub whose: Option<(TenantId, By)>,
}

impl Refused {
    fn unknown() -> Self {
        Self { why: Stranger::Unknown, whose: None }
    }
}

/// Why a caller is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// There is no such key, or it no longer works. Which of these is not told.
    Unknown,
    /// The key works, but not from this address.
    WrongNetwork,
    /// The key or token works, but its tenant is suspended.
    Suspended,
    /// The token is not valid.
    BadToken(Fault),
    /// The token is valid, but none of its claims gives a role.
    NoRole,
    /// Whether the token is valid is not known: the keys of its issuer cannot be read.
    IssuerAway,
}

impl Stranger {
    /// Whether the credentials were wrong, and not only without effect at this time.
    pub fn is_wrong(self) -> bool {
        !matches!(self, Self::Suspended | Self::NoRole | Self::IssuerAway)
    }
}

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    pub(super) fn get(&self, of: &K) -> Option<V> {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.get(of).filter(|(_, at)| at.elapsed() < REMEMBERED).map(|(value, _)| value.clone())
    }

    pub(super) fn keep(&self, of: K, value: V) {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= CACHE_MAX {
            remembered.clear();
        }
        remembered.insert(of, (value, Instant::now()));
    }
}

impl Remembered<CredentialHash, Known> {
    fn used(&self, hash: &CredentialHash, now: Timestamp) {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, _)) = remembered.get_mut(hash) {
            known.credential.last_used_at = Some(now);
        }
    }
}

impl App {
    /// The caller with this bearer token, an API key or a signed token, who calls from this address, if it is known.
    ///
    /// # Errors
    /// A database failure.
    pub async fn authenticate(&self, token: &str, from: Option<IpAddr>) -> Result<Result<Admitted, Refused>, Failure> {
        *self.last_call.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        if jws::is_signed_token(token) {
            return self.authenticate_person(token).await;
        }
        if !key_text::is_possible(token) {
            return Ok(Err(Refused::unknown()));
        }
        let hash = self.store.credential_hash(token).await?;
        let known = match self.keys.get(&hash) {
            Some(known) => known,
            None => {
                let Some(credential) = self.store.credential(&hash).await? else { return Ok(Err(Refused::unknown())) };
                let known = Known { grant: Arc::new(credential.key.grant(&credential.roles)), credential };
                self.keys.keep(hash.clone(), known.clone());
                known
            }
        };
        let admitted = admit(&hash, &known, from);
        if admitted.is_ok() {
            self.note_use(hash, &known.credential, SystemClock.now());
        }
        Ok(admitted)
    }

    /// The caller with this credential who called from this address before, if they may still call; read from the database at once.
    ///
    /// # Errors
    /// A database failure.
    pub async fn still_admitted(&self, hash: &CredentialHash, from: Option<IpAddr>) -> Result<Option<Admitted>, Failure> {
        let Some(credential) = self.store.credential(hash).await? else { return Ok(None) };
        let grant = Arc::new(credential.key.grant(&credential.roles));
        Ok(admit(hash, &Known { credential, grant }, from).ok())
    }

    /// How often any tenant's configuration has changed: keys, roles and tenants that are the same as before are so at the same number.
    ///
    /// # Errors
    /// A database failure.
    pub async fn configuration_revision(&self) -> Result<(i64, i64), Failure> {
        Ok(self.store.configuration_revision().await?)
    }

    /// Notes in the background, once an hour, that a credential is used.
    fn note_use(&self, hash: CredentialHash, credential: &Credential, now: Timestamp) {
        if credential.last_used_at.is_some_and(|noted| now - noted < USE_NOTED_EVERY) {
            return;
        }
        // Not again for each call until it is read anew, which is no later for it.
        self.keys.used(&hash, now);
        let (app, tenant, key, first) = (self.clone(), credential.tenant.clone(), credential.key.id, credential.last_used_at.is_none());
        tokio::spawn(async move {
            if let Err(error) = app.store.note_credential_use(&hash, now).await {
                tracing::debug!(%error, "it could not be noted that an API key was used");
            }
            if first {
                app.note_in_audit(&tenant, &Entry::first_use(now, key)).await;
            }
        });
    }
}

/// Whether who has this credential may call from this address now.
fn admit(hash: &CredentialHash, Known { credential, grant }: &Known, from: Option<IpAddr>) -> Result<Admitted, Refused> {
    let (now, key) = (SystemClock.now(), &credential.key);
    let replaced = credential.ends_at.is_some_and(|at| at <= now);
    let why = match key.ensure_usable(from, now) {
        Ok(()) if !replaced && !credential.suspended => None,
        Ok(()) if !replaced => Some(Stranger::Suspended),
        Err(Unusable::Network) if !replaced => Some(Stranger::WrongNetwork),
        _ => Some(Stranger::Unknown),
    };
    if let Some(why) = why {
        return Err(Refused { why, whose: Some((credential.tenant.clone(), By::key(key.id))) });
    }
    let requests_per_second = credential.limits.requests_per_second.and_then(NonZeroU32::new);
    let until = [key.expires_at, credential.ends_at].into_iter().flatten().min();
    let caller =
        Caller { tenant: credential.tenant.clone(), key: Some(key.id), person: None, actor: key.name.clone(), grant: grant.clone() };
    Ok(Admitted { caller, requests_per_second, credential: Some(hash.clone()), until })
}
