//! Use cases, a file each: load, decide, save and record, all inside one committed transaction.
//!
//! Called by `api` (operations) and `server` (due dates, start-up). Knows neither HTTP nor NATS; an operation is accepted when
//! [`App::once`] answers. It exists so that a handler and a due date do the same thing in the same way.

mod added;
mod adjust_chargeable_event;
mod authenticate;
mod bill_cycle_change;
mod bill_runs;
mod billing_settings;
mod buckets;
mod calculations;
mod catalogue;
mod change_account_status;
mod configured;
mod contacts;
mod contracts;
mod create_account;
mod create_bill_cycle;
mod data_schemas;
mod data_source;
mod delete_configuration;
mod due;
mod explain;
mod in_use;
mod invoice_on_demand;
mod invoices;
mod invoicing;
mod mending;
mod notification_templates;
mod objects;
mod once;
mod once_each;
mod owned;
mod package_subscriptions;
mod packages;
mod payments;
mod queues;
mod record;
mod record_chargeable_events;
mod recorded;
mod register_event_type;
mod related;
mod rendering;
mod replays;
mod services;
mod set_aside;
mod signing;
mod smtp_accounts;
mod submit_events;
mod subscriptions;
mod suppressed;
mod system_users;
mod tail;
mod test_clock;
mod update_account;
mod update_bill_cycle;
mod usage_identifiers;
mod webhook_endpoints;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use billwire_schemas::{
    clock::{Clock, ShiftedClock, Timestamp},
    ids::{DeliveryId, TenantId},
};
/// What can go wrong with a database; part of [`Failure`].
pub use billwire_store::Error as StoreError;
use billwire_store::{ConfigurationKind, Error, Store};
pub use billwire_store::{
    Filter, SetAsideEvent,
    commit::Failure,
    deliveries, delivery_lists, history,
    idempotency::{Claim, Reply},
    mending::DeadLetters,
    page,
    queue_progress::Progress,
    recipients,
};

pub use adjust_chargeable_event::AdjustChargeableEvent;
pub use authenticate::{NewKey, new_key};
pub use bill_cycle_change::{CancelAccountBillCycleChange, PerformAccountBillCycleChange, UpdateAccountBillCycle};
pub use bill_runs::{BillRunCursors, BillRunNow, StartBillRun};
pub use billing_settings::UpdateBillingSettings;
pub use billwire_domain as domain;
pub use buckets::{CreateBucket, DeleteBucket, ResetBucket, UpdateBucket};
pub use calculations::Calculation;
pub use change_account_status::{CancelAccount, ChangeAccountStatus};
pub use configured::Configured;
pub use contacts::{CreateContact, DeleteContact, UpdateContact};
pub use contracts::{CreateContract, DeleteContract, UpdateContract};
pub use create_account::CreateAccount;
pub use create_bill_cycle::CreateBillCycle;
pub use data_source::{CreateDataSource, DeleteDataSource};
pub use delete_configuration::DeleteConfiguration;
pub use explain::{Explanation, Met, Verdict};
pub use invoice_on_demand::CreateInvoiceOnDemand;
pub use invoices::{CancelInvoice, DeliverInvoice};
pub use notification_templates::{CreateNotificationTemplate, TemplateVersion, UpdateNotificationTemplate};
pub use objects::Object;
pub use once::{Demand, UseCase};
pub use once_each::BulkUseCase;
pub use owned::Owned;
pub use package_subscriptions::{CancelPackageSubscription, ChangePackageSubscriptionStatus, SubscribePackage};
pub use packages::{CreatePackage, DeletePackage, UpdatePackage};
pub use payments::{CreateCredit, CreateRefund, RecordPayment};
pub use queues::{CreateQueue, PauseQueue, QueueStatistics, UpdateQueue};
pub use record_chargeable_events::NewCharge;
pub use register_event_type::{DeleteEventType, RegisterEventType};
pub use rendering::Renderer;
pub use replays::{NewReplay, ReplayStatus};
pub use services::{CreateService, DeleteService, TransitionService, UpdateService};
pub use signing::Signing;
pub use smtp_accounts::{CreateSmtpAccount, Postmen, UpdateSmtpAccount, Verdict as SmtpVerdict};
pub use subscriptions::{CreateSubscription, DeleteSubscription, EnableSubscription, NewAction, UpdateSubscription};
pub use suppressed::SuppressAddress;
pub use system_users::{CreateSystemUser, UpdateSystemUser};
pub use tail::Stream;
pub use update_account::{DeleteAccount, UpdateAccount};
pub use update_bill_cycle::{DeleteBillCycle, UpdateBillCycle};
pub use usage_identifiers::{CreateUsageIdentifier, DeleteUsageIdentifier, UpdateUsageIdentifier};
pub use webhook_endpoints::{
    CreateWebhookEndpoint, DisableWebhookEndpoint, EnableWebhookEndpoint, Receivers, RotateWebhookSecret, Tried, UpdateWebhookEndpoint,
};

