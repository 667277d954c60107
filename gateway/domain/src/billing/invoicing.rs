//! Computes invoices: an account's unbilled items as lines with a total.
//!
//! Rules, in order of application. Charges before the cutoff form one line per type: their exact sum, rounded once. Recurring fees are
//! billed in arrears, one line per package subscription, billing period that ran at the time, and fee: `fee * days / days of the full
//! period`. A package with a period of its own has a line for each of these within a billing period, prorated against it; lines never
//! cross billing periods, so late runs give the same ones. Of a period that several invoices bill, each line is what its days add to the
//! rounded fee of the days so far, so that the lines of a full period add up to the fee. The days are those on which account and subscription were billable; what
//! they are now does not matter. Each pending adjustment forms a line. The total never becomes negative: credit adjustments and credits
//! are used up to the remaining total, oldest first. The rest waits for the next invoice. The items of accounts that the account pays for
//! follow its own, by the same rules and with their own bill cycles.

mod billing_periods;
mod sheet;

use billwire_schemas::{
    clock::Timestamp,
    ids::{AccountId, AdjustmentId, BillRunId, CreditId, InvoiceId, PackageSubscriptionId},
    money::{Decimal, Money},
    refusal::Code,
};
use chrono::{Days, NaiveDate};

use crate::{
    attributes::Attributes,
    billing::invoice::{About, Invoice, Kind, Line, Status, due_reminders},
    calendar::Period,
    change::Change,
    customers::{
        account::{Account, CurrentBillCycle, Status as AccountStatus, perform_status_change, period_on, running_period},
        billing_settings::{BillingSettings, TimeOfDay, local_moment},
        package::{FeeByDay, Package},
        package_subscription::PackageSubscription,
        planned_status::StatusPlan,
    },
    history::History,
    rejected::Rejected,
    usage::adjustment::Adjustment,
};

pub use billing_periods::{BillingPeriod, billing_periods};
use sheet::Sheet;

/// All unbilled charges of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeSum {
    /// Type of the charges.
    pub charge_type: String,
    /// Number of charges.
    pub count: i64,
    /// Sum of the net amounts; `None` if it is out of range.
    pub sum: Option<Decimal>,
}

/// A package subscription whose fee may be due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeeItem {
    /// The subscription.
    pub id: PackageSubscriptionId,
    /// The package's display name.
    pub package: String,
    /// Fee of a full period, and which that is, by day.
    pub fees: History<FeeByDay>,
    /// First day of the subscription, from which periods of the package's own are counted.
    pub start: NaiveDate,
    /// First unbilled day.
    pub from: NaiveDate,
    /// First day without a fee.
    pub until: Option<NaiveDate>,
    /// Whether the days are charged, by day.
    pub billable: History<bool>,
}

impl FeeItem {
    /// The fee of `subscription` to `package` for the days on which it and its `account` were billable. What changed last before histories
    /// were kept counts for all days before.
    pub fn of(subscription: &PackageSubscription, package: &Package, account: &Account, settings: &BillingSettings) -> Self {
        let always = |value| History::starting(subscription.start_date, value);
        let now = settings.package_statuses.billable(&subscription.status) || subscription.end_date.is_some();
        let mut own = subscription.status_history.map(|status| status.billable);
        if own.is_empty() {
            own = always(now);
        }
        let accounts = account.status_history.map(|entry| Account::billable(entry.status));
        let billable = if accounts.is_empty() { own } else { own.and(&accounts) };
        let fees = if package.fee_history.is_empty() {
            History::starting(subscription.start_date, package.fee())
        } else {
            package.fee_history.clone()
        };
        Self {
            id: subscription.id,
            package: package.name.clone(),
            fees,
            start: subscription.start_date,
            from: subscription.fee_billed_until,
            until: subscription.end_date,
            billable,
        }
    }

    /// How many of `days` are charged.
    fn billable_days(&self, days: Period) -> i64 {
        self.billable.within(days).filter(|(_, entry)| entry.value).map(|(days, _)| days.days()).sum()
    }
}

/// A credit with a remaining amount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditItem {
    /// The credit.
    pub id: CreditId,
    /// Remaining amount.
    pub remaining: Decimal,
    /// Reason, as human-readable text.
    pub reason: String,
}

/// The unbilled items of an account. Adjustments and credits are sorted oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unbilled {
    /// Charges before the cutoff, by type.
    pub charges: Vec<ChargeSum>,
    /// Package subscriptions.
    pub fees: Vec<FeeItem>,
    /// Pending adjustments.
    pub adjustments: Vec<Adjustment>,
    /// Credits with a remaining amount.
    pub credits: Vec<CreditItem>,
}

/// The computed bill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    /// Lines; empty if there is nothing to bill.
    pub lines: Vec<Line>,
    /// The sum of the lines' amounts; never negative.
    pub total: Money,
    /// The date up to which each subscription is processed, charged or not.
    pub fees: Vec<(PackageSubscriptionId, NaiveDate)>,
    /// The amount billed of each adjustment.
    pub adjustments: Vec<(AdjustmentId, Decimal)>,
    /// The amount used of each credit.
    pub credits: Vec<(CreditId, Decimal)>,
}

