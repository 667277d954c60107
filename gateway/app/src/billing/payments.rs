//! `recordPayment`, `createRefund`, `createCredit`.

use async_trait::async_trait;
use billwire_domain::{
    Entity, Rejected, Violation,
    billing::{
        credit::{self, Credit},
        invoice::{Invoice, Status},
        payment::{self, Payment},
        refund::{self, Refund},
    },
    customers::account::Account,
};
use billwire_schemas::{clock::Timestamp, refusal::Code};
use billwire_store::{Filter, Tx, commit::Failure};

use crate::{
    events::event_parameters::of_account,
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
            None => {
                let open = Filter::new().is_id("account_id", Some(account.id.0)).is("status", Some(Status::Open.name()));
                tx.select::<Invoice>(open, INVOICES_MAX).await?
            }
        };
        let (payment, paid) = payment::record(self.command.clone(), &account, invoices, self.invoices.is_some(), now)?;
        let related = of_account(tx, account.id).await?;
        tx.save(&payment)?;
        let mut record = Record::default().and(&payment, &related)?;
        for invoice in paid {
            tx.save(&invoice)?;
            record = record.and(&invoice, &related)?;
        }
        Ok(Some(record))
    }
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
        let (refund, payment) = refund::create(self.command.clone(), payment, &account, now)?;
        let related = of_account(tx, account.id).await?;
        let mut around = related.clone();
        around.extend(payment.after.parameters());
        tx.save(&refund)?;
        tx.save(&payment)?;
        Record::default().and(&refund, &around)?.and(&payment, &related).map(Some)
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
        let (credit, covered) = credit::create(self.command.clone(), &account, invoice, now)?;
        let related = of_account(tx, account.id).await?;
        tx.save(&credit)?;
        let mut record = Record::default().and(&credit, &related)?;
        if let Some(invoice) = covered {
            tx.save(&invoice)?;
            record = record.and(&invoice, &related)?;
        }
        Ok(Some(record))
    }
}
