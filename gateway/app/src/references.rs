//! Checks for dependent objects, which prevent deletion.

use billwire_domain::{
    billing::{bill_run::BillRun, credit::Credit, invoice::Invoice, payment::Payment},
    customers::{account::Account, contact::Contact, package_subscription::PackageSubscription, service::Service},
    usage::{bucket::Bucket, chargeable_event::ChargeableEvent, contract::Contract, usage_identifier::UsageIdentifier},
};
use billwire_store::{Filter, Persisted, Tx, commit::Failure};
use uuid::Uuid;

/// Whether an object of type `T` has this id in `column`.
async fn any<T: Persisted>(tx: &Tx<'_>, column: &'static str, id: Uuid) -> Result<bool, Failure> {
    Ok(!tx.select::<T>(Filter::new().is_id(column, Some(id)), 1).await?.is_empty())
}

/// Whether an account has dependent objects, or pays for other accounts.
///
/// # Errors
/// A database failure.
pub(crate) async fn account(tx: &Tx<'_>, id: Uuid) -> Result<bool, Failure> {
    let belongs = "account_id";
    Ok(any::<Contact>(tx, belongs, id).await?
        || any::<PackageSubscription>(tx, belongs, id).await?
        || any::<Service>(tx, belongs, id).await?
        || any::<Contract>(tx, belongs, id).await?
        || any::<ChargeableEvent>(tx, belongs, id).await?
        || any::<Invoice>(tx, belongs, id).await?
        || any::<Payment>(tx, belongs, id).await?
        || any::<Credit>(tx, belongs, id).await?
        || any::<Account>(tx, "payer_id", id).await?)
}

/// Whether a bill cycle has accounts, current or planned, or bill runs.
///
/// # Errors
/// A database failure.
pub(crate) async fn bill_cycle(tx: &Tx<'_>, id: Uuid) -> Result<bool, Failure> {
    Ok(any::<Account>(tx, "bill_cycle_id", id).await?
        || any::<Account>(tx, "planned_bill_cycle_id", id).await?
        || any::<BillRun>(tx, "bill_cycle_id", id).await?)
}

/// Whether a package has ever been subscribed to.
///
/// # Errors
/// A database failure.
pub(crate) async fn package(tx: &Tx<'_>, id: Uuid) -> Result<bool, Failure> {
    any::<PackageSubscription>(tx, "package_id", id).await
}

/// Whether a service has usage identifiers, buckets or charges.
///
/// # Errors
/// A database failure.
pub(crate) async fn service(tx: &Tx<'_>, id: Uuid) -> Result<bool, Failure> {
    let belongs = "service_id";
    Ok(any::<ChargeableEvent>(tx, belongs, id).await?
        || any::<UsageIdentifier>(tx, belongs, id).await?
        || any::<Bucket>(tx, belongs, id).await?)
}