/// Another account whose items the bill includes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaidFor {
    /// The account.
    pub account: Account,
    /// Fees for the days before are billed.
    pub fees_until: NaiveDate,
    /// Its items; its credits stay its own.
    pub unbilled: Unbilled,
}

/// Computes the bill of `account`, with fees for the days before `fees_until`, and with the items of accounts that it pays for.
///
/// # Errors
/// `invoice_total_out_of_range`, `billing_data_unreadable`.
pub fn bill(account: &Account, fees_until: NaiveDate, own: &Unbilled, paid_for: &[PaidFor]) -> Result<Bill, Rejected> {
    let others = || paid_for.iter().map(|one| (&one.account, one.fees_until, &one.unbilled));
    let all = || std::iter::once((account, fees_until, own)).chain(others());
    let mut sheet = Sheet::new(account)?;
    for (account, fees_until, unbilled) in all() {
        sheet.add_items(account, fees_until, unbilled)?;
    }
    for (account, _, unbilled) in all() {
        sheet.add_credit_adjustments(account, &unbilled.adjustments)?;
    }
    sheet.add_credits(&own.credits)?;
    Ok(sheet.bill())
}

/// The date up to which a bill run of `billing_date` bills fees: the end of the account's last period that has ended by then.
pub fn fees_until(account: &Account, billing_date: NaiveDate) -> NaiveDate {
    period_on(&account.bill_cycle_history, billing_date).map_or(account.bill_cycle.period.start, |period| period.start)
}

/// Advances the account past the periods that have ended by `billing_date`; `None` if the current period is still running.
pub fn move_on(account: &Account, billing_date: NaiveDate, now: Timestamp) -> Option<Change<Account>> {
    let (period, short_period) = running_period(&account.bill_cycle_history, billing_date)?;
    (period.start > account.bill_cycle.period.start).then(|| {
        let bill_cycle = CurrentBillCycle { period, short_period, ..account.bill_cycle };
        let after = Account { version: account.version + 1, updated_at: now, bill_cycle, ..account.clone() };
        Change::updated(account.clone(), after, Vec::<&'static str>::new())
    })
}

/// Whether bill runs include the account. One with a payer is billed with that.
pub fn in_bill_runs(account: &Account) -> bool {
    Account::billable(account.status) && account.payer_id.is_none()
}

/// Checks that the account is deactivated, as a final bill requires.
///
/// # Errors
/// `account_not_deactivated`.
pub fn ensure_deactivated(account: &Account) -> Result<(), Rejected> {
    let message = "Only a deactivated account is billed on demand; bill runs bill all others.";
    account.ended_at().map(drop).ok_or_else(|| Rejected::conflict(Code::AccountNotDeactivated, message))
}

/// The date up to which fees are due if they are billed `now`: today, or the date of deactivation.
pub fn fees_until_now(account: &Account, settings: &BillingSettings, now: Timestamp) -> NaiveDate {
    settings.date_of(account.ended_at().unwrap_or(now))
}

/// Refuses a preview for a deactivated account, which no run bills. Returns the billing date of the next run: `today` if a period has ended that
/// no run has billed, else the end of the period that runs today.
///
/// # Errors
/// `account_deactivated`.
pub fn preview_date(account: &Account, today: NaiveDate) -> Result<NaiveDate, Rejected> {
    if account.status == AccountStatus::Deactivated {
        let message = "The account is deactivated, so no bill run bills it; createInvoiceOnDemand makes its final invoice.";
        return Err(Rejected::conflict(Code::AccountDeactivated, message));
    }
    Ok(if has_ended_period(account, today) { today } else { account.bill_cycle.period.end })
}

/// The account as it will be at `cutoff` if what is planned comes true, for a preview.
pub fn foreseen_account(account: Account, settings: &BillingSettings, cutoff: Timestamp) -> Account {
    let planned = account.planned_status_change.as_ref().map(|planned| planned.valid_from).filter(|at| *at < cutoff);
    let performed = planned.and_then(|at| perform_status_change(account.clone(), settings, at).ok());
    performed.map_or(account, |change| change.after)
}

/// The subscription as it will be at `cutoff` if what is planned comes true, for a preview.
pub fn foreseen_subscription(subscription: PackageSubscription, settings: &BillingSettings, cutoff: Timestamp) -> PackageSubscription {
    let planned = subscription.planned_status_change.clone().filter(|planned| planned.valid_from < cutoff);
    let performed = planned.map(|planned| {
        let unplanned = PackageSubscription { planned_status_change: None, ..subscription.clone() };
        unplanned.moved(settings, planned.status, planned.reason, planned.valid_from).after
    });
    performed.unwrap_or(subscription)
}

/// Whether a period of the account has ended by `billing_date` that no run has billed. A run that starts by itself bills no others: the periods
/// of a cycle of several months or weeks end on different billing dates for different accounts.
pub fn has_ended_period(account: &Account, billing_date: NaiveDate) -> bool {
    fees_until(account, billing_date) > account.bill_cycle.period.start
}

/// Charges that occurred before this moment are billed at `billing_date`.
pub fn cutoff(settings: &BillingSettings, billing_date: NaiveDate) -> Timestamp {
    local_moment(settings.zone(), billing_date, TimeOfDay::MIDNIGHT)
}

/// An invoice to post.
#[derive(Debug, Clone)]
pub struct Post {
    /// Object id.
    pub id: InvoiceId,
    /// Number of previous invoices of the account, including cancelled ones.
    pub earlier: i64,
    /// See [`Invoice::kind`].
    pub kind: Kind,
    /// See [`Invoice::bill_run_id`].
    pub bill_run_id: Option<BillRunId>,
    /// See [`Invoice::cutoff`].
    pub cutoff: Timestamp,
}

/// Posts `bill`; `None` if it has no lines. An invoice with nothing due is paid from the start.
pub fn post(command: &Post, account: &Account, settings: &BillingSettings, bill: &Bill, now: Timestamp) -> Option<Change<Invoice>> {
    if bill.lines.is_empty() {
        return None;
    }
    let nothing = Money::new(Decimal::ZERO, bill.total.currency);
    let issued_on = settings.date_of(now);
    let term = account.payment_term_days.unwrap_or(settings.payment_term_days);
    let due_on = issued_on.checked_add_days(Days::new(u64::from(term))).unwrap_or(issued_on);
    let after_due = due_on.succ_opt().unwrap_or(due_on);
    let invoice = Invoice {
        id: command.id,
        version: 1,
        account_id: account.id,
        number: number(account, command.earlier),
        kind: command.kind,
        paid_for_account_ids: paid_for(&bill.lines),
        bill_run_id: command.bill_run_id,
        currency: bill.total.currency,
        lines: bill.lines.clone(),
        total: bill.total,
        amount_paid: nothing,
        amount_credited: nothing,
        amount_due: bill.total,
        status: if bill.total.amount.is_zero() { Status::Paid } else { Status::Open },
        issued_on,
        due_on,
        overdue_at: local_moment(settings.zone(), after_due, TimeOfDay::MIDNIGHT),
        cutoff: command.cutoff,
        attributes: Attributes::default(),
        delivered_at: None,
        overdue_since: None,
        delivery_offsets: Vec::new(),
        due_reminders: due_reminders(settings, due_on, now),
        created_at: now,
        updated_at: now,
    };
    let paid = invoice.status == Status::Paid;
    let posted = Change::created(invoice).and("invoice.posted");
    Some(if paid { posted.and("invoice.paid") } else { posted })
}

/// The other accounts whose items the lines bill.
fn paid_for(lines: &[Line]) -> Vec<AccountId> {
    let mut accounts = Vec::new();
    for id in lines.iter().filter_map(|line| line.account_id) {
        if !accounts.contains(&id) {
            accounts.push(id);
        }
    }
    accounts
}

/// The last 12 hexadecimal digits of the account's id, random in a UUIDv7, and a counter.
fn number(account: &Account, earlier: i64) -> String {
    let id = account.id.0.simple().to_string();
    format!("{}-{:04}", id.get(20..).unwrap_or(&id), earlier + 1)
}

/// What cancelling an invoice releases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undone {
    /// The first day from which each subscription is unbilled again.
    pub fees: Vec<(PackageSubscriptionId, NaiveDate)>,
    /// The amount that becomes pending again of each adjustment.
    pub adjustments: Vec<(AdjustmentId, Decimal)>,
    /// The amount returned to each credit.
    pub credits: Vec<(CreditId, Decimal)>,
}

