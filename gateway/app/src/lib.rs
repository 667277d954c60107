//! Use cases, grouped by object: load, decide, save and record, in one committed transaction.
//!
//! Called by `api` (operations) and `server` (due dates, start-up). Knows neither HTTP nor NATS. An operation is accepted when
//! [`App::execute`] returns. It exists so that requests and due dates run the same code.

mod access;
mod billing;
mod configuration;
mod customers;
mod delete_configuration;
mod delivery;
mod dependencies;
mod due;
mod email;
mod events;
mod execute;
mod execute_bulk;
mod execute_on;
mod objects;
mod record;
mod references;
mod test_clock;
mod usage;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use billwire_domain::{
    access::{
        audit::{By, Person},
        grant::Grant,
    },
    events::{custom_event_type::CustomEventType, retention::RetentionLimits},
};
use billwire_monitoring::parts::Parts;
use billwire_schemas::{
    clock::{Clock, ShiftedClock, Timestamp},
    delivery::{AttemptRecord, Delivery, Recipient},
    ids::{ApiKeyId, DeliveryId, TenantId},
    refusal::Code,
};
/// A database error; part of [`Failure`].
pub use billwire_store::Error as StoreError;
use billwire_store::{ByRevision, ConfigurationKind, Error, Store};
pub use billwire_store::{
    CredentialHash, Filter, SetAsideEvent, TenantDeletion,
    commit::Failure,
    delivery::{
        lists as delivery_lists,
        redrive::DeadLetters,
        stream_progress::{Seen, StreamPlace, StreamProgress},
    },
    events::history,
    idempotency::{Claim, Reply},
    page,
    retention::Kind as Purgeable,
};
use record::MessageTerms;

pub use access::api_keys::{AdminKey, CreateApiKey, IssuedKey, NewApiKey, RevokeApiKey, RotateApiKey};
pub use access::authenticate::{Admitted, Refused, Stranger};
pub use access::identity_providers::{CreateIdentityProvider, UpdateIdentityProvider};
pub use access::issuer_keys::IssuerClient;
pub use access::jws::is_signed_token;
pub use access::roles::{CreateRole, UpdateRole};
pub use access::tenants::{CreateTenant, DeleteTenant, NewTenant, ResumeTenant, SuspendTenant, UpdateTenant};
pub use billing::bill_run_turns::BillRunCursors;
pub use billing::bill_runs::{BillRunNow, StartBillRun};
pub use billing::invoice_on_demand::CreateInvoiceOnDemand;
pub use billing::invoices::{CancelInvoice, DeliverInvoice, UpdateInvoice};
pub use billing::payments::{AllocatePayment, CancelPayment, CreateCredit, CreateRefund, DeallocatePayment, RecordPayment, ReverseCredit};
pub use billwire_domain as domain;
pub use billwire_store::audit::AuditEntries;
pub use billwire_store::within;
pub use configuration::{ConfigurationObject, ConfigurationUseCase};
pub use customers::account_payer::{RemoveAccountPayer, UpdateAccountPayer};
pub use customers::bill_cycle_change::{CancelAccountBillCycleChange, PerformAccountBillCycleChange, UpdateAccountBillCycle};
pub use customers::billing_settings::UpdateBillingSettings;
pub use customers::change_account_status::{CancelAccount, CancelAccountStatusChange, ChangeAccountStatus, PerformAccountStatusChange};
pub use customers::contacts::{CreateContact, DeleteContact, UpdateContact};
pub use customers::create_account::CreateAccount;
pub use customers::create_bill_cycle::CreateBillCycle;
pub use customers::package_subscriptions::{
    CancelPackageSubscription, ChangePackageSubscriptionStatus, SubscribePackage, UpdatePackageSubscription,
};
pub use customers::packages::{CreatePackage, DeletePackage, UpdatePackage};
pub use customers::planned_status::{CancelStatusChange, PerformStatusChange, Plannable};
pub use customers::services::{CreateService, DeleteService, TransitionService, UpdateService};
pub use customers::update_account::{DeleteAccount, UpdateAccount};
pub use customers::update_bill_cycle::{DeleteBillCycle, UpdateBillCycle};
pub use delete_configuration::DeleteConfiguration;
pub use delivery::calculations::Calculation;
pub use delivery::explain::{Explanation, Match, MatchResult};
pub use delivery::queues::{CreateQueue, PauseQueue, QueueStatistics, UpdateQueue};
pub use delivery::replays::{NewReplay, ReplayStatus};
pub use delivery::signing::Signing;
pub use delivery::stream_subscriptions::{CONSUMER, KnownCatalogues, NewStreamSubscription, StreamAccess, StreamConsumers, WantedConsumer};
pub use delivery::subscriptions::{CreateSubscription, EnableSubscription, UpdateSubscription};
pub use delivery::tail::Stream;
pub use delivery::throughput::Spans;
pub use delivery::webhook_endpoints::{
    CreateWebhookEndpoint, DisableWebhookEndpoint, EnableWebhookEndpoint, RotateWebhookSecret, Tried, UpdateWebhookEndpoint, WebhookClient,
};
pub use email::notification_templates::{CreateNotificationTemplate, TemplateVersion, UpdateNotificationTemplate};
pub use email::rendering::Renderer;
pub use email::smtp_accounts::{CreateSmtpAccount, SmtpCheck, SmtpClient, UpdateSmtpAccount};
pub use email::suppressed_addresses::SuppressAddress;
pub use email::system_users::{CreateSystemUser, UpdateSystemUser};
pub use events::data_sources::CreateDataSource;
pub use events::register_event_type::{DeleteEventType, RegisterEventType};
pub use events::retention::UpdateRetentionSettings;
pub use events::stream_settings::UpdateStreamSettings;
pub use execute::{RequestContext, UseCase};
pub use execute_bulk::BulkUseCase;
pub use execute_on::ObjectUseCase;
pub use objects::{Object, Referred};
pub use usage::adjust_chargeable_event::AdjustChargeableEvent;
pub use usage::buckets::{CreateBucket, DeleteBucket, ResetBucket, UpdateBucket};
pub use usage::contracts::{CreateContract, DeleteContract, UpdateContract};
pub use usage::record_chargeable_events::NewCharge;
pub use usage::reverse_chargeable_event::ReverseChargeableEvent;
pub use usage::usage_identifiers::{CreateUsageIdentifier, DeleteUsageIdentifier, UpdateUsageIdentifier};

