//! What data sources add to an event: the parameters of the objects at the ends of their paths, as they are at the moment of
//! the event, inside its transaction.

use billwire_domain::{
    Entity, account::Account, bill_cycle::BillCycle, contact::Contact, data_source::DataSource, package::Package,
    package_subscription::PackageSubscription, service::Service,
};
use billwire_schemas::events::envelope::Parameters;
use billwire_store::{Noun, Tx, commit::Failure};
use serde_json::{Value, value::RawValue};
use uuid::Uuid;

use crate::once::json;

/// Parameters, those for e-mail alone apart.
#[derive(Debug, Default)]
pub(crate) struct Added {
    /// For everyone.
    pub open: Parameters,
    /// For e-mail alone.
    pub private: Parameters,
}

/// An object on the way.
struct Reached {
    state: Value,
    parameters: Parameters,
}

/// What the tenant's data sources add to the events of an object of this kind in this state.
///
/// # Errors
/// The database's failure.
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
            // An account without a billing contact: the way ends here, and the parameters are absent.
            return Ok(Parameters::new());
        }
    }
    let parameters = reached.map(|reached| reached.parameters).unwrap_or_default();
    let wanted = source.parameters();
    Ok(wanted.into_iter().filter_map(|(name, from)| Some((name, parameters.get(from.name)?.clone()))).collect())
}

async fn load(tx: &mut Tx<'_>, kind: &str, id: Uuid) -> Result<Option<Reached>, Failure> {
    match kind {
        Account::TYPE => of::<Account>(tx, id).await,
        BillCycle::TYPE => of::<BillCycle>(tx, id).await,
        Contact::TYPE => of::<Contact>(tx, id).await,
        Package::TYPE => of::<Package>(tx, id).await,
        PackageSubscription::TYPE => of::<PackageSubscription>(tx, id).await,
        Service::TYPE => of::<Service>(tx, id).await,
        _ => Ok(None),
    }
}

async fn of<T: Noun>(tx: &mut Tx<'_>, id: Uuid) -> Result<Option<Reached>, Failure> {
    let Some(object) = tx.load::<T>(id).await? else { return Ok(None) };
    Ok(Some(Reached { state: serde_json::to_value(&object).map_err(json)?, parameters: object.parameters() }))
}
