//! Calculations: publish a custom event derived from an event, once per delivery.

use billwire_domain::{
    access::grant::Grant,
    events::custom_event_type::{CustomEventType, OrderedBy, Submit},
};
use billwire_schemas::ids::{CustomEventId, DeliveryId, EventId, OrderingKey, TenantId, fresh};
use billwire_store::{ConfigurationKind as Kind, commit::Failure, idempotency::Claim};
use serde_json::{Map, Value};

use crate::{App, Caller, RequestContext, record::Cause};

/// Maximum number of derivations since an operation, which ends calculations that trigger each other.
pub const DEPTH_MAX: u32 = 8;

/// The result of a calculation for an event.
#[derive(Debug, Clone)]
pub struct Calculation {
    /// The owning tenant.
    pub tenant: TenantId,
    /// The delivery it belongs to; a repeated calculation changes nothing.
    pub delivery: DeliveryId,
    /// The source event.
    pub event: EventId,
    /// Number of derivations between the source event and an operation.
    pub depth: u32,
    /// The account of the source event.
    pub account: Option<String>,
    /// The ordering key of the source event.
    pub key: OrderingKey,
    /// The custom event type to publish.
    pub event_type: String,
    /// The data of the new event.
    pub data: Map<String, Value>,
}

impl App {
    /// Publishes the result of a calculation. The inner error is permanent: too many derivations, or a refusal of the event.
    ///
    /// # Errors
    /// A database failure.
    pub async fn calculate(&self, calculation: Calculation) -> Result<Result<(), String>, Failure> {
        let Calculation { tenant, delivery, event, depth, account, key, event_type, data } = calculation;
        if depth >= DEPTH_MAX {
            return Ok(Err(format!("this event already results from {DEPTH_MAX} successive calculations, the maximum")));
        }
        let kind: Option<CustomEventType> = self.store.configuration_named(&tenant, Kind::EventType, &event_type).await?;
        let (account, key) = match kind.and_then(|kind| kind.ordering_key) {
            Some(OrderedBy::Key) => (None, Some(key.to_string())),
            Some(OrderedBy::Account) => (account, None),
            None if account.is_some() => (account, None),
            None => (None, Some(key.to_string())),
        };
        let submit = Submit { id: CustomEventId(fresh()), kind: event_type, account, key, subject: None, data: data.into() };
        let claim = Some(Claim { key: format!("calculated:{delivery}"), fingerprint: "calculation".to_owned() });
        let context = RequestContext { claim, ..RequestContext::of(Caller::part(tenant, "calculation", Grant::default())) };
        match self.submit_caused(context, submit, Cause { event, depth: depth + 1 }).await {
            Ok(_) => Ok(Ok(())),
            Err(Failure::Rejected(refusal)) => Ok(Err(refusal.message)),
            Err(failure) => Err(failure),
        }
    }
}