/// An authenticated caller.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The caller's tenant.
    pub tenant: TenantId,
    /// The API key, if the caller has one.
    pub key: Option<ApiKeyId>,
    /// The person, if the caller has signed in through an identity provider.
    pub person: Option<Person>,
    /// Actor name in business transactions.
    pub actor: String,
    /// What the caller may do.
    pub grant: Arc<Grant>,
}

impl Caller {
    /// A part of the gateway, or a command of who works on the machine.
    pub fn part(tenant: TenantId, name: &str, grant: Grant) -> Self {
        Self { tenant, key: None, person: None, actor: name.to_owned(), grant: Arc::new(grant) }
    }

    /// The caller in the audit.
    pub fn by(&self) -> By {
        match (self.key, &self.person) {
            (Some(key), _) => By::key(key),
            (None, Some(person)) => By::person(person.clone()),
            (None, None) => By::part(&self.actor),
        }
    }

    /// A text that tells the caller apart from the others of the tenant, without a person's name.
    pub fn distinct(&self) -> &str {
        self.person.as_ref().map_or(&self.actor, |person| &person.pseudonym)
    }

    /// Whether the caller has `scope`.
    pub fn may(&self, scope: &str) -> bool {
        self.grant.includes(scope)
    }
}

/// The address of the gateway for outsiders, unless it has another.
pub const PUBLIC_URL: &str = "http://127.0.0.1:8080";

/// The use cases and their dependencies. Cheap to clone.
#[derive(Clone)]
pub struct App {
    store: Store,
    clock: Arc<ShiftedClock>,
    test_clock_allowed: bool,
    /// Held while the stored offset of the clock is read or written and the clock is shifted by it.
    shifting: Arc<tokio::sync::Mutex<()>>,
    backlog_full: Arc<AtomicBool>,
    storage_low: Arc<AtomicBool>,
    keys: Arc<access::authenticate::Remembered<CredentialHash, access::authenticate::Known>>,
    people: Arc<access::people::People>,
    compiled: Arc<events::data_schemas::Compiled>,
    event_types: Arc<ByRevision<CustomEventType>>,
    webhook_client: Option<Arc<dyn WebhookClient>>,
    smtp_client: Option<Arc<dyn SmtpClient>>,
    stream: Option<Arc<dyn Stream>>,
    stream_access: Option<StreamAccess>,
    renderer: Option<Arc<dyn Renderer>>,
    parts: Arc<Parts>,
    due_turns: Arc<Mutex<due::Turns>>,
    /// When somebody last called this process.
    last_call: Arc<Mutex<Option<Instant>>>,
    retention: RetentionLimits,
    public_url: Arc<str>,
    refusals: Arc<access::audit::Refusals>,
    connections: Arc<access::audit::Connections>,
}

impl App {
    /// The use cases over `store`, with business time from `clock`.
    pub fn new(store: Store, clock: Arc<ShiftedClock>, test_clock_allowed: bool) -> Self {
        let (backlog_full, storage_low, keys, people, compiled, event_types) = Default::default();
        Self {
            store,
            clock,
            test_clock_allowed,
            shifting: Arc::default(),
            backlog_full,
            storage_low,
            keys,
            people,
            compiled,
            event_types,
            webhook_client: None,
            smtp_client: None,
            stream: None,
            stream_access: None,
            renderer: None,
            parts: Arc::default(),
            due_turns: Arc::default(),
            last_call: Arc::default(),
            retention: RetentionLimits::default(),
            public_url: PUBLIC_URL.into(),
            refusals: Arc::default(),
            connections: Arc::default(),
        }
    }

