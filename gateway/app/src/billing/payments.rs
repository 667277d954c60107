//! `recordPayment`, `allocatePayment`, `deallocatePayment`, `cancelPayment`, `createRefund`, `createCredit`, `reverseCredit`.

use async_trait::async_trait;
use billwire_domain::{
    Change, Entity, Rejected, Violation,
    billing::{
        balance::Balance,
        credit::{self, Credit},
        invoice::{Invoice, Status},
        payment::{self, Payment},
        refund::{self, Refund},
    },
    customers::account::Account,
};
use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{AccountId, TenantId},
    refusal::Code,
};
use billwire_store::{Filter, Tx, commit::Failure};
use uuid::Uuid;

use crate::{
    App,
    billing::invoice_on_demand::has_final_invoice,
    events::event_parameters::{of_account, recorded},
    execute_on::{ObjectUseCase, owner},
    objects::{Referred, found, unknown},
    record::Record,
};

/// Maximum number of open invoices that one payment pays; the rest stays unallocated.
const INVOICES_MAX: u64 = 200;

/// Records a payment.
#[derive(Debug, Clone)]
pub struct RecordPayment {
    /// Ids or numbers of the invoices to pay, in this order; absent: the open ones, oldest first.
    pub invoices: Option<Vec<String>>,
    /// The payment to record.
    pub command: payment::Create,
}

/// Pays invoices from what is left of a payment.
#[derive(Debug, Clone)]
pub struct AllocatePayment {
    /// Ids or numbers of the invoices to pay, in this order; absent: the open ones, oldest first.
    pub invoices: Option<Vec<String>>,
}

/// Takes a payment back from invoices.
#[derive(Debug, Clone)]
pub struct DeallocatePayment {
    /// Ids or numbers of the invoices; absent: all that it pays.
    pub invoices: Option<Vec<String>>,
}

/// Cancels a payment that bounced or was charged back.
#[derive(Debug, Clone)]
pub struct CancelPayment {
    /// Reason.
    pub reason: String,
}

/// Takes back what is left of a credit.
#[derive(Debug, Clone)]
pub struct ReverseCredit;

/// Refunds a payment, in part or in full.
#[derive(Debug, Clone)]
pub struct CreateRefund {
    /// What to create.
    pub command: refund::Create,
}

/// Creates a credit.
#[derive(Debug, Clone)]
pub struct CreateCredit {
    /// Id or number of the invoice to credit; absent: the next ones.
    pub invoice: Option<String>,
    /// What to create.
    pub command: credit::Create,
}

impl App {
    /// The balance of an account.
    ///
    /// # Errors
    /// A database failure.
    pub async fn balance(&self, tenant: &TenantId, account: AccountId) -> Result<Balance, Failure> {
        Ok(self.store.balance(tenant, account).await?)
    }
}

#[async_trait]
impl ObjectUseCase for RecordPayment {
    type Object = Account;
    const OPERATION: &'static str = "recordPayment";
    const STATUS: u16 = 201;

    fn missing(reference: &str) -> Rejected {
        unknown::<Account>("/account", reference)
    }
    async fn run(&self, tx: &mut Tx<'_>, account: Account, now: Timestamp) -> Result<Option<Record>, Failure> {
        tx.ensure_external_id_free::<Payment>(self.command.external_id.as_deref()).await?;
        let invoices = match &self.invoices {
            Some(references) => named(tx, references).await?,
            None => open(tx, account.id).await?,
        };
        let (payment, paid) = payment::record(self.command.clone(), &account, invoices, self.invoices.is_some(), now)?;
        let related = of_account(tx, account.id).await?;
        tx.save(&payment)?;
        let record = Record::default().and(&payment, &related)?;
        with_invoices(tx, record, paid, &related).map(Some)
    }
}

/// The open invoices of an account, oldest first.
async fn open(tx: &mut Tx<'_>, account: AccountId) -> Result<Vec<Invoice>, Failure> {
    let open = Filter::new().is_id("account_id", Some(account.0)).is("status", Some(Status::Open.name()));
    tx.select::<Invoice>(open, INVOICES_MAX).await
}

/// The invoices that a body names; each may be named once.
async fn named(tx: &mut Tx<'_>, references: &[String]) -> Result<Vec<Invoice>, Failure> {
    let (mut invoices, mut broken) = (Vec::<Invoice>::new(), Vec::new());
    for (index, reference) in references.iter().enumerate() {
        let pointer = format!("/invoices/{index}");
        match tx.find::<Invoice>(reference).await? {
            None => broken.push(Violation::new(pointer, Invoice::UNKNOWN, format!("There is no invoice '{reference}'."))),
            Some(invoice) if invoices.iter().any(|earlier| earlier.id == invoice.id) => {
                broken.push(Violation::new(pointer, Code::InvoiceNamedTwice, format!("Invoice '{reference}' is listed twice.")));
            }
            Some(invoice) => invoices.push(invoice),
        }
    }
    Rejected::from_violations(broken).map_or(Ok(invoices), |rejected| Err(rejected.into()))
}

#[async_trait]
impl ObjectUseCase for CreateRefund {
    type Object = Payment;
    const OPERATION: &'static str = "createRefund";
    const STATUS: u16 = 201;

