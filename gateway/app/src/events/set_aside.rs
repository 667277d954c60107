//! `listSetAsideEvents`, `redriveSetAsideEvents`: manual handling of events that are too large for the stream.

use std::sync::Arc;

use async_trait::async_trait;
use billwire_monitoring::{
    metrics::METRICS,
    parts::{Part, Status},
};
use billwire_schemas::{
    clock::{Clock, SystemClock},
    ids::{EventId, OrderingKey, TenantId},
};
use billwire_store::{
    SetAsideEvent, Tx,
    commit::{Failure, Unit},
    idempotency::{Claim, Reply},
    page,
};
use serde::Serialize;

use crate::{App, RequestContext, execute::json};

/// Numbers of redriven and remaining events.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Redriven {
    events: usize,
    too_large: usize,
}

struct RedriveSetAsideEvents {
    context: RequestContext,
    /// Ids of the events; empty: all of the tenant.
    ids: Vec<EventId>,
    /// Maximum size of an event, in bytes.
    event_max: u64,
}

#[async_trait]
impl Unit for RedriveSetAsideEvents {
    fn tenant(&self) -> &TenantId {
        &self.context.caller.tenant
    }
    fn keys(&self) -> Vec<OrderingKey> {
        vec![OrderingKey::CONFIGURATION]
    }
    fn claim(&self) -> Option<&Claim> {
        self.context.claim.as_ref()
    }
    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Reply, Failure> {
        let done = tx.redrive_set_aside(&self.ids, self.event_max).await?;
        let body = serde_json::to_string(&Redriven { events: done.events, too_large: done.too_large }).map_err(json)?;
        Ok(Reply { status: 202, body, entity: None, secret: false, replayed: false })
    }
}

/// Maximum count reported for monitoring.
const COUNTED_MAX: u64 = 1000;

impl App {
    /// A page of the events that were too large for the stream, newest first.
    ///
    /// # Errors
    /// A database failure.
    pub async fn list_set_aside_events(
        &self,
        tenant: &TenantId,
        page_request: page::PageRequest,
    ) -> Result<page::Page<SetAsideEvent>, Failure> {
        Ok(self.store.list_set_aside(tenant, page_request).await?)
    }

    /// Publishes set-aside events that now fit: those in `ids`, or all of the tenant if `ids` is empty.
    ///
    /// # Errors
    /// A database failure.
    pub async fn redrive_set_aside_events(&self, context: RequestContext, ids: Vec<EventId>) -> Result<Reply, Failure> {
        self.store.learn_max_payload().await?;
        let event_max = self.store.event_max();
        self.store.commit(Arc::new(RedriveSetAsideEvents { context, ids, event_max })).await
    }

    /// Reports how many events of all tenants are set aside for their size, counted up to 1000; gives how many.
    ///
    /// # Errors
    /// A database failure.
    pub async fn report_set_aside_events(&self) -> Result<u64, Failure> {
        let (count, now) = (self.store.count_set_aside(COUNTED_MAX).await?, SystemClock.now());
        METRICS.set_aside_events.set(i64::try_from(count).unwrap_or(i64::MAX));
        match count {
            0 => self.parts.ok(Part::SetAside, now),
            // Their ordering keys wait; all others go on.
            events => self.parts.report(Part::SetAside, Status::Degraded, format!("{events} events are too large for the stream"), now),
        }
        Ok(count)
    }
}
