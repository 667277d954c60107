//! Invoices: what an account owes for a period, and what becomes of that.
//!
//! How the lines come about is the subject of [`crate::invoicing`]; here is what happens to an invoice once it is posted.

use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{AccountId, AdjustmentId, BillRunId, CreditId, InvoiceId, PackageSubscriptionId},
    money::{Currency, Decimal, Money},
};
use chrono::{NaiveDate, SecondsFormat};
use serde::{Deserialize, Serialize};

use crate::{calendar::Period, change::Entity};

/// Why an invoice was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// By a bill run of the account's cycle.
    Cycle,
    /// On demand: the final bill of a deactivated account.
    OnDemand,
}

/// Where an invoice stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// Something is due.
    Open,
    /// Nothing is due any more.
    Paid,
    /// Taken back; what it billed is billed again.
    Cancelled,
}

impl Status {
    /// The name used on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a line is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum About {
    /// All charges of one type.
    Charges {
        /// Their type.
        charge_type: String,
        /// How many.
        count: i64,
    },
    /// The recurring fee of a package subscription for a period, or a part of one.
    Fee {
        /// Which subscription.
        package_subscription_id: PackageSubscriptionId,
        /// The days it is for.
        period: Period,
    },
    /// An adjustment of a charge that was on an earlier invoice.
    Adjustment {
        /// Which.
        adjustment_id: AdjustmentId,
    },
    /// A credit of the account.
    Credit {
        /// Which.
        credit_id: CreditId,
    },
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// What it is about.
    #[serde(flatten)]
    pub about: About,
    /// For people.
    pub description: String,
    /// The sum before rounding, in the invoice's currency.
    pub exact: Decimal,
    /// What is billed: the sum rounded to the currency's minor unit, halves to even. Negative for what is given back.
    pub amount: Money,
}

/// A moment a number of days after delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryOffset {
    /// Days after the delivery's date in the tenant's time zone.
    pub days: u32,
    /// Time of day there, `HH:MM`.
    pub time: String,
    /// The moment that is.
    pub at: Timestamp,
    /// When the clock told of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reached_at: Option<Timestamp>,
}

/// An invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Invoice {
    /// Its id.
    pub id: InvoiceId,
    /// Its version, from 1.
    pub version: i64,
    /// Whose it is.
    pub account_id: AccountId,
    /// Its number: unique, counted per account.
    pub number: String,
    /// Why it was made.
    pub kind: Kind,
    /// The bill run that made it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bill_run_id: Option<BillRunId>,
    /// ISO 4217.
    pub currency: Currency,
    /// Its lines.
    pub lines: Vec<Line>,
    /// The sum of the lines' amounts; never negative.
    pub total: Money,
    /// What payments have covered.
    pub amount_paid: Money,
    /// What credits made after posting have covered.
    pub amount_credited: Money,
    /// Total less paid less credited.
    pub amount_due: Money,
    /// Where it stands.
    pub status: Status,
    /// The date it was posted, in the tenant's time zone.
    pub issued_on: NaiveDate,
    /// The last day to pay, in the tenant's time zone.
    pub due_on: NaiveDate,
    /// When it becomes overdue unless it is paid: the end of that day.
    pub overdue_at: Timestamp,
    /// It bills charges that occurred before this moment.
    pub cutoff: Timestamp,
    /// When it was delivered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub delivered_at: Option<Timestamp>,
    /// Since when it is overdue.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub overdue_since: Option<Timestamp>,
    /// What is to be told a number of days after delivery; fixed at delivery, in order of the moments.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub delivery_offsets: Vec<DeliveryOffset>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Entity for Invoice {
    const TYPE: &'static str = "invoice";
    const EVENT_OBJECT: Option<&'static str> = Some("invoice");

    fn id(&self) -> uuid::Uuid {
        self.id.0
    }
    fn version(&self) -> i64 {
        self.version
    }
    fn status(&self) -> Option<&str> {
        Some(self.status.name())
    }
    fn created_at(&self) -> Timestamp {
        self.created_at
    }
    /// The clock looks at open invoices only: nothing is told of one that was paid or cancelled.
    fn due_at(&self) -> Option<Timestamp> {
        if self.status != Status::Open {
            return None;
        }
        let overdue = self.overdue_since.is_none().then_some(self.overdue_at);
        let offsets = self.delivery_offsets.iter().filter(|offset| offset.reached_at.is_none()).map(|offset| offset.at);
        overdue.into_iter().chain(offsets).min()
    }
    fn account(&self) -> Option<AccountId> {
        Some(self.account_id)
    }
    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::from([
            ("invoice.id".to_owned(), self.id.to_string().into()),
            ("invoice.number".to_owned(), self.number.clone().into()),
            ("invoice.status".to_owned(), self.status.name().into()),
            ("invoice.total".to_owned(), self.total.amount_text().into()),
            ("invoice.amountPaid".to_owned(), self.amount_paid.amount_text().into()),
            ("invoice.amountDue".to_owned(), self.amount_due.amount_text().into()),
            ("invoice.currency".to_owned(), self.currency.as_str().into()),
            ("invoice.issuedOn".to_owned(), self.issued_on.to_string().into()),
            ("invoice.dueOn".to_owned(), self.due_on.to_string().into()),
        ]);
        let moments = [("invoice.deliveredAt", self.delivered_at), ("invoice.overdueSince", self.overdue_since)];
        for (name, moment) in moments {
            if let Some(moment) = moment {
                parameters.insert(name.to_owned(), moment.to_rfc3339_opts(SecondsFormat::AutoSi, true).into());
            }
        }
        parameters
    }
}
