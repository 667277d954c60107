//! Selects events by type, by pattern, or by object and kind of event. Queues register events with a selection, and subscriptions
//! narrow them with one.

use serde::{Deserialize, Serialize};

/// Kinds of events of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Happening {
    /// The object was created.
    Created,
    /// The object was changed.
    Updated,
    /// The object was deleted.
    Deleted,
    /// All other events of the object: its milestones.
    Lifecycle,
}

impl Happening {
    /// The kind of an event type, from the second part of its name.
    fn of(what: &str) -> Self {
        match what {
            "created" => Self::Created,
            "updated" => Self::Updated,
            "deleted" => Self::Deleted,
            _ => Self::Lifecycle,
        }
    }
}

/// A selection of one object's events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectEvents {
    /// First part of the event types' names, e.g. `invoice`.
    pub object: String,
    /// The selected kinds of events.
    pub events: Vec<Happening>,
}

/// A selection of event types.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Selection {
    /// Names of event types, and patterns: `invoice.*`, `*.created`, `*`.
    #[serde(default)]
    pub event_types: Vec<String>,
    /// Events by object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<ObjectEvents>,
}

/// First part of the types of messages that are whole business transactions; the second is the operation.
pub const BUSINESS_TRANSACTION: &str = "business_transaction";
/// What selects them: no other pattern does.
pub const BUSINESS_TRANSACTIONS: &str = "business_transaction.*";

/// Whether a type is that of messages which are whole business transactions.
pub fn is_business_transaction(kind: &str) -> bool {
    kind.split_once('.').is_some_and(|(object, _)| object == BUSINESS_TRANSACTION)
}

/// Whether a name is a pattern.
pub fn is_pattern(name: &str) -> bool {
    name.contains('*')
}

/// Whether an entry of [`Selection::event_types`] matches the type `kind`. In a pattern, `*` matches one whole part of a name, or on its
/// own every name; whole business transactions repeat what events say, and only [`BUSINESS_TRANSACTIONS`] matches them.
pub fn means(entry: &str, kind: &str) -> bool {
    if is_business_transaction(kind) {
        return entry == kind || entry == BUSINESS_TRANSACTIONS;
    }
    if entry == "*" || entry == kind {
        return true;
    }
    let (Some((object, what)), Some((of, happens))) = (entry.split_once('.'), kind.split_once('.')) else { return false };
    (object == "*" || object == of) && (what == "*" || what == happens)
}

/// The pattern of SQL's `LIKE`, with `\` as the escape character, that matches the types which an entry does; `None`: all types.
pub fn like(entry: &str) -> Option<String> {
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    (entry != "*")
        .then(|| entry.split('.').map(|part| if part == "*" { "%".to_owned() } else { escaped(part) }).collect::<Vec<_>>().join("."))
}

impl Selection {
    /// Selects types by name.
    pub fn of_types(names: &[&str]) -> Self {
        Self { event_types: names.iter().map(|name| (*name).to_owned()).collect(), objects: Vec::new() }
    }

    /// Whether the selection has no entries.
    pub fn is_empty(&self) -> bool {
        self.event_types.is_empty() && self.objects.is_empty()
    }

    /// Whether the selection includes the type `kind`.
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
    fn a_whole_business_transaction_is_chosen_by_its_own_name_alone() {
        let whole = "business_transaction.updateAccountBillCycle";
        for entry in ["*", "*.*", "*.updateAccountBillCycle", "custom.*"] {
            assert!(!means(entry, whole), "{entry}");
        }
        assert!(means(whole, whole) && means(BUSINESS_TRANSACTIONS, whole) && is_business_transaction(whole));
        assert!(!means(BUSINESS_TRANSACTIONS, "business_transactions.x") && !is_business_transaction("business_transaction"));
    }

    #[test]
    fn an_object_is_chosen_with_what_happens_to_it() {
        let objects = vec![ObjectEvents { object: "invoice".into(), events: vec![Happening::Created, Happening::Lifecycle] }];
        let selection = Selection { event_types: vec![], objects };
        assert!(selection.takes("invoice.created") && selection.takes("invoice.posted"));
        assert!(!selection.takes("invoice.updated") && !selection.takes("account.created"));
    }
}
