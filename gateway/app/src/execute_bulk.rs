//! Bulk operations: many items, each its own business transaction, all committed together. A call of which no item is accepted is refused.

use std::{borrow::Cow, sync::Arc};

use async_trait::async_trait;
use billwire_domain::{Rejected, Violation};
use billwire_schemas::{
    clock::{Clock, ShiftedClock, Timestamp},
    ids::{OrderingKey, TenantId, fresh},
    refusal::Code,
};
use billwire_store::{
    Tx,
    commit::{Failure, Unit},
    idempotency::{Claim, Reply},
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    App, RequestContext,
    execute::json,
    record::{AppendTerms, MessageTerms, Moment, Record},
};

/// A bulk operation. Items are decided one by one, in order: a refused item changes nothing and does not stop the others; a later item
/// sees the changes of earlier ones.
#[async_trait]
pub trait BulkUseCase: Send + Sync + 'static {
    /// The operationId.
    const OPERATION: &'static str;
    /// HTTP status of the response if an item was accepted.
    const STATUS: u16;

    /// Number of items; at least 1, as the schema requires.
    fn count(&self) -> usize;
    /// The distinct ordering keys of their events.
    fn keys(&self) -> Vec<OrderingKey>;
    /// Preloads the items' objects with few queries.
    async fn prepare(&self, tx: &mut Tx<'_>) -> Result<(), Failure>;
    /// Decides and saves the item at `index`.
    async fn run(&self, index: usize, tx: &mut Tx<'_>, now: Timestamp) -> Result<Record, Failure>;
}

struct OnceEach<U> {
    use_case: U,
    context: RequestContext,
    clock: Arc<ShiftedClock>,
    keys: Vec<OrderingKey>,
    messages: MessageTerms,
}

/// The result of an item.
#[derive(Serialize)]
#[serde(tag = "status", rename_all = "camelCase")]
enum Item {
    /// A business transaction was recorded.
    Recorded { index: usize, transaction: Box<RawValue> },
    /// The item was refused.
    Refused { index: usize, problem: ItemProblem },
}

#[derive(Serialize)]
struct ItemProblem {
    code: Code,
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ItemError>,
}

#[derive(Serialize)]
struct ItemError {
    pointer: Cow<'static, str>,
    code: Code,
    message: String,
}

#[derive(Serialize)]
struct Items {
    items: Vec<Item>,
}

impl From<Rejected> for ItemProblem {
    fn from(Rejected { code, message, violations }: Rejected) -> Self {
        let error = |broken: Violation| ItemError { pointer: broken.pointer, code: broken.code, message: broken.message };
        Self { code, detail: message, errors: violations.into_iter().map(error).collect() }
    }
}

/// The refusal of the whole call, of which each item was refused.
fn nothing_accepted(refused: Vec<Rejected>) -> Rejected {
    let count = refused.len();
    let of_item = |(index, refusal): (usize, Rejected)| {
        if refusal.violations.is_empty() {
            vec![Violation::new(format!("/items/{index}"), refusal.code, refusal.message)]
        } else {
            refusal.violations
        }
    };
    Rejected {
        code: Code::NothingAccepted,
        message: format!("None of the {count} items was accepted; see errors."),
        violations: refused.into_iter().enumerate().flat_map(of_item).collect(),
    }
}

#[async_trait]
impl<U: BulkUseCase> Unit for OnceEach<U> {
    fn tenant(&self) -> &TenantId {
        &self.context.caller.tenant
    }
    fn keys(&self) -> Vec<OrderingKey> {
        self.keys.clone()
    }
    fn claim(&self) -> Option<&Claim> {
        self.context.claim.as_ref()
    }
    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Reply, Failure> {
        let now = self.clock.now();
        self.use_case.prepare(tx).await?;
        let mut results = Vec::with_capacity(self.use_case.count());
        for index in 0..self.use_case.count() {
            tx.begin_item();
            results.push(match self.item(index, tx, now).await {
                Ok(transaction) => {
                    tx.keep_item();
                    Ok(transaction)
                }
                Err(Failure::Rejected(refusal)) => {
                    tx.drop_item();
                    Err(refusal.under(&format!("/items/{index}")))
                }
                Err(failure) => return Err(failure),
            });
        }
        if results.iter().all(Result::is_err) {
            return Err(nothing_accepted(results.into_iter().filter_map(Result::err).collect()).into());
        }
        let item = |(index, result)| match result {
            Ok(transaction) => Item::Recorded { index, transaction },
            Err(refusal) => Item::Refused { index, problem: ItemProblem::from(refusal) },
        };
        let items = results.into_iter().enumerate().map(item).collect();
        let body = serde_json::to_string(&Items { items }).map_err(json)?;
        Ok(Reply { status: U::STATUS, body, entity: None, secret: false, replayed: false })
    }
}

impl<U: BulkUseCase> OnceEach<U> {
    async fn item(&self, index: usize, tx: &mut Tx<'_>, now: Timestamp) -> Result<Box<RawValue>, Failure> {
        let record = self.use_case.run(index, tx, now).await?;
        let (caller, trace, messages) = (&self.context.caller, self.context.trace.as_ref(), &self.messages);
        let terms = AppendTerms { operation: U::OPERATION, caller, moment: Moment::now(now), trace, messages };
        Ok(record.append(tx, &terms).await?.transaction)
    }
}

impl App {
    /// Runs the items of `use_case` once: a request that repeats a claim gets the first reply.
    ///
    /// # Errors
    /// `nothing_accepted` if each item was refused, or a database failure; nothing was changed then. The reply contains refusals of items.
    pub async fn execute_bulk<U: BulkUseCase>(&self, context: RequestContext, use_case: U) -> Result<Reply, Failure> {
        self.ensure_room()?;
        let mut keys = use_case.keys();
        if keys.is_empty() {
            // Nothing will be recorded, but an earlier reply to the claim must be found.
            keys.push(fresh().into());
        }
        let (clock, messages) = (self.clock.clone(), self.message_terms());
        self.store.commit(Arc::new(OnceEach { use_case, context, clock, keys, messages })).await
    }
}
