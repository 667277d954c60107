//! Executes an operation exactly once: claim, decision, record and reply are one committed transaction.

use std::sync::Arc;

use async_trait::async_trait;
use billwire_schemas::{
    clock::{Clock, ShiftedClock, Timestamp},
    ids::{OrderingKey, TenantId},
    trace::TraceParent,
};
use billwire_store::{
    Error, Tx,
    commit::{Failure, Unit},
    idempotency::{Claim, Reply},
};

use crate::{
    App, Caller,
    record::{AppendTerms, MessageTerms, Moment, Record, first_entity},
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
    /// Other tenants for which it saves something.
    fn further_tenants(&self) -> Vec<TenantId> {
        Vec::new()
    }
    /// Loads, decides and saves. Returns `None` if there was nothing to do.
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure>;
}

/// The HTTP status of a use case that had nothing to do.
pub(crate) const NOTHING_TO_DO: u16 = 204;

/// The caller of an operation, the idempotency claim, and the trace.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The authenticated caller.
    pub caller: Caller,
    /// The claim of the request's idempotency key, if it has one.
    pub claim: Option<Claim>,
    /// The trace that the request belongs to.
    pub trace: Option<TraceParent>,
}

impl RequestContext {
    /// The context of a caller whose request has neither an idempotency key nor a trace.
    pub fn of(caller: Caller) -> Self {
        Self { caller, claim: None, trace: None }
    }
}

struct Execution<U> {
    use_case: U,
    context: RequestContext,
    clock: Arc<ShiftedClock>,
    messages: MessageTerms,
    /// When it was due, if it was: it occurs then, however late the clock is.
    due: Option<Timestamp>,
}

#[async_trait]
impl<U: UseCase> Unit for Execution<U> {
    fn tenant(&self) -> &TenantId {
        &self.context.caller.tenant
    }
    fn further_tenants(&self) -> Vec<TenantId> {
        self.use_case.further_tenants()
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
        let moment = self.due.map_or_else(|| Moment::now(now), |due| Moment::of_due(due, now));
        match self.use_case.run(tx, moment.occurred_at).await? {
            Some(record) => {
                let (caller, trace, messages) = (&self.context.caller, self.context.trace.as_ref(), &self.messages);
                let terms = AppendTerms { operation: U::OPERATION, caller, moment, trace, messages };
                Ok(record.append(tx, &terms).await?.reply(U::STATUS))
            }
            None => Ok(Reply { status: NOTHING_TO_DO, body: String::new(), entity: None, secret: false, replayed: false }),
        }
    }
}

impl App {
    /// Runs `use_case` once: a request that repeats a claim gets the first reply.
    ///
    /// # Errors
    /// The use case's refusal, or a database failure; nothing was changed then.
    pub async fn execute<U: UseCase>(&self, context: RequestContext, use_case: U) -> Result<Reply, Failure> {
        self.execute_when(context, use_case, None).await
    }

    /// The same, of what was due at a moment.
    pub(crate) async fn execute_due<U: UseCase>(&self, context: RequestContext, use_case: U, due: Timestamp) -> Result<Reply, Failure> {
        self.execute_when(context, use_case, Some(due)).await
    }

    async fn execute_when<U: UseCase>(&self, context: RequestContext, use_case: U, due: Option<Timestamp>) -> Result<Reply, Failure> {
        self.ensure_room()?;
        let (clock, messages) = (self.clock.clone(), self.message_terms());
        let mut reply = self.store.commit(Arc::new(Execution { use_case, context, clock, messages, due })).await?;
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