/// Refuses to cancel an invoice if one of the accounts whose items it bills has changed its payer since: the items would go to another one's
/// invoice.
///
/// # Errors
/// `payer_changed_since`.
pub fn ensure_payers_unchanged<'a>(invoice: &Invoice, accounts: impl IntoIterator<Item = &'a Account>) -> Result<(), Rejected> {
    let changed = |account: &&Account| account.payer_changed_at.is_some_and(|at| at >= invoice.created_at);
    let Some(account) = accounts.into_iter().find(changed) else { return Ok(()) };
    let message = format!("The payer of account {} has changed since the invoice was posted; create a credit instead.", account.id);
    Err(Rejected::conflict(Code::PayerChangedSince, message))
}

/// What cancelling an invoice with these lines releases, apart from its charges.
pub fn undo(lines: &[Line]) -> Undone {
    let mut undone = Undone::default();
    for line in lines {
        match &line.about {
            About::Charges { .. } => {}
            About::Fee { package_subscription_id, period } => match undone.fees.iter_mut().find(|(id, _)| id == package_subscription_id) {
                Some((_, from)) => *from = period.start.min(*from),
                None => undone.fees.push((*package_subscription_id, period.start)),
            },
            About::Adjustment { adjustment_id } => {
                let part = if line.exact.is_negative() { line.exact.negated() } else { line.exact };
                undone.adjustments.push((*adjustment_id, part));
            }
            About::Credit { credit_id } => undone.credits.push((*credit_id, line.exact.negated())),
        }
    }
    undone
}

#[cfg(test)]
mod over_time;
#[cfg(test)]
mod paid_for;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
