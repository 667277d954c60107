//! Lets subscribers in: answers NATS's auth callout with what an API key may read, and cuts a connection off once its key no longer works
//! ([`watch`]).
//!
//! Each process that uses NATS answers; the servers ask one of them. Each process also watches all connections, so that no other one has to
//! be alive when a key is revoked.

mod watch;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use billwire_api::AddressLimits;
use billwire_app::{
    Admitted, App, Refused, Stranger,
    domain::access::{audit::CONNECT, scopes::STREAM},
};
use billwire_bus::{
    CalloutKeys, CalloutRequest, Connection, Error, Permissions, SealedRequest, System, SystemOptions, Token, User, topology,
};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    refusal::Code,
};
use chrono::TimeDelta;
use futures::{Stream, StreamExt};
use tokio::{
    sync::{Semaphore, watch as channel},
    time::{sleep, timeout},
};

use self::watch::{Holder, Open};
use crate::{config::Settings, nats_access::CalloutAccess};

/// The account that subscribers are put in.
const ACCOUNT: &str = "SUBSCRIBERS";
/// Requests that are answered at the same time.
const AT_ONCE: usize = 64;
/// How long an answer may take: the server waits for two seconds, unless it is told otherwise.
const ANSWERED_WITHIN: Duration = Duration::from_millis(1_800);
/// How long an address that has sent too many wrong credentials waits for the answer.
const SLOWED: Duration = Duration::from_millis(1_500);
/// Answers that may wait so; others are given at once.
const SLOWED_MAX: usize = 256;
/// How long a connection may last: then the client connects again, and what it may do is looked up anew.
const LASTS_MAX: TimeDelta = TimeDelta::hours(24);
/// How long a request to the system account may take.
const REQUEST_MAX: Duration = Duration::from_secs(5);
/// The wait before a lost connection to the system account is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// A client that is turned away.
struct Turned {
    /// Why, for the server's log.
    why: &'static str,
    /// Whether its address has sent too many wrong credentials.
    slowly: bool,
}

/// The callout of one process.
pub struct Callout {
    app: App,
    keys: Arc<CalloutKeys>,
    options: SystemOptions,
    /// Connections that the subscribers of a tenant may have.
    per_tenant: usize,
    wrong: AddressLimits,
    slowed: Arc<Semaphore>,
    open: Mutex<Open>,
}

impl Callout {
    /// The callout of this process.
    pub fn new(app: App, access: &CalloutAccess, settings: &Settings) -> Self {
        Self {
            app,
            keys: access.keys.clone(),
            options: SystemOptions { url: access.system_url.clone(), timeout: REQUEST_MAX },
            per_tenant: settings.stream_connections_per_tenant,
            wrong: AddressLimits::new(settings.wrong_credentials_per_minute),
            slowed: Arc::new(Semaphore::new(SLOWED_MAX)),
            open: Mutex::default(),
        }
    }

    /// Answers and watches until `stop` turns true.
    pub async fn run(self: Arc<Self>, mut stop: channel::Receiver<bool>) {
        let work = async {
            loop {
                if let Err(error) = self.work().await {
                    tracing::warn!(%error, "subscribers cannot connect: the system account of NATS is out of reach; it is tried again");
                }
                sleep(AGAIN).await;
            }
        };
        tokio::select! {
            () = work => {}
            _ = stop.wait_for(|stopped| *stopped) => {}
        }
    }

    async fn work(&self) -> Result<(), Error> {
        let system = System::connect(&self.options).await?;
        let told = system.connections(ACCOUNT).await?;
        let questions = system.questions().await?;
        tokio::select! {
            () = self.answer(&system, questions) => Err(Error::Unavailable("the servers' questions have ended".to_owned())),
            ended = self.watch(&system, told) => ended,
        }
    }

    /// Answers what the servers ask.
    async fn answer(&self, system: &System, questions: impl Stream<Item = (SealedRequest, Token)>) {
        questions.for_each_concurrent(AT_ONCE, |(sealed, token)| self.answer_one(system, sealed, token)).await;
    }

    async fn answer_one(&self, system: &System, sealed: SealedRequest, token: Token) {
        let now = SystemClock.now();
        let request = match self.keys.open(&sealed, now) {
            Ok(request) => request,
            Err(error) => return tracing::error!(%error, "a question of the auth callout is not answered"),
        };
        let answer = match timeout(ANSWERED_WITHIN, self.admitted(&request)).await {
            Ok(Ok(user)) => self.keys.permit(&request, &user, now),
            Ok(Err(Turned { why, slowly })) => {
                let refusal = self.keys.refuse(&request, why, now);
                let place = slowly.then(|| self.slowed.clone().try_acquire_owned().ok()).flatten();
                let Some(place) = place else { return give(system, token, refusal).await };
                let system = system.clone();
                tokio::spawn(async move {
                    sleep(SLOWED).await;
                    give(&system, token, refusal).await;
                    drop(place);
                });
                return;
            }
            Err(_) => self.keys.refuse(&request, "the database did not answer in time", now),
        };
        give(system, token, answer).await;
    }

