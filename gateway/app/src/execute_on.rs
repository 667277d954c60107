//! Use cases on one object that a request names in its path or body, by id or external id.

use std::sync::Arc;

use async_trait::async_trait;
use billwire_domain::{Entity, Rejected, customers::account::Account};
use billwire_schemas::{
    clock::Timestamp,
    ids::{OrderingKey, TenantId},
};
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

/// A use case on one object. Before [`ObjectUseCase::run`], the object is loaded under the lock of its ordering key and its version is
/// checked.
#[async_trait]
pub trait ObjectUseCase: Send + Sync + 'static {
    /// Type of the object.
    type Object: Object;
    /// The operationId.
    const OPERATION: &'static str;
    /// HTTP status of success.
    const STATUS: u16 = 200;

    /// The refusal for a missing object: 404 if the path names the object; a use case whose body names the object overrides it with 422.
    fn missing(reference: &str) -> Rejected {
        not_found::<Self::Object>(reference)
    }
    /// The ordering key of its events, if it differs from the object's. The object's key is locked too.
    fn key(&self) -> Option<OrderingKey> {
        None
    }
    /// Further ordering keys to lock, looked up before the transaction. [`ObjectUseCase::run`] ends with [`ensure_locked`] if it needs others by
    /// then, and is tried again.
    async fn further_locks(&self, _app: &App, _tenant: &TenantId, _reference: &str) -> Result<Vec<OrderingKey>, Failure> {
        Ok(Vec::new())
    }
    /// Objects that it always loads, besides the object and its account.
    fn prefetch(&self) -> Vec<Prefetch> {
        Vec::new()
    }
    /// Decides and saves. Returns `None` if there was nothing to do.
    async fn run(&self, tx: &mut Tx<'_>, object: Self::Object, now: Timestamp) -> Result<Option<Record>, Failure>;
}

/// Checks that the unit has locked the ordering keys of these accounts.
///
/// # Errors
/// [`Failure::Outdated`]: they are to be looked up again.
pub(crate) fn ensure_locked<'a>(tx: &Tx<'_>, accounts: impl IntoIterator<Item = &'a Account>) -> Result<(), Failure> {
    if accounts.into_iter().all(|account| tx.holds(&account.id.into())) { Ok(()) } else { Err(Failure::Outdated) }
}

/// The account that owns an object.
///
/// # Errors
/// A database failure; a missing account counts as one.
pub(crate) async fn owner<T: Persisted>(tx: &mut Tx<'_>, object: &T) -> Result<Account, Failure> {
    let account = match object.account() {
        Some(id) => tx.load::<Account>(id.0).await?,
        None => None,
    };
    account.ok_or_else(|| Error::Corrupt { table: T::TABLE, detail: format!("{} belongs to no account", object.id()) }.into())
}

/// A use case bound to its object.
struct On<U> {
    use_case: Arc<U>,
    key: OrderingKey,
    further: Vec<OrderingKey>,
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
        self.use_case.key().map(|_| self.key.clone()).into_iter().chain(self.further.clone()).collect()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        let mut all = self.use_case.prefetch();
        all.push(Prefetch::of::<U::Object>(self.id));
        all.extend(self.account.map(Prefetch::of::<Account>));
        all
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let object = tx.load::<U::Object>(self.id).await?.ok_or_else(|| U::missing(&self.reference))?;
        let by_id = self.reference.parse::<Uuid>().is_ok_and(|id| id == self.id);
        if !by_id && object.external_id() != Some(&self.reference) {
            return Err(Failure::Outdated);
        }
        Rejected::ensure_current(self.if_match, object.version())?;
        self.use_case.run(tx, object, now).await
    }
}

/// How often an object and what to lock with it are looked up because they have changed meanwhile.
const LOOK_UPS_MAX: usize = 5;

impl App {
    /// Runs `use_case` once on the object with this id or external id, if its version is `if_match`.
    ///
    /// The ordering key to lock must be known before the transaction. For an object that is its own ordering key, a UUID reference is tried
    /// as the id, without a lookup, and only then as an external id. Other objects are looked up first, for their account, which never
    /// changes; again, if their external id, or what to lock with them, has changed by the time they are locked. Without an object, a request with a claim is
    /// committed all the same, because it may repeat a deletion.
    ///
    /// # Errors
    /// [`ObjectUseCase::missing`], `stale_version`, the use case's refusal, or a database failure; nothing was changed then.
    pub async fn execute_on<U: ObjectUseCase>(
        &self,
        context: RequestContext,
        reference: &str,
        if_match: Option<i64>,
        use_case: U,
    ) -> Result<Reply, Failure> {
        let use_case = Arc::new(use_case);
        for _ in 0..LOOK_UPS_MAX {
            let further = use_case.further_locks(self, &context.caller.tenant, reference).await?;
            let on = |key, id, account| {
                let (use_case, further, reference) = (use_case.clone(), further.clone(), reference.to_owned());
                On { use_case, key, further, id, account, reference, if_match }
            };
            if U::Object::KEEPS_OWN_ORDER
                && let Ok(id) = reference.parse::<Uuid>()
            {
                match self.execute(context.clone(), on(id.into(), id, None)).await {
                    Err(Failure::Outdated) => continue,
                    Err(Failure::Rejected(refusal)) if refusal == U::missing(reference) => {}
                    done => return done,
                }
            }
            let Some(object) = self.store.find::<U::Object>(&context.caller.tenant, reference).await? else {
                return match context.claim {
                    None => Err(U::missing(reference).into()),
                    Some(_) => self.execute(context, on(Uuid::nil().into(), Uuid::nil(), None)).await,
                };
            };
            let account = object.account().map(|account| account.0);
            let done = self.execute(context.clone(), on(object.ordering_key(), object.id(), account)).await;
            if !matches!(done, Err(Failure::Outdated)) {
                return done;
            }
        }
        Err(Failure::Outdated)
    }
}
