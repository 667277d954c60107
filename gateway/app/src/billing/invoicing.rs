//! Creates an account's invoice from its unbilled items; shared by bill runs, final invoices and previews.

use billwire_domain::{
    Change, Rejected,
    billing::{
        credit::{self, Credit},
        invoice::{Invoice, Kind},
        invoicing::{self, Bill, CreditItem, FeeItem, Post, Unbilled},
        payment::{self, Payment},
    },
    customers::{
        account::Account,
        bill_cycle::BillCycle,
        billing_settings::BillingSettings,
        package::Package,
        package_subscription::{self, PackageSubscription},
    },
    usage::{
        adjustment::{self, Adjustment},
        chargeable_event::ChargeableEvent,
    },
};
use billwire_schemas::{
    clock::Timestamp,
    ids::{BillRunId, InvoiceId},
    refusal::Code,
};
use billwire_store::{Filter, Tx, commit::Failure};
use chrono::NaiveDate;

use crate::{
    events::event_parameters::{of_account, of_package},
    objects::addressed,
    record::Record,
};

/// Maximum number of fees, adjustments and credits each per invoice; the rest waits for the next invoice.
const MANY: u64 = 10_000;

/// Number of charges that a refusal names.
const CHARGES_NAMED: u64 = 3;

/// An account to bill.
pub(crate) struct Billing {
    pub account: Account,
    pub settings: BillingSettings,
    /// Charges that occurred before this time are billed.
    pub cutoff: Timestamp,
    /// Fees for days before this date are billed.
    pub fees_until: NaiveDate,
}

/// The account with the history of its bill cycle, also if it has not changed since a version without it.
///
/// # Errors
/// A billing day refusal, or a database failure.
pub(crate) async fn with_bill_cycle_history(tx: &mut Tx<'_>, account: Account) -> Result<Account, Failure> {
    if !account.bill_cycle_history.is_empty() {
        return Ok(account);
    }
    let cycle = addressed::<BillCycle>(tx, account.bill_cycle.bill_cycle_id.0, None).await?;
    let schedule = cycle.schedule(account.bill_cycle.billing_day)?;
    Ok(account.with_bill_cycle_history(schedule))
}

/// The refusal of a bill whose sum exceeds the largest amount, with the unbilled charges to adjust. Each has its external id or else its id.
fn naming_charges(mut refusal: Rejected, largest: &[ChargeableEvent]) -> Rejected {
    if !largest.is_empty() {
        let named = largest.iter().map(|charge| {
            let id = charge.external_id.clone().unwrap_or_else(|| charge.id.to_string());
            format!("'{id}' ({})", charge.net_amount.amount_text())
        });
        let named = named.collect::<Vec<_>>().join(", ");
        refusal.message = format!("{} The largest charges: {named}; adjustChargeableEvent lowers them.", refusal.message);
    }
    refusal
}

/// The bill and its items.
pub(crate) struct Drawn {
    bill: Bill,
    subscriptions: Vec<PackageSubscription>,
    adjustments: Vec<Adjustment>,
    credits: Vec<Credit>,
    /// The payments that pay the invoice.
    payments: Vec<Change<Payment>>,
}

/// The invoice to create.
pub(crate) struct Wanted {
    pub id: InvoiceId,
    pub kind: Kind,
    pub run: Option<BillRunId>,
}

