//! Invoices: what an account owes for a period, and its settlement.
//!
//! This module covers posted invoices. [`crate::billing::invoicing`] computes their lines.

use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{AccountId, AdjustmentId, BillRunId, CreditId, InvoiceId, PackageSubscriptionId},
    money::{Currency, Decimal, Money},
    refusal::Code,
};
use chrono::{Days, NaiveDate, SecondsFormat};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    attributes::{Attributes, Changes},
    billing::balance::Balance,
    calendar::Period,
    change::{Change, Entity, entity_members},
    customers::billing_settings::{BillingSettings, local_moment},
    rejected::Rejected,
};

mod reminders;

pub(crate) use reminders::due_reminders;
pub use reminders::{DeliveryOffset, DueReminder, due};

/// What triggered an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A bill run of the account's cycle.
    Cycle,
    /// A request: the final bill of a deactivated account.
    OnDemand,
    /// A change of an account's payer: what was owed until then, of that account alone.
    PayerChange,
}

/// Status of an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// An amount is due.
    Open,
    /// Nothing is due.
    Paid,
    /// Cancelled; its items are billed again.
    Cancelled,
}

impl Status {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Subject of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum About {
    /// All charges of one type.
    Charges {
        /// Type of the charges.
        charge_type: String,
        /// Number of charges.
        count: i64,
    },
    /// The recurring fee of a package subscription for all or part of a period.
    Fee {
        /// The subscription.
        package_subscription_id: PackageSubscriptionId,
        /// The billed days.
        period: Period,
    },
    /// An adjustment of a charge on an earlier invoice.
    Adjustment {
        /// The adjustment.
        adjustment_id: AdjustmentId,
    },
    /// A credit of the account.
    Credit {
        /// The credit.
        credit_id: CreditId,
    },
}

/// An invoice line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Subject of the line.
    #[serde(flatten)]
    pub about: About,
    /// The account whose items the line bills, if the invoice's account pays for it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub account_id: Option<AccountId>,
    /// Human-readable text.
    pub description: String,
    /// The sum before rounding, in the invoice's currency.
    pub exact: Decimal,
    /// The billed amount: `exact` rounded to the currency's minor unit, half to even. Negative for credits.
    pub amount: Money,
}

/// Maximum size, in bytes of JSON, of the lines in an event or business transaction. An event carries the state before and after;
/// with both it stays far below NATS's default maximum message size.
pub const LINES_TOLD_MAX: usize = 64 * 1024;

/// The operation that returns the lines of an invoice whose events omit them.
pub const LINES_OPERATION: &str = "getInvoiceLines";

/// An invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Invoice {
    /// Object id.
    pub id: InvoiceId,
    /// Object version, starting at 1.
    pub version: i64,
    /// The owning account.
    pub account_id: AccountId,
    /// Invoice number, unique within the tenant; counts the account's invoices.
    pub number: String,
    /// What triggered the invoice.
    pub kind: Kind,
    /// The other accounts whose items the lines bill, each once; the invoice's account pays for them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub paid_for_account_ids: Vec<AccountId>,
    /// The bill run that posted the invoice.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bill_run_id: Option<BillRunId>,
    /// ISO 4217 currency code.
    pub currency: Currency,
    /// Lines, at least one; omitted from events if too large ([`LINES_TOLD_MAX`]).
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub lines: Vec<Line>,
    /// The sum of the lines' amounts; never negative.
    pub total: Money,
    /// Amount covered by payments.
    pub amount_paid: Money,
    /// Amount covered by credits created after posting.
    pub amount_credited: Money,
    /// Total minus paid minus credited.
    pub amount_due: Money,
    /// Current status.
    pub status: Status,
    /// Posting date in the tenant's time zone.
    pub issued_on: NaiveDate,
    /// Last day for payment, in the tenant's time zone.
    pub due_on: NaiveDate,
    /// When the unpaid invoice becomes overdue: the end of `due_on`.
    pub overdue_at: Timestamp,
    /// The invoice bills charges that occurred before this moment.
    pub cutoff: Timestamp,
    /// Custom attributes.
    #[serde(skip_serializing_if = "Attributes::is_empty", default)]
    pub attributes: Attributes,
    /// When the invoice was delivered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub delivered_at: Option<Timestamp>,
    /// When the invoice became overdue.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub overdue_since: Option<Timestamp>,
    /// The delivery offsets to report, fixed at delivery, in order of time.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub delivery_offsets: Vec<DeliveryOffset>,
    /// When `invoice.due_soon` is published; fixed at posting.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub due_reminders: Vec<DueReminder>,
    /// Creation time.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

impl Entity for Invoice {
    const TYPE: &'static str = "invoice";
    const EVENT_OBJECT: Option<&'static str> = Some("invoice");

