//! `recordChargeableEvents`: records charges in bulk, each item as its own business transaction.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use billwire_domain::{
    Change, Entity, Rejected, Violation,
    customers::{account::Account, service::Service},
    usage::{
        bucket::{self, Bucket},
        chargeable_event::{self, ChargeableEvent},
        usage_identifier::{self, UsageIdentifier},
    },
};
use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{AccountId, OrderingKey, ServiceId, TenantId},
    refusal::Code,
};
use billwire_store::{Filter, Persisted, Tx, commit::Failure, idempotency::Reply};
use uuid::Uuid;

use crate::{
    App, RequestContext,
    billing::invoice_on_demand::has_final_invoice,
    customers::billing_settings::settings,
    events::event_parameters::{of_account, of_service},
    execute_bulk::BulkUseCase,
    objects::{Referred, unknown},
    record::Record,
    usage::buckets::counting_period,
};

/// A reported charge, with up to three references to its account.
#[derive(Debug, Clone)]
pub struct NewCharge {
    /// Id or external id of the account.
    pub account: Option<String>,
    /// Id or external id of the service, which belongs to an account.
    pub service: Option<String>,
    /// Kind and value of the usage identifier it was reported with, which belongs to a service.
    pub usage_identifier: Option<(String, String)>,
    /// The charge to record; its service and usage identifier are filled in here.
    pub command: chargeable_event::Record,
}

/// A charge with its resolved account.
#[derive(Debug, Clone)]
struct Resolved {
    account: AccountId,
    command: chargeable_event::Record,
}

/// Records charges.
struct RecordChargeableEvents {
    items: Vec<Result<Resolved, Rejected>>,
    prepared: Mutex<Prepared>,
}

/// What the items need besides their objects; read again each time the bulk is decided.
#[derive(Default)]
struct Prepared {
    /// The buckets of the items' services.
    buckets: HashMap<ServiceId, Vec<(Uuid, String)>>,
    /// The deactivated accounts that have their final invoice.
    finally_billed: HashSet<AccountId>,
}

/// Maximum number of values per query.
const LOOKED_UP_AT_ONCE: usize = 512;

/// The objects that the items of a bulk refer to.
struct Named {
    accounts: HashMap<String, Account>,
    services: HashMap<String, Service>,
    identifiers: HashMap<(String, String), UsageIdentifier>,
}

/// The object in `found` that `reference` names; adds a violation to `broken` if there is none.
fn named<'n, T: Referred>(
    pointer: &'static str,
    reference: Option<&String>,
    found: &'n HashMap<String, T>,
    broken: &mut Vec<Violation>,
) -> Option<&'n T> {
    let reference = reference?;
    // A UUID can be written in several forms.
    let usual = reference.parse::<Uuid>().ok().map(|id| id.to_string());
    let object = usual.and_then(|usual| found.get(&usual)).or_else(|| found.get(reference));
    if object.is_none() {
        broken.push(Violation::new(pointer, T::UNKNOWN, format!("There is no {} '{reference}'.", T::NAME)));
    }
    object
}

impl Named {
    /// Resolves a charge's references, which must belong to the same account and service.
    fn resolve(&self, new: NewCharge) -> Result<Resolved, Rejected> {
        let mut broken = Vec::new();
        let account = named("/account", new.account.as_ref(), &self.accounts, &mut broken).map(|account| account.id);
        let service = named("/service", new.service.as_ref(), &self.services, &mut broken);
        let identifier = new.usage_identifier.as_ref().and_then(|wanted| {
            let found = self.identifiers.get(wanted);
            if found.is_none() {
                let message = format!("There is no usage identifier of kind '{}' with the value '{}'.", wanted.0, wanted.1);
                broken.push(Violation::new("/usageIdentifier", UsageIdentifier::UNKNOWN, message));
            }
            found
        });
        if let Some(rejected) = Rejected::from_violations(broken) {
            return Err(rejected);
        }
        let mismatch = |pointer, what: &str| Rejected::violation(pointer, Code::ReferenceMismatch, format!("The {what}."));
        let mut command = new.command;
        command.service_id = service.map(|service| service.id).or(identifier.map(|identifier| identifier.service_id));
        command.usage_identifier_id = identifier.map(|identifier| identifier.id);
        if identifier.is_some_and(|identifier| Some(identifier.service_id) != command.service_id) {
            return Err(mismatch("/usageIdentifier", "usage identifier belongs to another service"));
        }
        let owners = [account, service.map(|service| service.account_id), identifier.map(|identifier| identifier.account_id)];
        let mut owners = owners.into_iter().flatten();
        let Some(owner) = owners.next() else {
            let message = "A charge must name an account, a service or a usage identifier.";
            return Err(Rejected::violation("/account", Code::AccountRequired, message));
        };
        if owners.any(|other| other != owner) {
            return Err(mismatch("/account", "service or usage identifier belongs to another account"));
        }
        Ok(Resolved { account: owner, command })
    }
}

