//! Lookup of platform objects: addressed in a path (404 if missing) or referenced in a body (422 if missing).

use billwire_domain::{
    Rejected,
    billing::{bill_run::BillRun, credit::Credit, invoice::Invoice, payment::Payment, refund::Refund},
    customers::{
        account::Account, bill_cycle::BillCycle, contact::Contact, package::Package, package_subscription::PackageSubscription,
        service::Service,
    },
    usage::{
        adjustment::Adjustment, bucket::Bucket, chargeable_event::ChargeableEvent, contract::Contract, usage_identifier::UsageIdentifier,
    },
};
use billwire_schemas::{ids::TenantId, refusal::Code};
use billwire_store::{
    Filter, Persisted, Tx,
    commit::{Failure, Prefetch},
    page,
};
use uuid::Uuid;

use crate::App;

/// A platform object that operations can address.
pub trait Object: Persisted {
    /// Name in messages.
    const NAME: &'static str;
    /// Code of the refusal if an addressed object is missing.
    const NOT_FOUND: Code;
    /// Whether the object's own id is its ordering key; otherwise its account's id is.
    const KEEPS_OWN_ORDER: bool = false;
}

/// A platform object that bodies can refer to.
pub trait Referred: Object {
    /// Code of the refusal if a referenced object is missing.
    const UNKNOWN: Code;
}

impl Object for Account {
    const NAME: &'static str = "account";
    const NOT_FOUND: Code = Code::AccountNotFound;
    const KEEPS_OWN_ORDER: bool = true;
}

impl Referred for Account {
    const UNKNOWN: Code = Code::AccountUnknown;
}

impl Object for BillCycle {
    const NAME: &'static str = "bill cycle";
    const NOT_FOUND: Code = Code::BillCycleNotFound;
    const KEEPS_OWN_ORDER: bool = true;
}

impl Referred for BillCycle {
    const UNKNOWN: Code = Code::BillCycleUnknown;
}

impl Object for Contact {
    const NAME: &'static str = "contact";
    const NOT_FOUND: Code = Code::ContactNotFound;
}

impl Referred for Contact {
    const UNKNOWN: Code = Code::ContactUnknown;
}

impl Object for Package {
    const NAME: &'static str = "package";
    const NOT_FOUND: Code = Code::PackageNotFound;
    const KEEPS_OWN_ORDER: bool = true;
}

impl Referred for Package {
    const UNKNOWN: Code = Code::PackageUnknown;
}

impl Object for PackageSubscription {
    const NAME: &'static str = "package subscription";
    const NOT_FOUND: Code = Code::PackageSubscriptionNotFound;
}

impl Referred for PackageSubscription {
    const UNKNOWN: Code = Code::PackageSubscriptionUnknown;
}

impl Object for Service {
    const NAME: &'static str = "service";
    const NOT_FOUND: Code = Code::ServiceNotFound;
}

impl Referred for Service {
    const UNKNOWN: Code = Code::ServiceUnknown;
}

impl Object for ChargeableEvent {
    const NAME: &'static str = "chargeable event";
    const NOT_FOUND: Code = Code::ChargeableEventNotFound;
}

impl Object for Adjustment {
    const NAME: &'static str = "adjustment";
    const NOT_FOUND: Code = Code::AdjustmentNotFound;
}

impl Object for Invoice {
    const NAME: &'static str = "invoice";
    const NOT_FOUND: Code = Code::InvoiceNotFound;
}

impl Referred for Invoice {
    const UNKNOWN: Code = Code::InvoiceUnknown;
}

impl Object for BillRun {
    const NAME: &'static str = "bill run";
    const NOT_FOUND: Code = Code::BillRunNotFound;
}

impl Object for UsageIdentifier {
    const NAME: &'static str = "usage identifier";
    const NOT_FOUND: Code = Code::UsageIdentifierNotFound;
}

impl Referred for UsageIdentifier {
    const UNKNOWN: Code = Code::UsageIdentifierUnknown;
}

