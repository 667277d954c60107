//! Payments: received and failed payments, and the invoices they pay.

use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{AccountId, InvoiceId, PaymentId},
    money::{Currency, Decimal, Money},
    refusal::Code,
};
use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};

use crate::{
    amounts::validate_amount,
    billing::{
        balance::Balance,
        invoice::{self, Invoice},
    },
    change::{Change, Entity, Lifecycle, entity_members},
    customers::account::Account,
    rejected::{Rejected, Violation},
    time_bounds::reported,
};

/// Status of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// The money was received.
    Processed,
    /// The payment failed.
    Failed,
    /// The money was received and lost again: the payment bounced or was charged back.
    Cancelled,
}

impl Status {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Processed => "processed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Why a payment failed, as the payment processor reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessingError {
    /// Error code of the payment processor.
    pub code: String,
    /// Human-readable text.
    pub message: String,
}

/// The part of a payment that pays an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Allocation {
    /// The invoice.
    pub invoice_id: InvoiceId,
    /// The amount.
    pub amount: Money,
}

/// A payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// Object id.
    pub id: PaymentId,
    /// Object version, starting at 1.
    pub version: i64,
    /// The object's id in the external system.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub external_id: Option<String>,
    /// The paying account.
    pub account_id: AccountId,
    /// Payment method, such as `card` or `transfer`; free text.
    pub method: String,
    /// The amount.
    pub amount: Money,
    /// Current status.
    pub status: Status,
    /// The error of a failed payment.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<ProcessingError>,
    /// Why the payment was cancelled.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cancel_reason: Option<String>,
    /// The invoices paid.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub allocations: Vec<Allocation>,
    /// Amount not allocated to an invoice.
    pub unallocated: Money,
    /// Amount refunded.
    pub refunded: Money,
    /// When the payment was received.
    pub received_at: Timestamp,
    /// When the payment was recorded.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// `recordPayment`.
#[derive(Debug, Clone)]
pub struct Create {
    /// The new payment's id.
    pub id: PaymentId,
    /// See [`Payment::external_id`].
    pub external_id: Option<String>,
    /// See [`Payment::method`].
    pub method: String,
    /// See [`Payment::amount`].
    pub amount: Money,
    /// See [`Payment::status`].
    pub status: Status,
    /// See [`Payment::error`].
    pub error: Option<ProcessingError>,
    /// See [`Payment::received_at`]; absent: now.
    pub received_at: Option<Timestamp>,
}

/// Decides `recordPayment`. `invoices` are paid in order: those `named` in the request, which must all be open, or else the account's
/// open ones, oldest first. The rest stays unallocated. Deactivated accounts can pay.
///
/// # Errors
/// The rules of [`validate_amount`]; `payment_error_required`, `payment_error_not_allowed`, `time_out_of_range`,
/// `invoice_of_other_account`, `invoice_not_open`.
pub fn record(
    command: Create,
    account: &Account,
    invoices: Vec<Invoice>,
    named: bool,
    now: Timestamp,
) -> Result<(Change<Payment>, Vec<Change<Invoice>>), Rejected> {
    let mut broken = Vec::new();
    validate_amount("/amount", &command.amount, &account.currency, &mut broken);
    broken.extend(command.received_at.and_then(|at| reported("/receivedAt", at, now, Code::TimeOutOfRange)));
    match (command.status, &command.error) {
        (Status::Failed, None) => {
            broken.push(Violation::new("/error", Code::PaymentErrorRequired, "A failed payment needs an error."));
        }
        (Status::Processed, Some(_)) => {
            broken.push(Violation::new("/error", Code::PaymentErrorNotAllowed, "A processed payment must not have an error."));
        }
        _ => {}
    }
    if named {
        broken.extend(foreign(&invoices, account.id));
    }
    if let Some(rejected) = Rejected::from_violations(broken) {
        return Err(rejected);
    }
    let (mut allocations, mut paid, mut left) = (Vec::new(), Vec::new(), Decimal::ZERO);
    if command.status == Status::Processed {
        (paid, left) = pay(&mut allocations, command.amount, invoices, named, now)?;
    }
    let to_json = match &command.error {
        None => Lifecycle::from("payment.processed"),
        Some(error) => {
            let parameters = Parameters::from([
                ("paymentError.code".to_owned(), error.code.clone().into()),
                ("paymentError.message".to_owned(), error.message.clone().into()),
            ]);
            Lifecycle { kind: "payment.failed", parameters }
        }
    };
    let money = |amount| Money::new(amount, command.amount.currency);
    let change = Change::created(Payment {
        id: command.id,
        version: 1,
        external_id: command.external_id,
        account_id: account.id,
        method: command.method,
        amount: command.amount,
        status: command.status,
        error: command.error,
        cancel_reason: None,
        allocations,
        unallocated: money(left),
        refunded: money(Decimal::ZERO),
        received_at: command.received_at.unwrap_or(now),
        created_at: now,
        updated_at: now,
    });
    Ok((change.and(to_json), paid))
}

