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
use billwire_schemas::{
    clock::Timestamp,
    ids::{AccountId, OrderingKey},
    refusal::Code,
};
use billwire_store::{
    Filter, Tx,
    commit::{Failure, Prefetch},
};

use crate::{
    account_object::AccountObject,
    events::event_parameters::of_account,
    execute::UseCase,
    objects::{Referred, found, referenced},
    record::Record,
};

/// Open invoices one payment is spread over at the most; what is left over then stays unallocated.
const INVOICES_MAX: u64 = 200;

/// Records a payment.
#[derive(Debug, Clone)]
pub struct RecordPayment {
    /// Who paid.
    pub account: AccountId,
    /// Which invoices it pays, by id or number, in this order; absent: the oldest open ones.
    pub invoices: Option<Vec<String>>,
    /// What it is.
    pub command: payment::Create,
}

/// Pays back a part of a payment.
#[derive(Debug, Clone)]
pub struct CreateRefund {
    /// Which payment, and whose.
    pub payment: AccountObject,
    /// What it shall be.
    pub command: refund::Create,
}

/// Gives a credit.
#[derive(Debug, Clone)]
pub struct CreateCredit {
    /// Who gets it.
    pub account: AccountId,
    /// On which invoice, by id or number; absent: on the next one.
    pub invoice: Option<String>,
    /// What it shall be.
    pub command: credit::Create,
}

#[async_trait]
impl UseCase for RecordPayment {
    const OPERATION: &'static str = "recordPayment";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        self.account.into()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        vec![Prefetch::of::<Account>(self.account.0)]
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = referenced::<Account>(tx, "/account", self.account.0).await?;
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
impl UseCase for CreateRefund {
    const OPERATION: &'static str = "createRefund";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        self.payment.key()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        self.payment.prefetch::<Payment>()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let payment = referenced::<Payment>(tx, "/payment", self.payment.id).await?;
        let account = referenced::<Account>(tx, "/payment", payment.account_id.0).await?;
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
impl UseCase for CreateCredit {
    const OPERATION: &'static str = "createCredit";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        self.account.into()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        vec![Prefetch::of::<Account>(self.account.0)]
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = referenced::<Account>(tx, "/account", self.account.0).await?;
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
