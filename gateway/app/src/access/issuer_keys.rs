//! The keys of issuers: read through OpenID Connect Discovery 1.0, remembered, and read again when they are old or a token names one that is
//! not known.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use billwire_domain::access::identity_provider::IdentityProvider;
use billwire_schemas::ids::IdentityProviderId;
use serde_json::Value;
use tokio::time::Instant;

use crate::access::jws::{self, Key};

/// After this, keys are read again, so that those that an issuer has taken back stop working.
const FRESH_FOR: Duration = Duration::from_secs(300);
/// For how long keys are used while their issuer is away.
const USED_FOR: Duration = Duration::from_secs(24 * 3600);
/// How often an issuer whose keys are known is asked at most.
const ASKED_EVERY: Duration = Duration::from_secs(60);
/// How often an issuer whose keys were never read is asked at most.
const TRIED_EVERY: Duration = Duration::from_secs(5);
/// Providers whose keys are remembered; beyond that, the one that was asked longest ago is forgotten.
const KNOWN_MAX: usize = 1_000;

/// Reads what issuers publish. `server` implements it with the guarded client.
#[async_trait]
pub trait IssuerClient: Send + Sync + 'static {
    /// The body of the answer to a GET, with status 200. Size and time are bounded, and redirects are not followed.
    ///
    /// # Errors
    /// Why there is none, for people.
    async fn get(&self, url: &str) -> Result<Vec<u8>, String>;
}

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The issuer has none with this id.
    Unknown,
    /// The issuer's keys cannot be read.
    Away,
}

/// The keys of one provider.
#[derive(Default)]
struct Slot {
    state: Mutex<State>,
    /// Held while the issuer is asked.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    keys: Vec<Key>,
    /// When they were read.
    read_at: Option<Instant>,
    /// When the issuer was last asked.
    asked_at: Option<Instant>,
}

impl State {
    fn usable(&self) -> bool {
        self.read_at.is_some_and(|at| at.elapsed() < USED_FOR)
    }

    fn fresh(&self) -> bool {
        self.read_at.is_some_and(|at| at.elapsed() < FRESH_FOR)
    }

    fn may_ask(&self) -> bool {
        let every = if self.usable() { ASKED_EVERY } else { TRIED_EVERY };
        self.asked_at.is_none_or(|at| at.elapsed() >= every)
    }

    /// The keys with this id: an issuer may have one of each kind.
    fn with_id(&self, id: &str) -> Vec<Key> {
        if self.usable() { self.keys.iter().filter(|key| key.id == id).cloned().collect() } else { Vec::new() }
    }
}

impl Slot {
    fn look<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks the issuer, unless it was asked a short time ago.
    async fn ask(&self, client: &dyn IssuerClient, provider: IdentityProviderId, issuer: &str) {
        let _asking = self.asking.lock().await;
        if !self.look(|state| state.may_ask()) {
            return;
        }
        self.look(|state| state.asked_at = Some(Instant::now()));
        match read(client, issuer).await {
            Ok(keys) => self.look(|state| (state.keys, state.read_at) = (keys, Some(Instant::now()))),
            Err(error) => tracing::warn!(%provider, issuer, error, "the keys of an identity provider could not be read"),
        }
    }
}

/// The keys of all providers.
#[derive(Default)]
pub(super) struct IssuerKeys(Mutex<HashMap<(IdentityProviderId, String), Arc<Slot>>>);

