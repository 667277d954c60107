//! What the processes on one database must have in common: the NATS they publish to and read from, and the folder of the warehouse.
//!
//! Each process claims the ones it uses by leases in the database. A process that would use others is refused at its start: events that it
//! publishes would never reach the rest, and rows that it loads would be missing or doubled in the warehouse.

use std::{path::Path, time::Duration};

use billwire_schemas::ids::fresh;
use billwire_store::Store;
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{Instant, interval, sleep, timeout},
};

use crate::{config::Settings, data_dir, roles::Role};

/// A place that this process uses.
#[derive(Debug, Clone)]
pub struct Place {
    /// The lease.
    name: &'static str,
    /// An id of 36 characters, by which processes tell whether they use the same place, and where it is.
    owner: String,
    /// The setting that names the place.
    setting: &'static str,
}

impl Place {
    /// Whether it is a NATS that a setting names.
    fn is_configured(&self) -> bool {
        self.owner.starts_with(CONFIGURED)
    }

    /// Whether this and `other`, an owner text, are one nats-server that is private to one of the two processes, while the setting of the other
    /// leads to it. Either may hold the claim: a process on a busy machine can be late to renew it.
    fn is_same_server(&self, other: &str) -> bool {
        self.name == NATS
            && self.is_configured() != other.starts_with(CONFIGURED)
            && port(&self.owner).is_some_and(|own| port(other) == Some(own))
    }
}

/// The leases.
const NATS: &str = "place-nats";
const WAREHOUSE: &str = "place-warehouse";
/// The id of a NATS that is not private: whether two URLs lead to the same one cannot be told.
const CONFIGURED: &str = "00000000-0000-0000-0000-000000000000";
/// How often a claim that another process may have left behind is tried again.
const AGAIN: Duration = Duration::from_millis(100);
/// How long a configured NATS may take to accept a connection.
const REACHED_WITHIN: Duration = Duration::from_secs(2);

/// Claims the places that this process uses.
///
/// # Errors
/// One line that says which place another process uses, and what to do.
pub async fn claim(settings: &Settings, store: &Store, nats: &str, roles: &[Role]) -> Result<Vec<Place>, String> {
    let mut wanted = Vec::new();
    if !nats.is_empty() {
        wanted.push(nats_of(settings, nats)?);
    }
    if !nats.is_empty() && roles.contains(&Role::Consumers) {
        wanted.extend(warehouse_of(settings).await?);
    }
    let mut claimed = Vec::new();
    for place in wanted {
        // A process that has ended without a word holds its lease until it expires.
        let until = Instant::now() + settings.lease() + settings.lease() / 2;
        loop {
            // A server that is away may be the private one of a process that starts again: it is not claimed from that process.
            let of_nobody = store.lease_owner(place.name).await.map_err(|e| e.to_string())?.is_none();
            if of_nobody && place.is_configured() && !is_reachable(nats).await {
                break;
            }
            let Some(other) = store.share_lease(place.name, &place.owner, settings.lease()).await.map_err(|e| e.to_string())? else {
                claimed.push(place);
                break;
            };
            if place.is_same_server(&other) {
                // The server's own process takes the claim as soon as the other one's ends.
                if !place.is_configured() {
                    claimed.push(place);
                }
                break;
            }
            if Instant::now() > until {
                return Err(refusal(&place, &other));
            }
            sleep(AGAIN).await;
        }
    }
    Ok(claimed)
}

fn refusal(place: &Place, other: &str) -> String {
    let of = |owner: &str| owner.get(CONFIGURED.len() + 1..).unwrap_or_default().to_owned();
    format!(
        "another process on this database uses {}, and this one would use {}: set {} to the same in both",
        of(other),
        of(&place.owner),
        place.setting
    )
}

fn nats_of(settings: &Settings, nats: &str) -> Result<Place, String> {
    let (id, place) = match &settings.nats_url {
        Some(_) => (CONFIGURED.to_owned(), format!("the NATS at {}", address(nats))),
        None => {
            let folder = &settings.data_dir;
            (data_dir_id(folder)?, format!("the private nats-server at {} of the data directory {}", address(nats), folder.display()))
        }
    };
    Ok(Place { name: NATS, owner: format!("{id} {place}"), setting: "BILLWIRE_NATS_URL" })
}

async fn warehouse_of(settings: &Settings) -> Result<Option<Place>, String> {
    let url = settings.warehouse()?;
    Ok(match settings.warehouse_directory()?.id().await {
        Ok(id) => Some(Place { name: WAREHOUSE, owner: format!("{id} the warehouse at {url}"), setting: "BILLWIRE_WAREHOUSE_URL" }),
        Err(error) => {
            tracing::warn!(%error, "cannot tell whether other processes use the same warehouse");
            None
        }
    })
}

/// The host and port of a NATS URL, without the login.
fn address(nats: &str) -> &str {
    let rest = nats.rsplit_once('@').map_or(nats, |(_, rest)| rest);
    rest.rsplit_once("://").map_or(rest, |(_, rest)| rest)
}

async fn is_reachable(nats: &str) -> bool {
    let address = address(nats).trim_end_matches('/');
    let address = if address.contains(':') { address.to_owned() } else { format!("{address}:4222") };
    timeout(REACHED_WITHIN, TcpStream::connect(address)).await.is_ok_and(|connected| connected.is_ok())
}

/// The port of the NATS that an owner text names.
fn port(owner: &str) -> Option<u16> {
    owner.split(' ').find_map(|word| word.trim_end_matches('/').rsplit_once(':')?.1.parse().ok())
}

/// A random id that the data directory keeps.
fn data_dir_id(folder: &Path) -> Result<String, String> {
    let path = folder.join("id");
    match std::fs::read_to_string(&path) {
        Ok(id) if id.trim().len() == CONFIGURED.len() => Ok(id.trim().to_owned()),
        _ => {
            let id = fresh().to_string();
            data_dir::write_private(&path, &format!("{id}\n"))?;
            Ok(id)
        }
    }
}

/// Renews the claims until `stop` turns true.
pub async fn renew(places: Vec<Place>, store: Store, lease: Duration, mut stop: watch::Receiver<bool>) {
    let mut tick = interval((lease / 3).max(AGAIN));
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            _ = tick.tick() => {}
        }
        for place in &places {
            match store.share_lease(place.name, &place.owner, lease).await {
                Ok(None) => {}
                Ok(Some(other)) if place.is_same_server(&other) => {}
                Ok(Some(other)) => tracing::error!("{}", refusal(place, &other)),
                Err(error) => tracing::warn!(%error, "the lease of {} was not renewed", place.name),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_nats_server_and_a_setting_that_leads_to_it_are_one_whichever_holds_the_claim() {
        let place = |owner: String| Place { name: NATS, owner, setting: "BILLWIRE_NATS_URL" };
        let private = || place(format!("{} the private nats-server at 127.0.0.1:20123 of the data directory /data", fresh()));
        let configured = |url: &str| place(format!("{CONFIGURED} the NATS at {}", address(url)));
        let leads_there = configured("nats://u:p@localhost:20123/");
        assert!(leads_there.is_same_server(&private().owner) && private().is_same_server(&leads_there.owner));
        for elsewhere in [configured("nats://u:p@localhost:20124"), configured("nats://localhost")] {
            assert!(!elsewhere.is_same_server(&private().owner) && !private().is_same_server(&elsewhere.owner));
        }
        assert!(!private().is_same_server(&private().owner), "two private ones are two");
        assert_eq!(address("nats://u:p@host:4222"), "host:4222");
    }
}
