//! Calculations: what follows from an event, published as an event of the tenant's own, once for each delivery.

use billwire_domain::events::custom_event_type::{CustomEventType, OrderedBy, Submit};
use billwire_schemas::ids::{CustomEventId, DeliveryId, EventId, OrderingKey, TenantId, fresh};
use billwire_store::{ConfigurationKind as Kind, Error, commit::Failure, idempotency::Claim};
use serde_json::{Map, Value};

use crate::{App, Caller, RequestContext, record::Cause};

/// Most derivations between an event and the operation it goes back to: calculations that feed each other come to an end.
pub const DEPTH_MAX: u32 = 8;

/// What follows from an event.
#[derive(Debug, Clone)]
pub struct Calculation {
    /// Whose it is.
    pub tenant: TenantId,
    /// The delivery that it is done for; done again, it changes nothing.
    pub delivery: DeliveryId,
    /// The event it follows from.
    pub event: EventId,
    /// How many derivations that one lies behind an operation.
    pub depth: u32,
    /// The account that event belongs to.
    pub account: Option<String>,
    /// What that event keeps order within.
    pub key: OrderingKey,
    /// The custom type to be published.
    pub event_type: String,
    /// Its data.
    pub data: Map<String, Value>,
}

impl App {
    /// Publishes what a calculation gave, or gives the reason why that can never be: too many derivations, or what its type's schema says.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn calculate(&self, calculation: Calculation) -> Result<Result<(), String>, Failure> {
        let Calculation { tenant, delivery, event, depth, account, key, event_type, data } = calculation;
        if depth >= DEPTH_MAX {
            return Ok(Err(format!(
                "{DEPTH_MAX} calculations lie between this event and the operation it goes back to; no more may follow"
            )));
        }
        let kind: Option<CustomEventType> = self.store.configuration_named(&tenant, Kind::EventType, &event_type).await?;
        let (account, key) = match kind.and_then(|kind| kind.ordering_key) {
            Some(OrderedBy::Key) => (None, Some(key.to_string())),
            Some(OrderedBy::Account) => (account, None),
            None if account.is_some() => (account, None),
            None => (None, Some(key.to_string())),
        };
        let submit = Submit { id: CustomEventId(fresh()), kind: event_type, account, key, subject: None, data };
        let claim = Some(Claim { key: format!("calculation:{delivery}"), fingerprint: "calculation".to_owned() });
        let context = RequestContext { caller: Caller { tenant, actor: "calculation".to_owned(), scopes: Vec::new() }, claim };
        let reply = self.submit_caused(context, vec![submit], Some(Cause { event, depth: depth + 1 })).await?;
        let body: Value = serde_json::from_str(&reply.body).map_err(|error| Error::Other(error.to_string()))?;
        Ok(body["items"][0]["problem"]["detail"].as_str().map_or(Ok(()), |refusal| Err(refusal.to_owned())))
    }
}