/// Pays invoices in order from `amount`, and notes what each gets. Gives the invoices that changed and what is left.
///
/// # Errors
/// `invoice_not_open` for one that was `named`.
fn pay(
    allocations: &mut Vec<Allocation>,
    amount: Money,
    invoices: Vec<Invoice>,
    named: bool,
    now: Timestamp,
) -> Result<(Vec<Change<Invoice>>, Decimal), Rejected> {
    let (mut paid, mut left) = (Vec::new(), amount.amount);
    for invoice in invoices {
        let part = left.min(invoice.amount_due.amount);
        if part.is_zero() && (invoice.status == invoice::Status::Open || !named) {
            continue;
        }
        allot(allocations, invoice.id, Money::new(part, amount.currency));
        paid.push(invoice::pay(invoice, part, now)?);
        left = left.minus(part).unwrap_or(Decimal::ZERO);
    }
    Ok((paid, left))
}

/// Notes that an invoice gets `amount`, more than it has already.
fn allot(allocations: &mut Vec<Allocation>, invoice_id: InvoiceId, amount: Money) {
    match allocations.iter_mut().find(|one| one.invoice_id == invoice_id) {
        Some(one) => one.amount.amount = one.amount.amount.plus(amount.amount).unwrap_or(one.amount.amount),
        None => allocations.push(Allocation { invoice_id, amount }),
    }
}

