//! `createInvoiceOnDemand`, the final invoice of a deactivated account, and `previewInvoice`.

use std::sync::Arc;

use async_trait::async_trait;
use billwire_domain::{
    Rejected,
    billing::{
        invoice::{self, Invoice, Kind},
        invoicing,
    },
    customers::account::{Account, ensure_owes_itself},
};
use billwire_schemas::{
    clock::{Clock, ShiftedClock, Timestamp},
    ids::{AccountId, InvoiceId, OrderingKey, TenantId, fresh},
    refusal::Code,
};
use billwire_store::{
    Filter, Tx,
    commit::{Failure, Unit},
    idempotency::{Claim, Reply},
};

use crate::{
    App,
    billing::invoicing::{Billing, Wanted, paid_for, parts, with_bill_cycle_history},
    customers::billing_settings::settings,
    execute::json,
    execute_on::{ObjectUseCase, ensure_locked},
    objects::addressed,
    record::{ByAccount, Record},
};

/// Posts the final invoice of a deactivated account.
#[derive(Debug, Clone)]
pub struct CreateInvoiceOnDemand {
    /// The new invoice's id.
    pub invoice: InvoiceId,
}

#[async_trait]
impl ObjectUseCase for CreateInvoiceOnDemand {
    type Object = Account;
    const OPERATION: &'static str = "createInvoiceOnDemand";
    const STATUS: u16 = 201;

    async fn further_locks(&self, app: &App, tenant: &TenantId, reference: &str) -> Result<Vec<OrderingKey>, Failure> {
        let Some(account) = app.find::<Account>(tenant, reference).await? else { return Ok(Vec::new()) };
        Ok(app.store.paid_for(tenant, &[account.id]).await?.iter().map(|paid| paid.id.into()).collect())
    }
    async fn run(&self, tx: &mut Tx<'_>, account: Account, now: Timestamp) -> Result<Option<Record>, Failure> {
        ensure_owes_itself(&account)?;
        invoicing::ensure_deactivated(&account)?;
        let settings = settings(tx).await?;
        let paid_for = paid_for(tx, account.id).await?;
        ensure_locked(tx, &paid_for)?;
        let parts = parts(tx, account.clone(), paid_for, |account| invoicing::fees_until_now(account, &settings, now)).await?;
        let billing = Billing { account, settings, cutoff: now, parts, plans: false, last: false };
        let mut drawn = billing.draw(tx).await?;
        let wanted = Wanted { id: self.invoice, kind: Kind::OnDemand, run: None };
        let invoice = billing.post(tx, &mut drawn, wanted, now).await?.ok_or_else(nothing_to_bill)?;
        let mut records = ByAccount::default();
        billing.save(tx, drawn, Some(&invoice), &mut records, now).await?;
        billing.tell_accounts(tx, Some(&invoice), None, &mut records, now).await?;
        Ok(records.record())
    }
}

/// Whether a deactivated account, or the account that pays for it, has its final invoice, which is not cancelled.
///
/// # Errors
/// A database failure.
pub(crate) async fn has_final_invoice(tx: &Tx<'_>, account: &Account) -> Result<bool, Failure> {
    let Some(ended_at) = account.ended_at() else { return Ok(false) };
    let later = Filter::new().is_id("account_id", Some(account.debtor().0)).since("created_at", Some(ended_at));
    let invoices = tx.select::<Invoice>(later.is_not("status", invoice::Status::Cancelled.name()), u64::from(u32::MAX)).await?;
    Ok(invoices.iter().any(|invoice| invoice.kind == Kind::OnDemand))
}

/// The refusal if there is nothing to bill.
fn nothing_to_bill() -> Rejected {
    Rejected::conflict(Code::NothingToBill, "The account has nothing left to bill.")
}

/// Previews the invoice that the next bill run would create from current data. Nothing is stored.
struct PreviewInvoice {
    tenant: TenantId,
    account: AccountId,
    clock: Arc<ShiftedClock>,
}

#[async_trait]
impl Unit for PreviewInvoice {
    fn tenant(&self) -> &TenantId {
        &self.tenant
    }
    fn keys(&self) -> Vec<OrderingKey> {
        vec![self.account.into()]
    }
    fn claim(&self) -> Option<&Claim> {
        None
    }
    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Reply, Failure> {
        let now = self.clock.now();
        let account = addressed::<Account>(tx, self.account.0, None).await?;
        ensure_owes_itself(&account)?;
        let (settings, account) = (settings(tx).await?, with_bill_cycle_history(tx, account).await?);
        let date = invoicing::preview_date(&account, settings.date_of(now))?;
        let cutoff = invoicing::cutoff(&settings, date);
        let paid_for = paid_for(tx, account.id).await?;
        let mut parts = parts(tx, account.clone(), paid_for, |account| invoicing::fees_until(account, date)).await?;
        for part in &mut parts {
            part.account = invoicing::foreseen_account(part.account.clone(), &settings, cutoff);
        }
        let billing = Billing { cutoff, account, settings, parts, plans: true, last: false };
        let mut drawn = billing.draw(tx).await?;
        let wanted = Wanted { id: InvoiceId(fresh()), kind: Kind::Cycle, run: None };
        let invoice = billing.post(tx, &mut drawn, wanted, now).await?.ok_or_else(nothing_to_bill)?.after;
        Ok(Reply { status: 200, body: serde_json::to_string(&invoice).map_err(json)?, entity: None, secret: false, replayed: false })
    }
}

impl App {
    /// The invoice, as JSON, that the next bill run of the account's cycle would create. Nothing is stored or published.
    ///
    /// # Errors
    /// `account_not_found`, `account_has_payer`, `account_deactivated`, `nothing_to_bill`, `invoice_total_out_of_range`, or a database failure.
    pub async fn preview_invoice(&self, tenant: &TenantId, account: AccountId) -> Result<Reply, Failure> {
        self.store.commit(Arc::new(PreviewInvoice { tenant: tenant.clone(), account, clock: self.clock.clone() })).await
    }
}
