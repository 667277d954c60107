//! Credits: amounts an account need not pay, applied to an open invoice or to the next ones.

use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{AccountId, CreditId, InvoiceId},
    money::{Currency, Decimal, Money},
    refusal::Code,
};
use serde::{Deserialize, Serialize};

use crate::{
    amounts::validate_amount,
    billing::{
        balance::Balance,
        invoice::{self, Invoice},
    },
    change::{Change, Entity, entity_members},
    customers::account::Account,
    rejected::{Rejected, Violation},
};

/// A credit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credit {
    /// Object id.
    pub id: CreditId,
    /// Object version, starting at 1.
    pub version: i64,
    /// The object's id in the external system.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub external_id: Option<String>,
    /// The account that receives the credit.
    pub account_id: AccountId,
    /// The invoice the credit was applied to; absent: it is applied to the next invoices.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub invoice_id: Option<InvoiceId>,
    /// The amount.
    pub amount: Money,
    /// The part not yet applied to an invoice.
    pub remaining: Money,
    /// The part that was taken back before an invoice used it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reversed: Option<Money>,
    /// Reason.
    pub reason: String,
    /// Creation time.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// `createCredit`.
#[derive(Debug, Clone)]
pub struct Create {
    /// The new credit's id.
    pub id: CreditId,
    /// See [`Credit::external_id`].
    pub external_id: Option<String>,
    /// See [`Credit::amount`].
    pub amount: Money,
    /// See [`Credit::reason`].
    pub reason: String,
}

/// Decides `createCredit`, on `invoice` if given, which then changes too. Deactivated accounts can receive credits; after their final invoice
/// only on an open invoice, since none follows.
///
/// # Errors
/// The rules of [`validate_amount`]; `invoice_of_other_account`, `invoice_not_open`, `credit_exceeds_due`, `final_invoice_exists`.
pub fn create(
    command: Create,
    account: &Account,
    invoice: Option<Invoice>,
    has_final_invoice: bool,
    now: Timestamp,
) -> Result<(Change<Credit>, Option<Change<Invoice>>), Rejected> {
    let mut broken = Vec::new();
    validate_amount("/amount", &command.amount, &account.currency, &mut broken);
    if invoice.as_ref().is_some_and(|invoice| invoice.account_id != account.id) {
        broken.push(Violation::new("/invoice", Code::InvoiceOfOtherAccount, "The invoice belongs to another account."));
    }
    if let Some(rejected) = Rejected::from_violations(broken) {
        return Err(rejected);
    }
    if invoice.is_none() && has_final_invoice {
        let message = "The account has its final invoice, so no invoice would take the credit; name an open invoice.";
        return Err(Rejected::conflict(Code::FinalInvoiceExists, message));
    }
    if let Some(invoice) = &invoice
        && invoice.status == invoice::Status::Open
        && command.amount.amount > invoice.amount_due.amount
    {
        let message = format!("The credit must not exceed {}, the amount due on invoice {}.", invoice.amount_due, invoice.number);
        return Err(Rejected::violation("/amount/amount", Code::CreditExceedsDue, message));
    }
    let id = invoice.as_ref().map(|invoice| invoice.id);
    let covered = invoice.map(|invoice| invoice::credit(invoice, command.amount.amount, now)).transpose()?;
    let nothing = Money::new(Decimal::ZERO, command.amount.currency);
    let mut change = Change::created(Credit {
        id: command.id,
        version: 1,
        external_id: command.external_id,
        account_id: account.id,
        invoice_id: id,
        amount: command.amount,
        remaining: if id.is_some() { nothing } else { command.amount },
        reversed: None,
        reason: command.reason,
        created_at: now,
        updated_at: now,
    });
    change = change.and("credit.processed");
    Ok((change, covered))
}

/// Decides `reverseCredit`: what no invoice has used is taken back.
///
/// # Errors
/// `credit_used_up`.
pub fn reverse(credit: Credit, now: Timestamp) -> Result<Change<Credit>, Rejected> {
    if credit.remaining.amount.is_zero() {
        return Err(Rejected::conflict(Code::CreditUsedUp, "Invoices have used all of the credit, or it is reversed already."));
    }
    let mut after = credit.next_version(now);
    after.reversed =
        Some(Money::new(credit.reversed_amount().plus(credit.remaining.amount).unwrap_or(credit.amount.amount), credit.amount.currency));
    after.remaining.amount = Decimal::ZERO;
    Ok(Change::updated(credit, after, vec!["credit.reversed"]))
}

impl Credit {
    fn reversed_amount(&self) -> Decimal {
        self.reversed.map_or(Decimal::ZERO, |reversed| reversed.amount)
    }
}

/// Applies `amount` of a credit to a new invoice.
pub fn take(credit: Credit, amount: Decimal, now: Timestamp) -> Change<Credit> {
    let mut after = credit.next_version(now);
    after.remaining.amount = credit.remaining.amount.minus(amount).unwrap_or(Decimal::ZERO).max(Decimal::ZERO);
    Change::updated(credit, after, Vec::<&'static str>::new())
}

/// Returns `amount` to a credit after the invoice that used it was cancelled.
pub fn give_back(credit: Credit, amount: Decimal, now: Timestamp) -> Change<Credit> {
    let mut after = credit.next_version(now);
    after.remaining.amount = credit.remaining.amount.plus(amount).unwrap_or(credit.amount.amount).min(credit.amount.amount);
    Change::updated(credit, after, Vec::<&'static str>::new())
}

impl Entity for Credit {
    const TYPE: &'static str = "credit";
    const EVENT_OBJECT: Option<&'static str> = Some("credit");

    entity_members!(updated_at, external_id, account_id);
    fn balance(&self) -> Option<(Balance, Currency)> {
        Some((Balance { credits: self.remaining.amount.millionths().into(), ..Balance::default() }, self.remaining.currency))
    }
    fn parameters(&self) -> Parameters {
        Parameters::from([
            ("credit.id".to_owned(), self.id.to_string().into()),
            ("credit.amount".to_owned(), self.amount.amount_text().into()),
            ("credit.remaining".to_owned(), self.remaining.amount_text().into()),
            ("credit.currency".to_owned(), self.amount.currency.as_str().into()),
            ("credit.reason".to_owned(), self.reason.clone().into()),
        ])
    }
}
