//! `changeAccountStatus`, `cancelAccount`, with or without the account's services, at once or planned; `cancelAccountStatusChange`,
//! `performAccountStatusChange`, and performing due changes.

use async_trait::async_trait;
use billwire_domain::{
    Change, Rejected,
    customers::{
        account::{self, Account, PlannedStart, Status, StatusChange},
        service::{self, Service},
    },
};
use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{AccountId, OrderingKey, ServiceId},
    refusal::Code,
};
use billwire_store::{
    Filter, Tx,
    commit::{Failure, Prefetch},
};
use uuid::Uuid;

use crate::{
    billing::invoicing::with_bill_cycle_history,
    customers::{
        account_ending::{Endings, also, event_count, preload_packages},
        account_payer::pays_for_others,
        billing_settings::settings,
    },
    events::event_parameters::{around_service, of_account, recorded},
    execute::UseCase,
    execute_on::ObjectUseCase,
    objects::addressed,
    record::{EVENTS_MAX, Record},
};

/// Maximum number of services changed with their account. Each has two events, and all events of a business transaction must fit into one
/// batch of the stream, at most 1 000.
const SERVICES_MAX: usize = 450;

/// Services read at once.
const PAGE: u64 = 500;

/// Changes an account's status along the allowed transitions, now or later.
#[derive(Debug, Clone)]
pub struct ChangeAccountStatus {
    /// The change.
    pub change: StatusChange,
    /// When it takes effect; absent: now.
    pub start: Option<PlannedStart>,
}

/// Deactivates an account, now or later.
#[derive(Debug, Clone)]
pub struct CancelAccount {
    /// Reason.
    pub reason: Option<String>,
    /// Whether to cancel its services too.
    pub services: bool,
    /// When it takes effect; absent: now.
    pub start: Option<PlannedStart>,
}

/// Cancels a planned change.
#[derive(Debug, Clone)]
pub struct CancelAccountStatusChange;

/// Performs a planned change now.
#[derive(Debug, Clone)]
pub struct PerformAccountStatusChange;

/// Performs a planned change that is due.
#[derive(Debug, Clone)]
pub(crate) struct PerformDueStatusChange {
    pub account: AccountId,
}

#[async_trait]
impl ObjectUseCase for ChangeAccountStatus {
    type Object = Account;
    const OPERATION: &'static str = "changeAccountStatus";

    async fn run(&self, tx: &mut Tx<'_>, account: Account, now: Timestamp) -> Result<Option<Record>, Failure> {
        change_or_plan(tx, account, self.change.clone(), self.start, now).await
    }
}

#[async_trait]
impl ObjectUseCase for CancelAccount {
    type Object = Account;
    const OPERATION: &'static str = "cancelAccount";

    async fn run(&self, tx: &mut Tx<'_>, account: Account, now: Timestamp) -> Result<Option<Record>, Failure> {
        let change = StatusChange { status: Status::Deactivated, reason: self.reason.clone(), services: self.services };
        change_or_plan(tx, account, change, self.start, now).await
    }
}

#[async_trait]
impl ObjectUseCase for CancelAccountStatusChange {
    type Object = Account;
    const OPERATION: &'static str = "cancelAccountStatusChange";

    async fn run(&self, tx: &mut Tx<'_>, account: Account, now: Timestamp) -> Result<Option<Record>, Failure> {
        recorded(tx, &account::cancel_status_change(account, now)?, Parameters::new()).await
    }
}

#[async_trait]
impl ObjectUseCase for PerformAccountStatusChange {
    type Object = Account;
    const OPERATION: &'static str = "performAccountStatusChange";

    async fn run(&self, tx: &mut Tx<'_>, account: Account, now: Timestamp) -> Result<Option<Record>, Failure> {
        let services = with_services(&account);
        let change = account::perform_status_change(account, &settings(tx).await?, now)?;
        save(tx, change, services, now).await
    }
}

#[async_trait]
impl UseCase for PerformDueStatusChange {
    const OPERATION: &'static str = "performAccountStatusChange";

    fn key(&self) -> OrderingKey {
        self.account.into()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        vec![Prefetch::of::<Account>(self.account.0)]
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = addressed::<Account>(tx, self.account.0, None).await?;
        let services = with_services(&account);
        match account::perform_due_status_change(account, &settings(tx).await?, now)? {
            Some(change) => save(tx, change, services, now).await,
            None => Ok(None),
        }
    }
}

/// Whether the planned change includes the account's services.
fn with_services(account: &Account) -> bool {
    account.planned_status_change.as_ref().is_some_and(|planned| planned.services)
}

async fn change_or_plan(
    tx: &mut Tx<'_>,
    account: Account,
    wanted: StatusChange,
    start: Option<PlannedStart>,
    now: Timestamp,
) -> Result<Option<Record>, Failure> {
    let settings = settings(tx).await?;
    let Some(start) = start else {
        let change = account::change_status(account, wanted.status, wanted.reason, &settings, now)?;
        return save(tx, change, wanted.services, now).await;
    };
    account::ensure_not_deactivated(&account)?;
    let account = with_bill_cycle_history(tx, account).await?;
    let change = account::plan_status_change(account, wanted.clone(), start, &settings, now)?;
    if wanted.status == Status::Deactivated {
        account::ensure_can_end(pays_for_others(tx, change.after.id).await?)?;
    }
    if wanted.services {
        // Refuses too many services now, not when the change is due.
        following(tx, &Account { status: wanted.status, ..change.after.clone() }, now).await?;
    }
    recorded(tx, &change, Parameters::new()).await
}

/// Saves and records a change of status, with the account's services if they are included, and what ends with a deactivated account.
async fn save(tx: &mut Tx<'_>, mut change: Change<Account>, services: bool, now: Timestamp) -> Result<Option<Record>, Failure> {
    let settings = settings(tx).await?;
    if change.after.status == Status::Deactivated {
        account::ensure_can_end(pays_for_others(tx, change.after.id).await?)?;
    }
    let services = if services { following(tx, &change.after, now).await? } else { Vec::new() };
    let endings = if change.after.ended_at().is_some() {
        let taken = event_count(&change) + services.iter().map(event_count).sum::<usize>();
        let with_account: Vec<ServiceId> = services.iter().map(|service| service.after.id).collect();
        Endings::of(tx, &change.after, &settings, &with_account, EVENTS_MAX.saturating_sub(taken), now).await?
    } else {
        Endings::default()
    };
    change.after.ending = endings.left;
    let Some(record) = recorded(tx, &change, Parameters::new()).await? else { return Ok(None) };
    let record = take_along(tx, record, change.after.id, services).await?;
    endings.record(tx, change.after.id, record).await.map(Some)
}

/// The changes of the account's services to match its new status, read page by page: an account may have any number of services that do not
/// change.
async fn following(tx: &mut Tx<'_>, account: &Account, now: Timestamp) -> Result<Vec<Change<Service>>, Failure> {
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
                .filter_map(|service| service::follow_account(service, account.status, &settings, account.status_reason.clone(), now)),
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
async fn take_along(tx: &mut Tx<'_>, mut record: Record, account: AccountId, changes: Vec<Change<Service>>) -> Result<Record, Failure> {
    let subscriptions: Vec<Uuid> = changes.iter().filter_map(|change| change.after.package_subscription_id).map(|id| id.0).collect();
    preload_packages(tx, &subscriptions).await?;
    let of_account = of_account(tx, account).await?;
    for change in changes {
        let package = around_service(tx, &change.after).await?;
        record = also(tx, record, &change, &of_account, package)?;
    }
    Ok(record)
}