/// Pays a new invoice from what earlier payments have left, oldest first. Gives the payments that changed.
pub fn prepay(invoice: &mut Change<Invoice>, payments: Vec<Payment>, now: Timestamp) -> Vec<Change<Payment>> {
    let mut used = Vec::new();
    for payment in payments {
        let part = payment.left().min(invoice.after.amount_due.amount);
        let (Some(due), Some(paid), Some(left)) =
            (invoice.after.amount_due.amount.minus(part), invoice.after.amount_paid.amount.plus(part), payment.left().minus(part))
        else {
            continue;
        };
        if !part.is_positive() || payment.status != Status::Processed {
            continue;
        }
        (invoice.after.amount_due.amount, invoice.after.amount_paid.amount) = (due, paid);
        let mut after = payment.next_version(now);
        allot(&mut after.allocations, invoice.after.id, Money::new(part, payment.amount.currency));
        after.unallocated.amount = left;
        used.push(Change::updated(payment, after, Vec::<&'static str>::new()));
    }
    if !used.is_empty() && invoice.after.amount_due.amount.is_zero() {
        invoice.after.status = invoice::Status::Paid;
        invoice.lifecycle.push("invoice.paid".into());
    }
    used
}

fn ensure_processed(payment: &Payment) -> Result<(), Rejected> {
    match payment.status {
        Status::Processed => Ok(()),
        Status::Failed => Err(Rejected::conflict(Code::PaymentNotProcessed, "The payment failed, so it has no money.")),
        Status::Cancelled => Err(Rejected::conflict(Code::PaymentNotProcessed, "The payment is cancelled, so it has no money.")),
    }
}

/// Decides `allocatePayment`: what is left of the payment pays `invoices` in order, which must be open if they are `named`.
///
/// # Errors
/// `payment_not_processed`, `nothing_unallocated`, `invoice_of_other_account`, `invoice_not_open`, `no_open_invoice`.
pub fn allocate(
    payment: Payment,
    invoices: Vec<Invoice>,
    named: bool,
    now: Timestamp,
) -> Result<(Change<Payment>, Vec<Change<Invoice>>), Rejected> {
    ensure_processed(&payment)?;
    if payment.left().is_zero() {
        return Err(Rejected::conflict(Code::NothingUnallocated, "All of the payment is allocated to invoices or refunded."));
    }
    if let Some(rejected) = Rejected::from_violations(foreign(&invoices, payment.account_id)) {
        return Err(rejected);
    }
    let mut after = payment.next_version(now);
    let (paid, left) = pay(&mut after.allocations, Money::new(payment.left(), payment.amount.currency), invoices, named, now)?;
    if paid.is_empty() {
        return Err(Rejected::conflict(Code::NoOpenInvoice, "The account has no open invoice."));
    }
    after.unallocated.amount = left;
    Ok((Change::updated(payment, after, Vec::<&'static str>::new()), paid))
}

/// Takes back what the payment paid of `invoices`, newest allocation first, up to `amount`. Gives the invoices that changed.
fn take_back(after: &mut Payment, invoices: Vec<Invoice>, amount: Decimal, now: Timestamp) -> Vec<Change<Invoice>> {
    let (mut reopened, mut wanted) = (Vec::new(), amount);
    for allocation in after.allocations.iter_mut().rev() {
        let part = allocation.amount.amount.min(wanted);
        let invoice = invoices.iter().find(|invoice| invoice.id == allocation.invoice_id);
        let (Some(invoice), Some(left), Some(rest)) = (invoice, allocation.amount.amount.minus(part), wanted.minus(part)) else { continue };
        if part.is_positive() {
            (allocation.amount.amount, wanted) = (left, rest);
            reopened.push(invoice::reopen(invoice.clone(), part, now));
        }
    }
    after.allocations.retain(|allocation| allocation.amount.amount.is_positive());
    reopened
}

impl Payment {
    /// The amount less what invoices got and what was refunded; at least zero.
    fn uncommitted(&self) -> Decimal {
        let mut parts = self.allocations.iter().map(|one| one.amount.amount).chain([self.refunded.amount]);
        parts.try_fold(self.amount.amount, Decimal::minus).unwrap_or(Decimal::ZERO).max(Decimal::ZERO)
    }

    /// What can pay invoices or be refunded. Before version 0.3 a refund did not lower [`Payment::unallocated`].
    fn left(&self) -> Decimal {
        self.unallocated.amount.min(self.uncommitted())
    }
}

/// Decides `deallocatePayment`: the payment no longer pays `invoices`, which are due again; what they had is unallocated.
///
/// # Errors
/// `payment_not_processed`, `nothing_allocated`.
pub fn deallocate(payment: Payment, invoices: Vec<Invoice>, now: Timestamp) -> Result<(Change<Payment>, Vec<Change<Invoice>>), Rejected> {
    ensure_processed(&payment)?;
    let mut after = payment.next_version(now);
    let reopened = take_back(&mut after, invoices, payment.amount.amount, now);
    if reopened.is_empty() {
        return Err(Rejected::conflict(Code::NothingAllocated, "The payment pays none of these invoices."));
    }
    after.unallocated.amount = after.uncommitted();
    Ok((Change::updated(payment, after, Vec::<&'static str>::new()), reopened))
}

/// Decides `cancelPayment`: the money is gone, and the `invoices` it paid are due again.
///
/// # Errors
/// `payment_not_processed`; `payment_refunded` if some of it was paid back.
pub fn cancel(
    payment: Payment,
    invoices: Vec<Invoice>,
    reason: String,
    now: Timestamp,
) -> Result<(Change<Payment>, Vec<Change<Invoice>>), Rejected> {
    ensure_processed(&payment)?;
    if payment.refunded.amount.is_positive() {
        let message = format!("{} of the payment was refunded; a payment that was refunded cannot be cancelled.", payment.refunded);
        return Err(Rejected::conflict(Code::PaymentRefunded, message));
    }
    let mut after = payment.next_version(now);
    let reopened = take_back(&mut after, invoices, payment.amount.amount, now);
    (after.status, after.cancel_reason) = (Status::Cancelled, Some(reason));
    after.unallocated.amount = Decimal::ZERO;
    Ok((Change::updated(payment, after, vec!["payment.cancelled"]), reopened))
}

/// Pays `amount` of the payment back, which [`crate::billing::refund::create`] has validated: first what is unallocated, then what pays invoices,
/// newest allocation first, which are then due again.
pub(crate) fn refunded(
    payment: Payment,
    amount: Decimal,
    invoices: Vec<Invoice>,
    now: Timestamp,
) -> (Change<Payment>, Vec<Change<Invoice>>) {
    let mut after = payment.next_version(now);
    let rest = amount.minus(payment.left().min(amount)).unwrap_or(Decimal::ZERO);
    let reopened = take_back(&mut after, invoices, rest, now);
    after.refunded.amount = payment.refunded.amount.plus(amount).unwrap_or(payment.amount.amount);
    after.unallocated.amount = after.uncommitted();
    (Change::updated(payment, after, Vec::<&'static str>::new()), reopened)
}

/// A violation for each invoice of another account.
fn foreign(invoices: &[Invoice], account: AccountId) -> Vec<Violation> {
    let others = invoices.iter().enumerate().filter(|(_, invoice)| invoice.account_id != account);
    let violation = |(index, invoice): (usize, &Invoice)| {
        let message = format!("Invoice {} belongs to another account.", invoice.number);
        Violation::new(format!("/invoices/{index}"), Code::InvoiceOfOtherAccount, message)
    };
    others.map(violation).collect()
}

impl Entity for Payment {
    const TYPE: &'static str = "payment";
    const EVENT_OBJECT: Option<&'static str> = Some("payment");

    entity_members!(updated_at, external_id, status, account_id);
    fn balance(&self) -> Option<(Balance, Currency)> {
        let unallocated = self.unallocated.amount.millionths().into();
        Some((Balance { unallocated, ..Balance::default() }, self.unallocated.currency))
    }
    fn parameters(&self) -> Parameters {
        Parameters::from([
            ("payment.id".to_owned(), self.id.to_string().into()),
            ("payment.method".to_owned(), self.method.clone().into()),
            ("payment.amount".to_owned(), self.amount.amount_text().into()),
            ("payment.currency".to_owned(), self.amount.currency.as_str().into()),
            ("payment.status".to_owned(), self.status.name().into()),
            ("payment.unallocated".to_owned(), self.unallocated.amount_text().into()),
            ("payment.refunded".to_owned(), self.refunded.amount_text().into()),
            ("payment.receivedAt".to_owned(), self.received_at.to_rfc3339_opts(SecondsFormat::AutoSi, true).into()),
        ])
    }
}

#[cfg(test)]
mod tests;
