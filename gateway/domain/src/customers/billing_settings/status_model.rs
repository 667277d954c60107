//! Status models: the statuses of a tenant's services or package subscriptions, which of them are billed, and the allowed
//! transitions. Operators' statuses differ too much for a fixed list (LogiSense: service status types).

use std::collections::HashSet;

use billwire_schemas::refusal::Code;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::{
    history::History,
    rejected::{Rejected, Violation},
};

/// A status of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusKind {
    /// Name, unique within the model.
    pub name: String,
    /// Whether objects in this status are billed.
    pub billable: bool,
}

/// A status, in a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusByDay {
    /// The status.
    pub status: String,
    /// Whether it was billable when the object came into it.
    pub billable: bool,
}

/// An allowed transition from one status to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusTransition {
    /// Source status.
    pub from: String,
    /// Target status.
    pub to: String,
}

/// The statuses of services, or of package subscriptions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusModel {
    /// All statuses.
    pub statuses: Vec<StatusKind>,
    /// The status of new objects.
    pub initial: String,
    /// Target status of services when their account, suspended together with them, becomes active again; absent: services stay as they are.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub active: Option<String>,
    /// Target status of services when their account is suspended together with them; absent: services stay as they are.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub suspended: Option<String>,
    /// The final status; no transition leads out of it.
    pub cancelled: String,
    /// The allowed transitions.
    pub transitions: Vec<StatusTransition>,
}

impl StatusModel {
    fn new(statuses: &[(&str, bool)], transitions: &[(&str, &str)]) -> Self {
        let initial = statuses.first().map(|(name, _)| (*name).to_owned()).unwrap_or_default();
        Self {
            statuses: statuses.iter().map(|(name, billable)| StatusKind { name: (*name).to_owned(), billable: *billable }).collect(),
            initial,
            active: Some("active".to_owned()),
            suspended: Some("suspended".to_owned()),
            cancelled: "cancelled".to_owned(),
            transitions: transitions.iter().map(|(from, to)| StatusTransition { from: (*from).to_owned(), to: (*to).to_owned() }).collect(),
        }
    }

    /// The default statuses of services.
    pub fn of_services() -> Self {
        Self::new(
            &[("preactive", false), ("trial", false), ("active", true), ("suspended", false), ("cancelled", false)],
            &[
                ("preactive", "trial"),
                ("preactive", "active"),
                ("preactive", "cancelled"),
                ("trial", "active"),
                ("trial", "suspended"),
                ("trial", "cancelled"),
                ("active", "suspended"),
                ("active", "cancelled"),
                ("suspended", "active"),
                ("suspended", "cancelled"),
            ],
        )
    }

    /// The default statuses of package subscriptions.
    pub fn of_packages() -> Self {
        Self::new(
            &[("pending", false), ("active", true), ("suspended", false), ("cancelled", false)],
            &[
                ("pending", "active"),
                ("pending", "cancelled"),
                ("active", "suspended"),
                ("active", "cancelled"),
                ("suspended", "active"),
                ("suspended", "cancelled"),
            ],
        )
    }

    /// A status, for a history.
    pub fn by_day(&self, status: &str) -> StatusByDay {
        StatusByDay { status: status.to_owned(), billable: self.billable(status) }
    }

    /// Notes in a history that an object in status `before` since it was `created` is in status `to` from `today` on.
    pub fn note(&self, history: &mut History<StatusByDay>, before: &str, created: NaiveDate, to: &str, today: NaiveDate) {
        history.set_after(created, self.by_day(before), today, self.by_day(to));
    }

    /// Whether the model has a status of this name.
    pub fn has(&self, status: &str) -> bool {
        self.statuses.iter().any(|known| known.name == status)
    }

    /// Whether objects in this status are billed; false for a status the model no longer has.
    pub fn billable(&self, status: &str) -> bool {
        self.statuses.iter().any(|known| known.name == status && known.billable)
    }

    /// The names of the billable statuses.
    pub fn billable_statuses(&self) -> impl Iterator<Item = &str> {
        self.statuses.iter().filter(|status| status.billable).map(|status| status.name.as_str())
    }

