//! The bill under construction: lines, their sum, and what they bill.

use billwire_schemas::{
    ids::{AdjustmentId, CreditId, PackageSubscriptionId},
    money::{Currency, Decimal, Money},
    refusal::Code,
};
use chrono::NaiveDate;

use super::{Bill, BillingPeriod, ChargeSum, CreditItem, FeeItem, Unbilled, billing_periods};
use crate::{
    billing::invoice::{About, Line},
    calendar::Period,
    customers::account::Account,
    rejected::Rejected,
    usage::adjustment::{Adjustment, ChargeType},
};

pub(super) struct Sheet<'a> {
    debtor: &'a Account,
    /// Whose items the next lines bill.
    of: &'a Account,
    currency: Currency,
    lines: Vec<Line>,
    total: Decimal,
    fees: Vec<(PackageSubscriptionId, NaiveDate)>,
    adjustments: Vec<(AdjustmentId, Decimal)>,
    credits: Vec<(CreditId, Decimal)>,
}

impl<'a> Sheet<'a> {
    /// An empty sheet of what `debtor` owes.
    ///
    /// # Errors
    /// `billing_data_unreadable`.
    pub fn new(debtor: &'a Account) -> Result<Self, Rejected> {
        let currency = debtor.currency.parse().map_err(|no_currency| {
            let message = format!("The account's currency '{}' {no_currency}.", debtor.currency);
            Rejected::conflict(Code::BillingDataUnreadable, message)
        })?;
        let (lines, total) = (Vec::new(), Decimal::ZERO);
        Ok(Self { debtor, of: debtor, currency, lines, total, fees: Vec::new(), adjustments: Vec::new(), credits: Vec::new() })
    }

    /// The finished bill.
    pub fn bill(self) -> Bill {
        let total = Money::new(self.total, self.currency);
        Bill { lines: self.lines, total, fees: self.fees, adjustments: self.adjustments, credits: self.credits }
    }

    /// Adds the charges, the fees of the days before `fees_until` and the debit adjustments of an account.
    ///
    /// # Errors
    /// `invoice_total_out_of_range`.
    pub fn add_items(&mut self, account: &'a Account, fees_until: NaiveDate, unbilled: &Unbilled) -> Result<(), Rejected> {
        self.of = account;
        for charges in &unbilled.charges {
            self.add_charges(charges)?;
        }
        let first = unbilled.fees.iter().map(|item| item.from).min().unwrap_or(fees_until);
        let periods = billing_periods(&account.bill_cycle_history, Period { start: first, end: fees_until });
        for item in &unbilled.fees {
            self.add_fee(item, &periods, fees_until)?;
        }
        for one in unbilled.adjustments.iter().filter(|one| one.charge_type == ChargeType::Debit) {
            let part = one.unbilled();
            self.add(About::Adjustment { adjustment_id: one.id }, one.reason.clone(), part)?;
            self.adjustments.push((one.id, part));
        }
        Ok(())
    }

    /// Adds the credit adjustments of an account, oldest first, as far as the total stays at zero or above.
    ///
    /// # Errors
    /// `invoice_total_out_of_range`.
    pub fn add_credit_adjustments(&mut self, account: &'a Account, adjustments: &[Adjustment]) -> Result<(), Rejected> {
        self.of = account;
        for one in adjustments.iter().filter(|one| one.charge_type == ChargeType::Credit) {
            let part = one.unbilled().min(self.total);
            if part.is_positive() {
                self.add(About::Adjustment { adjustment_id: one.id }, one.reason.clone(), part.negated())?;
                self.adjustments.push((one.id, part));
            }
        }
        Ok(())
    }

    /// Adds the debtor's credits in the same way.
    ///
    /// # Errors
    /// `invoice_total_out_of_range`.
    pub fn add_credits(&mut self, credits: &[CreditItem]) -> Result<(), Rejected> {
        self.of = self.debtor;
        for credit in credits {
            let part = credit.remaining.min(self.total);
            if part.is_positive() {
                self.add(About::Credit { credit_id: credit.id }, credit.reason.clone(), part.negated())?;
                self.credits.push((credit.id, part));
            }
        }
        Ok(())
    }

    fn add_charges(&mut self, charges: &ChargeSum) -> Result<(), Rejected> {
        let ChargeSum { charge_type, count, sum } = charges;
        let description = if *count == 1 { format!("1 charge: {charge_type}") } else { format!("{count} charges: {charge_type}") };
        let exact = sum.ok_or_else(|| out_of_range(&description))?;
        self.add(About::Charges { charge_type: charge_type.clone(), count: *count }, description, exact)
    }

    fn add(&mut self, about: About, description: String, exact: Decimal) -> Result<(), Rejected> {
        self.add_rounded(about, description, exact, exact.rounded(self.currency.decimals()))
    }

    fn add_rounded(&mut self, about: About, description: String, exact: Decimal, amount: Decimal) -> Result<(), Rejected> {
        self.total = self.total.plus(amount).ok_or_else(|| out_of_range(&description))?;
        let account_id = (self.of.id != self.debtor.id).then_some(self.of.id);
        self.lines.push(Line { about, account_id, description, exact, amount: Money::new(amount, self.currency) });
        Ok(())
    }

    /// Adds a line for each period with charged days of the subscription, and for each fee and own period within it. The subscription is
    /// processed up to the day before `fees_until`, charged or not.
    fn add_fee(&mut self, item: &FeeItem, periods: &[BillingPeriod], fees_until: NaiveDate) -> Result<(), Rejected> {
        let until = item.until.unwrap_or(fees_until).min(fees_until);
        if until <= item.from {
            return Ok(());
        }
        for billing_period in periods {
            let Some(due) = billing_period.period.within(Period { start: item.from, end: until }) else { continue };
            let parts = item.fees.within(due).flat_map(|(days, entry)| {
                let parts = billing_period.prorated(days, entry.value.recurring_period, item.start);
                let fee_from = if item.fees.begins() == Some(entry.from) { item.start } else { entry.from.max(item.start) };
                parts.into_iter().map(move |part| (part, entry.value.recurring_fee.amount, part.begins.max(fee_from)))
            });
            for (BillingPeriod { period, full_days: full, .. }, fee, begins) in parts {
                let days = item.billable_days(period);
                if days == 0 || !fee.is_positive() {
                    continue;
                }
                let exact = fee.times(days, full).ok_or_else(|| out_of_range(&item.package))?;
                // What was billed of the period before is taken off the rounded whole, so that the lines of a full period add up to its fee.
                let before = if begins < period.start { item.billable_days(Period { start: begins, end: period.start }) } else { 0 };
                let up_to = |days| fee.part(days, full, self.currency.decimals());
                let amount = up_to(before + days).zip(up_to(before)).and_then(|(all, before)| all.minus(before));
                let amount = amount.ok_or_else(|| out_of_range(&item.package))?;
                let last = period.end.pred_opt().unwrap_or(period.end);
                let some = if days < period.days() { format!(" ({days} of {} days)", period.days()) } else { String::new() };
                let description = format!("{}, {} to {last}{some}", item.package, period.start);
                self.add_rounded(About::Fee { package_subscription_id: item.id, period }, description, exact, amount)?;
            }
        }
        self.fees.push((item.id, until));
        Ok(())
    }
}

/// The refusal of a sum that exceeds the largest amount at this item.
fn out_of_range(item: &str) -> Rejected {
    let message =
        format!("The sum of the unbilled items exceeds the largest amount, so one invoice cannot bill them. Exceeded at: {item}.");
    Rejected::conflict(Code::InvoiceTotalOutOfRange, message)
}