    fn missing(reference: &str) -> Rejected {
        unknown::<Payment>("/payment", reference)
    }
    async fn run(&self, tx: &mut Tx<'_>, payment: Payment, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = owner(tx, &payment).await?;
        tx.ensure_external_id_free::<Refund>(self.command.external_id.as_deref()).await?;
        let invoices = paid_by(tx, &payment).await?;
        let (refund, payment, reopened) = refund::create(self.command.clone(), payment, &account, invoices, now)?;
        let related = of_account(tx, account.id).await?;
        let mut around = related.clone();
        around.extend(payment.after.parameters());
        tx.save(&refund)?;
        tx.save(&payment)?;
        let record = Record::default().and(&refund, &around)?.and(&payment, &related)?;
        with_invoices(tx, record, reopened, &related).map(Some)
    }
}

/// The invoices that a payment pays.
async fn paid_by(tx: &mut Tx<'_>, payment: &Payment) -> Result<Vec<Invoice>, Failure> {
    let ids: Vec<Uuid> = payment.allocations.iter().map(|one| one.invoice_id.0).collect();
    tx.preload::<Invoice>(&ids).await?;
    let mut invoices = Vec::with_capacity(ids.len());
    for id in ids {
        invoices.extend(tx.load::<Invoice>(id).await?);
    }
    Ok(invoices)
}

/// Saves and records changed invoices.
fn with_invoices(tx: &mut Tx<'_>, mut record: Record, invoices: Vec<Change<Invoice>>, related: &Parameters) -> Result<Record, Failure> {
    for invoice in invoices {
        tx.save(&invoice)?;
        record = record.and(&invoice, related)?;
    }
    Ok(record)
}

/// Saves and records a changed payment and the invoices that change with it.
async fn saved(tx: &mut Tx<'_>, (payment, invoices): (Change<Payment>, Vec<Change<Invoice>>)) -> Result<Option<Record>, Failure> {
    let related = of_account(tx, payment.after.account_id).await?;
    tx.save(&payment)?;
    let record = Record::default().and(&payment, &related)?;
    with_invoices(tx, record, invoices, &related).map(Some)
}

#[async_trait]
impl ObjectUseCase for AllocatePayment {
    type Object = Payment;
    const OPERATION: &'static str = "allocatePayment";

    async fn run(&self, tx: &mut Tx<'_>, payment: Payment, now: Timestamp) -> Result<Option<Record>, Failure> {
        let invoices = match &self.invoices {
            Some(references) => named(tx, references).await?,
            None => open(tx, payment.account_id).await?,
        };
        let changes = payment::allocate(payment, invoices, self.invoices.is_some(), now)?;
        saved(tx, changes).await
    }
}

#[async_trait]
impl ObjectUseCase for DeallocatePayment {
    type Object = Payment;
    const OPERATION: &'static str = "deallocatePayment";

    async fn run(&self, tx: &mut Tx<'_>, payment: Payment, now: Timestamp) -> Result<Option<Record>, Failure> {
        let invoices = match &self.invoices {
            Some(references) => named(tx, references).await?,
            None => paid_by(tx, &payment).await?,
        };
        let changes = payment::deallocate(payment, invoices, now)?;
        saved(tx, changes).await
    }
}

#[async_trait]
impl ObjectUseCase for CancelPayment {
    type Object = Payment;
    const OPERATION: &'static str = "cancelPayment";

    async fn run(&self, tx: &mut Tx<'_>, payment: Payment, now: Timestamp) -> Result<Option<Record>, Failure> {
        let invoices = paid_by(tx, &payment).await?;
        let changes = payment::cancel(payment, invoices, self.reason.clone(), now)?;
        saved(tx, changes).await
    }
}

#[async_trait]
impl ObjectUseCase for ReverseCredit {
    type Object = Credit;
    const OPERATION: &'static str = "reverseCredit";

    async fn run(&self, tx: &mut Tx<'_>, credit: Credit, now: Timestamp) -> Result<Option<Record>, Failure> {
        recorded(tx, &credit::reverse(credit, now)?, Parameters::new()).await
    }
}

#[async_trait]
impl ObjectUseCase for CreateCredit {
    type Object = Account;
    const OPERATION: &'static str = "createCredit";
    const STATUS: u16 = 201;

    fn missing(reference: &str) -> Rejected {
        unknown::<Account>("/account", reference)
    }
    async fn run(&self, tx: &mut Tx<'_>, account: Account, now: Timestamp) -> Result<Option<Record>, Failure> {
        tx.ensure_external_id_free::<Credit>(self.command.external_id.as_deref()).await?;
        let invoice = match &self.invoice {
            Some(reference) => Some(found::<Invoice>(tx, "/invoice", reference).await?),
            None => None,
        };
        let has_final_invoice = has_final_invoice(tx, &account).await?;
        let (credit, covered) = credit::create(self.command.clone(), &account, invoice, has_final_invoice, now)?;
        let related = of_account(tx, account.id).await?;
        tx.save(&credit)?;
        let record = Record::default().and(&credit, &related)?;
        with_invoices(tx, record, covered.into_iter().collect(), &related).map(Some)
    }
}
