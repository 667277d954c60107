//! The end of what belongs to a deactivated account: its contracts, package subscriptions, planned changes of services and the timers of its
//! usage identifiers.
//!
//! As much as one business transaction can hold ends together with the account. The clock ends the rest, one business transaction after
//! another: the account stays due until nothing is left.

use async_trait::async_trait;
use billwire_domain::{
    Change,
    customers::{
        account::{self, Account},
        billing_settings::BillingSettings,
        package::Package,
        package_subscription::{self, PackageSubscription},
        planned_status,
        service::Service,
    },
    usage::{
        contract::{self, Contract},
        usage_identifier::{self, UsageIdentifier},
    },
};
use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{AccountId, OrderingKey, ServiceId},
};
use billwire_store::{
    Filter, Persisted, Tx,
    commit::{Failure, Prefetch},
};
use uuid::Uuid;

use crate::{
    customers::billing_settings::settings,
    events::event_parameters::{around_service, of_account, of_package, of_service},
    execute::UseCase,
    objects::addressed,
    record::{EVENTS_MAX, Record},
    usage::contracts::end_contract,
};

/// Objects read at once.
const PAGE: u64 = 500;

/// What ends in one business transaction.
#[derive(Default)]
pub(crate) struct Endings {
    contracts: Vec<Change<Contract>>,
    subscriptions: Vec<Change<PackageSubscription>>,
    /// Those whose planned change is withdrawn.
    services: Vec<Change<Service>>,
    identifiers: Vec<Change<UsageIdentifier>>,
    /// Whether more is to end than has room.
    pub left: bool,
}

/// The number of events of a change.
pub(crate) fn event_count<T>(change: &Change<T>) -> usize {
    1 + change.lifecycle.len()
}

/// Saves and records a change of an account's object; its events offer the account's parameters and `more`.
pub(crate) fn also<T: Persisted>(
    tx: &mut Tx<'_>,
    record: Record,
    change: &Change<T>,
    of_account: &Parameters,
    more: Parameters,
) -> Result<Record, Failure> {
    tx.save(change)?;
    let mut related = of_account.clone();
    related.extend(more);
    record.and(change, &related)
}

/// Loads package subscriptions and their packages with few queries.
pub(crate) async fn preload_packages(tx: &mut Tx<'_>, subscriptions: &[Uuid]) -> Result<(), Failure> {
    tx.preload::<PackageSubscription>(subscriptions).await?;
    let mut packages = Vec::new();
    for id in subscriptions {
        packages.extend(tx.load::<PackageSubscription>(*id).await?.map(|subscription| subscription.package_id.0));
    }
    tx.preload::<Package>(&packages).await
}

/// The changes that `end` makes to the objects of `own`, read page by page, until they have more than `room` events. The flag: whether some are
/// left.
async fn changes<T: Persisted>(
    tx: &Tx<'_>,
    own: &Filter,
    room: &mut usize,
    end: impl Fn(T) -> Option<Change<T>>,
) -> Result<(Vec<Change<T>>, bool), Failure> {
    let (mut changes, mut after) = (Vec::new(), Uuid::nil());
    loop {
        let page = tx.select::<T>(own.clone().after(after), PAGE).await?;
        let is_last = (page.len() as u64) < PAGE;
        after = page.last().map_or(after, T::id);
        for change in page.into_iter().filter_map(&end) {
            let Some(rest) = room.checked_sub(event_count(&change)) else { return Ok((changes, true)) };
            *room = rest;
            changes.push(change);
        }
        if is_last {
            return Ok((changes, false));
        }
    }
}

