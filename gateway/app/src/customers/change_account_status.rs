//! `changeAccountStatus`, `cancelAccount`, with or without the account's services.

use async_trait::async_trait;
use billwire_domain::{
    Change, Rejected,
    customers::{
        account::{self, Account, Status},
        package::Package,
        package_subscription::PackageSubscription,
        service::{self, Service},
    },
};
use billwire_schemas::{clock::Timestamp, refusal::Code};
use billwire_store::{Filter, Tx, commit::Failure};
use uuid::Uuid;

use crate::{
    customers::billing_settings::settings,
    events::event_parameters::{around_service, of_account, recorded},
    execute_on::ObjectUseCase,
    record::Record,
};

/// Maximum number of services changed with their account. Each has two events, and all events of a business transaction must fit into one
/// batch of the stream, at most 1 000.
const SERVICES_MAX: usize = 450;

/// Services read at once.
const PAGE: u64 = 500;

/// Changes an account's status along the allowed transitions.
#[derive(Debug, Clone)]
pub struct ChangeAccountStatus {
    /// The new status.
    pub status: Status,
    /// Reason.
    pub reason: Option<String>,
    /// Whether to change its services too.
    pub services: bool,
}

/// Deactivates an account.
#[derive(Debug, Clone)]
pub struct CancelAccount {
    /// Reason.
    pub reason: Option<String>,
    /// Whether to cancel its services too.
    pub services: bool,
}

#[async_trait]
impl ObjectUseCase for ChangeAccountStatus {
    type Object = Account;
    const OPERATION: &'static str = "changeAccountStatus";

    async fn run(&self, tx: &mut Tx<'_>, account: Account, now: Timestamp) -> Result<Option<Record>, Failure> {
        change(tx, account, self.status, self.reason.as_deref(), self.services, now).await
    }
}

#[async_trait]
impl ObjectUseCase for CancelAccount {
    type Object = Account;
    const OPERATION: &'static str = "cancelAccount";

    async fn run(&self, tx: &mut Tx<'_>, account: Account, now: Timestamp) -> Result<Option<Record>, Failure> {
        change(tx, account, Status::Deactivated, self.reason.as_deref(), self.services, now).await
    }
}

async fn change(
    tx: &mut Tx<'_>,
    account: Account,
    to: Status,
    reason: Option<&str>,
    services: bool,
    now: Timestamp,
) -> Result<Option<Record>, Failure> {
    let change = account::change_status(account, to, reason.map(str::to_owned), &settings(tx).await?, now)?;
    let record = recorded(tx, &change, Default::default()).await?;
    match record {
        Some(record) if services => take_along(tx, record, &change.after, reason, now).await.map(Some),
        record => Ok(record),
    }
}

/// The changes of the account's services to match its new status, read page by page: an account may have any number of services that do not
/// change.
async fn following(tx: &mut Tx<'_>, account: &Account, reason: Option<&str>, now: Timestamp) -> Result<Vec<Change<Service>>, Failure> {
    let settings = settings(tx).await?;
    let cancelled = &settings.service_statuses.cancelled;
    let (mut changes, mut after) = (Vec::new(), Uuid::nil());
    loop {
        let own = Filter::new().is_id("account_id", Some(account.id.0)).is_not("status", cancelled).after(after);
        let page = tx.select::<Service>(own, PAGE).await?;
        let is_last = (page.len() as u64) < PAGE;
        after = page.last().map_or(after, |service| service.id.0);
        changes.extend(
            page.into_iter()
                .filter_map(|service| service::follow_account(service, account.status, &settings, reason.map(str::to_owned), now)),
        );
        if changes.len() > SERVICES_MAX {
            let message = format!(
                "The change includes more than {SERVICES_MAX} services, which are too many. Change services first, then the account."
            );
            return Err(Rejected::conflict(Code::TooManyServices, message).into());
        }
        if is_last {
            return Ok(changes);
        }
    }
}

/// Changes the account's services to match its new status, in the same business transaction.
async fn take_along(
    tx: &mut Tx<'_>,
    mut record: Record,
    account: &Account,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<Record, Failure> {
    let changes = following(tx, account, reason, now).await?;
    let subscriptions: Vec<Uuid> = changes.iter().filter_map(|change| change.after.package_subscription_id).map(|id| id.0).collect();
    tx.preload::<PackageSubscription>(&subscriptions).await?;
    let mut packages = Vec::new();
    for id in subscriptions {
        packages.extend(tx.load::<PackageSubscription>(id).await?.map(|subscription| subscription.package_id.0));
    }
    tx.preload::<Package>(&packages).await?;
    let of_account = of_account(tx, account.id).await?;
    for change in changes {
        tx.save(&change)?;
        let mut related = of_account.clone();
        related.extend(around_service(tx, &change.after).await?);
        record = record.and(&change, &related)?;
    }
    Ok(record)
}
