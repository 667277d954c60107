//! Relations between objects; data sources follow them.
//!
//! A relation leads to *one* object: `invoice.account` is a relation, the invoices of an account are not.

use std::sync::LazyLock;

use super::{objects::OBJECTS, parameters::Parameter};

/// A relation from one object type to another.
#[derive(Debug, PartialEq, Eq)]
pub struct Relation {
    /// Type of the source object, camelCase.
    pub from: &'static str,
    /// Name of the relation, unique per source object.
    pub name: &'static str,
    /// Type of the target object.
    pub to: &'static str,
    /// JSON pointer to the target's id in the state of the source.
    pub member: &'static str,
}

const fn r(from: &'static str, name: &'static str, to: &'static str, member: &'static str) -> Relation {
    Relation { from, name, to, member }
}

/// The types of objects that have relations or are reached by them.
pub static KINDS: LazyLock<Vec<&str>> =
    LazyLock::new(|| OBJECTS.iter().filter(|object| !object.parameters.is_empty()).map(|object| object.kind).collect());

/// All relations.
pub const RELATIONS: &[Relation] = &[
    r("account", "billCycle", "billCycle", "/billCycle/billCycleId"),
    r("account", "plannedBillCycle", "billCycle", "/plannedBillCycleChange/billCycleId"),
    r("account", "billingContact", "contact", "/billingContactId"),
    r("adjustment", "account", "account", "/accountId"),
    r("adjustment", "chargeableEvent", "chargeableEvent", "/chargeableEventId"),
    r("adjustment", "invoice", "invoice", "/invoiceId"),
    r("billRun", "billCycle", "billCycle", "/billCycleId"),
    r("bucket", "account", "account", "/accountId"),
    r("bucket", "service", "service", "/serviceId"),
    r("chargeableEvent", "account", "account", "/accountId"),
    r("chargeableEvent", "invoice", "invoice", "/invoiceId"),
    r("chargeableEvent", "service", "service", "/serviceId"),
    r("chargeableEvent", "usageIdentifier", "usageIdentifier", "/usageIdentifierId"),
    r("contact", "account", "account", "/accountId"),
    r("contract", "account", "account", "/accountId"),
    r("credit", "account", "account", "/accountId"),
    r("credit", "invoice", "invoice", "/invoiceId"),
    r("invoice", "account", "account", "/accountId"),
    r("invoice", "billRun", "billRun", "/billRunId"),
    r("packageSubscription", "account", "account", "/accountId"),
    r("packageSubscription", "package", "package", "/packageId"),
    r("payment", "account", "account", "/accountId"),
    r("refund", "account", "account", "/accountId"),
    r("refund", "payment", "payment", "/paymentId"),
    r("service", "account", "account", "/accountId"),
    r("service", "packageSubscription", "packageSubscription", "/packageSubscriptionId"),
    r("usageIdentifier", "account", "account", "/accountId"),
    r("usageIdentifier", "service", "service", "/serviceId"),
];

/// The parameters that an object of this type offers about itself.
pub fn parameters(kind: &str) -> &'static [Parameter] {
    OBJECTS.iter().find(|object| object.kind == kind).map(|object| object.parameters).unwrap_or_default()
}

/// The relations of objects of this type.
pub fn of(kind: &str) -> impl Iterator<Item = &'static Relation> {
    RELATIONS.iter().filter(move |relation| relation.from == kind)
}

/// A path with a relation that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impossible {
    /// Index of the failing step, from 0.
    pub step: usize,
    /// Type of the object reached before that step.
    pub at: String,
    /// The relations that exist there.
    pub exist: Vec<&'static str>,
}

/// The relations of `path`, followed from an object of this type.
///
/// # Errors
/// The first step that is not a relation of the object reached.
pub fn follow(kind: &str, path: &[impl AsRef<str>]) -> Result<Vec<&'static Relation>, Impossible> {
    let mut at = kind;
    let mut gone = Vec::with_capacity(path.len());
    for (step, name) in path.iter().map(AsRef::as_ref).enumerate() {
        let Some(relation) = of(at).find(|relation| relation.name == name) else {
            let exist: Vec<&str> = of(at).map(|relation| relation.name).collect();
            return Err(Impossible { step, at: at.to_owned(), exist });
        };
        gone.push(relation);
        at = relation.to;
    }
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{catalogue, parameters::Group};

    #[test]
    fn relations_join_kinds_that_exist_and_each_name_stands_once() {
        for relation in RELATIONS {
            assert!(KINDS.contains(&relation.from) && KINDS.contains(&relation.to), "{relation:?}");
            assert_eq!(of(relation.from).filter(|other| other.name == relation.name).count(), 1, "{relation:?}");
        }
        for event in catalogue::all() {
            // Objects of the gateway itself have no relations.
            let alone = event.groups.iter().all(|group| *group == Group::Core);
            assert!(alone || KINDS.contains(&event.source), "{}", event.source);
        }
    }

    #[test]
    fn a_path_is_followed_to_its_end_or_to_the_step_that_does_not_exist() {
        let gone = follow("invoice", &["account", "billCycle"]).expect("a path");
        assert_eq!(gone.iter().map(|relation| relation.to).collect::<Vec<_>>(), ["account", "billCycle"]);
        let impossible = follow("invoice", &["account", "bilCycle"]).unwrap_err();
        assert_eq!((impossible.step, impossible.at.as_str()), (1, "account"));
        assert_eq!(impossible.exist, ["billCycle", "plannedBillCycle", "billingContact"]);
        assert_eq!(follow("package", &["account"]).unwrap_err().exist, Vec::<&str>::new());
    }
}
