//! Which events are meant: by type, by pattern, by object and what happens to it. Queues register events with it, subscriptions
//! choose with it.

use serde::{Deserialize, Serialize};

/// What can happen to an object, as far as a selection tells it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Happening {
    /// It came to be.
    Created,
    /// It changed.
    Updated,
    /// It is gone.
    Deleted,
    /// Anything else that is told of it: its milestones.
    Lifecycle,
}

impl Happening {
    /// Of an event type's second part.
    fn of(what: &str) -> Self {
        match what {
            "created" => Self::Created,
            "updated" => Self::Updated,
            "deleted" => Self::Deleted,
            _ => Self::Lifecycle,
        }
    }
}

/// Events of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectEvents {
    /// The first part of the event types' names: `invoice`.
    pub object: String,
    /// What happens to it.
    pub events: Vec<Happening>,
}

/// A choice of event types.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Selection {
    /// Names of types, and patterns: `invoice.*`, `*.created`, `*`.
    #[serde(default)]
    pub event_types: Vec<String>,
    /// Events by object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<ObjectEvents>,
}

/// Whether a name is a pattern.
pub fn is_pattern(name: &str) -> bool {
    name.contains('*')
}

/// Whether an entry of [`Selection::event_types`] means the type `kind`. In a pattern, `*` stands for one whole part of a name, or
/// alone for every name.
pub fn means(entry: &str, kind: &str) -> bool {
    if entry == "*" || entry == kind {
        return true;
    }
    let (Some((object, what)), Some((of, happens))) = (entry.split_once('.'), kind.split_once('.')) else { return false };
    (object == "*" || object == of) && (what == "*" || what == happens)
}

impl Selection {
    /// The types of these names.
    pub fn of_types(names: &[&str]) -> Self {
        Self { event_types: names.iter().map(|name| (*name).to_owned()).collect(), objects: Vec::new() }
    }

    /// Whether nothing is named.
    pub fn is_empty(&self) -> bool {
        self.event_types.is_empty() && self.objects.is_empty()
    }

    /// Whether it means events of the type `kind`.
    pub fn takes(&self, kind: &str) -> bool {
        let by_object = || {
            kind.split_once('.').is_some_and(|(object, what)| {
                self.objects.iter().any(|chosen| chosen.object == object && chosen.events.contains(&Happening::of(what)))
            })
        };
        self.event_types.iter().any(|entry| means(entry, kind)) || by_object()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_patterns_and_objects_choose_types() {
        let by = |names: &[&str]| Selection::of_types(names);
        for (selection, taken, left) in [
            (by(&["invoice.posted"]), "invoice.posted", "invoice.created"),
            (by(&["invoice.*"]), "invoice.posted", "invoices.posted"),
            (by(&["*.created"]), "bill_cycle.created", "bill_cycle.updated"),
            (by(&["custom.*"]), "custom.sim_swapped", "invoice.posted"),
        ] {
            assert!(selection.takes(taken) && !selection.takes(left), "{selection:?}");
        }
        assert!(by(&["*"]).takes("anything.at_all") && by(&["*.*"]).takes("anything.at_all"));
        assert!(!by(&[]).takes("invoice.posted") && by(&[]).is_empty());
    }

    #[test]
    fn an_object_is_chosen_with_what_happens_to_it() {
        let objects = vec![ObjectEvents { object: "invoice".into(), events: vec![Happening::Created, Happening::Lifecycle] }];
        let selection = Selection { event_types: vec![], objects };
        assert!(selection.takes("invoice.created") && selection.takes("invoice.posted"));
        assert!(!selection.takes("invoice.updated") && !selection.takes("account.created"));
    }
}