/// Who calls, as authenticated.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The tenant everything happens in.
    pub tenant: TenantId,
    /// Named in business transactions.
    pub actor: String,
    /// What it may do; `*` is everything.
    pub scopes: Vec<String>,
}

impl Caller {
    /// Whether the caller has `scope`.
    pub fn may(&self, scope: &str) -> bool {
        self.scopes.iter().any(|s| s == "*" || s == scope)
    }
}

/// The use cases and what they stand on. Cheap to clone.
#[derive(Clone)]
pub struct App {
    store: Store,
    clock: Arc<ShiftedClock>,
    test_clock_allowed: bool,
    backlog_full: Arc<AtomicBool>,
    keys: Arc<authenticate::Cache>,
    compiled: Arc<data_schemas::Compiled>,
    receivers: Option<Arc<dyn Receivers>>,
    postmen: Option<Arc<dyn Postmen>>,
    stream: Option<Arc<dyn Stream>>,
    renderer: Option<Arc<dyn Renderer>>,
}

impl App {
    /// The use cases over `store`, telling time by `clock`.
    pub fn new(store: Store, clock: Arc<ShiftedClock>, test_clock_allowed: bool) -> Self {
        let (backlog_full, keys, compiled) = Default::default();
        Self {
            store,
            clock,
            test_clock_allowed,
            backlog_full,
            keys,
            compiled,
            receivers: None,
            postmen: None,
            stream: None,
            renderer: None,
        }
    }

    /// The same with a way to receivers, which testing endpoints needs.
    #[must_use]
    pub fn with_receivers(self, receivers: Arc<dyn Receivers>) -> Self {
        Self { receivers: Some(receivers), ..self }
    }

    /// The same with a way to SMTP servers, which testing accounts needs.
    #[must_use]
    pub fn with_postmen(self, postmen: Arc<dyn Postmen>) -> Self {
        Self { postmen: Some(postmen), ..self }
    }

    /// The same with a place to render templates, which previews and e-mails need.
    #[must_use]
    pub fn with_renderer(self, renderer: Arc<dyn Renderer>) -> Self {
        Self { renderer: Some(renderer), ..self }
    }

    /// The same with a view of the stream, which tailing events needs.
    #[must_use]
    pub fn with_stream(self, stream: Arc<dyn Stream>) -> Self {
        Self { stream: Some(stream), ..self }
    }

    /// Business time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Says whether so much waits for the stream that nothing more may be accepted.
    pub fn set_backlog_full(&self, full: bool) {
        self.backlog_full.store(full, Ordering::Relaxed);
    }

    /// Whether operations are refused because the stream is far behind.
    pub fn backlog_full(&self) -> bool {
        self.backlog_full.load(Ordering::Relaxed)
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), Error> {
        self.store.ping().await
    }

    /// One configuration object.
    ///
    /// # Errors
    /// `<noun>_not_found`, or the database's failure.
    pub async fn configuration<T: Configured>(&self, tenant: &TenantId, id: &str) -> Result<T, Failure> {
        let found = match id.parse() {
            Ok(id) => self.store.configuration(tenant, T::KIND, id).await?,
            Err(_) => None,
        };
        found.ok_or_else(|| domain::Rejected::not_found(T::NOT_FOUND, T::NAME, id).into())
    }

    /// A page of configuration objects.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn list_configurations<T: Configured>(&self, tenant: &TenantId, ask: page::Ask) -> Result<page::Page<T>, Failure> {
        Ok(self.store.list_configurations(tenant, T::KIND, ask).await?)
    }

    /// One delivery with its attempts.
    ///
    /// # Errors
    /// `delivery_not_found`, or the database's failure.
    pub async fn delivery(&self, tenant: &TenantId, id: &str) -> Result<(deliveries::Delivery, Vec<deliveries::Attempt>), Failure> {
        let found = match id.parse() {
            Ok(id) => self.store.delivery(tenant, id).await?,
            Err(_) => None,
        };
        found.ok_or_else(|| domain::Rejected::not_found("delivery_not_found", "delivery", id).into())
    }

    /// What became of the recipients of a delivery by e-mail.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn recipients(&self, delivery: DeliveryId) -> Result<Vec<recipients::Recipient>, Failure> {
        Ok(self.store.recipients(delivery).await?)
    }

    /// A page of deliveries.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn list_deliveries(
        &self,
        tenant: &TenantId,
        filter: delivery_lists::Filter,
        ask: page::Ask,
    ) -> Result<page::Page<deliveries::Delivery>, Failure> {
        Ok(self.store.list_deliveries(tenant, filter, ask).await?)
    }
}

/// The refusal when a name is taken in the tenant.
fn name_taken(name: &str) -> domain::Rejected {
    domain::Rejected::conflict("name_taken", format!("The name '{name}' is taken; names are unique within their kind."))
}

/// Refuses a name that another configuration object of the same kind has.
async fn unless_named(tx: &billwire_store::Tx<'_>, kind: ConfigurationKind, name: &str) -> Result<(), Failure> {
    if tx.has_configuration(kind, name).await? { Err(name_taken(name).into()) } else { Ok(()) }
}
