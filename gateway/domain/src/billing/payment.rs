//! Payments: received and failed payments, and the invoices they pay.

use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{AccountId, InvoiceId, PaymentId},
    money::{Decimal, Money},
    refusal::Code,
};
use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};

use crate::{
    amounts::validate_amount,
    billing::invoice::{self, Invoice},
    change::{Change, Entity, Lifecycle, entity_members},
    customers::account::Account,
    rejected::{Rejected, Violation},
};

/// Status of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// The money was received.
    Processed,
    /// The payment failed.
    Failed,
}

impl Status {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Processed => "processed",
            Self::Failed => "failed",
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
/// The rules of [`validate_amount`]; `payment_error_required`, `payment_error_not_allowed`, `invoice_of_other_account`, `invoice_not_open`.
pub fn record(
    command: Create,
    account: &Account,
    invoices: Vec<Invoice>,
    named: bool,
    now: Timestamp,
) -> Result<(Change<Payment>, Vec<Change<Invoice>>), Rejected> {
    let mut broken = Vec::new();
    validate_amount("/amount", &command.amount, &account.currency, &mut broken);
    match (command.status, &command.error) {
        (Status::Failed, None) => {
            broken.push(Violation::new("/error", Code::PaymentErrorRequired, "A failed payment needs an error."));
        }
        (Status::Processed, Some(_)) => {
            broken.push(Violation::new("/error", Code::PaymentErrorNotAllowed, "A processed payment must not have an error."));
        }
        _ => {}
    }
    for (index, invoice) in invoices.iter().enumerate().filter(|_| named) {
        if invoice.account_id != account.id {
            let message = format!("Invoice {} belongs to another account.", invoice.number);
            broken.push(Violation::new(format!("/invoices/{index}"), Code::InvoiceOfOtherAccount, message));
        }
    }
    if let Some(rejected) = Rejected::from_violations(broken) {
        return Err(rejected);
    }
    let mut left = command.amount.amount;
    let (mut allocations, mut paid) = (Vec::new(), Vec::new());
    if command.status == Status::Processed {
        for invoice in invoices {
            let part = left.min(invoice.amount_due.amount);
            if part.is_zero() && (invoice.status == invoice::Status::Open || !named) {
                continue;
            }
            allocations.push(Allocation { invoice_id: invoice.id, amount: Money::new(part, command.amount.currency) });
            paid.push(invoice::pay(invoice, part, now)?);
            left = left.minus(part).unwrap_or(Decimal::ZERO);
        }
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
        allocations,
        unallocated: money(if command.status == Status::Processed { left } else { Decimal::ZERO }),
        refunded: money(Decimal::ZERO),
        received_at: command.received_at.unwrap_or(now),
        created_at: now,
        updated_at: now,
    });
    Ok((change.and(to_json), paid))
}

/// Sets the refunded amount to `total`; [`crate::billing::refund::create`] has validated it.
pub(crate) fn refunded(payment: Payment, total: Decimal, now: Timestamp) -> Change<Payment> {
    let mut after = payment.next_version(now);
    after.refunded.amount = total;
    Change::updated(payment, after, Vec::<&'static str>::new())
}

impl Entity for Payment {
    const TYPE: &'static str = "payment";
    const EVENT_OBJECT: Option<&'static str> = Some("payment");

    entity_members!(updated_at, external_id, status, account_id);
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
