//! Which connections subscribers have, and the end of those whose API key no longer works.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    time::Duration,
};

use billwire_app::{App, CredentialHash, Failure, domain::access::scopes::STREAM};
use billwire_bus::{Connection, Connections, Error, System};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::{ApiKeyId, TenantId},
};
use futures::{Stream, StreamExt, stream};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::{ACCOUNT, Callout, address};

/// How often it is looked whether keys, roles or tenants have changed.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often the servers are asked for their connections: what they tell of each may be lost.
const REPORT_EVERY: Duration = Duration::from_secs(30);
/// Connections that are cut off at the same time.
const CUT_AT_ONCE: usize = 32;
/// Between the parts of a user's name.
const SEPARATOR: char = '/';

/// Who has a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Holder {
    /// The tenant.
    pub tenant: TenantId,
    /// The API key.
    pub key: Option<ApiKeyId>,
    /// The hash of its text.
    pub credential: String,
    /// The client's address.
    pub from: Option<IpAddr>,
}

impl Holder {
    /// The user's name in the servers' reports.
    pub fn name(&self) -> String {
        let key = self.key.map(|key| key.to_string()).unwrap_or_default();
        [self.tenant.as_str(), &key, &self.credential].join(&SEPARATOR.to_string())
    }

    /// The holder that a user's name and a client's address tell of.
    fn of(name: &str, host: &str) -> Option<Self> {
        let [tenant, key, credential] = name.split(SEPARATOR).collect::<Vec<_>>()[..] else { return None };
        Some(Self { tenant: tenant.parse().ok()?, key: key.parse().ok(), credential: credential.to_owned(), from: address(host) })
    }
}

/// The open connections, and until when the texts of their keys work, where that is known.
#[derive(Default)]
pub(super) struct Open {
    /// Each with when it was added.
    connections: HashMap<Connection, (Holder, Instant)>,
    ends: HashMap<String, Timestamp>,
    /// Whether there may be one whose key was not looked at.
    new: bool,
}

impl Open {
    /// How many connections a tenant has.
    pub fn count(&self, tenant: &TenantId) -> usize {
        self.connections.values().filter(|(holder, _)| holder.tenant == *tenant).count()
    }

    /// Adds a connection of a holder whose text works until this moment, as far as is known.
    pub fn add(&mut self, connection: Connection, holder: Holder, until: Option<Timestamp>) {
        self.ends.extend(until.map(|until| (holder.credential.clone(), until)));
        self.connections.insert(connection, (holder, Instant::now()));
        // The key may have ended while the connection was opened.
        self.new = true;
    }

    fn remove(&mut self, connection: &Connection) {
        self.connections.remove(connection);
    }

    /// Takes over what the servers have reported since `began`: what was added since then, they may not have known.
    fn replace(&mut self, reported: impl Iterator<Item = (Connection, Holder)>, began: Instant) {
        self.connections.retain(|_, (_, added)| *added >= began);
        for (connection, holder) in reported {
            self.connections.entry(connection).or_insert((holder, began));
        }
        self.new = true;
        let held: HashSet<&String> = self.connections.values().map(|(holder, _)| &holder.credential).collect();
        self.ends.retain(|credential, _| held.contains(credential));
    }

    fn holders(&self) -> HashSet<Holder> {
        self.connections.values().map(|(holder, _)| holder.clone()).collect()
    }

    fn of(&self, ended: &HashSet<Holder>) -> Vec<Connection> {
        self.connections.iter().filter(|(_, (holder, _))| ended.contains(holder)).map(|(connection, _)| connection.clone()).collect()
    }

    /// Whether the text of a key has come to its end.
    fn has_ended(&self, now: Timestamp) -> bool {
        self.ends.values().any(|end| *end <= now)
    }
}

impl Callout {
    /// Watches until the connection to the system account ends.
    pub(super) async fn watch(&self, system: &System, told: impl Stream<Item = Connections>) -> Result<(), Error> {
        tokio::select! {
            () = self.follow(told) => Err(Error::Unavailable("the servers' events have ended".to_owned())),
            () = self.compare(system) => Ok(()),
            () = self.cut_off(system) => Ok(()),
        }
    }

    /// Follows what the servers tell.
    async fn follow(&self, told: impl Stream<Item = Connections>) {
        let mut told = std::pin::pin!(told);
        while let Some(told) = told.next().await {
            match told {
                Connections::Opened(connection, name, host) => {
                    if let Some(holder) = Holder::of(&name, &host) {
                        self.open().add(connection, holder, None);
                    }
                }
                Connections::Closed(connection) => self.open().remove(&connection),
            }
        }
    }

