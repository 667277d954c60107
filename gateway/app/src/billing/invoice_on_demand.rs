//! `createInvoiceOnDemand`, the final invoice of a deactivated account, and `previewInvoice`.

use std::sync::Arc;

use async_trait::async_trait;
use billwire_domain::{
    Rejected,
    billing::{
        invoice::{self, Invoice, Kind},
        invoicing,
    },
    customers::account::Account,
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
    billing::invoicing::{Billing, Wanted, with_bill_cycle_history},
    customers::billing_settings::settings,
    execute::json,
    execute_on::ObjectUseCase,
    objects::addressed,
    record::Record,
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

    async fn run(&self, tx: &mut Tx<'_>, account: Account, now: Timestamp) -> Result<Option<Record>, Failure> {
        let settings = settings(tx).await?;
        let fees_until = invoicing::final_fees_until(&account, &settings)?;
        let account = with_bill_cycle_history(tx, account).await?;
        let billing = Billing { account, settings, cutoff: now, fees_until };
        let mut drawn = billing.draw(tx).await?;
        let wanted = Wanted { id: self.invoice, kind: Kind::OnDemand, run: None };
        let invoice = billing.post(tx, &mut drawn, wanted, now).await?.ok_or_else(nothing_to_bill)?;
        billing.save(tx, drawn, Some(&invoice), None, now).await
    }
}

/// Whether a deactivated account has its final invoice, which is not cancelled.
///
/// # Errors
/// A database failure.
pub(crate) async fn has_final_invoice(tx: &Tx<'_>, account: &Account) -> Result<bool, Failure> {
    let Some(ended_at) = account.ended_at() else { return Ok(false) };
    let later = Filter::new().is_id("account_id", Some(account.id.0)).since("created_at", Some(ended_at));
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
        let date = invoicing::preview_date(&account)?;
        let (settings, account) = (settings(tx).await?, with_bill_cycle_history(tx, account).await?);
        let fees_until = invoicing::fees_until(&account, date);
        let billing = Billing { cutoff: invoicing::cutoff(&settings, date), account, settings, fees_until };
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
    /// `account_not_found`, `account_deactivated`, `nothing_to_bill`, `invoice_total_out_of_range`, or a database failure.
    pub async fn preview_invoice(&self, tenant: &TenantId, account: AccountId) -> Result<Reply, Failure> {
        self.store.commit(Arc::new(PreviewInvoice { tenant: tenant.clone(), account, clock: self.clock.clone() })).await
    }
}
