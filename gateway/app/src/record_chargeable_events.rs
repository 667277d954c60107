//! `recordChargeableEvents`: usage and charges in bulk, each item a business transaction of its own.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use billwire_domain::{
    Entity, Rejected, Violation,
    account::Account,
    chargeable_event::{self, ChargeableEvent},
    service::Service,
};
use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{AccountId, OrderingKey, TenantId},
};
use billwire_store::{Noun, Tx, commit::Failure, idempotency::Reply};

use crate::{
    App, Demand,
    objects::{Object, addressed},
    once_each::BulkUseCase,
    record::Record,
    related::{of_account, of_service},
};

/// A charge as it is reported: for whom, by any of three references.
#[derive(Debug, Clone)]
pub struct NewCharge {
    /// Id or external id of the account.
    pub account: Option<String>,
    /// Id or external id of the service, which belongs to an account.
    pub service: Option<String>,
    /// What it shall be; whose service it is for is filled in here.
    pub command: chargeable_event::Record,
}

/// A charge whose account is known.
#[derive(Debug, Clone)]
struct Resolved {
    account: AccountId,
    command: chargeable_event::Record,
}

/// Records charges.
struct RecordChargeableEvents {
    items: Vec<Result<Resolved, Rejected>>,
}

/// What the references of a bulk name.
struct Named {
    accounts: HashMap<String, Account>,
    services: HashMap<String, Service>,
}

/// What `reference` names among `found`; `broken` gets the violation when it names nothing.
fn named<'n, T: Object>(
    pointer: &'static str,
    reference: Option<&String>,
    found: &'n HashMap<String, T>,
    broken: &mut Vec<Violation>,
) -> Option<&'n T> {
    let reference = reference?;
    // An id may be written in other forms than its usual one.
    let usual = reference.parse::<uuid::Uuid>().ok().map(|id| id.to_string());
    let object = usual.and_then(|usual| found.get(&usual)).or_else(|| found.get(reference));
    if object.is_none() {
        broken.push(Violation::new(pointer, T::UNKNOWN, format!("There is no {} '{reference}'.", T::NAME)));
    }
    object
}

impl Named {
    /// The charge with its account, if its references hold together.
    fn resolve(&self, new: NewCharge) -> Result<Resolved, Rejected> {
        let mut broken = Vec::new();
        let account = named("/account", new.account.as_ref(), &self.accounts, &mut broken).map(|account| account.id);
        let service = named("/service", new.service.as_ref(), &self.services, &mut broken);
        if let Some(rejected) = Rejected::from_violations(broken) {
            return Err(rejected);
        }
        let mut command = new.command;
        command.service_id = service.map(|service| service.id);
        let owners = [account, service.map(|service| service.account_id)];
        let mut owners = owners.into_iter().flatten();
        let Some(owner) = owners.next() else {
            let message = "A charge names its account, or a service that belongs to one.";
            return Err(Rejected::violation("/account", "account_required", message));
        };
        if owners.any(|other| other != owner) {
            return Err(Rejected::violation("/service", "reference_mismatch", "The service belongs to another account."));
        }
        Ok(Resolved { account: owner, command })
    }
}

/// The texts that `read` gives, each once.
fn distinct<'i>(items: &'i [Result<NewCharge, Rejected>], read: impl Fn(&'i NewCharge) -> Option<&'i String>) -> Vec<&'i str> {
    let texts: BTreeSet<&str> = items.iter().flatten().filter_map(read).map(String::as_str).collect();
    texts.into_iter().collect()
}

impl App {
    /// Records charges, each by itself; `items` that could not be read are refused as they say.
    ///
    /// # Errors
    /// The database's failure; nothing was recorded then.
    pub async fn record_chargeable_events(&self, demand: Demand, items: Vec<Result<NewCharge, Rejected>>) -> Result<Reply, Failure> {
        // Objects never move to another account, so whose they are can be read before the accounts are locked.
        let tenant = &demand.caller.tenant;
        let accounts = self.many(tenant, distinct(&items, |new| new.account.as_ref())).await?;
        let services = self.many(tenant, distinct(&items, |new| new.service.as_ref())).await?;
        let named = Named { accounts, services };
        let items = items.into_iter().map(|item| item.and_then(|new| named.resolve(new))).collect();
        self.once_each(demand, RecordChargeableEvents { items }).await
    }

    async fn many<T: Noun>(&self, tenant: &TenantId, references: Vec<&str>) -> Result<HashMap<String, T>, Failure> {
        if references.is_empty() {
            return Ok(HashMap::new());
        }
        Ok(self.store.find_many(tenant, &references).await?)
    }
}

#[async_trait]
impl BulkUseCase for RecordChargeableEvents {
    const OPERATION: &'static str = "recordChargeableEvents";
    const STATUS: u16 = 200;

    fn count(&self) -> usize {
        self.items.len()
    }
    fn keys(&self) -> Vec<OrderingKey> {
        let accounts: BTreeSet<AccountId> = self.items.iter().flatten().map(|item| item.account).collect();
        accounts.into_iter().map(Into::into).collect()
    }
    async fn prepare(&self, tx: &mut Tx<'_>) -> Result<(), Failure> {
        let items = || self.items.iter().flatten();
        let accounts: BTreeSet<uuid::Uuid> = items().map(|item| item.account.0).collect();
        let services: BTreeSet<uuid::Uuid> = items().filter_map(|item| item.command.service_id).map(|id| id.0).collect();
        tx.preload::<Account>(&accounts.into_iter().collect::<Vec<_>>()).await?;
        tx.preload::<Service>(&services.into_iter().collect::<Vec<_>>()).await?;
        let external_ids: Vec<&str> = items().filter_map(|item| item.command.external_id.as_deref()).collect();
        tx.preload_external_ids::<ChargeableEvent>(&external_ids).await
    }
    async fn run(&self, index: usize, tx: &mut Tx<'_>, now: Timestamp) -> Result<Record, Failure> {
        let item = self.items[index].clone()?;
        let account = addressed::<Account>(tx, item.account.0, None).await?;
        tx.unless_taken::<ChargeableEvent>(item.command.external_id.as_deref()).await?;
        let change = chargeable_event::record(item.command, &account, now)?;
        let related = around(tx, &change.after).await?;
        tx.save(&change)?;
        Record::default().and(&change, &related)
    }
}

/// What a charge's events offer besides its own parameters.
///
/// # Errors
/// The database's failure.
pub(crate) async fn around(tx: &mut Tx<'_>, charge: &ChargeableEvent) -> Result<Parameters, Failure> {
    let mut related = of_account(tx, charge.account_id).await?;
    if let Some(service) = charge.service_id {
        related.extend(of_service(tx, service).await?);
    }
    Ok(related)
}

/// What the events about an object of a charge offer besides: the charge's own parameters and what it is for.
///
/// # Errors
/// The database's failure.
pub(crate) async fn of_charge(tx: &mut Tx<'_>, charge: &ChargeableEvent) -> Result<Parameters, Failure> {
    let mut related = around(tx, charge).await?;
    related.extend(charge.parameters());
    Ok(related)
}
