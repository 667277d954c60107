//! Refunds: money of a payment paid back, first what no invoice got. What an invoice got of it is due again.

use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{AccountId, PaymentId, RefundId},
    money::{Currency, Money},
    refusal::Code,
};
use serde::{Deserialize, Serialize};

use crate::{
    amounts::validate_amount,
    billing::{
        balance::Balance,
        invoice::Invoice,
        payment::{self, Payment},
    },
    change::{Change, Entity, entity_members},
    customers::account::Account,
    rejected::Rejected,
};

/// A refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refund {
    /// Object id.
    pub id: RefundId,
    /// Object version; always 1, since a refund never changes.
    pub version: i64,
    /// The object's id in the external system.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub external_id: Option<String>,
    /// The account that receives the refund.
    pub account_id: AccountId,
    /// The refunded payment.
    pub payment_id: PaymentId,
    /// The amount.
    pub amount: Money,
    /// Reason.
    pub reason: String,
    /// Creation time.
    pub created_at: Timestamp,
}

/// `createRefund`.
#[derive(Debug, Clone)]
pub struct Create {
    /// The new refund's id.
    pub id: RefundId,
    /// See [`Refund::external_id`].
    pub external_id: Option<String>,
    /// See [`Refund::amount`].
    pub amount: Money,
    /// See [`Refund::reason`].
    pub reason: String,
}

/// What `createRefund` changes: the refund, its payment, and the invoices that are due again.
pub type Refunded = (Change<Refund>, Change<Payment>, Vec<Change<Invoice>>);

/// Decides `createRefund`. `invoices` are those that the payment pays.
///
/// # Errors
/// `payment_not_processed`; the rules of [`validate_amount`]; `refund_exceeds_payment` if the total of all refunds exceeds the payment.
pub fn create(command: Create, payment: Payment, account: &Account, invoices: Vec<Invoice>, now: Timestamp) -> Result<Refunded, Rejected> {
    if payment.status != payment::Status::Processed {
        return Err(Rejected::conflict(Code::PaymentNotProcessed, "The payment failed or is cancelled, so there is nothing to refund."));
    }
    let mut broken = Vec::new();
    validate_amount("/amount", &command.amount, &account.currency, &mut broken);
    if let Some(rejected) = Rejected::from_violations(broken) {
        return Err(rejected);
    }
    if payment.refunded.amount.plus(command.amount.amount).is_none_or(|total| total > payment.amount.amount) {
        let message =
            format!("Refunds must not exceed the payment: {} was paid and {} is already refunded.", payment.amount, payment.refunded);
        return Err(Rejected::violation("/amount/amount", Code::RefundExceedsPayment, message));
    }
    let change = Change::created(Refund {
        id: command.id,
        version: 1,
        external_id: command.external_id,
        account_id: payment.account_id,
        payment_id: payment.id,
        amount: command.amount,
        reason: command.reason,
        created_at: now,
    });
    let (payment, reopened) = payment::refunded(payment, command.amount.amount, invoices, now);
    Ok((change.and("refund.processed"), payment, reopened))
}

impl Entity for Refund {
    const TYPE: &'static str = "refund";
    const EVENT_OBJECT: Option<&'static str> = Some("refund");

    entity_members!(external_id, account_id);
    /// Nothing of its own: its payment and the invoices say what it changes.
    fn balance(&self) -> Option<(Balance, Currency)> {
        Some((Balance::default(), self.amount.currency))
    }
    fn parameters(&self) -> Parameters {
        Parameters::from([
            ("refund.id".to_owned(), self.id.to_string().into()),
            ("refund.amount".to_owned(), self.amount.amount_text().into()),
            ("refund.currency".to_owned(), self.amount.currency.as_str().into()),
            ("refund.reason".to_owned(), self.reason.clone().into()),
        ])
    }
}