impl IssuerKeys {
    fn slot(&self, provider: &IdentityProvider) -> Arc<Slot> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = (provider.id, provider.issuer.clone());
        if slots.len() >= KNOWN_MAX && !slots.contains_key(&of) {
            let oldest = slots.iter().min_by_key(|(_, slot)| slot.look(|state| state.asked_at)).map(|(of, _)| of.clone());
            oldest.and_then(|oldest| slots.remove(&oldest));
        }
        slots.entry(of).or_default().clone()
    }

    /// The keys of a provider with this id; at least one. Concurrent calls ask the issuer once.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn with_id(&self, client: &Arc<dyn IssuerClient>, provider: &IdentityProvider, id: &str) -> Result<Vec<Key>, NoKey> {
        let slot = self.slot(provider);
        let (found, fresh, may_ask) = slot.look(|state| (state.with_id(id), state.fresh(), state.may_ask()));
        if !found.is_empty() {
            if !fresh && may_ask {
                let (client, provider, issuer) = (client.clone(), provider.id, provider.issuer.clone());
                tokio::spawn(async move { slot.ask(&*client, provider, &issuer).await });
            }
            return Ok(found);
        }
        slot.ask(&**client, provider.id, &provider.issuer).await;
        let (found, usable) = slot.look(|state| (state.with_id(id), state.usable()));
        match (found.is_empty(), usable) {
            (false, _) => Ok(found),
            (true, true) => Err(NoKey::Unknown),
            (true, false) => Err(NoKey::Away),
        }
    }
}