impl Billing {
    /// Reads the account's unbilled items.
    ///
    /// # Errors
    /// `invoice_total_out_of_range`, or a database failure.
    pub async fn draw(&self, tx: &mut Tx<'_>) -> Result<Drawn, Failure> {
        let own = || Filter::new().is_id("account_id", Some(self.account.id.0));
        let charges = tx.unbilled_charges(self.account.id, self.cutoff).await?;
        let mut subscriptions = tx.select::<PackageSubscription>(own(), MANY).await?;
        subscriptions.retain(|one| one.fee_billed_until < one.end_date.unwrap_or(self.fees_until).min(self.fees_until));
        tx.preload::<Package>(&subscriptions.iter().map(|one| one.package_id.0).collect::<Vec<_>>()).await?;
        let mut fees = Vec::with_capacity(subscriptions.len());
        for subscription in &subscriptions {
            if let Some(package) = tx.load::<Package>(subscription.package_id.0).await? {
                fees.push(FeeItem::of(subscription, &package, &self.account, &self.settings));
            }
        }
        let adjustments = tx.select::<Adjustment>(own().is("status", Some(adjustment::State::Pending.name())), MANY).await?;
        let credits = tx.select::<Credit>(own().at_least("remaining", Some(1)), MANY).await?;
        let items = credits.iter().map(|one| CreditItem { id: one.id, remaining: one.remaining.amount, reason: one.reason.clone() });
        let unbilled = Unbilled { charges, fees, adjustments: adjustments.clone(), credits: items.collect() };
        let bill = match invoicing::bill(&self.account, self.fees_until, unbilled) {
            Ok(bill) => bill,
            Err(refusal) if refusal.code != Code::InvoiceTotalOutOfRange => return Err(refusal.into()),
            Err(refusal) => {
                let largest = tx.largest_unbilled_charges(self.account.id, self.cutoff, CHARGES_NAMED).await?;
                return Err(naming_charges(refusal, &largest).into());
            }
        };
        Ok(Drawn { bill, subscriptions, adjustments, credits, payments: Vec::new() })
    }

    /// The invoice for the drawn items, paid from what earlier payments have left; `None` if there is nothing to bill.
    ///
    /// # Errors
    /// A database failure.
    pub async fn post(
        &self,
        tx: &mut Tx<'_>,
        drawn: &mut Drawn,
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<Option<Change<Invoice>>, Failure> {
        let earlier = tx.invoice_count(self.account.id).await?;
        let command = Post { id: wanted.id, earlier, kind: wanted.kind, bill_run_id: wanted.run, cutoff: self.cutoff };
        let mut invoice = invoicing::post(&command, &self.account, &self.settings, &drawn.bill, now);
        if let Some(invoice) = &mut invoice
            && self.settings.allocate_prepayments
            && invoice.after.amount_due.amount.is_positive()
        {
            let prepaid = Filter::new().is_id("account_id", Some(self.account.id.0)).at_least("unallocated", Some(1));
            drawn.payments = payment::prepay(invoice, tx.select::<Payment>(prepaid, MANY).await?, now);
        }
        Ok(invoice)
    }

    /// Saves and records the invoice and its items. `moved` is the account in its next period.
    ///
    /// # Errors
    /// A database failure.
    pub async fn save(
        &self,
        tx: &mut Tx<'_>,
        drawn: Drawn,
        invoice: Option<&Change<Invoice>>,
        moved: Option<Change<Account>>,
        now: Timestamp,
    ) -> Result<Option<Record>, Failure> {
        let mut related = of_account(tx, self.account.id).await?;
        let mut record = Record::default();
        let mut changed = false;
        if let Some(invoice) = invoice {
            tx.save(invoice)?;
            tx.bill_charges(self.account.id, self.cutoff, invoice.after.id);
            record = record.and(invoice, &related)?;
            changed = true;
        }
        for subscription in drawn.subscriptions {
            let Some((_, until)) = drawn.bill.fees.iter().find(|(id, _)| *id == subscription.id) else { continue };
            let mut around = related.clone();
            around.extend(of_package(tx, &subscription).await?);
            let change = package_subscription::fee_billed(subscription, *until, now);
            tx.save(&change)?;
            record = record.and(&change, &around)?;
            changed = true;
        }
        for adjustment in drawn.adjustments {
            let part = drawn.bill.adjustments.iter().find(|(id, _)| *id == adjustment.id);
            let (Some((_, part)), Some(invoice)) = (part, invoice) else { continue };
            let change = adjustment::billed(adjustment, *part, invoice.after.id, now);
            tx.save(&change)?;
            record = record.and(&change, &related)?;
            changed = true;
        }
        for credit in drawn.credits {
            let Some((_, part)) = drawn.bill.credits.iter().find(|(id, _)| *id == credit.id) else { continue };
            let change = credit::take(credit, *part, now);
            tx.save(&change)?;
            record = record.and(&change, &related)?;
            changed = true;
        }
        for payment in drawn.payments {
            tx.save(&payment)?;
            record = record.and(&payment, &related)?;
        }
        if let Some(moved) = moved {
            related.retain(|name, _| name.starts_with("contact."));
            tx.save(&moved)?;
            record = record.and(&moved, &related)?;
            changed = true;
        }
        Ok(changed.then_some(record))
    }
}
