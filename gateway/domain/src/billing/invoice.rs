//! Invoices: what an account owes for a period, and what becomes of that.
//!
//! How the lines come about is the subject of [`crate::billing::invoicing`]; here is what happens to an invoice once it is posted.

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
    calendar::Period,
    change::{Change, Entity, Lifecycle, entity_members},
    customers::billing_settings::{BillingSettings, local_moment},
    rejected::Rejected,
};

/// Why an invoice was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// By a bill run of the account's cycle.
    Cycle,
    /// On demand: the final bill of a deactivated account.
    OnDemand,
}

/// Where an invoice stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// Something is due.
    Open,
    /// Nothing is due any more.
    Paid,
    /// Taken back; what it billed is billed again.
    Cancelled,
}

impl Status {
    /// The name used on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a line is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum About {
    /// All charges of one type.
    Charges {
        /// Their type.
        charge_type: String,
        /// How many.
        count: i64,
    },
    /// The recurring fee of a package subscription for a period, or a part of one.
    Fee {
        /// Which subscription.
        package_subscription_id: PackageSubscriptionId,
        /// The days it is for.
        period: Period,
    },
    /// An adjustment of a charge that was on an earlier invoice.
    Adjustment {
        /// Which.
        adjustment_id: AdjustmentId,
    },
    /// A credit of the account.
    Credit {
        /// Which.
        credit_id: CreditId,
    },
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// What it is about.
    #[serde(flatten)]
    pub about: About,
    /// For people.
    pub description: String,
    /// The sum before rounding, in the invoice's currency.
    pub exact: Decimal,
    /// What is billed: the sum rounded to the currency's minor unit, halves to even. Negative for what is given back.
    pub amount: Money,
}

/// Most bytes of JSON that the lines may take where an invoice is told of. An event carries the state before and after; with both it
/// stays far below what a stream takes by default.
pub const LINES_TOLD_MAX: usize = 64 * 1024;

/// The operation that gives the lines of an invoice that is told of without them.
pub const LINES_OPERATION: &str = "getInvoiceLines";

/// A moment a number of days after delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryOffset {
    /// Days after the delivery's date in the tenant's time zone.
    pub days: u32,
    /// Time of day there, `HH:MM`.
    pub time: String,
    /// The moment that is.
    pub at: Timestamp,
    /// When the clock told of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reached_at: Option<Timestamp>,
}

/// An invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Invoice {
    /// Its id.
    pub id: InvoiceId,
    /// Its version, from 1.
    pub version: i64,
    /// Whose it is.
    pub account_id: AccountId,
    /// Its number: unique, counted per account.
    pub number: String,
    /// Why it was made.
    pub kind: Kind,
    /// The bill run that made it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bill_run_id: Option<BillRunId>,
    /// ISO 4217.
    pub currency: Currency,
    /// Its lines, never none; absent where it is told of without them ([`LINES_TOLD_MAX`]).
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub lines: Vec<Line>,
    /// The sum of the lines' amounts; never negative.
    pub total: Money,
    /// What payments have covered.
    pub amount_paid: Money,
    /// What credits made after posting have covered.
    pub amount_credited: Money,
    /// Total less paid less credited.
    pub amount_due: Money,
    /// Where it stands.
    pub status: Status,
    /// The date it was posted, in the tenant's time zone.
    pub issued_on: NaiveDate,
    /// The last day to pay, in the tenant's time zone.
    pub due_on: NaiveDate,
    /// When it becomes overdue unless it is paid: the end of that day.
    pub overdue_at: Timestamp,
    /// It bills charges that occurred before this moment.
    pub cutoff: Timestamp,
    /// When it was delivered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub delivered_at: Option<Timestamp>,
    /// Since when it is overdue.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub overdue_since: Option<Timestamp>,
    /// What is to be told a number of days after delivery; fixed at delivery, in order of the moments.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub delivery_offsets: Vec<DeliveryOffset>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Entity for Invoice {
    const TYPE: &'static str = "invoice";
    const EVENT_OBJECT: Option<&'static str> = Some("invoice");

    entity_members!(updated_at, status, account_id);
    /// Its number addresses it as well as its id does.
    fn external_id(&self) -> Option<&str> {
        Some(&self.number)
    }
    /// The clock looks at open invoices only: nothing is told of one that was paid or cancelled.
    fn due_at(&self) -> Option<Timestamp> {
        if self.status != Status::Open {
            return None;
        }
        let overdue = self.overdue_since.is_none().then_some(self.overdue_at);
        let offsets = self.delivery_offsets.iter().filter(|offset| offset.reached_at.is_none()).map(|offset| offset.at);
        overdue.into_iter().chain(offsets).min()
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
        parameters
    }
    /// With its lines, as long as they take up to [`LINES_TOLD_MAX`]; else with their number, and the name of the operation that
    /// gives them.
    fn to_json(&self) -> serde_json::Result<Box<RawValue>> {
        let whole = to_raw_value(self)?;
        // The lines are a part of it, so only a long one need be looked at closely.
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

/// An invoice as it is told of when its lines are too many.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WithoutLines<'i> {
    #[serde(flatten)]
    invoice: &'i Invoice,
    line_count: usize,
    lines_operation: &'static str,
}

