//! Configuration objects: their types, and use cases on one of them that a request names by its id.

use async_trait::async_trait;
use billwire_domain::{
    Change, Entity, Rejected,
    delivery::{queue::Queue, subscription::Subscription},
};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    events::envelope::Action,
    ids::{OrderingKey, QueueId, SubscriptionId, TenantId},
    refusal::Code,
};
use billwire_store::{Configuration, ConfigurationKind as Kind, Tx, commit::Failure, idempotency::Reply, page::PageRequest};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::{App, RequestContext, ensure_name_free, execute::UseCase, record::Record};

/// A type of configuration object, with its storage kind and refusal codes.
#[async_trait]
pub trait ConfigurationObject: Entity + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Kind of the stored rows.
    const KIND: Kind;
    /// Name of the type in messages.
    const NAME: &'static str;
    /// Code of the refusal for a missing object.
    const NOT_FOUND: Code;
    /// The operationId of its deletion.
    const DELETE: &'static str;
    /// The object's name, unique among the tenant's objects of its kind.
    fn name(&self) -> &str;
    /// Whether `subscription` uses the object.
    fn carries(&self, _subscription: &Subscription) -> bool {
        false
    }
    /// The refusal to change or delete the object `id`, if it is predefined.
    fn fixed(_id: &str) -> Option<Rejected> {
        None
    }
    /// Refuses the deletion of an object in use; deletes what belongs to the object.
    async fn before_deletion(&self, tx: &mut Tx<'_>) -> Result<(), Failure> {
        let subscriptions: Vec<Subscription> = tx.configurations(Kind::Subscription).await?;
        if let Some(user) = subscriptions.iter().find(|s| self.carries(s)) {
            let message = format!("Subscription '{}' uses this {}; delete the subscription first.", user.name, Self::NAME);
            return Err(Rejected::conflict(Code::StillInUse, message).into());
        }
        tx.delete_health(self.id());
        Ok(())
    }
}

/// A use case on one configuration object. Before [`ConfigurationUseCase::run`], the object is loaded under the lock of the tenant's
/// configuration, its version is checked, and a new name is checked to be free.
#[async_trait]
pub trait ConfigurationUseCase: Send + Sync + 'static {
    /// Type of the object.
    type Object: ConfigurationObject;
    /// The operationId.
    const OPERATION: &'static str;

    /// The name the object is to have, if given.
    fn name(&self) -> Option<&str> {
        None
    }
    /// The ordering key of its events, if it has any. The configuration is locked too.
    fn key(_id: &str) -> Option<OrderingKey> {
        None
    }
    /// Decides and saves.
    async fn run(&self, tx: &mut Tx<'_>, object: Self::Object, now: Timestamp) -> Result<Record, Failure>;
}

/// A use case bound to its object.
struct OnConfiguration<U> {
    use_case: U,
    id: String,
    if_match: Option<i64>,
}

#[async_trait]
impl<U: ConfigurationUseCase> UseCase for OnConfiguration<U> {
    const OPERATION: &'static str = U::OPERATION;

    fn key(&self) -> OrderingKey {
        U::key(&self.id).unwrap_or(OrderingKey::CONFIGURATION)
    }
    fn locks(&self) -> Vec<OrderingKey> {
        U::key(&self.id).map(|_| OrderingKey::CONFIGURATION).into_iter().collect()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let object: U::Object = addressed(tx, &self.id, self.if_match).await?;
        if let Some(name) = self.use_case.name().filter(|name| *name != object.name()) {
            ensure_name_free(tx, U::Object::KIND, name).await?;
        }
        self.use_case.run(tx, object, now).await.map(Some)
    }
}

impl App {
    /// The only object of a kind that a tenant has, or the default.
    ///
    /// # Errors
    /// A database failure.
    pub(crate) async fn only<T: DeserializeOwned + Default>(&self, tenant: &TenantId, kind: Kind) -> Result<T, Failure> {
        let mut found = self.store.list_configurations(tenant, kind, PageRequest { limit: 1, bytes: 0, after: None }).await?;
        Ok(found.items.pop().unwrap_or_default())
    }

    /// Runs `use_case` once on the configuration object with this id, if its version is `if_match`.
    ///
    /// # Errors
    /// `<object>_not_found`, `stale_version`, `name_taken`, the use case's refusal, or a database failure; nothing was changed then.
    pub async fn execute_on_configuration<U: ConfigurationUseCase>(
        &self,
        context: RequestContext,
        id: &str,
        if_match: Option<i64>,
        use_case: U,
    ) -> Result<Reply, Failure> {
        let id = self.id_of::<U::Object>(&context.caller.tenant, id).await?;
        self.execute(context, OnConfiguration { use_case, id, if_match }).await
    }

