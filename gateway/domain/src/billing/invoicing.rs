//! Computes invoices: an account's unbilled items as lines with a total.
//!
//! Rules, in order of application. Charges before the cutoff form one line per type: their exact sum, rounded once. Recurring fees are
//! billed in arrears, one line per package subscription, billing period that ran at the time, and fee: `fee * days / days of the full
//! period`. A package with a period of its own has a line for each of these within a billing period, prorated against it; lines never
//! cross billing periods, so late runs give the same ones. The days are those on which account and subscription were billable; what
//! they are now does not matter. Each pending adjustment forms a line. The total never becomes negative: credit adjustments and credits
//! are used up to the remaining total, oldest first. The rest waits for the next invoice.

mod billing_periods;

use billwire_schemas::{
    clock::Timestamp,
    ids::{AdjustmentId, BillRunId, CreditId, InvoiceId, PackageSubscriptionId},
    money::{Currency, Decimal, Money},
    refusal::Code,
};
use chrono::{Days, NaiveDate};

use crate::{
    attributes::Attributes,
    billing::invoice::{About, Invoice, Kind, Line, Status, due_reminders},
    calendar::Period,
    change::Change,
    customers::{
        account::{Account, CurrentBillCycle, ensure_not_deactivated, period_on, running_period},
        billing_settings::{BillingSettings, TimeOfDay, local_moment},
        package::{FeeByDay, Package},
        package_subscription::PackageSubscription,
    },
    history::History,
    rejected::Rejected,
    usage::adjustment::{Adjustment, ChargeType},
};

pub use billing_periods::{BillingPeriod, billing_periods};

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

/// Computes the bill of `account`, with fees for the days before `fees_until`.
///
/// # Errors
/// `invoice_total_out_of_range`, `billing_data_unreadable`.
pub fn bill(account: &Account, fees_until: NaiveDate, unbilled: Unbilled) -> Result<Bill, Rejected> {
    let mut sheet = Sheet::new(account)?;
    for charges in unbilled.charges {
        let count = charges.count;
        let description =
            if count == 1 { format!("1 charge: {}", charges.charge_type) } else { format!("{count} charges: {}", charges.charge_type) };
        let exact = charges.sum.ok_or_else(|| out_of_range(&description))?;
        sheet.add(About::Charges { charge_type: charges.charge_type, count }, description, exact)?;
    }
    let first = unbilled.fees.iter().map(|item| item.from).min().unwrap_or(fees_until);
    let periods = billing_periods(&account.bill_cycle_history, Period { start: first, end: fees_until });
    let fees = unbilled.fees.iter().filter_map(|item| sheet.add_fee(item, &periods, fees_until).transpose()).collect::<Result<_, _>>()?;
    let mut adjustments = Vec::new();
    let (debits, credits): (Vec<_>, Vec<_>) = unbilled.adjustments.into_iter().partition(|one| one.charge_type == ChargeType::Debit);
    for one in debits {
        let part = one.unbilled();
        sheet.add(About::Adjustment { adjustment_id: one.id }, one.reason, part)?;
        adjustments.push((one.id, part));
    }
    for one in credits {
        let part = one.unbilled().min(sheet.total);
        if part.is_positive() {
            sheet.add(About::Adjustment { adjustment_id: one.id }, one.reason, part.negated())?;
            adjustments.push((one.id, part));
        }
    }
    let mut taken = Vec::new();
    for credit in unbilled.credits {
        let part = credit.remaining.min(sheet.total);
        if part.is_positive() {
            sheet.add(About::Credit { credit_id: credit.id }, credit.reason, part.negated())?;
            taken.push((credit.id, part));
        }
    }
    let total = Money::new(sheet.total, sheet.currency);
    Ok(Bill { lines: sheet.lines, total, fees, adjustments, credits: taken })
}

/// The bill under construction.
struct Sheet {
    currency: Currency,
    lines: Vec<Line>,
    total: Decimal,
}

