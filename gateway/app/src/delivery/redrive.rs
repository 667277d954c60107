//! `retryDelivery`, `redriveDeadLetters`, `discardDeadLetters`: manual handling of failed deliveries.

use std::sync::Arc;

use async_trait::async_trait;
use billwire_domain::Rejected;
use billwire_schemas::{
    clock::{Clock, ShiftedClock, Timestamp},
    delivery::{Delivery, DeliveryState},
    ids::{DeliveryId, OrderingKey, TenantId},
    refusal::Code,
};
use billwire_store::{
    Tx,
    commit::{Failure, Unit},
    delivery::redrive::DeadLetters,
    idempotency::{Claim, Reply},
};
use serde::Serialize;

use crate::{App, Purgeable, RequestContext, execute::json};

/// Maximum number of dead letters handled by one call.
pub const AT_ONCE: u64 = 10_000;

/// The action to perform.
enum What {
    Retry(String),
    Redrive(DeadLetters),
    Discard(DeadLetters),
    Count(DeadLetters),
}

/// The number of affected deliveries.
#[derive(Serialize)]
struct Mended {
    deliveries: usize,
}

struct Mend {
    context: RequestContext,
    clock: Arc<ShiftedClock>,
    what: What,
}

#[async_trait]
impl Unit for Mend {
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
        let now = self.clock.now();
        let deliveries = match &self.what {
            What::Retry(id) => retry(tx, id, now).await?,
            What::Count(wanted) => tx.count_dead_letters(wanted, AT_ONCE).await?,
            What::Redrive(wanted) => tx.redrive(wanted, AT_ONCE, now).await?,
            What::Discard(wanted) => tx.discard(wanted, AT_ONCE, now).await?,
        };
        let body = serde_json::to_string(&Mended { deliveries }).map_err(json)?;
        Ok(Reply { status: 202, body, entity: None, secret: false, replayed: false })
    }
}

/// Retries a waiting delivery or a dead letter now.
async fn retry(tx: &mut Tx<'_>, id: &str, now: Timestamp) -> Result<usize, Failure> {
    let missing = || Failure::from(Rejected::not_found(Code::DeliveryNotFound, "delivery", id));
    let id: DeliveryId = id.parse().map_err(|_| missing())?;
    let delivery = tx.delivery(id).await?.ok_or_else(missing)?;
    ensure_not_final(&delivery)?;
    if delivery.state == DeliveryState::Waiting {
        tx.retry_now(id, now).await?;
        return Ok(1);
    }
    Ok(tx.redrive(&DeadLetters { ids: vec![id], ..DeadLetters::default() }, 1, now).await?)
}

fn ensure_not_final(delivery: &Delivery) -> Result<(), Rejected> {
    match delivery.state {
        DeliveryState::Succeeded => Err(Rejected::conflict(Code::DeliverySucceeded, "The delivery has already succeeded.")),
        DeliveryState::Discarded => Err(Rejected::conflict(Code::DeliveryDiscarded, "The delivery was discarded.")),
        DeliveryState::Waiting if delivery.next_attempt_at.is_none() => {
            let message = "The delivery waits for an earlier one of its ordering key; retry that one.";
            Err(Rejected::conflict(Code::DeliveryBehindAnother, message))
        }
        DeliveryState::Waiting | DeliveryState::Dead | DeliveryState::Blocking => Ok(()),
    }
}

impl App {
    async fn mend(&self, context: RequestContext, what: What) -> Result<Reply, Failure> {
        self.store.commit(Arc::new(Mend { context, clock: self.clock.clone(), what })).await
    }

    /// Retries a delivery now.
    ///
    /// # Errors
    /// `delivery_not_found`, `purged`, `delivery_succeeded`, `delivery_discarded`, `delivery_behind_another`, or a database failure.
    pub async fn retry_delivery(&self, context: RequestContext, id: &str) -> Result<Reply, Failure> {
        let tenant = context.caller.tenant.clone();
        match self.mend(context, What::Retry(id.to_owned())).await {
            Err(Failure::Rejected(refused)) if refused.code == Code::DeliveryNotFound => {
                Err(self.absent(&tenant, Purgeable::Deliveries, id).await?.into())
            }
            done => done,
        }
    }

    /// Redrives dead letters, up to [`AT_ONCE`].
    ///
    /// # Errors
    /// A database failure.
    pub async fn redrive_dead_letters(&self, context: RequestContext, wanted: DeadLetters) -> Result<Reply, Failure> {
        self.mend(context, What::Redrive(wanted)).await
    }

    /// How many dead letters [`App::redrive_dead_letters`] and [`App::discard_dead_letters`] would take.
    ///
    /// # Errors
    /// A database failure.
    pub async fn count_dead_letters(&self, context: RequestContext, wanted: DeadLetters) -> Result<Reply, Failure> {
        self.mend(context, What::Count(wanted)).await
    }

    /// Discards dead letters, up to [`AT_ONCE`].
    ///
    /// # Errors
    /// A database failure.
    pub async fn discard_dead_letters(&self, context: RequestContext, wanted: DeadLetters) -> Result<Reply, Failure> {
        self.mend(context, What::Discard(wanted)).await
    }
}