    /// Asks the servers for their connections, again and again.
    async fn compare(&self, system: &System) {
        loop {
            let began = Instant::now();
            match system.open_connections(ACCOUNT).await {
                Ok(reported) => {
                    let holders =
                        reported.into_iter().filter_map(|(connection, (name, host))| Some((connection, Holder::of(&name, &host)?)));
                    self.open().replace(holders, began);
                }
                Err(error) => tracing::warn!(%error, "the servers do not report the connections of subscribers"),
            }
            sleep(REPORT_EVERY).await;
        }
    }

    /// Cuts off those whose key no longer works.
    async fn cut_off(&self, system: &System) {
        let (mut look, mut known) = (interval(LOOK_EVERY), None);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            known = match self.look(system, known).await {
                Ok(revision) => revision,
                Err(error) => {
                    tracing::warn!(%error, "it is not known whether the API keys of subscribers still work");
                    None
                }
            };
        }
    }

    /// The same once, if anything has changed since the configuration that is `known`. Gives the one that is known now.
    async fn look(&self, system: &System, known: Option<(i64, i64)>) -> Result<Option<(i64, i64)>, Failure> {
        let now = SystemClock.now();
        let (holders, changed) = {
            let mut open = self.open();
            let changed = std::mem::take(&mut open.new) | open.has_ended(now);
            (open.holders(), changed)
        };
        if holders.is_empty() {
            return Ok(None);
        }
        let revision = Some(self.app.configuration_revision().await?);
        if known == revision && !changed {
            return Ok(revision);
        }
        let mut strangers = HashSet::new();
        for holder in holders {
            match still_works(&self.app, &holder).await? {
                Some(until) => self.open().ends.extend(until.map(|until| (holder.credential, until))),
                None => {
                    self.open().ends.remove(&holder.credential);
                    strangers.insert(holder);
                }
            }
        }
        let mut cut = stream::iter(self.open().of(&strangers)).map(|connection| self.cut(system, connection)).buffer_unordered(CUT_AT_ONCE);
        let mut all = true;
        while let Some(done) = cut.next().await {
            all &= done;
        }
        // What could not be cut off is looked at again.
        Ok(revision.filter(|_| all))
    }

    /// Gives whether the connection is cut off.
    async fn cut(&self, system: &System, connection: Connection) -> bool {
        match system.cut(&connection).await {
            Ok(()) => {
                tracing::info!(client = connection.client, "a subscriber was cut off: its API key no longer works");
                self.open().remove(&connection);
                true
            }
            Err(error) => {
                tracing::warn!(%error, client = connection.client, "a subscriber whose API key no longer works could not be cut off");
                false
            }
        }
    }
}

/// Until when the holder's text works; `None`: it no longer does.
async fn still_works(app: &App, holder: &Holder) -> Result<Option<Option<Timestamp>>, Failure> {
    let admitted = app.still_admitted(&CredentialHash::of_text(&holder.credential), holder.from).await?;
    let same = admitted.filter(|admitted| admitted.caller.tenant == holder.tenant && admitted.caller.may(STREAM));
    Ok(same.map(|admitted| admitted.until))
}

#[cfg(test)]
mod tests {
    use billwire_schemas::ids::fresh;

    use super::*;

    #[test]
    fn a_holder_is_known_again_by_its_name() {
        let holder = Holder {
            tenant: "acme".parse().expect("a tenant"),
            key: Some(ApiKeyId(fresh())),
            credential: "9f86d0".to_owned(),
            from: "192.0.2.7".parse().ok(),
        };
        assert_eq!(Holder::of(&holder.name(), "192.0.2.7"), Some(holder));
        assert_eq!(Holder::of("billwire", "192.0.2.7"), None);
    }

    #[test]
    fn connections_are_counted_by_tenant_and_forgotten() {
        let of = |tenant: &str, credential: &str| Holder {
            tenant: tenant.parse().expect("a tenant"),
            key: None,
            credential: credential.to_owned(),
            from: None,
        };
        let at = |client| Connection { server: "N".to_owned(), client };
        let mut open = Open::default();
        let now = SystemClock.now();
        open.add(at(1), of("acme", "a"), Some(now));
        open.add(at(2), of("acme", "b"), None);
        open.add(at(3), of("other", "c"), None);
        assert_eq!((open.count(&"acme".parse().expect("a tenant")), open.has_ended(now)), (2, true));
        assert_eq!(open.of(&HashSet::from([of("acme", "b")])), [at(2)]);
        open.remove(&at(2));
        open.replace([(at(3), of("other", "c"))].into_iter(), Instant::now() + Duration::from_secs(1));
        assert!(open.count(&"acme".parse().expect("a tenant")) == 0 && !open.has_ended(now), "its end is forgotten too");
    }
}
