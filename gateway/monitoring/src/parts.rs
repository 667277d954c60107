//! The parts of a process, each with a state. A change of state is one line in the log.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use crate::metrics::METRICS;

/// A part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Part {
    /// The database answers, and is not an older copy.
    Database,
    /// The disks of local state, and those of the database, have room.
    Storage,
    /// The outbox has room, and its events are published soon.
    Outbox,
    /// No event is set aside.
    SetAside,
    /// The connection to NATS.
    Nats,
    /// The stream holds what SQL says it holds.
    Stream,
    /// The slots and the warehouse follow the stream.
    Consumers,
    /// The tasks of this process run.
    Tasks,
    /// What is due is performed.
    Due,
    /// What was kept long enough is purged.
    Retention,
    /// The lines of the log are written.
    Log,
}

impl Part {
    /// Its name in the log and in `/readyz`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Storage => "storage",
            Self::Outbox => "outbox",
            Self::SetAside => "setAside",
            Self::Nats => "nats",
            Self::Stream => "stream",
            Self::Consumers => "consumers",
            Self::Tasks => "tasks",
            Self::Due => "due",
            Self::Retention => "retention",
            Self::Log => "log",
        }
    }
}

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// A person should look at it; operations are accepted.
    Degraded,
    /// Operations are refused because of it.
    Down,
}

/// The state of a part, as `/readyz` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// How it is.
    pub status: Status,
    /// Since when.
    pub since: String,
    /// What is wrong, for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    #[serde(skip)]
    began: DateTime<Utc>,
}

/// The states of parts.
#[derive(Debug, Default)]
pub struct Parts(Mutex<BTreeMap<Part, State>>);

impl Parts {
    fn states(&self) -> MutexGuard<'_, BTreeMap<Part, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports that a part is as it should be, now (by the wall clock).
    pub fn ok(&self, part: Part, now: DateTime<Utc>) {
        self.report(part, Status::Ok, String::new(), now);
    }

    /// Reports the state of a part. Another detail in the same status is no change.
    pub fn report(&self, part: Part, status: Status, detail: impl Into<String>, now: DateTime<Utc>) {
        let (mut states, detail) = (self.states(), detail.into());
        if let Some(state) = states.get_mut(&part)
            && state.status == status
        {
            state.detail = detail;
            return;
        }
        let since = now.to_rfc3339_opts(SecondsFormat::Millis, true);
        let before = states.insert(part, State { status, since, detail: detail.clone(), began: now });
        drop(states);
        METRICS.part(part.name(), status);
        match (status, before) {
            (Status::Ok, None) => {}
            (Status::Ok, Some(before)) => {
                let seconds = (now - before.began).num_seconds();
                tracing::info!(part = part.name(), was = ?before.status, seconds, detail = before.detail, "a part is as it should be again");
            }
            (Status::Degraded, _) => tracing::warn!(part = part.name(), detail, "a part needs attention"),
            (Status::Down, _) => tracing::error!(part = part.name(), detail, "a part is down; operations are refused"),
        }
    }

    /// Whether operations are refused because of the part.
    pub fn is_down(&self, part: Part) -> bool {
        self.states().get(&part).is_some_and(|state| state.status == Status::Down)
    }

    /// The parts that were reported.
    pub fn all(&self) -> BTreeMap<Part, State> {
        self.states().clone()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    #[test]
    fn a_part_keeps_since_when_it_is_in_its_status_whatever_the_detail() {
        let at = |second: i64| Utc.timestamp_opt(second, 0).unwrap();
        let parts = Parts::default();
        parts.ok(Part::Outbox, at(1));
        parts.report(Part::Outbox, Status::Degraded, "waits for 31 s", at(2));
        parts.report(Part::Outbox, Status::Degraded, "waits for 36 s", at(7));
        let state = parts.all().remove(&Part::Outbox).expect("reported");
        assert_eq!(
            (state.status, state.since.as_str(), state.detail.as_str()),
            (Status::Degraded, "1970-01-01T00:00:02.000Z", "waits for 36 s")
        );
        parts.ok(Part::Outbox, at(9));
        let state = parts.all().remove(&Part::Outbox).expect("reported");
        assert_eq!((state.status, state.since.as_str(), state.detail.as_str()), (Status::Ok, "1970-01-01T00:00:09.000Z", ""));
    }
}