/// The distinct texts that `read` returns.
fn distinct<'i>(items: &'i [Result<NewCharge, Rejected>], read: impl Fn(&'i NewCharge) -> Option<&'i String>) -> Vec<&'i str> {
    let texts: BTreeSet<&str> = items.iter().flatten().filter_map(read).map(String::as_str).collect();
    texts.into_iter().collect()
}

impl App {
    /// Records charges, each separately. Items that are already refused keep their refusal.
    ///
    /// # Errors
    /// A database failure; nothing was recorded then.
    pub async fn record_chargeable_events(
        &self,
        context: RequestContext,
        items: Vec<Result<NewCharge, Rejected>>,
    ) -> Result<Reply, Failure> {
        // An object's account never changes, so it can be read before the accounts are locked.
        let tenant = &context.caller.tenant;
        let accounts = self.many(tenant, distinct(&items, |new| new.account.as_ref())).await?;
        let services = self.many(tenant, distinct(&items, |new| new.service.as_ref())).await?;
        let identifiers = self.identifiers(tenant, &items).await?;
        let named = Named { accounts, services, identifiers };
        let items = items.into_iter().map(|item| item.and_then(|new| named.resolve(new))).collect();
        self.execute_bulk(context, RecordChargeableEvents { items, prepared: Mutex::default() }).await
    }

    /// The usage identifiers that items name, by kind and value.
    async fn identifiers(
        &self,
        tenant: &TenantId,
        items: &[Result<NewCharge, Rejected>],
    ) -> Result<HashMap<(String, String), UsageIdentifier>, Failure> {
        let mut wanted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (kind, value) in items.iter().flatten().filter_map(|new| new.usage_identifier.as_ref()) {
            wanted.entry(kind).or_default().insert(value);
        }
        let mut found = HashMap::new();
        for (kind, values) in wanted {
            let values: Vec<&str> = values.into_iter().collect();
            for part in values.chunks(LOOKED_UP_AT_ONCE) {
                let same = Filter::new().is("kind", Some(kind)).any_of("value", part);
                let identifiers = self.store.select::<UsageIdentifier>(tenant, same, part.len() as u64).await?;
                found.extend(identifiers.into_iter().map(|one| ((one.kind.clone(), one.value.clone()), one)));
            }
        }
        Ok(found)
    }

