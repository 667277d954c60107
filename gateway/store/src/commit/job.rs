//! An operation that waits to be committed.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use billwire_schemas::ids::{OrderingKey, TenantId};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    Error,
    error::Failure,
    idempotency::{Claim, Reply},
    tx::{Prefetch, Tx},
};

/// One operation to commit.
#[async_trait]
pub trait Unit: Send + Sync + 'static {
    /// The tenant whose data it changes.
    fn tenant(&self) -> &TenantId;
    /// Other tenants for which it saves something.
    fn further_tenants(&self) -> Vec<TenantId> {
        Vec::new()
    }
    /// The ordering keys of its events, all locked before [`Unit::decide`] runs. Never empty; may repeat a key.
    fn keys(&self) -> Vec<OrderingKey>;
    /// The idempotency key it came with.
    fn claim(&self) -> Option<&Claim>;
    /// The objects it will certainly load: read for the whole group at once.
    fn prefetch(&self) -> Vec<Prefetch> {
        Vec::new()
    }
    /// Loads, decides, collects writes. May run again after a failed commit, so it changes nothing but `tx`.
    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Reply, Failure>;
}

/// What order is kept within.
pub(crate) type Lane = (TenantId, OrderingKey);

pub(crate) struct Job {
    pub unit: Arc<dyn Unit>,
    /// Its ordering keys.
    pub lanes: Vec<Lane>,
    pub arrived: Instant,
    pub answer: oneshot::Sender<Result<Reply, Failure>>,
}

impl Job {
    pub fn answer(self, answer: Result<Reply, Failure>) {
        // The client may have disconnected; what was committed stays committed.
        let _ = self.answer.send(answer);
    }

    pub fn fail(self, error: &Arc<Error>) {
        self.answer(Err(Failure::Store(error.clone())));
    }

    pub fn is_older_than(&self, limit: Duration) -> bool {
        self.arrived.elapsed() >= limit
    }
}
