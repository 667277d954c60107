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

/// Open invoices one payment is spread over at the most; what is left over then stays unallocated.
const INVOICES_MAX: u64 = 200;

/// Records a payment.
#[derive(Debug, Clone)]
pub struct RecordPayment {
    /// Which invoices it pays, by id or number, in this order; absent: the oldest open ones.
    pub invoices: Option<Vec<String>>,
    /// What it is.
    pub command: payment::Create,
}

/// Pays back a part of a payment.
#[derive(Debug, Clone)]
pub struct CreateRefund {
    /// What it shall be.
    pub command: refund::Create,
}

/// Gives a credit.
#[derive(Debug, Clone)]
pub struct CreateCredit {
    /// On which invoice, by id or number; absent: on the next one.
    pub invoice: Option<String>,
    /// What it shall be.
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

/// The invoices a body names, each once.
async fn named(tx: &mut Tx<'_>, references: &[String]) -> Result<Vec<Invoice>, Failure> {
    let (mut invoices, mut broken) = (Vec::<Invoice>::new(), Vec::new());
    for (index, reference) in references.iter().enumerate() {
        let pointer = format!("/invoices/{index}");
        match tx.find::<Invoice>(reference).await? {
            None => broken.push(Violation::new(pointer, Invoice::UNKNOWN, format!("There is no invoice '{reference}'."))),
            Some(invoice) if invoices.iter().any(|earlier| earlier.id == invoice.id) => {
                broken.push(Violation::new(pointer, Code::InvoiceNamedTwice, format!("Invoice '{reference}' stands there twice.")));
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
