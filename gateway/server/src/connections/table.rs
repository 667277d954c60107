//! All open connections: how many there may be in total and per address, and which one is closed for a new one.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

use super::activity::{Activity, Patience};

/// How often a connection without a place is tried again.
const RETRY_EVERY: Duration = Duration::from_millis(100);

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// In total.
    pub connections: usize,
    /// From one address.
    pub per_address: usize,
}

/// The open connections.
pub struct Table {
    limits: Limits,
    patience: Patience,
    open: Mutex<Open>,
    /// Notified when a connection ends.
    room: Notify,
}

#[derive(Default)]
struct Open {
    last_id: u64,
    connections: HashMap<u64, Connection>,
    per_address: HashMap<IpAddr, usize>,
}

struct Connection {
    /// The address whose share it counts towards; `None` for a trusted proxy, which carries many clients.
    share: Option<IpAddr>,
    activity: Arc<Activity>,
}

/// The result for a new connection.
pub enum Admission {
    /// It has a place.
    Admitted(Place),
    /// Its address has reached its share, and a handler runs for each of its connections.
    ShareTaken,
    /// The table is full, and a handler runs for each connection.
    Full,
}

/// A connection's place in the table. Dropping it frees the place.
pub struct Place {
    /// The connection's activity.
    pub activity: Arc<Activity>,
    id: u64,
    table: Arc<Table>,
}

impl Table {
    /// An empty table.
    pub fn new(limits: Limits, patience: Patience) -> Self {
        Self { limits, patience, open: Mutex::default(), room: Notify::new() }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a new connection a place. If there is none, closes the connection that has waited longest for its client: among those of the
    /// same address if that address has reached its share, otherwise among all. Never closes one for which a handler runs.
    pub fn admit(self: &Arc<Self>, share: Option<IpAddr>, now: Instant) -> Admission {
        let mut open = self.open();
        if let Some(address) = share
            && open.per_address.get(&address).is_some_and(|count| *count >= self.limits.per_address)
            && !open.displace(now, |one| one.share == share)
        {
            return Admission::ShareTaken;
        }
        if open.connections.len() >= self.limits.connections && !open.displace(now, |_| true) {
            return Admission::Full;
        }
        open.last_id += 1;
        let (id, activity) = (open.last_id, Arc::new(Activity::new(self.patience, now)));
        open.connections.insert(id, Connection { share, activity: activity.clone() });
        if let Some(address) = share {
            *open.per_address.entry(address).or_default() += 1;
        }
        Admission::Admitted(Place { activity, id, table: self.clone() })
    }

    /// Resolves when it is worth trying again: a connection has ended, or one may have started to wait for its client.
    pub async fn room(&self) {
        let _ = timeout(RETRY_EVERY, self.room.notified()).await;
    }
}

impl Open {
    /// Closes the one among these connections that has waited longest for its client; `false` if none waits.
    fn displace(&mut self, now: Instant, among: impl Fn(&Connection) -> bool) -> bool {
        let waiting = self.connections.iter().filter(|(_, one)| among(one));
        let waiting = waiting.filter_map(|(id, one)| Some((one.activity.waiting_since(now)?, *id)));
        let Some((_, id)) = waiting.min() else { return false };
        if let Some(gone) = self.remove(id) {
            gone.activity.give_way();
        }
        true
    }

    fn remove(&mut self, id: u64) -> Option<Connection> {
        let gone = self.connections.remove(&id)?;
        if let Some(address) = gone.share
            && let Some(count) = self.per_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&address);
            }
        }
        Some(gone)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.table.open().remove(self.id);
        self.table.room.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn table(connections: usize, per_address: usize) -> Arc<Table> {
        let patience = Patience { head: Duration::from_secs(10), idle: Duration::from_secs(75) };
        Arc::new(Table::new(Limits { connections, per_address }, patience))
    }

    fn from(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[track_caller]
    fn admitted(table: &Arc<Table>, share: Option<IpAddr>, now: Instant) -> Place {
        match table.admit(share, now) {
            Admission::Admitted(place) => place,
            Admission::ShareTaken => panic!("the share is taken"),
            Admission::Full => panic!("all are taken"),
        }
    }

    fn gives_way(place: &Place) -> bool {
        place.activity.must_give_way().now_or_never().is_some()
    }

    #[test]
    fn the_longest_waiting_connection_is_closed_and_a_busy_one_never() {
        let (table, start) = (table(3, 3), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut places: Vec<Place> = (1..=3).map(|n| admitted(&table, from(n), at(n.into()))).collect();
        places[0].activity.begin(false);
        places.push(admitted(&table, from(4), at(4)));
        assert!(gives_way(&places[1]) && !gives_way(&places[0]) && !gives_way(&places[2]));
        places[2].activity.begin(false);
        places[3].activity.begin(true);
        assert!(matches!(table.admit(from(5), at(5)), Admission::Full));
        places[3].activity.end(at(6));
        assert!(matches!(table.admit(from(5), at(6)), Admission::Full), "its response may not be sent yet");
        places.push(admitted(&table, from(5), at(7)));
        assert!(gives_way(&places[3]));
    }

    #[test]
    fn an_address_has_a_share_and_displaces_only_its_own_connections() {
        let (table, start) = (table(8, 2), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let other = admitted(&table, from(9), at(0));
        let first = admitted(&table, from(1), at(1));
        let second = admitted(&table, from(1), at(2));
        let third = admitted(&table, from(1), at(3));
        assert!(gives_way(&first) && !gives_way(&other));
        second.activity.begin(false);
        third.activity.begin(false);
        assert!(matches!(table.admit(from(1), at(4)), Admission::ShareTaken));
        let proxied: Vec<Place> = (0..4).map(|_| admitted(&table, None, at(4))).collect();
        drop((second, proxied));
        drop(admitted(&table, from(1), at(5)));
        drop((other, first, third));
        let open = table.open();
        assert!(open.connections.is_empty() && open.per_address.is_empty());
    }
}
