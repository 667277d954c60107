//! `updateAccountPayer`, `removeAccountPayer`.
//!
//! Both invoice what the account has used until now to who owed it until now, in the same business transaction.

use async_trait::async_trait;
use billwire_domain::{
    Change,
    billing::{
        invoice::{Invoice, Kind},
        invoicing::fees_until_now,
    },
    customers::account::{self, Account, Status},
    usage::chargeable_event::ChargeableEvent,
};
use billwire_schemas::{
    clock::Timestamp,
    events::envelope::{Action, Parameters},
    ids::{AccountId, InvoiceId, OrderingKey, TenantId},
};
use billwire_store::{Error, Filter, Tx, commit::Failure};

use crate::{
    App,
    billing::invoice_on_demand::has_final_invoice,
    billing::invoicing::{Billing, Wanted, paid_for, parts},
    customers::billing_settings::settings,
    execute_on::{ObjectUseCase, ensure_locked},
    objects::found,
    record::{ByAccount, Record},
};

/// Sets or changes the account that pays for another one.
#[derive(Debug, Clone)]
pub struct UpdateAccountPayer {
    /// Id or external id of the payer.
    pub payer: String,
    /// The id of the invoice of what was owed until now.
    pub invoice: InvoiceId,
}

/// Makes an account pay for itself.
#[derive(Debug, Clone)]
pub struct RemoveAccountPayer {
    /// The id of the invoice of what was owed until now.
    pub invoice: InvoiceId,
}

#[async_trait]
impl ObjectUseCase for UpdateAccountPayer {
    type Object = Account;
    const OPERATION: &'static str = "updateAccountPayer";

    async fn further_locks(&self, app: &App, tenant: &TenantId, reference: &str) -> Result<Vec<OrderingKey>, Failure> {
        let mut locks = debtor_of(app, tenant, reference).await?;
        locks.extend(app.find::<Account>(tenant, &self.payer).await?.map(|payer| payer.id.into()));
        Ok(locks)
    }
    async fn run(&self, tx: &mut Tx<'_>, account: Account, now: Timestamp) -> Result<Option<Record>, Failure> {
        account::ensure_not_deactivated(&account)?;
        let payer = found::<Account>(tx, "/payer", &self.payer).await?;
        ensure_locked(tx, [&payer])?;
        let pays = !paid_for(tx, account.id).await?.is_empty();
        let change = account::assign_payer(account, pays, &payer, paid_for(tx, payer.id).await?.len(), now)?;
        settle(tx, change, self.invoice, now).await
    }
}

#[async_trait]
impl ObjectUseCase for RemoveAccountPayer {
    type Object = Account;
    const OPERATION: &'static str = "removeAccountPayer";

    async fn further_locks(&self, app: &App, tenant: &TenantId, reference: &str) -> Result<Vec<OrderingKey>, Failure> {
        debtor_of(app, tenant, reference).await
    }
    async fn run(&self, tx: &mut Tx<'_>, account: Account, now: Timestamp) -> Result<Option<Record>, Failure> {
        let has_final_invoice = has_final_invoice(tx, &account).await?;
        settle(tx, account::remove_payer(account, has_final_invoice, now)?, self.invoice, now).await
    }
}

/// The ordering key of who owes what the account uses now.
async fn debtor_of(app: &App, tenant: &TenantId, reference: &str) -> Result<Vec<OrderingKey>, Failure> {
    Ok(app.find::<Account>(tenant, reference).await?.map(|account| account.debtor().into()).into_iter().collect())
}

/// Whether the account pays for accounts that are not deactivated.
///
/// # Errors
/// A database failure.
pub(crate) async fn pays_for_others(tx: &Tx<'_>, account: AccountId) -> Result<bool, Failure> {
    let paid_for = Filter::new().is_id("payer_id", Some(account.0)).is_not("status", Status::Deactivated.name());
    Ok(!tx.select::<Account>(paid_for, 1).await?.is_empty())
}

/// Refuses to correct a charge on an invoice of who owed it before the account's payer changed.
///
/// # Errors
/// `payer_changed_since`, or a database failure.
pub(crate) async fn ensure_owes_correction(tx: &mut Tx<'_>, charge: &ChargeableEvent, account: &Account) -> Result<(), Failure> {
    let Some(invoice) = charge.invoice_id else { return Ok(()) };
    let invoice = tx.load::<Invoice>(invoice.0).await?;
    Ok(invoice.map_or(Ok(()), |invoice| account::ensure_owes_correction(account, &invoice))?)
}

/// Saves and records a change of payer, with the invoice of what the account has used until then.
async fn settle(tx: &mut Tx<'_>, change: Change<Account>, invoice: InvoiceId, now: Timestamp) -> Result<Option<Record>, Failure> {
    let mut records = ByAccount::default();
    // An account that was never active owes nothing.
    let owes = |before: &Account| change.action != Action::Unchanged && before.status != Status::Inactive;
    let Some(before) = change.before.clone().filter(owes) else {
        records.add(tx, &change, Parameters::new()).await?;
        return Ok(records.record());
    };
    let missing = || Error::Corrupt { table: "account", detail: format!("the payer of account {} is missing", before.id) };
    let debtor = match before.payer_id {
        Some(payer) => tx.load::<Account>(payer.0).await?.ok_or_else(missing)?,
        None => before.clone(),
    };
    ensure_locked(tx, [&debtor])?;
    let settings = settings(tx).await?;
    let parts = parts(tx, before, Vec::new(), |account| fees_until_now(account, &settings, now)).await?;
    let billing = Billing { account: debtor, settings, cutoff: now, parts, plans: false, last: true };
    let mut drawn = billing.draw(tx).await?;
    let wanted = Wanted { id: invoice, kind: Kind::PayerChange, run: None };
    let invoice = billing.post(tx, &mut drawn, wanted, now).await?;
    let change = match invoice.as_ref().filter(|invoice| invoice.after.account_id != change.after.id) {
        Some(invoice) => change.and(account::billed_to_payer(&invoice.after)),
        None => change,
    };
    records.add(tx, &change, Parameters::new()).await?;
    billing.save(tx, drawn, invoice.as_ref(), &mut records, now).await?;
    Ok(records.record())
}