impl Sheet {
    fn new(account: &Account) -> Result<Self, Rejected> {
        let currency = account.currency.parse().map_err(|no_currency| {
            let message = format!("The account's currency '{}' {no_currency}.", account.currency);
            Rejected::conflict(Code::BillingDataUnreadable, message)
        })?;
        Ok(Self { currency, lines: Vec::new(), total: Decimal::ZERO })
    }

    fn rounded(&self, exact: Decimal) -> Decimal {
        exact.rounded(self.currency.decimals())
    }

    fn add(&mut self, about: About, description: String, exact: Decimal) -> Result<(), Rejected> {
        let amount = self.rounded(exact);
        self.add_rounded(about, description, exact, amount)
    }

    fn add_rounded(&mut self, about: About, description: String, exact: Decimal, amount: Decimal) -> Result<(), Rejected> {
        self.total = self.total.plus(amount).ok_or_else(|| out_of_range(&description))?;
        self.lines.push(Line { about, description, exact, amount: Money::new(amount, self.currency) });
        Ok(())
    }

    /// Adds a line for each period with charged days of the subscription, and for each fee and own period within it. Returns the date up to which the
    /// subscription is processed, if any day was due.
    fn add_fee(
        &mut self,
        item: &FeeItem,
        periods: &[BillingPeriod],
        fees_until: NaiveDate,
    ) -> Result<Option<(PackageSubscriptionId, NaiveDate)>, Rejected> {
        let until = item.until.unwrap_or(fees_until).min(fees_until);
        if until <= item.from {
            return Ok(None);
        }
        for billing_period in periods {
            let Some(due) = billing_period.period.within(Period { start: item.from, end: until }) else { continue };
            let parts = item.fees.within(due).flat_map(|(days, entry)| {
                let parts = billing_period.prorated(days, entry.value.recurring_period, item.start);
                parts.into_iter().map(|part| (part, entry.value.recurring_fee.amount))
            });
            for (BillingPeriod { period, full_days: full }, fee) in parts {
                let days = item.billable_days(period);
                if days == 0 || !fee.is_positive() {
                    continue;
                }
                let exact = fee.times(days, full).ok_or_else(|| out_of_range(&item.package))?;
                let amount = fee.part(days, full, self.currency.decimals()).ok_or_else(|| out_of_range(&item.package))?;
                let last = period.end.pred_opt().unwrap_or(period.end);
                let some = if days < period.days() { format!(" ({days} of {} days)", period.days()) } else { String::new() };
                let description = format!("{}, {} to {last}{some}", item.package, period.start);
                self.add_rounded(About::Fee { package_subscription_id: item.id, period }, description, exact, amount)?;
            }
        }
        Ok(Some((item.id, until)))
    }
}

/// The refusal of a sum that exceeds the largest amount at this item.
fn out_of_range(item: &str) -> Rejected {
    let message =
        format!("The sum of the unbilled items exceeds the largest amount, so one invoice cannot bill them. Exceeded at: {item}.");
    Rejected::conflict(Code::InvoiceTotalOutOfRange, message)
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

/// Whether bill runs include the account.
pub fn in_bill_runs(account: &Account) -> bool {
    Account::billable(account.status)
}

/// Checks that the account is deactivated, as a final bill requires. Returns the date up to which fees are due: the date of deactivation.
///
/// # Errors
/// `account_not_deactivated`.
pub fn final_fees_until(account: &Account, settings: &BillingSettings) -> Result<NaiveDate, Rejected> {
    let message = "Only a deactivated account is billed on demand; bill runs bill all others.";
    let ended_at = account.ended_at().ok_or_else(|| Rejected::conflict(Code::AccountNotDeactivated, message))?;
    Ok(settings.date_of(ended_at))
}

/// Refuses a preview for a deactivated account, which no run bills. Returns the billing date: the end of the current period.
///
/// # Errors
/// `account_deactivated`.
pub fn preview_date(account: &Account) -> Result<NaiveDate, Rejected> {
    ensure_not_deactivated(account)?;
    Ok(account.bill_cycle.period.end)
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
mod properties;
#[cfg(test)]
mod tests;