/// Decides `deliverInvoice`: fixes the moments of the tenant's delivery offsets.
///
/// # Errors
/// `invoice_not_open` for a cancelled one, `invoice_already_delivered`.
pub fn deliver(invoice: Invoice, settings: &BillingSettings, now: Timestamp) -> Result<Change<Invoice>, Rejected> {
    if invoice.status == Status::Cancelled {
        return Err(not_open(&invoice));
    }
    if invoice.delivered_at.is_some() {
        return Err(Rejected::conflict(Code::InvoiceAlreadyDelivered, "The invoice has been delivered already."));
    }
    let mut after = invoice.next_version(now);
    after.delivered_at = Some(now);
    let date = settings.date_of(now);
    let offsets = settings.delivery_offsets.iter().filter_map(|offset| {
        let at = local_moment(settings.zone(), date.checked_add_days(Days::new(u64::from(offset.days)))?, offset.time);
        // One of the day of delivery may have passed already; it is told of at once.
        Some(DeliveryOffset { days: offset.days, time: offset.time.to_string(), at, reached_at: None })
    });
    after.delivery_offsets = offsets.collect();
    after.delivery_offsets.sort_by_key(|offset| offset.at);
    Ok(Change::updated(invoice, after, vec!["invoice.delivered"]))
}

/// What the clock does with an invoice: all that is due by `now`, in the order it fell due. `None` when nothing is, so that a
/// second clock, a restart or a clock that jumps tells nothing twice.
pub fn due(invoice: Invoice, now: Timestamp) -> Option<Change<Invoice>> {
    let mut after = invoice.next_version(now);
    let mut to_json: Vec<Lifecycle> = Vec::new();
    while let Some(at) = after.due_at().filter(|at| *at <= now) {
        let reached = after.delivery_offsets.iter_mut().find(|offset| offset.reached_at.is_none() && offset.at == at);
        match reached {
            Some(offset) => {
                offset.reached_at = Some(now);
                let parameters = Parameters::from([
                    ("invoice.offsetDays".to_owned(), offset.days.into()),
                    ("invoice.offsetTime".to_owned(), offset.time.clone().into()),
                ]);
                to_json.push(Lifecycle { kind: "invoice.delivery_offset_reached", parameters });
            }
            None => {
                after.overdue_since = Some(after.overdue_at);
                to_json.push("invoice.overdue".into());
            }
        }
    }
    (!to_json.is_empty()).then(|| Change::updated(invoice, after, to_json))
}

/// An open invoice with `amount` of what is due covered by a payment.
///
/// # Errors
/// `invoice_not_open`, `amount_out_of_range` when more is paid than is due.
pub fn pay(invoice: Invoice, amount: Decimal, now: Timestamp) -> Result<Change<Invoice>, Rejected> {
    covered(invoice, amount, now, |after| &mut after.amount_paid)
}

/// An open invoice with `amount` of what is due covered by a credit.
///
/// # Errors
/// `invoice_not_open`, `amount_out_of_range` when more is credited than is due.
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
        let message = format!("Only {} is due on invoice {}.", invoice.amount_due, invoice.number);
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

/// Decides `cancelInvoice`; `latest` tells whether it is the account's latest that is not cancelled.
///
/// # Errors
/// `invoice_not_open`, `invoice_has_payments`, `later_invoice_exists`.
pub fn cancel(invoice: Invoice, latest: bool, now: Timestamp) -> Result<Change<Invoice>, Rejected> {
    if !invoice.amount_paid.amount.is_zero() || !invoice.amount_credited.amount.is_zero() {
        let message = "Something was paid or credited on the invoice; give a credit instead of cancelling it.";
        return Err(Rejected::conflict(Code::InvoiceHasPayments, message));
    }
    // A total of nothing is paid from the start, and can be taken back all the same.
    if invoice.status == Status::Cancelled {
        return Err(not_open(&invoice));
    }
    if !latest {
        let message = "The account has a later invoice; only the latest can be cancelled, since periods are billed in order.";
        return Err(Rejected::conflict(Code::LaterInvoiceExists, message));
    }
    let mut after = invoice.next_version(now);
    after.status = Status::Cancelled;
    after.amount_due.amount = Decimal::ZERO;
    Ok(Change::updated(invoice, after, vec!["invoice.cancelled"]))
}

fn not_open(invoice: &Invoice) -> Rejected {
    Rejected::conflict(Code::InvoiceNotOpen, format!("Invoice {} is {}.", invoice.number, invoice.status.name()))
}

#[cfg(test)]
pub(crate) mod tests;