    entity_members!(updated_at, status, account_id, attributes);
    /// The number addresses the invoice as an external id does.
    fn external_id(&self) -> Option<&str> {
        Some(&self.number)
    }
    /// Only open invoices are due: the clock publishes nothing about paid or cancelled ones.
    fn due_at(&self) -> Option<Timestamp> {
        if self.status != Status::Open {
            return None;
        }
        let overdue = self.overdue_since.is_none().then_some(self.overdue_at);
        let offsets = self.delivery_offsets.iter().filter(|offset| offset.reached_at.is_none()).map(|offset| offset.at);
        let reminders = self.due_reminders.iter().filter(|reminder| reminder.reached_at.is_none()).map(|reminder| reminder.at);
        overdue.into_iter().chain(offsets).chain(reminders).min()
    }
    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::from([
            ("invoice.id".to_owned(), self.id.to_string().into()),
            ("invoice.number".to_owned(), self.number.clone().into()),
            ("invoice.status".to_owned(), self.status.name().into()),
            ("invoice.total".to_owned(), self.total.amount_text().into()),
            ("invoice.amountPaid".to_owned(), self.amount_paid.amount_text().into()),
            ("invoice.amountDue".to_owned(), self.amount_due.amount_text().into()),
            ("invoice.currency".to_owned(), self.currency.as_str().into()),
            ("invoice.issuedOn".to_owned(), self.issued_on.to_string().into()),
            ("invoice.dueOn".to_owned(), self.due_on.to_string().into()),
        ]);
        let moments = [("invoice.deliveredAt", self.delivered_at), ("invoice.overdueSince", self.overdue_since)];
        for (name, moment) in moments {
            if let Some(moment) = moment {
                parameters.insert(name.to_owned(), moment.to_rfc3339_opts(SecondsFormat::AutoSi, true).into());
            }
        }
        self.attributes.offer("invoice.attributes", &mut parameters);
        parameters
    }
    fn balance(&self) -> Option<(Balance, Currency)> {
        let due = if self.status == Status::Open { i128::from(self.amount_due.amount.millionths()) } else { 0 };
        let overdue = if self.overdue_since.is_some() { due } else { 0 };
        Some((Balance { due, overdue, ..Balance::default() }, self.currency))
    }
    /// Includes the lines if they take at most [`LINES_TOLD_MAX`]; otherwise their number and the operation that returns them.
    fn to_json(&self) -> serde_json::Result<Box<RawValue>> {
        let whole = to_raw_value(self)?;
        // The lines are part of the whole, so a short whole needs no second serialization.
        if whole.get().len() <= LINES_TOLD_MAX || to_raw_value(&self.lines)?.get().len() <= LINES_TOLD_MAX {
            return Ok(whole);
        }
        to_raw_value(&WithoutLines {
            invoice: &Self { lines: Vec::new(), ..self.clone() },
            line_count: self.lines.len(),
            lines_operation: LINES_OPERATION,
        })
    }
}

/// An invoice in events when its lines are too large.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WithoutLines<'i> {
    #[serde(flatten)]
    invoice: &'i Invoice,
    line_count: usize,
    lines_operation: &'static str,
}

impl Invoice {
    /// The accounts whose charges before the cutoff the invoice bills.
    pub fn billed_accounts(&self) -> impl Iterator<Item = AccountId> {
        let others_alone = self.kind == Kind::PayerChange && !self.paid_for_account_ids.is_empty();
        (!others_alone).then_some(self.account_id).into_iter().chain(self.paid_for_account_ids.iter().copied())
    }
}

