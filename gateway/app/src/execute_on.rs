//! Use cases on an object that a request names, in its path or its body, by id or external id.

use std::sync::Arc;

use async_trait::async_trait;
use billwire_domain::{Entity, Rejected, customers::account::Account};
use billwire_schemas::{clock::Timestamp, ids::OrderingKey};
use billwire_store::{
    Error, Persisted, Tx,
    commit::{Failure, Prefetch},
    idempotency::Reply,
};
use uuid::Uuid;

use crate::{
    App, RequestContext,
    execute::UseCase,
    objects::{Object, not_found},
    record::Record,
};

/// A use case on one object. The object is loaded under the lock of its ordering key, at the version the caller insists on, before
/// [`ObjectUseCase::run`].
#[async_trait]
pub trait ObjectUseCase: Send + Sync + 'static {
    /// The object's noun.
    type Object: Object;
    /// The operationId.
    const OPERATION: &'static str;
    /// HTTP status of success.
    const STATUS: u16 = 200;

    /// The refusal when there is no such object: 404 for one that the path names. A use case whose body names the object says 422.
    fn missing(reference: &str) -> Rejected {
        not_found::<Self::Object>(reference)
    }
    /// What its events keep order within, where that is not the object's own ordering key. The object's is locked all the same.
    fn key(&self) -> Option<OrderingKey> {
        None
    }
    /// What it will surely load besides the object and its account.
    fn prefetch(&self) -> Vec<Prefetch> {
        Vec::new()
    }
    /// Decides and saves. `None`: there was nothing to do.
    async fn run(&self, tx: &mut Tx<'_>, object: Self::Object, now: Timestamp) -> Result<Option<Record>, Failure>;
}

/// The account an object belongs to.
///
/// # Errors
/// The database's failure; an object without its account is one.
pub(crate) async fn owner<T: Persisted>(tx: &mut Tx<'_>, object: &T) -> Result<Account, Failure> {
    let account = match object.account() {
        Some(id) => tx.load::<Account>(id.0).await?,
        None => None,
    };
    account.ok_or_else(|| Error::Corrupt { table: T::TABLE, detail: format!("{} belongs to no account", object.id()) }.into())
}

/// A use case with the object it is for.
struct On<U> {
    use_case: Arc<U>,
    key: OrderingKey,
    id: Uuid,
    account: Option<Uuid>,
    reference: String,
    if_match: Option<i64>,
}

#[async_trait]
impl<U: ObjectUseCase> UseCase for On<U> {
    const OPERATION: &'static str = U::OPERATION;
    const STATUS: u16 = U::STATUS;

    fn key(&self) -> OrderingKey {
        self.use_case.key().unwrap_or_else(|| self.key.clone())
    }
    fn locks(&self) -> Vec<OrderingKey> {
        self.use_case.key().map(|_| self.key.clone()).into_iter().collect()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        let mut all = self.use_case.prefetch();
        all.push(Prefetch::of::<U::Object>(self.id));
        all.extend(self.account.map(Prefetch::of::<Account>));
        all
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let object = tx.load::<U::Object>(self.id).await?.ok_or_else(|| U::missing(&self.reference))?;
        Rejected::ensure_current(self.if_match, object.version())?;
        self.use_case.run(tx, object, now).await
    }
}

impl App {
    /// Runs `use_case` once, on the object with this id or external id, if it has the version `if_match`.
    ///
    /// Which ordering key to lock has to be known before the transaction. An object that keeps its own order needs no look-up for it: a
    /// reference that reads as an id is taken for one, and only if nothing has that id it is looked up as an external id. Another object is
    /// looked up first, for its account; an object never moves to another account. Where there is no object the claim of the request is
    /// looked up all the same, since a request that is repeated may have deleted it.
    ///
    /// # Errors
    /// [`ObjectUseCase::missing`], `stale_version`, the use case's refusal, or the database's failure; nothing was changed then.
    pub async fn execute_on<U: ObjectUseCase>(
        &self,
        context: RequestContext,
        reference: &str,
        if_match: Option<i64>,
        use_case: U,
    ) -> Result<Reply, Failure> {
        let use_case = Arc::new(use_case);
        let on = |key, id, account| On { use_case: use_case.clone(), key, id, account, reference: reference.to_owned(), if_match };
        if U::Object::KEEPS_OWN_ORDER
            && let Ok(id) = reference.parse::<Uuid>()
        {
            match self.execute(context.clone(), on(id.into(), id, None)).await {
                Err(Failure::Rejected(refusal)) if refusal == U::missing(reference) => {}
                done => return done,
            }
        }
        match self.store.find::<U::Object>(&context.caller.tenant, reference).await? {
            Some(object) => {
                let account = object.account().map(|account| account.0);
                self.execute(context, on(object.ordering_key(), object.id(), account)).await
            }
            None => self.execute(context, on(Uuid::nil().into(), Uuid::nil(), None)).await,
        }
    }
}
