//! One operation, once: claimed, decided, recorded and answered in one committed transaction.

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

use crate::{App, Caller, record::Record};

/// A changing operation: a command that knows how to load what it needs and let the domain decide.
#[async_trait]
pub trait UseCase: Send + Sync + 'static {
    /// The operationId.
    const OPERATION: &'static str;
    /// HTTP status of success.
    const STATUS: u16 = 200;

    /// What its events keep order within.
    fn key(&self) -> OrderingKey;
    /// What it must be alone with besides, though no event of its own keeps order there.
    fn locks(&self) -> Vec<OrderingKey> {
        Vec::new()
    }
    /// What it will surely load.
    fn prefetch(&self) -> Vec<billwire_store::commit::Prefetch> {
        Vec::new()
    }
    /// Loads, decides and saves. `None`: there was nothing to do.
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure>;
}

/// Who demands an operation, and under which conditions.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// Who.
    pub caller: Caller,
    /// The idempotency key it came with.
    pub claim: Option<Claim>,
}

struct Execution<U> {
    use_case: U,
    context: RequestContext,
    clock: Arc<ShiftedClock>,
    /// Bytes that an event may take.
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
            Some(record) => record.append(tx, U::OPERATION, U::STATUS, &self.context.caller, (now, self.event_max)).await,
            None => Ok(Reply { status: 204, body: String::new(), secret: false, replayed: false }),
        }
    }
}

impl App {
    /// Runs `use_case` once: a demand that repeats a claim gets the first reply.
    ///
    /// # Errors
    /// The refusal, or the database's failure; nothing was changed then.
    pub async fn execute<U: UseCase>(&self, context: RequestContext, use_case: U) -> Result<Reply, Failure> {
        if self.backlog_full() {
            return Err(Error::Unavailable("the stream is away and the outbox is full".into()).into());
        }
        let (clock, event_max) = (self.clock.clone(), self.store.event_max());
        self.store.commit(Arc::new(Execution { use_case, context, clock, event_max })).await
    }
}

/// JSON that cannot be written, which only a broken type could cause.
pub(crate) fn json(error: serde_json::Error) -> Failure {
    Error::Corrupt { table: "business_transaction", detail: error.to_string() }.into()
}