/// Decides `updateInvoice`: attributes can be changed whatever the invoice's status.
///
/// # Errors
/// The bounds of [`Attributes`].
pub fn update(invoice: Invoice, attributes: &Changes, now: Timestamp) -> Result<Change<Invoice>, Rejected> {
    let mut after = invoice.next_version(now);
    after.attributes = invoice.attributes.changed(attributes)?;
    Ok(Change::updated(invoice, after, Vec::<&'static str>::new()))
}

/// Decides `deliverInvoice`; sets the moments of the tenant's delivery offsets.
///
/// # Errors
/// `invoice_not_open` for a cancelled invoice, `invoice_already_delivered`.
pub fn deliver(invoice: Invoice, settings: &BillingSettings, now: Timestamp) -> Result<Change<Invoice>, Rejected> {
    if invoice.status == Status::Cancelled {
        return Err(not_open(&invoice));
    }
    if invoice.delivered_at.is_some() {
        return Err(Rejected::conflict(Code::InvoiceAlreadyDelivered, "The invoice has already been delivered."));
    }
    let mut after = invoice.next_version(now);
    after.delivered_at = Some(now);
    let date = settings.date_of(now);
    let offsets = settings.delivery_offsets.iter().filter_map(|offset| {
        let at = local_moment(settings.zone(), date.checked_add_days(Days::new(u64::from(offset.days)))?, offset.time);
        // An offset of 0 days may already have passed; its event is published at once.
        Some(DeliveryOffset { days: offset.days, time: offset.time.to_string(), at, reached_at: None })
    });
    after.delivery_offsets = offsets.collect();
    after.delivery_offsets.sort_by_key(|offset| offset.at);
    Ok(Change::updated(invoice, after, vec!["invoice.delivered"]))
}

/// Applies a payment of `amount` to an open invoice.
///
/// # Errors
/// `invoice_not_open`; `amount_out_of_range` if `amount` exceeds the amount due.
pub fn pay(invoice: Invoice, amount: Decimal, now: Timestamp) -> Result<Change<Invoice>, Rejected> {
    covered(invoice, amount, now, |after| &mut after.amount_paid)
}

/// Takes back a payment of `amount`: so much is due again, and an invoice that was paid is open again. A cancelled one stays cancelled.
pub fn reopen(invoice: Invoice, amount: Decimal, now: Timestamp) -> Change<Invoice> {
    let mut after = invoice.next_version(now);
    let part = amount.min(invoice.amount_paid.amount);
    after.amount_paid.amount = invoice.amount_paid.amount.minus(part).unwrap_or(Decimal::ZERO);
    after.amount_due.amount = invoice.amount_due.amount.plus(part).unwrap_or(invoice.total.amount);
    let mut lifecycle = Vec::new();
    if invoice.status == Status::Paid && after.amount_due.amount.is_positive() {
        after.status = Status::Open;
        lifecycle.push("invoice.reopened");
    }
    Change::updated(invoice, after, lifecycle)
}

/// Applies a credit of `amount` to an open invoice.
///
/// # Errors
/// `invoice_not_open`; `amount_out_of_range` if `amount` exceeds the amount due.
pub fn credit(invoice: Invoice, amount: Decimal, now: Timestamp) -> Result<Change<Invoice>, Rejected> {
    covered(invoice, amount, now, |after| &mut after.amount_credited)
}

fn covered(
    invoice: Invoice,
    amount: Decimal,
    now: Timestamp,
    by: impl FnOnce(&mut Invoice) -> &mut Money,
) -> Result<Change<Invoice>, Rejected> {
    if invoice.status != Status::Open {
        return Err(not_open(&invoice));
    }
    let mut after = invoice.next_version(now);
    let sum = by(&mut after);
    let (Some(covered), Some(due)) = (sum.amount.plus(amount), invoice.amount_due.amount.minus(amount).filter(|due| !due.is_negative()))
    else {
        let message = format!("The amount must not exceed {}, the amount due on invoice {}.", invoice.amount_due, invoice.number);
        return Err(Rejected::violation("/amount", Code::AmountOutOfRange, message));
    };
    sum.amount = covered;
    after.amount_due.amount = due;
    let mut to_json = Vec::new();
    if due.is_zero() {
        after.status = Status::Paid;
        to_json.push("invoice.paid");
    }
    Ok(Change::updated(invoice, after, to_json))
}

/// Decides `cancelInvoice`; `latest` is true for the account's latest invoice that is not cancelled.
///
/// # Errors
/// `invoice_not_open`, `invoice_has_payments`, `later_invoice_exists`.
pub fn cancel(invoice: Invoice, latest: bool, now: Timestamp) -> Result<Change<Invoice>, Rejected> {
    if !invoice.amount_paid.amount.is_zero() || !invoice.amount_credited.amount.is_zero() {
        let message = "The invoice has payments or credits and cannot be cancelled; create a credit instead.";
        return Err(Rejected::conflict(Code::InvoiceHasPayments, message));
    }
    // An invoice with a total of zero is paid from the start and can still be cancelled.
    if invoice.status == Status::Cancelled {
        return Err(not_open(&invoice));
    }
    if !latest {
        let message = "The account has a later invoice; cancel that one first, because periods are billed in order.";
        return Err(Rejected::conflict(Code::LaterInvoiceExists, message));
    }
    let mut after = invoice.next_version(now);
    after.status = Status::Cancelled;
    after.amount_due.amount = Decimal::ZERO;
    Ok(Change::updated(invoice, after, vec!["invoice.cancelled"]))
}

fn not_open(invoice: &Invoice) -> Rejected {
    Rejected::conflict(Code::InvoiceNotOpen, format!("Invoice {} is {}, not open.", invoice.number, invoice.status.name()))
}

#[cfg(test)]
pub(crate) mod tests;
