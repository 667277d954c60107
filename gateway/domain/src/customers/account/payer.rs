//! Who owes what an account uses: the account itself, or another one, its payer (a paying parent).
//!
//! The items of an account with a payer become lines of its payer's invoices; the account itself gets no invoices. Payers have no payers, so
//! there is one level. A change of payer is no part of the past: what the account has used until then is invoiced to who owed it until then, in
//! the same business transaction.

use billwire_schemas::{clock::Timestamp, events::envelope::Parameters, ids::AccountId, refusal::Code};
use chrono::SecondsFormat;

use super::{Account, Status, ensure_not_deactivated};
use crate::{
    billing::invoice::Invoice,
    change::{Change, Entity, Lifecycle},
    rejected::Rejected,
};

/// Maximum number of accounts that one account pays for: they are billed in one transaction.
pub const PAID_FOR_MAX: usize = 100;

impl Account {
    /// The account that owes what this one uses.
    pub fn debtor(&self) -> AccountId {
        self.payer_id.unwrap_or(self.id)
    }
}

/// Decides `updateAccountPayer`: `payer` owes what the account uses from now on. `pays` is true if the account pays for others; `paid_for` is the
/// number of accounts that `payer` pays for.
///
/// # Errors
/// `account_deactivated` of either account; `payer_is_itself`, `currency_mismatch` at `/payer`; `payer_not_active`, `payer_ends`;
/// `account_has_payer` of the payer, `account_pays_for_others`, `too_many_paid_accounts`.
pub fn assign_payer(account: Account, pays: bool, payer: &Account, paid_for: usize, now: Timestamp) -> Result<Change<Account>, Rejected> {
    ensure_not_deactivated(&account)?;
    if account.payer_id == Some(payer.id) {
        return Ok(unchanged(account));
    }
    if payer.id == account.id {
        let message = "An account without a payer pays for itself; remove the payer instead.";
        return Err(Rejected::violation("/payer", Code::PayerIsItself, message));
    }
    if payer.currency != account.currency {
        let message = format!("The payer's currency is {}, the account's is {}; they must be the same.", payer.currency, account.currency);
        return Err(Rejected::violation("/payer", Code::CurrencyMismatch, message));
    }
    if payer.status == Status::Deactivated {
        return Err(Rejected::conflict(Code::AccountDeactivated, "The payer is deactivated and cannot pay for accounts."));
    }
    if payer.status == Status::Inactive {
        let message = "The payer was never active, so no bill run would bill what it pays for; activate it first.";
        return Err(Rejected::conflict(Code::PayerNotActive, message));
    }
    if let Some(planned) = payer.planned_status_change.as_ref().filter(|planned| planned.status == Status::Deactivated) {
        let at = planned.valid_from.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        return Err(Rejected::conflict(Code::PayerEnds, format!("The payer is to be deactivated at {at}; cancel that change first.")));
    }
    if let Some(over) = payer.payer_id {
        let message = format!("Account {over} pays for the payer, which therefore cannot pay for others.");
        return Err(Rejected::conflict(Code::AccountHasPayer, message));
    }
    if pays {
        return Err(pays_for_others("have a payer itself"));
    }
    if paid_for >= PAID_FOR_MAX {
        let message = format!("The payer pays for {paid_for} accounts; {PAID_FOR_MAX} is the maximum.");
        return Err(Rejected::conflict(Code::TooManyPaidAccounts, message));
    }
    Ok(changed(account, Some(payer.id), now))
}

/// Decides `removeAccountPayer`: the account owes itself what it uses from now on. Also of a deactivated account, for usage that arrives late,
/// until its payer has the final invoice.
///
/// # Errors
/// `final_invoice_exists`.
pub fn remove_payer(account: Account, has_final_invoice: bool, now: Timestamp) -> Result<Change<Account>, Rejected> {
    if account.payer_id.is_none() {
        return Ok(unchanged(account));
    }
    if has_final_invoice {
        let message = "The account is deactivated, and its payer's final invoice has its items; cancel that invoice first.";
        return Err(Rejected::conflict(Code::FinalInvoiceExists, message));
    }
    Ok(changed(account, None, now))
}

fn unchanged(account: Account) -> Change<Account> {
    Change::updated(account.clone(), account, Vec::<&'static str>::new())
}

fn changed(account: Account, payer_id: Option<AccountId>, now: Timestamp) -> Change<Account> {
    let mut after = account.next_version(now);
    (after.payer_id, after.payer_changed_at) = (payer_id, Some(now));
    Change::updated(account, after, Vec::<&'static str>::new())
}

/// Tells that an invoice of the payer has items of the account, in the account's own order, after its charges.
pub fn billed_to_payer(invoice: &Invoice) -> Lifecycle {
    payer_invoice("account.billed_to_payer", invoice)
}

/// Tells that an invoice of the payer with items of the account was cancelled.
pub fn payer_invoice_cancelled(account: Account, invoice: &Invoice, now: Timestamp) -> Change<Account> {
    let after = account.next_version(now);
    Change::updated(account, after, vec![payer_invoice("account.payer_invoice_cancelled", invoice)])
}

fn payer_invoice(kind: &'static str, invoice: &Invoice) -> Lifecycle {
    let parameters = Parameters::from([
        ("payerInvoice.id".to_owned(), invoice.id.to_string().into()),
        ("payerInvoice.number".to_owned(), invoice.number.clone().into()),
        ("payerInvoice.cutoff".to_owned(), invoice.cutoff.to_rfc3339_opts(SecondsFormat::AutoSi, true).into()),
    ]);
    Lifecycle { kind, parameters }
}

/// Refuses to deactivate an account if it `pays` for accounts that are not deactivated: nobody would owe what they use.
///
/// # Errors
/// `account_pays_for_others`.
pub fn ensure_can_end(pays: bool) -> Result<(), Rejected> {
    if pays { Err(pays_for_others("be deactivated")) } else { Ok(()) }
}

/// Refuses what only an account without a payer has: invoices of its own.
///
/// # Errors
/// `account_has_payer`.
pub fn ensure_owes_itself(account: &Account) -> Result<(), Rejected> {
    let Some(payer) = account.payer_id else { return Ok(()) };
    let message = format!("Account {payer} pays for this one and gets its items on its invoices.");
    Err(Rejected::conflict(Code::AccountHasPayer, message))
}

/// Refuses to correct a charge that `invoice` has billed if it belongs to another account than the one that would get the correction: the payer
/// has changed since.
///
/// # Errors
/// `payer_changed_since`.
pub fn ensure_owes_correction(account: &Account, invoice: &Invoice) -> Result<(), Rejected> {
    if invoice.account_id == account.debtor() {
        return Ok(());
    }
    let message = format!(
        "Invoice {} of account {} has billed the charge, and the payer has changed since; create a credit on that account instead.",
        invoice.number, invoice.account_id
    );
    Err(Rejected::conflict(Code::PayerChangedSince, message))
}

fn pays_for_others(cannot: &str) -> Rejected {
    let message = format!("The account pays for other accounts and cannot {cannot}; give them another payer, or none, first.");
    Rejected::conflict(Code::AccountPaysForOthers, message)
}

#[cfg(test)]
mod tests;