/// The keys that an issuer publishes (OpenID Connect Discovery 1.0 section 4).
async fn read(client: &dyn IssuerClient, issuer: &str) -> Result<Vec<Key>, String> {
    // Section 4.1: a slash at its end is removed.
    let url = format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer));
    let told = client.get(&url).await.map_err(|error| format!("{url}: {error}"))?;
    let told: Value = serde_json::from_slice(&told).map_err(|_| format!("{url}: the answer is not JSON"))?;
    // Section 4.3: exactly the same.
    if told["issuer"] != issuer {
        return Err(format!("{url}: it is of another issuer"));
    }
    let url = told["jwks_uri"].as_str().ok_or_else(|| format!("{url}: it names no jwks_uri"))?;
    let set = client.get(url).await.map_err(|error| format!("jwks_uri: {error}"))?;
    jws::keys(&set).map_err(|error| format!("jwks_uri: {error}"))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use billwire_domain::access::identity_provider::Settings;
    use billwire_domain::access::{grant::Grant, identity_provider};
    use billwire_schemas::{clock::Timestamp, ids::fresh};
    use serde_json::json;
    use tokio::time::{advance, sleep};

    use super::*;

    const ISSUER: &str = "https://login.example.com/realms/staff/";

    /// An issuer with keys of these ids.
    #[derive(Default)]
    struct Issuer {
        keys: Mutex<Vec<&'static str>>,
        away: Mutex<bool>,
        asked: AtomicUsize,
        calls_itself: Mutex<Option<&'static str>>,
    }

    impl Issuer {
        fn with(keys: &[&'static str]) -> Arc<Self> {
            Arc::new(Self { keys: Mutex::new(keys.to_vec()), ..Self::default() })
        }

        fn set(&self, keys: &[&'static str]) {
            *self.keys.lock().expect("whole") = keys.to_vec();
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    #[async_trait]
    impl IssuerClient for Issuer {
        async fn get(&self, url: &str) -> Result<Vec<u8>, String> {
            sleep(Duration::from_millis(10)).await;
            let known = match url {
                "https://login.example.com/realms/staff/.well-known/openid-configuration" => {
                    self.asked.fetch_add(1, Ordering::SeqCst);
                    let issuer = self.calls_itself.lock().expect("whole").unwrap_or(ISSUER);
                    json!({ "issuer": issuer, "jwks_uri": "https://keys.example.com/" })
                }
                "https://keys.example.com/" => {
                    let x = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
                    let key = |id: &&str| json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "x": x });
                    json!({ "keys": self.keys.lock().expect("whole").iter().map(key).collect::<Vec<_>>() })
                }
                other => return Err(format!("unexpected {other}")),
            };
            if *self.away.lock().expect("whole") { Err("away".to_owned()) } else { Ok(known.to_string().into_bytes()) }
        }
    }

    fn provider() -> IdentityProvider {
        let settings = Settings {
            name: "staff".to_owned(),
            issuer: ISSUER.to_owned(),
            audience: "billwire".to_owned(),
            role_claim: "roles".to_owned(),
            role_mappings: Vec::new(),
            name_claim: None,
        };
        let made = identity_provider::create(IdentityProviderId(fresh()), settings, &Grant::everything(), &[], Timestamp::UNIX_EPOCH);
        made.expect("made").after
    }

    struct Known {
        keys: IssuerKeys,
        provider: IdentityProvider,
        client: Arc<dyn IssuerClient>,
    }

    impl Known {
        fn of(issuer: &Arc<Issuer>) -> Self {
            Self { keys: IssuerKeys::default(), provider: provider(), client: issuer.clone() }
        }

        async fn get(&self, id: &str) -> Result<usize, NoKey> {
            self.keys.with_id(&self.client, &self.provider, id).await.map(|keys| keys.len())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_unknown_ids_ask_the_issuer_once_a_minute() {
        let issuer = Issuer::with(&["a"]);
        let known = Known::of(&issuer);
        assert_eq!(known.get("a").await, Ok(1));
        for minute in 2..5 {
            advance(ASKED_EVERY).await;
            for n in 0..1_000 {
                assert_eq!(known.get(&format!("{minute}-{n}")).await, Err(NoKey::Unknown));
            }
            let together = (0..100).map(|n| known.get(if n % 2 == 0 { "x" } else { "a" }));
            futures_all(together).await;
            assert_eq!(issuer.asked(), minute);
        }
    }

    /// Waits for all at once.
    async fn futures_all<F: Future>(of: impl Iterator<Item = F>) {
        let mut waiting: Vec<_> = of.map(Box::pin).collect();
        std::future::poll_fn(|cx| {
            waiting.retain_mut(|one| one.as_mut().poll(cx).is_pending());
            if waiting.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_key_is_found_and_one_that_was_taken_back_is_forgotten() {
        let issuer = Issuer::with(&["a"]);
        let known = Known::of(&issuer);
        assert_eq!(known.get("a").await, Ok(1));
        issuer.set(&["a", "b"]);
        assert_eq!(known.get("b").await, Err(NoKey::Unknown), "within the minute");
        advance(ASKED_EVERY).await;
        assert_eq!(known.get("b").await, Ok(1));
        issuer.set(&["b"]);
        advance(FRESH_FOR).await;
        assert_eq!(known.get("a").await, Ok(1), "asked in the background");
        sleep(Duration::from_secs(1)).await;
        assert_eq!((known.get("a").await, known.get("b").await), (Err(NoKey::Unknown), Ok(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn known_keys_work_for_a_day_while_the_issuer_is_away() {
        let issuer = Issuer::with(&["a"]);
        let known = Known::of(&issuer);
        assert_eq!(known.get("a").await, Ok(1));
        *issuer.away.lock().expect("whole") = true;
        for _ in 0..23 {
            advance(Duration::from_secs(3600)).await;
            assert_eq!((known.get("a").await, known.get("b").await), (Ok(1), Err(NoKey::Unknown)));
        }
        advance(Duration::from_secs(3600)).await;
        assert_eq!(known.get("a").await, Err(NoKey::Away));
        *issuer.away.lock().expect("whole") = false;
        assert_eq!(known.get("a").await, Err(NoKey::Away), "asked a moment ago");
        advance(TRIED_EVERY).await;
        assert_eq!(known.get("a").await, Ok(1));
    }

    #[tokio::test(start_paused = true)]
    async fn keys_of_an_issuer_that_calls_itself_otherwise_are_not_used() {
        let issuer = Issuer::with(&["a"]);
        *issuer.calls_itself.lock().expect("whole") = Some("https://login.example.com/realms/staff");
        assert_eq!(Known::of(&issuer).get("a").await, Err(NoKey::Away));
    }
}
