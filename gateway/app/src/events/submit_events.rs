//! `submitEvents`: external occurrences, as events of custom types.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use billwire_domain::{
    Entity, Rejected, Violation,
    customers::account::Account,
    events::custom_event_type::{CustomEvent, CustomEventType, Submit},
};
use billwire_schemas::{
    clock::Timestamp,
    ids::{AccountId, OrderingKey, TenantId},
    refusal::Code,
};
use billwire_store::{ConfigurationKind as Kind, Error, Store, Tx, commit::Failure, idempotency::Reply};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    App, RequestContext,
    events::{data_schemas::Budget, event_parameters},
    execute::UseCase,
    execute_bulk::BulkUseCase,
    record::{Cause, Record},
};

/// A validated item, with the index of its type.
type Judged = Result<(CustomEvent, usize), Rejected>;

/// The custom event types of each tenant, with the number of changes of its configuration at which they were read or earlier.
type ByTenant = HashMap<TenantId, (i64, Arc<Vec<CustomEventType>>)>;

/// The custom event types that were read.
#[derive(Default)]
pub(crate) struct EventTypes(Mutex<ByTenant>);

impl EventTypes {
    fn known(&self) -> MutexGuard<'_, ByTenant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The types of a tenant as they are now; read again only after a change of its configuration.
    async fn of(&self, store: &Store, tenant: &TenantId) -> Result<Arc<Vec<CustomEventType>>, Error> {
        let changes = store.changes_of(tenant).await?;
        let known = self.known().get(tenant).filter(|(of, _)| *of == changes).map(|(_, types)| types.clone());
        if let Some(types) = known {
            return Ok(types);
        }
        let types = Arc::new(store.configurations(tenant, Kind::EventType).await?);
        self.known().insert(tenant.clone(), (changes, types.clone()));
        Ok(types)
    }
}

struct SubmitEvents {
    types: Arc<Vec<CustomEventType>>,
    items: Vec<Judged>,
    cause: Option<Cause>,
}

#[async_trait]
impl BulkUseCase for SubmitEvents {
    const OPERATION: &'static str = "submitEvents";
    const STATUS: u16 = 202;

    fn count(&self) -> usize {
        self.items.len()
    }
    fn keys(&self) -> Vec<OrderingKey> {
        let keys: HashSet<OrderingKey> = self.items.iter().flatten().map(|(event, _)| event.ordering_key()).collect();
        keys.into_iter().collect()
    }
    async fn prepare(&self, tx: &mut Tx<'_>) -> Result<(), Failure> {
        let accounts: HashSet<AccountId> = self.items.iter().flatten().filter_map(|(event, _)| event.account()).collect();
        tx.preload::<Account>(&accounts.into_iter().map(|id| id.0).collect::<Vec<_>>()).await
    }
    async fn run(&self, index: usize, tx: &mut Tx<'_>, _: Timestamp) -> Result<Record, Failure> {
        let (event, kind) = self.items[index].as_ref().map_err(|refusal| Failure::from(refusal.clone()))?;
        let related = match event.account() {
            Some(account) => event_parameters::of_account(tx, account).await?,
            None => Default::default(),
        };
        Ok(Record::custom(event, &self.types[*kind], &related)?.caused_by(self.cause))
    }
}

/// A single item: its refusal is that of the use case, and no reply of a refusal is stored.
#[async_trait]
impl UseCase for SubmitEvents {
    const OPERATION: &'static str = <Self as BulkUseCase>::OPERATION;
    const STATUS: u16 = <Self as BulkUseCase>::STATUS;

    fn key(&self) -> OrderingKey {
        self.keys().pop().unwrap_or_else(|| Uuid::nil().into())
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        BulkUseCase::run(self, 0, tx, now).await.map(Some)
    }
}

impl App {
    /// Accepts each valid item as its own business transaction with one event.
    ///
    /// Types, accounts and data are validated before the transaction: running tenants' schemas must not block the single writer, and the
    /// accounts' ids are the ordering keys to lock.
    ///
    /// # Errors
    /// A database failure; nothing was changed then. The reply contains refusals of items.
    pub async fn submit_events(&self, context: RequestContext, items: Vec<Submit>) -> Result<Reply, Failure> {
        let use_case = self.judged(&context.caller.tenant, items, None).await?;
        self.execute_bulk(context, use_case).await
    }

    /// Accepts one event that is derived from another.
    ///
    /// # Errors
    /// The refusal of the item, or a database failure; nothing was changed then.
    pub(crate) async fn submit_caused(&self, context: RequestContext, item: Submit, cause: Cause) -> Result<Reply, Failure> {
        let use_case = self.judged(&context.caller.tenant, vec![item], Some(cause)).await?;
        self.execute(context, use_case).await
    }

    async fn judged(&self, tenant: &TenantId, items: Vec<Submit>, cause: Option<Cause>) -> Result<SubmitEvents, Failure> {
        let types = self.event_types.of(&self.store, tenant).await?;
        let accounts = self.accounts_of(tenant, &items).await?;
        let (app, now) = (self.clone(), self.now());
        let place = self.compiled.place().await.map_err(|error| Error::Other(error.to_string()))?;
        let judging = tokio::task::spawn_blocking(move || {
            let _place = place;
            let mut budget = Budget::default();
            let items = items.into_iter().map(|item| app.judge(item, &types, &accounts, now, &mut budget)).collect();
            SubmitEvents { types, items, cause }
        });
        judging.await.map_err(|error| Error::Other(error.to_string()).into())
    }

    async fn accounts_of(&self, tenant: &TenantId, items: &[Submit]) -> Result<HashMap<String, AccountId>, Failure> {
        let references: HashSet<&String> = items.iter().filter_map(|item| item.account.as_ref()).collect();
        let references: Vec<String> = references.into_iter().cloned().collect();
        let named = self.store.named::<Account>(tenant, &references).await?;
        Ok(named.into_iter().map(|(reference, id)| (reference, AccountId(id))).collect())
    }

    /// The event of a valid item, or every violation.
    fn judge(
        &self,
        item: Submit,
        types: &[CustomEventType],
        accounts: &HashMap<String, AccountId>,
        now: Timestamp,
        budget: &mut Budget,
    ) -> Judged {
        let index = types.iter().position(|kind| kind.name == item.kind);
        let mut faults = item.faults(index.map(|index| &types[index]), types.iter().map(|kind| kind.name.as_str()));
        let account = item.account.as_ref().and_then(|reference| accounts.get(reference)).copied();
        if let (Some(reference), None) = (&item.account, account) {
            faults.push(Violation::new("/account", Code::AccountUnknown, format!("There is no account '{reference}'.")));
        }
        if let Some(index) = index {
            let data = Value::Object(item.data.clone());
            faults.extend(self.compiled.faults(&types[index], &data, budget));
        }
        match (Rejected::from_violations(faults), index) {
            (Some(refusal), _) => Err(refusal),
            (None, Some(index)) => match item.accept(account, now) {
                Ok(event) => Ok((event, index)),
                Err(fault) => Err(Rejected::violation("", fault.code, fault.message)),
            },
            (None, None) => Err(Rejected::violation("/type", Code::EventTypeUnknown, "There is no such event type.")),
        }
    }
}