    /// The id of the object that a request names by its id or its name. A name that no object has stays as it is: a repeated request may be of
    /// an object that is gone.
    pub(crate) async fn id_of<T: ConfigurationObject>(&self, tenant: &TenantId, reference: &str) -> Result<String, Failure> {
        if reference.parse::<Uuid>().is_ok() {
            return Ok(reference.to_owned());
        }
        let named: Option<T> = self.store.configuration_named(tenant, T::KIND, reference).await?;
        Ok(named.map_or_else(|| reference.to_owned(), |object| object.id().to_string()))
    }

    /// The ids of the subscription and of the queue that a filter of deliveries names by id or by name; the nil id, which nothing has, if there is
    /// no such object.
    ///
    /// # Errors
    /// A database failure.
    pub async fn subscription_and_queue(
        &self,
        tenant: &TenantId,
        subscription: Option<&str>,
        queue: Option<&str>,
    ) -> Result<(Option<SubscriptionId>, Option<QueueId>), Failure> {
        let id = |text: String| text.parse().unwrap_or_default();
        let subscription = match subscription {
            Some(reference) => Some(SubscriptionId(id(self.id_of::<Subscription>(tenant, reference).await?))),
            None => None,
        };
        let queue = match queue {
            Some(reference) => Some(QueueId(id(self.id_of::<Queue>(tenant, reference).await?))),
            None => None,
        };
        Ok((subscription, queue))
    }
}

/// The only object of a kind that a tenant has, such as its billing settings, or the default.
///
/// # Errors
/// A database failure.
pub(crate) async fn only<T: DeserializeOwned + Default>(tx: &Tx<'_>, kind: Kind) -> Result<T, Failure> {
    Ok(tx.configurations(kind).await?.pop().unwrap_or_default())
}

/// Saves the only object of a kind. Names are unique, so under one `name` a tenant has at most one.
///
/// # Errors
/// A database failure, or when the object cannot be serialized.
pub(crate) async fn save_only<T>(tx: &mut Tx<'_>, kind: Kind, name: &str, change: &Change<T>) -> Result<Option<Record>, Failure>
where
    T: Entity + Clone,
{
    let (id, body, name) = (change.after.id(), change.after.clone(), name.to_owned());
    if change.before.is_none() {
        tx.save_configuration(Configuration { id, kind, name, body, secrets: None, created_at: SystemClock.now() }).await?;
    } else if change.action != Action::Unchanged {
        tx.change_configuration(id, body.version(), name, &body)?;
    }
    Record::of(change).map(Some)
}

/// Saves a created object with its secrets, JSON.
///
/// # Errors
/// A database failure.
pub(crate) async fn created<T: ConfigurationObject>(
    tx: &mut Tx<'_>,
    change: &Change<T>,
    secrets: Option<String>,
) -> Result<Record, Failure> {
    let (body, kind, created_at) = (change.after.clone(), T::KIND, SystemClock.now());
    let (id, name) = (body.id(), body.name().to_owned());
    tx.save_configuration(Configuration { id, kind, name, body, secrets, created_at }).await?;
    Record::of(change)
}

/// Saves a changed object.
///
/// # Errors
/// When the object cannot be serialized.
pub(crate) fn changed<T: ConfigurationObject>(tx: &mut Tx<'_>, change: &Change<T>) -> Result<Record, Failure> {
    let after = &change.after;
    if change.action != Action::Unchanged {
        tx.change_configuration(after.id(), after.version(), after.name().to_owned(), after)?;
    }
    Record::of(change)
}

/// The object with this id or name.
///
/// # Errors
/// A database failure.
pub(crate) async fn find<T: ConfigurationObject>(tx: &Tx<'_>, reference: &str) -> Result<Option<T>, Failure> {
    match reference.parse() {
        Ok(id) => tx.configuration(T::KIND, id).await,
        Err(_) => tx.configuration_named(T::KIND, reference).await,
    }
}

/// The configuration object named in the path, at the required version.
///
/// # Errors
/// `<object>_not_found`, `stale_version`, the refusal of [`ConfigurationObject::fixed`], or a database failure.
pub(crate) async fn addressed<T: ConfigurationObject>(tx: &Tx<'_>, id: &str, if_match: Option<i64>) -> Result<T, Failure> {
    T::fixed(id).map_or(Ok(()), Err)?;
    let found: T = find(tx, id).await?.ok_or_else(|| Rejected::not_found(T::NOT_FOUND, T::NAME, id))?;
    Rejected::ensure_current(if_match, found.version())?;
    Ok(found)
}

/// The configuration object that a body refers to at `pointer`.
///
/// # Errors
/// `code`, or a database failure.
pub(crate) async fn referenced<T: ConfigurationObject>(tx: &Tx<'_>, pointer: &'static str, code: Code, id: &str) -> Result<T, Failure> {
    find(tx, id).await?.ok_or_else(|| Rejected::violation(pointer, code, format!("There is no {} '{id}'.", T::NAME)).into())
}