impl Endings {
    /// What ends with `account`, which is deactivated, up to `room` events, besides the services that change `with_account`.
    ///
    /// # Errors
    /// A database failure.
    pub async fn of(
        tx: &mut Tx<'_>,
        account: &Account,
        settings: &BillingSettings,
        with_account: &[ServiceId],
        mut room: usize,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let own = || Filter::new().is_id("account_id", Some(account.id.0));
        let mut endings = Self::default();
        let active = own().is("status", Some(contract::Status::Active.name()));
        for contract in tx.select::<Contract>(active, EVENTS_MAX as u64).await? {
            if room == 0 {
                endings.left = true;
                return Ok(endings);
            }
            // A contract that ends after many missed periods may take more: its events become several transactions.
            let changes = end_contract(tx, contract, settings, now).await?;
            room = room.saturating_sub(changes.iter().map(event_count).sum());
            endings.contracts.extend(changes);
        }
        let running = own().is_not("status", &settings.package_statuses.cancelled);
        let reason = || account.status_reason.clone();
        let end = |one| package_subscription::end_with_account(one, settings, reason(), now);
        let (subscriptions, left) = changes(tx, &running, &mut room, end).await?;
        (endings.subscriptions, endings.left) = (subscriptions, left);
        if !endings.left {
            let planned = own().has("due_at", Some(true));
            let is_with_account = |one: &Service| with_account.contains(&one.id);
            let end = |one| if is_with_account(&one) { None } else { planned_status::withdraw(one, now) };
            (endings.services, endings.left) = changes(tx, &planned, &mut room, end).await?;
        }
        if !endings.left {
            let timed = own().has("due_at", Some(true));
            let end = |one| usage_identifier::end_with_account(one, now);
            (endings.identifiers, endings.left) = changes(tx, &timed, &mut room, end).await?;
        }
        Ok(endings)
    }

    /// Saves the changes and adds them to the record.
    ///
    /// # Errors
    /// A database failure.
    pub async fn record(self, tx: &mut Tx<'_>, account: AccountId, mut record: Record) -> Result<Record, Failure> {
        let of_account = of_account(tx, account).await?;
        for change in &self.contracts {
            record = also(tx, record, change, &of_account, Parameters::new())?;
        }
        preload_packages(tx, &self.subscriptions.iter().map(|change| change.after.id.0).collect::<Vec<_>>()).await?;
        for change in &self.subscriptions {
            let package = of_package(tx, &change.after).await?;
            record = also(tx, record, change, &of_account, package)?;
        }
        for change in &self.services {
            let package = around_service(tx, &change.after).await?;
            record = also(tx, record, change, &of_account, package)?;
        }
        let services: Vec<Uuid> = self.identifiers.iter().map(|change| change.after.service_id.0).collect();
        tx.preload::<Service>(&services).await?;
        let mut included = Vec::new();
        for id in services {
            included.extend(tx.load::<Service>(id).await?.and_then(|service| service.package_subscription_id).map(|id| id.0));
        }
        preload_packages(tx, &included).await?;
        for change in &self.identifiers {
            let service = of_service(tx, change.after.service_id).await?;
            record = also(tx, record, change, &of_account, service)?;
        }
        Ok(record)
    }
}

/// Ends more of what belongs to a deactivated account.
#[derive(Debug, Clone)]
pub(crate) struct EndOwnedObjects {
    pub account: AccountId,
}

#[async_trait]
impl UseCase for EndOwnedObjects {
    const OPERATION: &'static str = "cancelAccount";

    fn key(&self) -> OrderingKey {
        self.account.into()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        vec![Prefetch::of::<Account>(self.account.0)]
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = addressed::<Account>(tx, self.account.0, None).await?;
        if !account.ending {
            return Ok(None);
        }
        // One event is that of the account.
        let endings = Endings::of(tx, &account, &settings(tx).await?, &[], EVENTS_MAX - 1, now).await?;
        let mut record = Record::default();
        if !endings.left {
            let done = account::all_ended(account, now);
            let company = of_account(tx, self.account).await?;
            record = also(tx, record, &done, &company, Parameters::new())?;
        }
        endings.record(tx, self.account, record).await.map(Some)
    }
}
