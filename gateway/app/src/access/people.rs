//! Authentication of people, by tokens of their identity provider.

use std::{
    collections::HashSet,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::digest;
use billwire_domain::access::{
    audit::{By, Entry, Person as Pseudonym},
    grant::Grant,
    token::{self, Fault, Person},
};
use billwire_schemas::{
    clock::{Clock, SystemClock},
    ids::TenantId,
};
use billwire_store::{RegisteredProvider, commit::Failure};

use crate::{
    App, Caller,
    access::{
        authenticate::{Admitted, Refused, Remembered, Stranger},
        issuer_keys::{IssuerClient, IssuerKeys, NoKey},
        jws::{TOKEN_BYTES_MAX, Unproven},
    },
};

/// People who are remembered as known; beyond it, all are forgotten, and noted again.
const SEEN_MAX: usize = 10_000;

/// A token that was proven, and what it allowed at that time.
#[derive(Clone)]
struct Known {
    registered: Arc<RegisteredProvider>,
    person: Arc<Person>,
    by: Pseudonym,
    /// What their roles allow; `None`: they have none.
    grant: Option<Arc<Grant>>,
}

/// What a process knows of people.
#[derive(Default)]
pub(crate) struct People {
    tokens: Remembered<Vec<u8>, Known>,
    keys: IssuerKeys,
    seen: Mutex<HashSet<Pseudonym>>,
    client: Option<Arc<dyn IssuerClient>>,
}

impl People {
    pub fn with_client(client: Arc<dyn IssuerClient>) -> Self {
        Self { client: Some(client), ..Self::default() }
    }

    /// Whether this is the first call of a person.
    fn is_new(&self, person: &Pseudonym) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.contains(person) {
            return false;
        }
        if seen.len() >= SEEN_MAX {
            seen.clear();
        }
        seen.insert(person.clone())
    }
}

fn refused(why: Stranger, whose: Option<(TenantId, By)>) -> Refused {
    Refused { why, whose }
}

fn unknown() -> Refused {
    refused(Stranger::BadToken(Fault::Unknown), None)
}

impl App {
    /// The person whom this token names, if it is one of a registered issuer.
    ///
    /// # Errors
    /// A database failure.
    pub(super) async fn authenticate_person(&self, token: &str) -> Result<Result<Admitted, Refused>, Failure> {
        if token.len() > TOKEN_BYTES_MAX {
            return Ok(Err(unknown()));
        }
        let hash = digest::digest(&digest::SHA256, token.as_bytes()).as_ref().to_vec();
        let remembered = self.people.tokens.get(&hash).filter(|known| SystemClock.now() < known.person.expires_at);
        let known = match remembered {
            Some(known) => known,
            None => match self.prove(token).await? {
                Ok(known) => {
                    self.people.tokens.keep(hash, known.clone());
                    known
                }
                Err(refused) => return Ok(Err(refused)),
            },
        };
        let Known { registered, person, by, grant } = known;
        let tenant = registered.tenant.clone();
        let whose = |by: &Pseudonym| Some((tenant.clone(), By::person(by.clone())));
        if registered.suspended {
            return Ok(Err(refused(Stranger::Suspended, whose(&by))));
        }
        let Some(grant) = grant else { return Ok(Err(refused(Stranger::NoRole, whose(&by)))) };
        if self.people.is_new(&by) {
            let (app, tenant, by) = (self.clone(), tenant.clone(), by.clone());
            tokio::spawn(async move { app.note_in_audit(&tenant, &Entry::sign_in(SystemClock.now(), by)).await });
        }
        let actor = token::actor(&person, &registered.provider);
        let requests_per_second = registered.limits.requests_per_second.and_then(NonZeroU32::new);
        let caller = Caller { tenant, key: None, person: Some(by), actor, grant };
        Ok(Ok(Admitted { caller, requests_per_second, credential: None, until: Some(person.expires_at) }))
    }

    /// Checks a token against what is registered now.
    async fn prove(&self, token: &str) -> Result<Result<Known, Refused>, Failure> {
        let Some(token) = Unproven::read(token) else { return Ok(Err(unknown())) };
        let Some((issuer, audiences)) = token::origin(&token.claims) else { return Ok(Err(unknown())) };
        let (Some(registered), Some(client)) = (self.store.identity_provider_of(issuer, &audiences).await?, &self.people.client) else {
            return Ok(Err(unknown()));
        };
        let provider = &registered.provider;
        let keys = match self.people.keys.with_id(client, provider, token.key_id()).await {
            Ok(keys) => keys,
            Err(NoKey::Unknown) => return Ok(Err(unknown())),
            Err(NoKey::Away) => return Ok(Err(refused(Stranger::IssuerAway, None))),
        };
        if !keys.iter().any(|key| token.is_proven_by(key)) {
            return Ok(Err(unknown()));
        }
        let person = match token::check(&token.claims, provider, SystemClock.now()) {
            Ok(person) => person,
            Err(fault) => return Ok(Err(refused(Stranger::BadToken(fault), None))),
        };
        let grant = provider.grant(&person.values, &registered.roles).map(Arc::new);
        let pseudonym = self.store.pseudonym(provider.id, &person.subject).await?;
        let by = Pseudonym { identity_provider_id: provider.id, pseudonym };
        Ok(Ok(Known { registered: Arc::new(registered), person: Arc::new(person), by, grant }))
    }
}