    /// What the client may do, or why it is turned away.
    async fn admitted(&self, request: &CalloutRequest) -> Result<User, Turned> {
        let from = address(&request.host);
        let broken = |error: &dyn std::fmt::Display| {
            tracing::warn!(%error, "a subscriber could not be let in");
            Turned { why: "the database failed", slowly: false }
        };
        let admitted = match self.app.authenticate(request.password.as_deref().unwrap_or_default(), from).await {
            Ok(Ok(admitted)) => admitted,
            Ok(Err(refused)) => return Err(self.refused(refused, from)),
            Err(error) => return Err(broken(&error)),
        };
        let Admitted { caller, credential, until, .. } = admitted;
        let whose = Some((caller.tenant.clone(), caller.by()));
        let Some(credential) = credential else {
            self.app.note_refusal(whose, Some(CONNECT), Code::Unauthenticated);
            return Err(Turned { why: ONLY_KEYS, slowly: false });
        };
        if !caller.may(STREAM) {
            self.app.note_refusal(whose, Some(CONNECT), Code::InsufficientScope);
            return Err(Turned { why: "the API key lacks the scope stream:read", slowly: false });
        }
        let consumers = self.app.consumers_of(&caller.tenant).await.map_err(|error| broken(&error))?;
        if consumers.is_empty() {
            return Err(Turned { why: "the tenant has no stream subscription", slowly: false });
        }
        let holder = Holder { tenant: caller.tenant.clone(), key: caller.key, credential: credential.to_string(), from };
        let connection = Connection { server: request.server.clone(), client: request.client };
        if !self.opened(connection, &holder, until) {
            self.app.note_refusal(whose, Some(CONNECT), Code::TooManyRequests);
            return Err(Turned { why: "the tenant has as many connections as it may have", slowly: false });
        }
        let by = caller.by();
        self.app.note_connection(caller.tenant, by);
        let longest = SystemClock.now() + LASTS_MAX;
        // The server counts whole seconds; what is left of one, the watch cuts.
        let until = until.map_or(longest, |until| longest.min(until + TimeDelta::seconds(1)));
        Ok(User { name: holder.name(), account: ACCOUNT.to_owned(), until, permissions: permissions(&consumers) })
    }

    /// Notes that a client's credentials are not valid.
    fn refused(&self, Refused { why, whose }: Refused, from: Option<IpAddr>) -> Turned {
        let (code, text) = match why {
            Stranger::Unknown => (Code::Unauthenticated, "the API key is unknown, revoked or expired"),
            Stranger::WrongNetwork => (Code::NetworkNotAllowed, "the API key may not be used from this address"),
            Stranger::Suspended => (Code::TenantSuspended, "the tenant is suspended"),
            Stranger::BadToken(_) | Stranger::NoRole | Stranger::IssuerAway => (Code::Unauthenticated, ONLY_KEYS),
        };
        self.app.note_refusal(whose, Some(CONNECT), code);
        Turned { why: text, slowly: why.is_wrong() && self.wrong.take(from).is_err() }
    }

    /// Counts a connection of a tenant's that is being opened. `false`: the tenant has too many.
    fn opened(&self, connection: Connection, holder: &Holder, until: Option<Timestamp>) -> bool {
        let mut open = self.open();
        if open.count(&holder.tenant) >= self.per_tenant {
            return false;
        }
        open.add(connection, holder.clone(), until);
        true
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn give(system: &System, token: Token, answer: Result<Vec<u8>, Error>) {
    let given = match answer {
        Ok(answer) => system.answer(token, answer).await,
        Err(error) => Err(error),
    };
    if let Err(error) = given {
        tracing::warn!(%error, "a subscriber could not be answered");
    }
}

fn address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Why tokens of identity providers are refused: nobody would renew one on a connection that stays.
const ONLY_KEYS: &str = "only API keys are taken as passwords";

/// Pulling from, asking for and acknowledging to these consumers, with answers to their own inboxes: nothing else.
fn permissions(consumers: &[String]) -> Permissions {
    let stream = topology::STREAM;
    let publish = consumers.iter().flat_map(|consumer| {
        [
            format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"),
            format!("$JS.API.CONSUMER.INFO.{stream}.{consumer}"),
            // What the account's configuration makes of the subject before.
            format!("$JS.BILLWIRE.API.CONSUMER.INFO.{stream}.{consumer}"),
            format!("$JS.ACK.{stream}.{consumer}.>"),
            // The same with domain and account, as newer servers write it.
            format!("$JS.ACK.*.*.{stream}.{consumer}.>"),
        ]
    });
    Permissions { publish: publish.collect(), subscribe: consumers.iter().map(|consumer| format!("_INBOX_{consumer}.>")).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subject_names_a_consumer_of_the_tenant() {
        let consumers = ["stream-1".to_owned(), "stream-2".to_owned()];
        let Permissions { publish, subscribe } = permissions(&consumers);
        assert_eq!((publish.len(), subscribe.len()), (10, 2));
        let named = |subject: &String| consumers.iter().any(|consumer| subject.split('.').any(|token| token.ends_with(consumer.as_str())));
        assert!(publish.iter().chain(&subscribe).all(named), "{publish:?} {subscribe:?}");
    }
}