    /// The states of the process's parts.
    pub fn parts(&self) -> &Arc<Parts> {
        &self.parts
    }

    /// The address of the gateway for outsiders, without a slash at its end.
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// What the messages of events are bounded by and refer to.
    pub(crate) fn message_terms(&self) -> MessageTerms {
        MessageTerms { max: self.store.event_max(), public_url: self.public_url.clone() }
    }

    /// Business time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Sets whether operations are refused because too many events wait for the stream.
    pub fn set_backlog_full(&self, full: bool) {
        self.backlog_full.store(full, Ordering::Relaxed);
    }

    /// Whether operations are refused because too many events wait for the stream.
    pub fn backlog_full(&self) -> bool {
        self.backlog_full.load(Ordering::Relaxed)
    }

    /// Sets whether operations are refused because a disk is nearly full.
    pub fn set_storage_low(&self, low: bool) {
        self.storage_low.store(low, Ordering::Relaxed);
    }

    /// Whether operations are refused because a disk is nearly full.
    pub fn storage_low(&self) -> bool {
        self.storage_low.load(Ordering::Relaxed)
    }

    /// Whether there is no room: a disk is nearly full, or the database found none.
    pub fn storage_full(&self) -> bool {
        self.storage_low() || self.store.storage_full()
    }

    /// Whether operations are refused because the database was restored to an older moment.
    pub fn restored(&self) -> bool {
        self.store.is_restored()
    }

    /// Refuses operations while there is no room for them or for their events.
    ///
    /// # Errors
    /// Why.
    pub(crate) fn ensure_room(&self) -> Result<(), Error> {
        if self.storage_low() {
            return Err(Error::StorageFull("a disk of local state is nearly full".into()));
        }
        if self.backlog_full() {
            return Err(Error::Unavailable("the stream is unavailable and the outbox is full".into()));
        }
        Ok(())
    }

    /// Checks that the database responds.
    ///
    /// # Errors
    /// When the database does not respond.
    pub async fn ping(&self) -> Result<(), Error> {
        self.store.ping().await
    }

    /// One configuration object, by its id or its name.
    ///
    /// # Errors
    /// `<object>_not_found`, or a database failure.
    pub async fn configuration<T: ConfigurationObject>(&self, tenant: &TenantId, id: &str) -> Result<T, Failure> {
        let found = match id.parse() {
            Ok(id) => self.store.configuration(tenant, T::KIND, id).await?,
            Err(_) => self.store.configuration_named(tenant, T::KIND, id).await?,
        };
        found.ok_or_else(|| domain::Rejected::not_found(T::NOT_FOUND, T::NAME, id).into())
    }

    /// A page of configuration objects.
    ///
    /// # Errors
    /// A database failure.
    pub async fn list_configurations<T: ConfigurationObject>(
        &self,
        tenant: &TenantId,
        page_request: page::PageRequest,
    ) -> Result<page::Page<T>, Failure> {
        Ok(self.store.list_configurations(tenant, T::KIND, page_request).await?)
    }

    /// One delivery with its attempts.
    ///
    /// # Errors
    /// `delivery_not_found`, `purged`, or a database failure.
    pub async fn delivery(&self, tenant: &TenantId, id: &str) -> Result<(Delivery, Vec<AttemptRecord>), Failure> {
        let found = match id.parse() {
            Ok(id) => self.store.delivery(tenant, id).await?,
            Err(_) => None,
        };
        match found {
            Some(found) => Ok(found),
            None => Err(self.absent(tenant, Purgeable::Deliveries, id).await?.into()),
        }
    }

    /// The recipients of an e-mail delivery, each with the start time of its attempt.
    ///
    /// # Errors
    /// A database failure.
    pub async fn recipients(&self, delivery: DeliveryId) -> Result<Vec<(Recipient, Timestamp)>, Failure> {
        Ok(self.store.recipients(delivery).await?)
    }

    /// A page of deliveries.
    ///
    /// # Errors
    /// A database failure.
    pub async fn list_deliveries(
        &self,
        tenant: &TenantId,
        filter: delivery_lists::Filter,
        page_request: page::PageRequest,
    ) -> Result<page::Page<Delivery>, Failure> {
        Ok(self.store.list_deliveries(tenant, filter, page_request).await?)
    }
}

/// The refusal of a name that is already used in the tenant.
fn name_taken(name: &str) -> domain::Rejected {
    domain::Rejected::conflict(Code::NameTaken, format!("The name '{name}' is already in use; names must be unique per object type."))
}

/// Refuses a name that another configuration object of the same kind has.
async fn ensure_name_free(tx: &billwire_store::Tx<'_>, kind: ConfigurationKind, name: &str) -> Result<(), Failure> {
    if tx.has_configuration(kind, name).await? { Err(name_taken(name).into()) } else { Ok(()) }
}
