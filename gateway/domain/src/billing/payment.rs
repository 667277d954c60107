//! Payments: money that came in, or did not, and which invoices it pays.

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

/// Whether the money came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// It did.
    Processed,
    /// It did not.
    Failed,
}

impl Status {
    /// The name used on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Processed => "processed",
            Self::Failed => "failed",
        }
    }
}

/// Why a payment failed, in the words of whoever processed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessingError {
    /// The processor's code.
    pub code: String,
    /// For people.
    pub message: String,
}

/// How much of a payment pays which invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Allocation {
    /// Which invoice.
    pub invoice_id: InvoiceId,
    /// How much.
    pub amount: Money,
}

/// A payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// Its id.
    pub id: PaymentId,
    /// Its version, from 1.
    pub version: i64,
    /// Its id in the outside system.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub external_id: Option<String>,
    /// Who paid.
    pub account_id: AccountId,
    /// How, such as `card` or `transfer`; free text.
    pub method: String,
    /// How much.
    pub amount: Money,
    /// Whether it came in.
    pub status: Status,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<ProcessingError>,
    /// What it pays.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub allocations: Vec<Allocation>,
    /// How much of it pays nothing yet.
    pub unallocated: Money,
    /// How much of it was paid back.
    pub refunded: Money,
    /// When it was received.
    pub received_at: Timestamp,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When it last changed.
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

/// Decides `recordPayment`. `invoices` are those it shall pay, in this order: the ones `named` in the request, all of which must be
/// open, or the account's open ones, oldest first. What is left over stays unallocated. A deactivated account pays as well.
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
            broken.push(Violation::new("/error", Code::PaymentErrorRequired, "A payment that failed needs the error it failed with."));
        }
        (Status::Processed, Some(_)) => {
            broken.push(Violation::new("/error", Code::PaymentErrorNotAllowed, "A payment that was processed has no error."));
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

/// A payment with `amount` of it paid back; [`crate::billing::refund::create`] has checked it.
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
