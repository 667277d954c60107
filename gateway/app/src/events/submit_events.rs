//! `submitEvents`: external occurrences, as events of custom types.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
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
use billwire_store::{ConfigurationKind as Kind, Error, Tx, commit::Failure, idempotency::Reply};
use uuid::Uuid;

use crate::{
    App, RequestContext,
    events::{
        data_schemas::{Budget, LIGHT_WORK_MAX},
        event_parameters,
    },
    execute::UseCase,
    execute_bulk::BulkUseCase,
    record::{Cause, Record},
};

/// A validated item, with the index of its type.
type Judged = Result<(CustomEvent, usize), Rejected>;

struct SubmitEvents {
    /// The revision of the configuration that it was judged by.
    revision: i64,
    types: Arc<Vec<CustomEventType>>,
    items: Vec<Judged>,
    cause: Option<Cause>,
}

impl SubmitEvents {
    /// # Errors
    /// [`Failure::Outdated`] if the types may have changed since the items were judged.
    async fn ensure_current(&self, tx: &Tx<'_>) -> Result<(), Failure> {
        if tx.revision().await? == self.revision { Ok(()) } else { Err(Failure::Outdated) }
    }
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
        self.ensure_current(tx).await?;
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
        self.ensure_current(tx).await?;
        BulkUseCase::run(self, 0, tx, now).await.map(Some)
    }
}

/// How often items are judged again because the configuration has changed meanwhile.
const AGAIN_MAX: usize = 5;

impl App {
    /// Accepts each valid item as its own business transaction with one event.
    ///
    /// Types, accounts and data are validated before the transaction: running tenants' schemas must not block the single writer, and the
    /// accounts' ids are the ordering keys to lock.
    ///
    /// # Errors
    /// A database failure; nothing was changed then. The reply contains refusals of items.
    pub async fn submit_events(&self, context: RequestContext, items: Vec<Submit>) -> Result<Reply, Failure> {
        self.submit(context, items, None).await
    }

    /// Accepts one event that is derived from another.
    ///
    /// # Errors
    /// The refusal of the item, or a database failure; nothing was changed then.
    pub(crate) async fn submit_caused(&self, context: RequestContext, item: Submit, cause: Cause) -> Result<Reply, Failure> {
        self.submit(context, vec![item], Some(cause)).await
    }

    async fn submit(&self, context: RequestContext, items: Vec<Submit>, cause: Option<Cause>) -> Result<Reply, Failure> {
        for _ in 0..AGAIN_MAX {
            let use_case = self.judged(&context.caller.tenant, items.clone(), cause).await?;
            let done = match cause {
                None => self.execute_bulk(context.clone(), use_case).await,
                Some(_) => self.execute(context.clone(), use_case).await,
            };
            if !matches!(done, Err(Failure::Outdated)) {
                return done;
            }
            self.event_types.forget(&context.caller.tenant);
        }
        Err(Failure::Outdated)
    }

    async fn judged(&self, tenant: &TenantId, items: Vec<Submit>, cause: Option<Cause>) -> Result<SubmitEvents, Failure> {
        let (revision, types) = self.event_types_of(tenant).await?;
        let accounts = self.accounts_of(tenant, &items).await?;
        let (app, now) = (self.clone(), self.now());
        if self.is_light(&items, &types) {
            let mut budget = Budget::default();
            let items = items.into_iter().map(|item| self.judge(item, &types, &accounts, now, &mut budget)).collect();
            return Ok(SubmitEvents { revision, types, items, cause });
        }
        let place = self.compiled.place().await.map_err(|error| Error::Other(error.to_string()))?;
        let judging = tokio::task::spawn_blocking(move || {
            let _place = place;
            let mut budget = Budget::default();
            let items = items.into_iter().map(|item| app.judge(item, &types, &accounts, now, &mut budget)).collect();
            SubmitEvents { revision, types, items, cause }
        });
        judging.await.map_err(|error| Error::Other(error.to_string()).into())
    }

    /// The types of a tenant as this process knows them, and their revision, which is compared when the events are committed.
    async fn event_types_of(&self, tenant: &TenantId) -> Result<(i64, Arc<Vec<CustomEventType>>), Error> {
        if let Some(known) = self.event_types.get(tenant) {
            return Ok(known);
        }
        let revision = self.store.revision(tenant).await?;
        Ok((revision, self.event_types.keep(tenant, revision, self.store.configurations(tenant, Kind::EventType).await?)))
    }

    /// Whether judging these items is so little work that handing it to another thread would cost more.
    fn is_light(&self, items: &[Submit], types: &[CustomEventType]) -> bool {
        let mut left = LIGHT_WORK_MAX;
        items.iter().all(|item| {
            types.iter().find(|kind| kind.name == item.kind).is_none_or(|kind| self.compiled.is_light(kind, &item.data, &mut left))
        })
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
            faults.extend(self.compiled.faults(&types[index], &item.data, budget));
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
