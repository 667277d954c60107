//! `updateInvoice`, `deliverInvoice`, `cancelInvoice`, and due dates of invoices.

use async_trait::async_trait;
use billwire_domain::{
    Change, Rejected,
    attributes::Changes,
    billing::{
        credit::{self, Credit},
        invoice::{self, Invoice, Status},
        invoicing::{ensure_payers_unchanged, undo},
    },
    customers::{
        account::{self, Account},
        package_subscription::{self, PackageSubscription},
    },
    usage::{
        adjustment::{self, Adjustment},
        chargeable_event::ChargeableEvent,
    },
};
use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{InvoiceId, OrderingKey, TenantId},
    refusal::Code,
};
use billwire_store::{Filter, Tx, commit::Failure};
use uuid::Uuid;

use crate::{
    App,
    customers::billing_settings::settings,
    events::event_parameters::{of_package, recorded},
    execute::UseCase,
    execute_on::{ObjectUseCase, ensure_locked, owner},
    record::{ByAccount, Record},
};

/// Changes an invoice's attributes.
#[derive(Debug, Clone)]
pub struct UpdateInvoice {
    /// The change.
    pub attributes: Changes,
}

/// Records that an invoice was delivered.
#[derive(Debug, Clone)]
pub struct DeliverInvoice;

/// Cancels an invoice; its items will be billed again.
#[derive(Debug, Clone)]
pub struct CancelInvoice;

/// Performs what is due for an invoice.
#[derive(Debug, Clone)]
pub(crate) struct InvoiceDue {
    pub key: OrderingKey,
    pub id: InvoiceId,
}

/// Maximum number of adjustments a cancellation changes, so that its events fit into one batch of the stream.
const ADJUSTMENTS_MAX: usize = 400;

#[async_trait]
impl ObjectUseCase for UpdateInvoice {
    type Object = Invoice;
    const OPERATION: &'static str = "updateInvoice";

    async fn run(&self, tx: &mut Tx<'_>, invoice: Invoice, now: Timestamp) -> Result<Option<Record>, Failure> {
        recorded(tx, &invoice::update(invoice, &self.attributes, now)?, Parameters::new()).await
    }
}

#[async_trait]
impl ObjectUseCase for DeliverInvoice {
    type Object = Invoice;
    const OPERATION: &'static str = "deliverInvoice";

    async fn run(&self, tx: &mut Tx<'_>, invoice: Invoice, now: Timestamp) -> Result<Option<Record>, Failure> {
        let change = invoice::deliver(invoice, &settings(tx).await?, now)?;
        recorded(tx, &change, Parameters::new()).await
    }
}

#[async_trait]
impl UseCase for InvoiceDue {
    const OPERATION: &'static str = "followUpInvoice";

    fn key(&self) -> OrderingKey {
        self.key.clone()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let Some(invoice) = tx.load::<Invoice>(self.id.0).await? else { return Ok(None) };
        match invoice::due(invoice, now) {
            Some(change) => recorded(tx, &change, Parameters::new()).await,
            None => Ok(None),
        }
    }
}

#[async_trait]
impl ObjectUseCase for CancelInvoice {
    type Object = Invoice;
    const OPERATION: &'static str = "cancelInvoice";

    async fn further_locks(&self, app: &App, tenant: &TenantId, reference: &str) -> Result<Vec<OrderingKey>, Failure> {
        let invoice = app.find::<Invoice>(tenant, reference).await?;
        Ok(invoice.into_iter().flat_map(|invoice| invoice.paid_for_account_ids).map(Into::into).collect())
    }
    async fn run(&self, tx: &mut Tx<'_>, invoice: Invoice, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = owner(tx, &invoice).await?;
        let later = tx.invoices_after(account.id, invoice.id).await?;
        let latest = !later.iter().any(|other| other.status != Status::Cancelled);
        let mut accounts = vec![account];
        for paid in &invoice.paid_for_account_ids {
            accounts.extend(tx.load::<Account>(paid.0).await?);
        }
        ensure_locked(tx, &accounts)?;
        let change = invoice::cancel(invoice, latest, now)?;
        ensure_payers_unchanged(&change.after, &accounts)?;
        let adjustments = adjustments_given_back(tx, &change.after, &accounts, now).await?;
        let mut records = ByAccount::default();
        records.add(tx, &change, Parameters::new()).await?;
        tx.unbill_charges(change.after.id);
        for change in adjustments {
            records.add(tx, &change, Parameters::new()).await?;
        }
        let undone = undo(&change.after.lines);
        for (id, from) in undone.fees {
            let Some(subscription) = tx.load::<PackageSubscription>(id.0).await? else { continue };
            let package = of_package(tx, &subscription).await?;
            records.add(tx, &package_subscription::fee_given_back(subscription, from, now), package).await?;
        }
        for (id, part) in undone.credits {
            let Some(credit) = tx.load::<Credit>(id.0).await? else { continue };
            records.add(tx, &credit::give_back(credit, part, now), Parameters::new()).await?;
        }
        for paid in accounts.into_iter().filter(|one| one.id != change.after.account_id) {
            records.add(tx, &account::payer_invoice_cancelled(paid, &change.after, now), Parameters::new()).await?;
        }
        Ok(records.record())
    }
}

/// The adjustments that a cancelled invoice releases. What it billed of them becomes pending again; pending ones of charges it billed are
/// applied to their charge again.
async fn adjustments_given_back(
    tx: &mut Tx<'_>,
    invoice: &Invoice,
    accounts: &[Account],
    now: Timestamp,
) -> Result<Vec<Change<Adjustment>>, Failure> {
    let billed = undo(&invoice.lines).adjustments;
    tx.preload::<Adjustment>(&billed.iter().map(|(id, _)| id.0).collect::<Vec<_>>()).await?;
    let mut free = Vec::new();
    for (id, part) in billed {
        free.extend(tx.load::<Adjustment>(id.0).await?.map(|one| adjustment::given_back(one, part, now)));
    }
    let ids: Vec<Uuid> = accounts.iter().map(|account| account.id.0).collect();
    let pending = Filter::new().any_id_of("account_id", &ids).is("status", Some(adjustment::State::Pending.name()));
    for one in tx.select::<Adjustment>(pending, u64::from(u32::MAX)).await? {
        let charge = tx.load::<ChargeableEvent>(one.chargeable_event_id.0).await?;
        if charge.is_some_and(|charge| charge.invoice_id == Some(invoice.id)) {
            free.push(adjustment::applied(one, now));
        }
    }
    if free.len() > ADJUSTMENTS_MAX {
        let message = format!("The invoice has {} adjustments, more than {ADJUSTMENTS_MAX}; create a credit instead.", free.len());
        return Err(Rejected::conflict(Code::TooManyAdjustments, message).into());
    }
    Ok(free)
}