    /// Whether the transition from `from` to `to` is allowed. From a status that the model no longer has, every transition is
    /// allowed; objects would be stuck in it otherwise.
    pub fn allows(&self, from: &str, to: &str) -> bool {
        from != to && self.has(to) && (!self.has(from) || self.transitions.iter().any(|way| way.from == from && way.to == to))
    }

    /// The statuses that can follow `from`.
    pub fn next<'a>(&'a self, from: &'a str) -> impl Iterator<Item = &'a str> {
        self.statuses.iter().map(|status| status.name.as_str()).filter(move |to| self.allows(from, to))
    }

    /// Refuses a transition of `noun` (the object type in messages) from `from` to `to` that the model does not allow.
    ///
    /// # Errors
    /// 422 `status_unknown` at `/status`; 409 `status_unchanged`, `status_transition_not_allowed`.
    pub fn check_transition(&self, noun: &str, from: &str, to: &str) -> Result<(), Rejected> {
        if !self.has(to) {
            let known: Vec<_> = self.statuses.iter().map(|status| status.name.as_str()).collect();
            let message = format!("'{to}' is not a status of a {noun}; the billing settings define: {}.", known.join(", "));
            return Err(Rejected::violation("/status", Code::StatusUnknown, message));
        }
        if from == to {
            return Err(Rejected::conflict(Code::StatusUnchanged, format!("The {noun} is already {to}.")));
        }
        if self.allows(from, to) {
            return Ok(());
        }
        let next: Vec<_> = self.next(from).collect();
        let next = if next.is_empty() { "none".to_owned() } else { next.join(", ") };
        let message = format!("A {noun} cannot change from {from} to {to}; allowed: {next}.");
        Err(Rejected::conflict(Code::StatusTransitionNotAllowed, message))
    }

    /// All violations of this model, with pointers below `at`: `status_repeated`, `status_unknown`, `initial_status_is_cancelled`,
    /// `cancelled_is_final`, `transition_to_itself`, `transition_repeated`.
    pub fn violations(&self, at: &str) -> Vec<Violation> {
        let mut broken = Vec::new();
        let mut names = HashSet::new();
        for (index, status) in self.statuses.iter().enumerate() {
            if !names.insert(status.name.as_str()) {
                let message = format!("Status '{}' is listed twice.", status.name);
                broken.push(Violation::new(format!("{at}/statuses/{index}/name"), Code::StatusRepeated, message));
            }
        }
        let mut known = |member: String, name: &str| {
            if !names.contains(name) {
                let message = format!("'{name}' is not one of the statuses.");
                broken.push(Violation::new(format!("{at}/{member}"), Code::StatusUnknown, message));
            }
        };
        known("initial".to_owned(), &self.initial);
        for (member, name) in [("active", &self.active), ("suspended", &self.suspended)] {
            if let Some(name) = name {
                known(member.to_owned(), name);
            }
        }
        known("cancelled".to_owned(), &self.cancelled);
        for (index, way) in self.transitions.iter().enumerate() {
            known(format!("transitions/{index}/from"), &way.from);
            known(format!("transitions/{index}/to"), &way.to);
        }
        if self.initial == self.cancelled {
            let message = "The initial status must differ from the cancelled status.";
            broken.push(Violation::new(format!("{at}/initial"), Code::InitialStatusIsCancelled, message));
        }
        let mut ways = HashSet::new();
        for (index, way) in self.transitions.iter().enumerate() {
            if way.from == self.cancelled {
                let message = format!("A transition must not start in '{}', the cancelled status.", self.cancelled);
                broken.push(Violation::new(format!("{at}/transitions/{index}/from"), Code::CancelledIsFinal, message));
            }
            if way.from == way.to {
                let message = format!("A transition from '{}' must lead to another status.", way.to);
                broken.push(Violation::new(format!("{at}/transitions/{index}/to"), Code::TransitionToItself, message));
            }
            if !ways.insert((&way.from, &way.to)) {
                let message = format!("The transition from '{}' to '{}' is listed twice.", way.from, way.to);
                broken.push(Violation::new(format!("{at}/transitions/{index}"), Code::TransitionRepeated, message));
            }
        }
        broken
    }
}
