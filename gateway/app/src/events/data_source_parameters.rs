//! Parameters that data sources add to an event: those of the objects at the ends of their paths, read in the event's transaction.

use billwire_domain::{
    Entity,
    billing::{bill_run::BillRun, invoice::Invoice, payment::Payment},
    customers::{
        account::Account, bill_cycle::BillCycle, contact::Contact, package::Package, package_subscription::PackageSubscription,
        service::Service,
    },
    events::data_source::DataSource,
    usage::{chargeable_event::ChargeableEvent, usage_identifier::UsageIdentifier},
};
use billwire_schemas::events::envelope::Parameters;
use billwire_store::{Persisted, Tx, commit::Failure};
use serde_json::{Value, value::RawValue};
use uuid::Uuid;

use crate::execute::json;

/// Added parameters, with those for e-mails only kept apart.
#[derive(Debug, Default)]
pub(crate) struct Added {
    /// Parameters for all uses.
    pub open: Parameters,
    /// Parameters for e-mails only.
    pub private: Parameters,
}

/// An object on a path.
struct Reached {
    state: Value,
    parameters: Parameters,
}

/// The parameters that the tenant's data sources add to events of an object with this type and state.
///
/// # Errors
/// A database failure.
pub(crate) async fn by_sources(tx: &mut Tx<'_>, kind: &str, state: &RawValue) -> Result<Added, Failure> {
    let sources = tx.data_sources().await?;
    let mut added = Added::default();
    let mut known: Option<Value> = None;
    for source in sources.iter().filter(|source| source.object == kind) {
        let state = match &known {
            Some(state) => state,
            None => known.insert(serde_json::from_str(state.get()).map_err(json)?),
        };
        let found = along(tx, source, state).await?;
        if source.email_only() { added.private.extend(found) } else { added.open.extend(found) }
    }
    Ok(added)
}

async fn along(tx: &mut Tx<'_>, source: &DataSource, state: &Value) -> Result<Parameters, Failure> {
    let mut reached: Option<Reached> = None;
    for relation in source.relations() {
        let from = reached.as_ref().map_or(state, |reached| &reached.state);
        let id = from.pointer(relation.member).and_then(Value::as_str).and_then(|id| id.parse().ok());
        reached = match id {
            Some(id) => load(tx, relation.to, id).await?,
            None => None,
        };
        if reached.is_none() {
            // The path ends here, such as at an account without a billing contact; the parameters are absent.
            return Ok(Parameters::new());
        }
    }
    let parameters = reached.map(|reached| reached.parameters).unwrap_or_default();
    let wanted = source.parameters();
    Ok(wanted.into_iter().filter_map(|(name, from)| Some((name, parameters.get(from.name)?.clone()))).collect())
}

/// The object types that a path can reach. A relation to any other type adds nothing.
macro_rules! nouns {
    ($($noun:ty),+ $(,)?) => {
        #[cfg(test)]
        const REACHED: &[&str] = &[$(<$noun as Entity>::TYPE),+];

        async fn load(tx: &mut Tx<'_>, kind: &str, id: Uuid) -> Result<Option<Reached>, Failure> {
            match kind {
                $(kind if kind == <$noun as Entity>::TYPE => of::<$noun>(tx, id).await,)+
                _ => Ok(None),
            }
        }
    };
}
nouns!(Account, BillCycle, BillRun, ChargeableEvent, Contact, Invoice, Package, PackageSubscription, Payment, Service, UsageIdentifier);

async fn of<T: Persisted>(tx: &mut Tx<'_>, id: Uuid) -> Result<Option<Reached>, Failure> {
    let Some(object) = tx.load::<T>(id).await? else { return Ok(None) };
    Ok(Some(Reached { state: serde_json::to_value(&object).map_err(json)?, parameters: object.parameters() }))
}

#[cfg(test)]
mod tests {
    use billwire_schemas::events::relations::RELATIONS;

    use super::*;

    #[test]
    fn every_relation_leads_to_a_noun_that_can_be_loaded() {
        for relation in RELATIONS {
            assert!(REACHED.contains(&relation.to), "{relation:?}");
        }
    }
}