    async fn many<T: Persisted>(&self, tenant: &TenantId, references: Vec<&str>) -> Result<HashMap<String, T>, Failure> {
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
        let accounts: BTreeSet<Uuid> = items().map(|item| item.account.0).collect();
        let services: BTreeSet<Uuid> = items().filter_map(|item| item.command.service_id).map(|id| id.0).collect();
        tx.preload::<Account>(&accounts.iter().copied().collect::<Vec<_>>()).await?;
        let mut finally_billed = HashSet::new();
        for id in accounts {
            if let Some(account) = tx.load::<Account>(id).await?
                && has_final_invoice(tx, &account).await?
            {
                finally_billed.insert(account.id);
            }
        }
        tx.preload::<Service>(&services.into_iter().collect::<Vec<_>>()).await?;
        let external_ids: Vec<&str> = items().filter_map(|item| item.command.external_id.as_deref()).collect();
        tx.preload_external_ids::<ChargeableEvent>(&external_ids).await?;
        let identifiers: BTreeSet<Uuid> = items().filter_map(|item| item.command.usage_identifier_id).map(|id| id.0).collect();
        tx.preload::<UsageIdentifier>(&identifiers.into_iter().collect::<Vec<_>>()).await?;
        // Buckets count only charges with a quantity.
        let counted: BTreeSet<Uuid> =
            items().filter(|item| item.command.quantity.is_some()).filter_map(|item| item.command.service_id).map(|id| id.0).collect();
        let mut buckets: HashMap<ServiceId, Vec<(Uuid, String)>> = HashMap::new();
        for bucket in tx.preload_where::<Bucket>("service_id", &counted.into_iter().collect::<Vec<_>>()).await? {
            buckets.entry(bucket.service_id).or_default().push((bucket.id.0, bucket.unit));
        }
        *self.prepared() = Prepared { buckets, finally_billed };
        Ok(())
    }
    async fn run(&self, index: usize, tx: &mut Tx<'_>, now: Timestamp) -> Result<Record, Failure> {
        let item = self.items[index].clone()?;
        let account = tx.load::<Account>(item.account.0).await?.ok_or_else(|| unknown::<Account>("/account", &item.account.to_string()))?;
        tx.ensure_external_id_free::<ChargeableEvent>(item.command.external_id.as_deref()).await?;
        let has_final_invoice = self.prepared().finally_billed.contains(&account.id);
        let change = chargeable_event::record(item.command, &account, has_final_invoice, now)?;
        let related = around(tx, &change.after).await?;
        // Everything that can be refused comes before the first save.
        let counted = self.counted(tx, &change.after, &account, now).await?;
        tx.save(&change)?;
        let mut record = Record::default().and(&change, &related)?;
        for bucket in counted {
            tx.save(&bucket)?;
            record = record.and(&bucket, &related)?;
        }
        noted(tx, &change.after, &account, record, &related, now).await
    }
}

impl RecordChargeableEvents {
    fn prepared(&self) -> MutexGuard<'_, Prepared> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The changes to the buckets of the charge's service and unit.
    async fn counted(
        &self,
        tx: &mut Tx<'_>,
        charge: &ChargeableEvent,
        account: &Account,
        now: Timestamp,
    ) -> Result<Vec<Change<Bucket>>, Failure> {
        let (Some(service), Some(quantity), Some(unit)) = (charge.service_id, charge.quantity, &charge.unit) else { return Ok(Vec::new()) };
        let buckets = self.prepared().buckets.get(&service).cloned().unwrap_or_default();
        let mut counted = Vec::new();
        for (id, _) in buckets.iter().filter(|(_, counts)| counts == unit) {
            let Some(bucket) = tx.load::<Bucket>(*id).await? else { continue };
            let of = counting_period(tx, bucket.resets, account, charge.occurred_at).await?;
            if !bucket.takes(of) {
                continue;
            }
            let Some(change) = bucket::count(bucket, of, quantity, now) else {
                let message = "The quantity exceeds what a bucket of the service can count.";
                return Err(Rejected::violation("/quantity", Code::AmountOutOfRange, message).into());
            };
            counted.push(change);
        }
        Ok(counted)
    }
}

/// Records the usage on the charge's usage identifier.
async fn noted(
    tx: &mut Tx<'_>,
    charge: &ChargeableEvent,
    account: &Account,
    record: Record,
    related: &Parameters,
    now: Timestamp,
) -> Result<Record, Failure> {
    let Some(id) = charge.usage_identifier_id else { return Ok(record) };
    let Some(identifier) = tx.load::<UsageIdentifier>(id.0).await? else { return Ok(record) };
    match usage_identifier::used(identifier, account, charge.occurred_at, &settings(tx).await?, now) {
        Some(change) => {
            tx.save(&change)?;
            record.and(&change, related)
        }
        None => Ok(record),
    }
}

/// The parameters that a charge's events offer besides its own.
///
/// # Errors
/// A database failure.
pub(crate) async fn around(tx: &mut Tx<'_>, charge: &ChargeableEvent) -> Result<Parameters, Failure> {
    let mut related = of_account(tx, charge.account_id).await?;
    if let Some(service) = charge.service_id {
        related.extend(of_service(tx, service).await?);
    }
    Ok(related)
}

/// The parameters that events of an adjustment offer besides its own: those of the charge and its related objects.
///
/// # Errors
/// A database failure.
pub(crate) async fn of_charge(tx: &mut Tx<'_>, charge: &ChargeableEvent) -> Result<Parameters, Failure> {
    let mut related = around(tx, charge).await?;
    related.extend(charge.parameters());
    Ok(related)
}
