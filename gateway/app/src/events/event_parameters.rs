//! Parameters of related objects that an event offers besides those of its own object.

use billwire_domain::{
    Change, Entity,
    customers::{account::Account, contact::Contact, package::Package, package_subscription::PackageSubscription, service::Service},
};
use billwire_schemas::{
    events::envelope::Parameters,
    ids::{AccountId, PackageSubscriptionId, ServiceId},
};
use billwire_store::{Persisted, Tx, commit::Failure};

use crate::record::Record;

/// The parameters of an object's account, its company and, for e-mails only, its billing contact.
///
/// # Errors
/// A database failure.
pub(crate) async fn of_account(tx: &mut Tx<'_>, id: AccountId) -> Result<Parameters, Failure> {
    let Some(account) = tx.load::<Account>(id.0).await? else { return Ok(Parameters::new()) };
    let mut parameters = billing_contact(tx, &account).await?;
    parameters.extend(account.parameters());
    Ok(parameters)
}

/// The parameters of a package subscription and its package.
///
/// # Errors
/// A database failure.
pub(crate) async fn of_package_subscription(tx: &mut Tx<'_>, id: PackageSubscriptionId) -> Result<Parameters, Failure> {
    let Some(subscription) = tx.load::<PackageSubscription>(id.0).await? else { return Ok(Parameters::new()) };
    let mut parameters = of_package(tx, &subscription).await?;
    parameters.extend(subscription.parameters());
    Ok(parameters)
}

/// The parameters of a package subscription's package.
///
/// # Errors
/// A database failure.
pub(crate) async fn of_package(tx: &mut Tx<'_>, subscription: &PackageSubscription) -> Result<Parameters, Failure> {
    Ok(tx.load::<Package>(subscription.package_id.0).await?.map(|package| package.parameters()).unwrap_or_default())
}

/// The parameters of a service and its package.
///
/// # Errors
/// A database failure.
pub(crate) async fn of_service(tx: &mut Tx<'_>, id: ServiceId) -> Result<Parameters, Failure> {
    let Some(service) = tx.load::<Service>(id.0).await? else { return Ok(Parameters::new()) };
    let mut parameters = around_service(tx, &service).await?;
    parameters.extend(service.parameters());
    Ok(parameters)
}

/// The parameters of a service's package.
///
/// # Errors
/// A database failure.
pub(crate) async fn around_service(tx: &mut Tx<'_>, service: &Service) -> Result<Parameters, Failure> {
    match service.package_subscription_id {
        Some(id) => of_package_subscription(tx, id).await,
        None => Ok(Parameters::new()),
    }
}

/// The parameters of an account's billing contact, for e-mails only.
///
/// # Errors
/// A database failure.
pub(crate) async fn billing_contact(tx: &mut Tx<'_>, account: &Account) -> Result<Parameters, Failure> {
    let Some(id) = account.billing_contact_id else { return Ok(Parameters::new()) };
    Ok(tx.load::<Contact>(id.0).await?.map(|contact| contact.parameters()).unwrap_or_default())
}

/// Saves and records a change of an account's object; its events offer the account's parameters and `more`.
///
/// # Errors
/// A database failure.
pub(crate) async fn recorded<T: Persisted>(tx: &mut Tx<'_>, change: &Change<T>, more: Parameters) -> Result<Option<Record>, Failure> {
    tx.save(change)?;
    let mut related = match change.after.account() {
        Some(account) => of_account(tx, account).await?,
        None => Parameters::new(),
    };
    related.extend(more);
    Record::default().and(change, &related).map(Some)
}