impl Object for Bucket {
    const NAME: &'static str = "bucket";
    const NOT_FOUND: Code = Code::BucketNotFound;
}

impl Object for Contract {
    const NAME: &'static str = "contract";
    const NOT_FOUND: Code = Code::ContractNotFound;
}

impl Object for Credit {
    const NAME: &'static str = "credit";
    const NOT_FOUND: Code = Code::CreditNotFound;
}

impl Object for Payment {
    const NAME: &'static str = "payment";
    const NOT_FOUND: Code = Code::PaymentNotFound;
}

impl Referred for Payment {
    const UNKNOWN: Code = Code::PaymentUnknown;
}

impl Object for Refund {
    const NAME: &'static str = "refund";
    const NOT_FOUND: Code = Code::RefundNotFound;
}

/// The refusal for a missing addressed object.
pub(crate) fn not_found<T: Object>(reference: &str) -> Rejected {
    Rejected::not_found(T::NOT_FOUND, T::NAME, reference)
}

/// The refusal for a missing object referenced at `pointer` in the body.
pub(crate) fn unknown<T: Referred>(pointer: &'static str, reference: &str) -> Rejected {
    Rejected::violation(pointer, T::UNKNOWN, format!("There is no {} '{reference}'.", T::NAME))
}

/// The addressed object, at the required version.
///
/// # Errors
/// `<object>_not_found`, `stale_version`, or a database failure.
pub(crate) async fn addressed<T: Object>(tx: &mut Tx<'_>, id: Uuid, if_match: Option<i64>) -> Result<T, Failure> {
    let object = tx.load::<T>(id).await?.ok_or_else(|| not_found::<T>(&id.to_string()))?;
    Rejected::ensure_current(if_match, object.version())?;
    Ok(object)
}

/// The object referenced at `pointer` in the body, by id or external id.
///
/// # Errors
/// `<object>_unknown`, or a database failure.
pub(crate) async fn found<T: Referred>(tx: &mut Tx<'_>, pointer: &'static str, reference: &str) -> Result<T, Failure> {
    tx.find::<T>(reference).await?.ok_or_else(|| unknown::<T>(pointer, reference).into())
}

/// Prefetches the object for [`found`], if the reference is a UUID.
pub(crate) fn prefetch_named<T: Persisted>(reference: &str) -> Vec<Prefetch> {
    reference.parse().ok().map(Prefetch::of::<T>).into_iter().collect()
}

impl App {
    /// The addressed object, by id or external id.
    ///
    /// # Errors
    /// `<object>_not_found`, or a database failure.
    pub async fn get<T: Object>(&self, tenant: &TenantId, reference: &str) -> Result<T, Failure> {
        self.find(tenant, reference).await?.ok_or_else(|| not_found::<T>(reference).into())
    }

    /// The object with this id or external id, if it exists.
    ///
    /// # Errors
    /// A database failure.
    pub async fn find<T: Object>(&self, tenant: &TenantId, reference: &str) -> Result<Option<T>, Failure> {
        Ok(self.store.find(tenant, reference).await?)
    }

    /// A page of objects sorted by an integer column. `sort` is the column and whether ascending.
    ///
    /// # Errors
    /// A database failure.
    pub async fn list_sorted<T: Object>(
        &self,
        tenant: &TenantId,
        filter: Filter,
        sort: (&'static str, bool),
        page_request: page::PageRequest,
    ) -> Result<page::Page<T>, Failure> {
        Ok(self.store.list_sorted(tenant, filter, sort, page_request).await?)
    }

    /// A page of objects, oldest first.
    ///
    /// # Errors
    /// A database failure.
    pub async fn list<T: Object>(
        &self,
        tenant: &TenantId,
        filter: Filter,
        page_request: page::PageRequest,
    ) -> Result<page::Page<T>, Failure> {
        Ok(self.store.list(tenant, filter, page_request).await?)
    }
}
