//! `listSetAsideEvents`, `redriveSetAsideEvents`: what a person does about events that are larger than the stream takes.

use std::sync::Arc;

use async_trait::async_trait;
use billwire_schemas::ids::{EventId, OrderingKey, TenantId};
use billwire_store::{
    SetAsideEvent, Tx,
    commit::{Failure, Unit},
    idempotency::{Claim, Reply},
    page,
};
use serde::Serialize;

use crate::{App, RequestContext, execute::json};

/// How many events a redrive concerned.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Redriven {
    events: usize,
    too_large: usize,
}

struct RedriveSetAsideEvents {
    context: RequestContext,
    /// Which; none: all of the tenant.
    ids: Vec<EventId>,
    /// Bytes that an event may take.
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
        Ok(Reply { status: 202, body, secret: false, replayed: false })
    }
}

/// Most events counted for people who look whether all is well.
const COUNTED_MAX: u64 = 1000;

impl App {
    /// A page of the events that were too large for the stream, newest first.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn list_set_aside_events(
        &self,
        tenant: &TenantId,
        page_request: page::PageRequest,
    ) -> Result<page::Page<SetAsideEvent>, Failure> {
        Ok(self.store.list_set_aside(tenant, page_request).await?)
    }

    /// Has events that were set aside published, as far as they fit by now: those of `ids`, or, where there are none, all of the tenant.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn redrive_set_aside_events(&self, context: RequestContext, ids: Vec<EventId>) -> Result<Reply, Failure> {
        self.store.learn_max_payload().await?;
        let event_max = self.store.event_max();
        self.store.commit(Arc::new(RedriveSetAsideEvents { context, ids, event_max })).await
    }

    /// How many events of all tenants are set aside for their size, counted up to 1000.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn count_set_aside_events(&self) -> Result<u64, Failure> {
        Ok(self.store.count_set_aside(COUNTED_MAX).await?)
    }
}
