//! Creates an account's invoice from its unbilled items; shared by bill runs, final invoices and previews.

use billwire_domain::{
    Change, Entity, Rejected,
    billing::{
        credit::{self, Credit},
        invoice::{Invoice, Kind},
        invoicing::{self, Bill, CreditItem, FeeItem, PaidFor, Post, Unbilled},
        payment::{self, Payment},
    },
    customers::{
        account::{self, Account, PAID_FOR_MAX, Status},
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
    events::envelope::Parameters,
    ids::{AccountId, BillRunId, CreditId, InvoiceId, fresh},
    money::{Decimal, Money},
    refusal::Code,
};
use billwire_store::{Filter, Tx, commit::Failure};
use chrono::NaiveDate;

use crate::{events::event_parameters::of_package, objects::addressed, record::ByAccount};

/// Maximum number of fees, adjustments and credits each per invoice; the rest waits for the next invoice.
const MANY: u64 = 10_000;

/// Number of charges that a refusal names.
const CHARGES_NAMED: usize = 3;

/// An invoice to make.
pub(crate) struct Billing {
    /// The account that owes it.
    pub account: Account,
    pub settings: BillingSettings,
    /// Charges that occurred before this time are billed.
    pub cutoff: Timestamp,
    /// Whether what is planned counts as having come true, as in a preview.
    pub plans: bool,
    /// Whether the account owes nothing of the items any more afterwards, so that what is left of credit adjustments becomes credits.
    pub last: bool,
    /// The accounts whose items are billed.
    pub parts: Vec<Part>,
}

/// An account whose items are billed.
pub(crate) struct Part {
    pub account: Account,
    /// Fees for days before this date are billed.
    pub fees_until: NaiveDate,
}

/// The accounts that `account` pays for, as they were before this unit.
///
/// # Errors
/// A database failure.
pub(crate) async fn paid_for(tx: &Tx<'_>, account: AccountId) -> Result<Vec<Account>, Failure> {
    tx.select::<Account>(Filter::new().is_id("payer_id", Some(account.0)), PAID_FOR_MAX as u64).await
}

/// The account and those it pays for, each with its history and the date that `fees_until` gives. Those that were never active are left out.
///
/// # Errors
/// A billing day refusal, or a database failure.
pub(crate) async fn parts(
    tx: &mut Tx<'_>,
    account: Account,
    paid_for: Vec<Account>,
    fees_until: impl Fn(&Account) -> NaiveDate,
) -> Result<Vec<Part>, Failure> {
    let mut parts = Vec::new();
    let paid_for = paid_for.into_iter().filter(|account| account.status != Status::Inactive);
    for account in std::iter::once(account).chain(paid_for) {
        let account = with_bill_cycle_history(tx, account).await?;
        parts.push(Part { fees_until: fees_until(&account), account });
    }
    Ok(parts)
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
    /// Reads the unbilled items.
    ///
    /// # Errors
    /// `invoice_total_out_of_range`, or a database failure.
    pub async fn draw(&self, tx: &mut Tx<'_>) -> Result<Drawn, Failure> {
        let (mut subscriptions, mut adjustments) = (Vec::new(), Vec::new());
        let (mut debtor, mut own_until) = (&self.account, self.account.bill_cycle.period.start);
        let (mut own, mut others) = (Unbilled::default(), Vec::new());
        for part in &self.parts {
            let (unbilled, subscribed) = self.draw_part(tx, part).await?;
            subscriptions.extend(subscribed);
            adjustments.extend(unbilled.adjustments.iter().cloned());
            if part.account.id == self.account.id {
                (debtor, own_until, own) = (&part.account, part.fees_until, unbilled);
            } else {
                others.push(PaidFor { account: part.account.clone(), fees_until: part.fees_until, unbilled });
            }
        }
        let of_account = Filter::new().is_id("account_id", Some(self.account.id.0));
        let credits = tx.select::<Credit>(of_account.at_least("remaining", Some(1)), MANY).await?;
        let items = credits.iter().map(|one| CreditItem { id: one.id, remaining: one.remaining.amount, reason: one.reason.clone() });
        own.credits = items.collect();
        match invoicing::bill(debtor, own_until, &own, &others) {
            Ok(bill) => Ok(Drawn { bill, subscriptions, adjustments, credits, payments: Vec::new() }),
            Err(refusal) if refusal.code != Code::InvoiceTotalOutOfRange => Err(refusal.into()),
            Err(refusal) => {
                let mut largest = Vec::new();
                for part in &self.parts {
                    largest.extend(tx.largest_unbilled_charges(part.account.id, self.cutoff, CHARGES_NAMED as u64).await?);
                }
                largest.sort_by_key(|charge| std::cmp::Reverse(charge.net_amount.amount));
                largest.truncate(CHARGES_NAMED);
                Err(naming_charges(refusal, &largest).into())
            }
        }
    }

    /// Reads the unbilled items of one account, with its package subscriptions whose fees are due.
    async fn draw_part(&self, tx: &mut Tx<'_>, part: &Part) -> Result<(Unbilled, Vec<PackageSubscription>), Failure> {
        let Part { account, fees_until } = part;
        let own = || Filter::new().is_id("account_id", Some(account.id.0));
        let charges = tx.unbilled_charges(account.id, self.cutoff).await?;
        let mut subscriptions = tx.select::<PackageSubscription>(own(), MANY).await?;
        if self.plans {
            let foreseen = |one| invoicing::foreseen_subscription(one, &self.settings, self.cutoff);
            subscriptions = subscriptions.into_iter().map(foreseen).collect();
        }
        subscriptions.retain(|one| one.fee_billed_until < one.end_date.unwrap_or(*fees_until).min(*fees_until));
        tx.preload::<Package>(&subscriptions.iter().map(|one| one.package_id.0).collect::<Vec<_>>()).await?;
        let mut fees = Vec::with_capacity(subscriptions.len());
        for subscription in &subscriptions {
            if let Some(package) = tx.load::<Package>(subscription.package_id.0).await? {
                fees.push(FeeItem::of(subscription, &package, account, &self.settings));
            }
        }
        let adjustments = tx.select::<Adjustment>(own().is("status", Some(adjustment::State::Pending.name())), MANY).await?;
        Ok((Unbilled { charges, fees, adjustments, credits: Vec::new() }, subscriptions))
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

    /// Adds to `records` what the accounts are told of the invoice, and their periods that ended by `billing_date`.
    ///
    /// # Errors
    /// A database failure.
    pub async fn tell_accounts(
        &self,
        tx: &mut Tx<'_>,
        invoice: Option<&Change<Invoice>>,
        billing_date: Option<NaiveDate>,
        records: &mut ByAccount,
        now: Timestamp,
    ) -> Result<(), Failure> {
        for Part { account, .. } in &self.parts {
            let ended = billing_date.filter(|_| Account::billable(account.status));
            let mut change = ended.and_then(|date| invoicing::move_on(account, date, now));
            if let Some(invoice) = invoice.filter(|invoice| invoice.after.paid_for_account_ids.contains(&account.id)) {
                let told = account::billed_to_payer(&invoice.after);
                change = Some(match change {
                    Some(change) => change.and(told),
                    None => Change::updated(account.clone(), account.next_version(now), vec![told]),
                });
            }
            if let Some(change) = change {
                records.add(tx, &change, Parameters::new()).await?;
            }
        }
        Ok(())
    }

    /// Saves the invoice and its items, and adds them to `records`.
    ///
    /// # Errors
    /// A database failure.
    pub async fn save(
        &self,
        tx: &mut Tx<'_>,
        drawn: Drawn,
        invoice: Option<&Change<Invoice>>,
        records: &mut ByAccount,
        now: Timestamp,
    ) -> Result<(), Failure> {
        if let Some(invoice) = invoice {
            records.add(tx, invoice, Parameters::new()).await?;
            for account in invoice.after.billed_accounts() {
                tx.bill_charges(account, self.cutoff, invoice.after.id);
            }
        }
        for subscription in drawn.subscriptions {
            let Some((_, until)) = drawn.bill.fees.iter().find(|(id, _)| *id == subscription.id) else { continue };
            let package = of_package(tx, &subscription).await?;
            records.add(tx, &package_subscription::fee_billed(subscription, *until, now), package).await?;
        }
        for adjustment in drawn.adjustments {
            let part = drawn.bill.adjustments.iter().find(|(id, _)| *id == adjustment.id).map_or(Decimal::ZERO, |(_, part)| *part);
            let (invoice, left) = (invoice.map(|invoice| invoice.after.id), adjustment.unbilled().minus(part));
            let change = match (invoice, left.filter(|left| self.last && left.is_positive())) {
                (_, Some(left)) => {
                    let amount = Money::new(left, adjustment.amount.currency);
                    let credit = credit::Create { id: CreditId(fresh()), external_id: None, amount, reason: adjustment.reason.clone() };
                    let (credit, _) = credit::create(credit, &self.account, None, false, now)?;
                    records.add(tx, &credit, Parameters::new()).await?;
                    adjustment::credited(adjustment, invoice.filter(|_| part.is_positive()), now)
                }
                (Some(invoice), None) if part.is_positive() => adjustment::billed(adjustment, part, invoice, now),
                _ => continue,
            };
            records.add(tx, &change, Parameters::new()).await?;
        }
        for credit in drawn.credits {
            let Some((_, part)) = drawn.bill.credits.iter().find(|(id, _)| *id == credit.id) else { continue };
            records.add(tx, &credit::take(credit, *part, now), Parameters::new()).await?;
        }
        for payment in drawn.payments {
            records.add(tx, &payment, Parameters::new()).await?;
        }
        Ok(())
    }
}
