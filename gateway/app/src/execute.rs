//! Executes an operation exactly once: claim, decision, record and reply are one committed transaction.

use std::sync::Arc;

use async_trait::async_trait;
use billwire_schemas::{
    clock::{Clock, ShiftedClock, Timestamp},
    ids::{OrderingKey, TenantId},
};
use billwire_store::{
    Error, Tx,
    commit::{Failure, Unit},
    idempotency::{Claim, Reply},
};

use crate::{
    App, Caller,
    record::{Record, first_entity},
};

/// A changing operation: a command that loads its objects and lets the domain decide.
#[async_trait]
pub trait UseCase: Send + Sync + 'static {
    /// The operationId.
    const OPERATION: &'static str;
    /// HTTP status of success.
    const STATUS: u16 = 200;

    /// The ordering key of its events; by default that of the tenant's configuration, whose changes run one after another.
    fn key(&self) -> OrderingKey {
        OrderingKey::CONFIGURATION
    }
    /// Further ordering keys to lock, without events of their own.
    fn locks(&self) -> Vec<OrderingKey> {
        Vec::new()
    }
    /// Objects that it always loads.
    fn prefetch(&self) -> Vec<billwire_store::commit::Prefetch> {
        Vec::new()
    }
    /// Loads, decides and saves. Returns `None` if there was nothing to do.
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure>;
}

/// The caller of an operation, and the idempotency claim.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The authenticated caller.
    pub caller: Caller,
    /// The claim of the request's idempotency key, if it has one.
    pub claim: Option<Claim>,
}

struct Execution<U> {
    use_case: U,
    context: RequestContext,
    clock: Arc<ShiftedClock>,
    /// Maximum size of an event, in bytes.
    event_max: u64,
}

#[async_trait]
impl<U: UseCase> Unit for Execution<U> {
    fn tenant(&self) -> &TenantId {
        &self.context.caller.tenant
    }
    fn keys(&self) -> Vec<OrderingKey> {
        let mut keys = self.use_case.locks();
        keys.insert(0, self.use_case.key());
        keys
    }
    fn claim(&self) -> Option<&Claim> {
        self.context.claim.as_ref()
    }
    fn prefetch(&self) -> Vec<billwire_store::commit::Prefetch> {
        self.use_case.prefetch()
    }
    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Reply, Failure> {
        let now = self.clock.now();
        match self.use_case.run(tx, now).await? {
            Some(record) => Ok(record.append(tx, U::OPERATION, &self.context.caller, (now, self.event_max)).await?.reply(U::STATUS)),
            None => Ok(Reply { status: 204, body: String::new(), entity: None, secret: false, replayed: false }),
        }
    }
}

impl App {
    /// Runs `use_case` once: a request that repeats a claim gets the first reply.
    ///
    /// # Errors
    /// The use case's refusal, or a database failure; nothing was changed then.
    pub async fn execute<U: UseCase>(&self, context: RequestContext, use_case: U) -> Result<Reply, Failure> {
        self.ensure_room()?;
        let (clock, event_max) = (self.clock.clone(), self.store.event_max());
        let mut reply = self.store.commit(Arc::new(Execution { use_case, context, clock, event_max })).await?;
        if reply.replayed {
            reply.entity = first_entity(&reply.body);
        }
        Ok(reply)
    }
}

/// A JSON failure, which only a bug or corrupt data can cause.
pub(crate) fn json(error: serde_json::Error) -> Failure {
    Error::Corrupt { table: "business_transaction", detail: error.to_string() }.into()
}
