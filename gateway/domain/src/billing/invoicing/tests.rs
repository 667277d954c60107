use billwire_schemas::ids::{AccountId, BillCycleId, ChargeableEventId, fresh};

use super::*;
use crate::{
    calendar::PeriodUnit,
    customers::{account, bill_cycle},
    usage::adjustment::{self, ChargeType, State},
};

pub(super) fn d(text: &str) -> NaiveDate {
    text.parse().expect("a date")
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

pub(super) fn dec(text: &str) -> Decimal {
    text.parse().expect("a decimal")
}

/// An account in its first, short period, from 1 to 15 June 2027.
pub(super) fn account() -> Account {
    let cycle = bill_cycle::Create {
        id: BillCycleId(fresh()),
        external_id: None,
        name: "monthly".into(),
        period: PeriodUnit::Month,
        length: 1,
        individual: false,
        billing_day: Some(15),
        billing_month: None,
        announce_days: None,
        auto_run: None,
    };
    let now = at("2027-06-01T08:00:00Z");
    let cycle = bill_cycle::create(cycle, now).expect("a cycle").after;
    let command = account::Create {
        id: AccountId(fresh()),
        external_id: None,
        name: "Acme".into(),
        currency: Some("EUR".into()),
        active: true,
        billing_day: None,
        company: None,
        payment_term_days: None,
        attributes: Default::default(),
    };
    account::create(command, &cycle, &BillingSettings::default(), now).expect("an account").after
}

pub(super) fn charges(kind: &str, count: i64, sum: &str) -> ChargeSum {
    ChargeSum { charge_type: kind.into(), count, sum: Some(dec(sum)) }
}

pub(super) fn fee(fee: &str, from: &str, until: Option<&str>) -> FeeItem {
    let id = PackageSubscriptionId(fresh());
    let from = d(from);
    let recurring_fee = Money::new(dec(fee), "EUR".parse().expect("a currency"));
    let fee = FeeByDay { recurring_fee, recurring_period: None };
    let (fees, billable) = (History::starting(from, fee), History::starting(from, true));
    FeeItem { id, package: "Fibre 100".into(), fees, start: from, from, until: until.map(d), billable }
}

pub(super) fn adjustment(charge_type: ChargeType, amount: &str) -> Adjustment {
    Adjustment {
        id: AdjustmentId(fresh()),
        version: 1,
        account_id: AccountId(fresh()),
        chargeable_event_id: ChargeableEventId(fresh()),
        charge_type,
        amount: Money::new(dec(amount), "EUR".parse().expect("a currency")),
        tax_included: false,
        reason: "a complaint".into(),
        user: None,
        state: State::Pending,
        remaining: None,
        invoice_id: None,
        created_at: at("2027-06-01T00:00:00Z"),
        updated_at: at("2027-06-01T00:00:00Z"),
    }
}

pub(super) fn credit(remaining: &str) -> CreditItem {
    CreditItem { id: CreditId(fresh()), remaining: dec(remaining), reason: "goodwill".into() }
}

fn billed(unbilled: Unbilled, date: &str) -> Bill {
    let account = account();
    bill(&account, fees_until(&account, d(date)), &unbilled, &[]).expect("a bill")
}

pub(super) fn amounts(bill: &Bill) -> Vec<String> {
    bill.lines.iter().map(|line| line.amount.amount_text()).collect()
}

#[test]
fn charges_make_a_line_per_type_rounded_once_halves_to_even() {
    let unbilled = Unbilled {
        charges: vec![charges("data", 3, "0.125"), charges("voice", 1, "0.135"), charges("sms", 2, "0")],
        ..Unbilled::default()
    };
    let bill = billed(unbilled, "2027-06-15");
    assert_eq!(amounts(&bill), ["0.12", "0.14", "0.00"]);
    assert_eq!(bill.lines[0].exact, dec("0.125"));
    assert_eq!(bill.lines[0].about, About::Charges { charge_type: "data".into(), count: 3 });
    assert_eq!(bill.total.amount, dec("0.26"));
}

#[test]
fn fees_are_prorated_by_days_and_billed_for_ended_periods_only() {
    let fees = || vec![fee("31", "2027-06-01", None), fee("30", "2027-06-20", Some("2027-06-25")), fee("31", "2027-06-14", None)];
    let unbilled = || Unbilled { fees: fees(), ..Unbilled::default() };
    assert_eq!(billed(unbilled(), "2027-06-14").lines, [], "the period has not ended");
    assert_eq!(amounts(&billed(unbilled(), "2027-06-15")), ["14.00", "1.00"], "14 and 1 of the full period's 31 days");
    let all = billed(unbilled(), "2027-07-20");
    assert_eq!(amounts(&all), ["14.00", "31.00", "5.00", "1.00", "31.00"]);
    assert_eq!(all.fees.iter().map(|(_, until)| *until).collect::<Vec<_>>(), [d("2027-07-15"), d("2027-06-25"), d("2027-07-15")]);
    assert_eq!(all.lines[0].description, "Fibre 100, 2027-06-01 to 2027-06-14");
}

#[test]
fn what_is_not_billable_costs_nothing_and_its_days_pass() {
    let mut idle = fee("31", "2027-06-01", None);
    idle.billable = History::starting(idle.from, false);
    let bill = billed(Unbilled { fees: vec![idle.clone()], ..Unbilled::default() }, "2027-06-15");
    assert_eq!((bill.lines, bill.fees), (vec![], vec![(idle.id, d("2027-06-15"))]));
}

#[test]
fn what_gives_back_is_taken_oldest_first_as_far_as_the_total_stays_at_zero_or_above() {
    let adjustments = vec![
        adjustment(ChargeType::Credit, "8"),
        adjustment(ChargeType::Credit, "4"),
        adjustment(ChargeType::Debit, "1"),
        adjustment(ChargeType::Credit, "2"),
    ];
    let credits = vec![credit("0.50"), credit("7"), credit("9")];
    let unbilled = Unbilled {
        charges: vec![charges("data", 1, "10")],
        adjustments: adjustments.clone(),
        credits: credits.clone(),
        ..Unbilled::default()
    };
    let bill = billed(unbilled, "2027-06-15");
    assert_eq!(amounts(&bill), ["10.00", "1.00", "-8.00", "-3.00"], "3 of the 4 are left for the second, nothing for the others");
    assert_eq!(bill.total.amount, Decimal::ZERO);
    assert_eq!(bill.adjustments, [(adjustments[2].id, dec("1")), (adjustments[0].id, dec("8")), (adjustments[1].id, dec("3"))]);
    assert_eq!(bill.credits, []);
    let unbilled = Unbilled { charges: vec![charges("data", 1, "1")], credits: credits.clone(), ..Unbilled::default() };
    assert_eq!(billed(unbilled, "2027-06-15").credits, [(credits[0].id, dec("0.5")), (credits[1].id, dec("0.5"))]);
}

#[test]
fn a_credit_adjustment_is_split_and_the_rest_waits() {
    let one = adjustment(ChargeType::Credit, "10");
    let unbilled = |one| Unbilled { charges: vec![charges("data", 1, "3")], adjustments: vec![one], ..Unbilled::default() };
    let bill = billed(unbilled(one.clone()), "2027-06-15");
    assert_eq!((amounts(&bill), bill.total.amount), (vec!["3.00".to_owned(), "-3.00".to_owned()], Decimal::ZERO));
    let (invoice, now) = (InvoiceId(fresh()), at("2027-06-15T00:00:00Z"));
    let rest = adjustment::billed(one, dec("3"), invoice, now).after;
    assert_eq!((rest.state, rest.unbilled(), rest.invoice_id), (State::Pending, dec("7"), None));
    let last = adjustment::billed(rest, dec("7"), invoice, now).after;
    assert_eq!((last.state, last.remaining, last.invoice_id), (State::Billed, None, Some(invoice)));
    let back = adjustment::given_back(last, dec("7"), now).after;
    assert_eq!((back.state, back.unbilled(), back.invoice_id), (State::Pending, dec("7"), None));
    let whole = adjustment::given_back(back, dec("3"), now).after;
    assert_eq!((whole.remaining, whole.unbilled()), (None, dec("10")), "as before the first invoice");
}

#[test]
fn nothing_but_credit_is_nothing_to_bill() {
    let unbilled = Unbilled { adjustments: vec![adjustment(ChargeType::Credit, "1")], credits: vec![credit("5")], ..Unbilled::default() };
    let bill = billed(unbilled, "2027-06-15");
    assert_eq!(bill.lines, []);
    assert_eq!(posted(&account(), &bill), None);
}

#[test]
fn a_sum_out_of_range_has_its_code() {
    let huge = || charges("data", 1, "9000000000000");
    let refused = |charges| {
        let account = account();
        let unbilled = Unbilled { charges, ..Unbilled::default() };
        bill(&account, d("2027-06-15"), &unbilled, &[]).unwrap_err().code
    };
    assert_eq!(refused(vec![huge(), huge()]), "invoice_total_out_of_range");
    assert_eq!(refused(vec![ChargeSum { sum: None, ..huge() }]), "invoice_total_out_of_range");
}

pub(super) fn posted(account: &Account, bill: &Bill) -> Option<Change<Invoice>> {
    let settings = BillingSettings { time_zone: chrono_tz::Europe::Berlin, ..BillingSettings::default() };
    let command = Post {
        id: InvoiceId(fresh()),
        earlier: 6,
        kind: Kind::Cycle,
        bill_run_id: Some(BillRunId(fresh())),
        cutoff: cutoff(&settings, d("2027-06-15")),
    };
    post(&command, account, &settings, bill, at("2027-06-14T23:00:00Z"))
}

#[test]
fn an_invoice_is_dated_in_the_tenants_zone_and_due_after_the_term() {
    let bill = billed(Unbilled { charges: vec![charges("data", 3, "12.5")], ..Unbilled::default() }, "2027-06-15");
    let change = posted(&account(), &bill).expect("an invoice");
    assert_eq!(change.lifecycle, ["invoice.posted"]);
    let invoice = change.after;
    assert_eq!((invoice.issued_on, invoice.due_on), (d("2027-06-15"), d("2027-06-29")));
    assert_eq!(invoice.cutoff, at("2027-06-14T22:00:00Z"));
    assert_eq!(invoice.overdue_at, at("2027-06-29T22:00:00Z"));
    assert_eq!((invoice.status, invoice.amount_due), (Status::Open, invoice.total));
    assert!(invoice.number.ends_with("-0007"), "{}", invoice.number);
    let own_term = Account { payment_term_days: Some(0), ..account() };
    assert_eq!(posted(&own_term, &bill).map(|change| change.after.due_on), Some(d("2027-06-15")));
}

#[test]
fn an_invoice_over_nothing_is_paid_from_the_start() {
    let bill = billed(Unbilled { charges: vec![charges("data", 3, "0")], ..Unbilled::default() }, "2027-06-15");
    let change = posted(&account(), &bill).expect("an invoice");
    assert_eq!(change.after.status, Status::Paid);
    assert_eq!(change.lifecycle, ["invoice.posted", "invoice.paid"]);
}

#[test]
fn the_running_period_moves_on_once() {
    let account = account();
    let now = at("2027-06-15T01:00:00Z");
    assert_eq!(move_on(&account, d("2027-06-14"), now), None);
    let moved = move_on(&account, d("2027-06-15"), now).expect("a change").after;
    assert_eq!((moved.version, moved.bill_cycle.period.end), (2, d("2027-07-15")));
    assert_eq!(move_on(&moved, d("2027-06-15"), now), None);
}

#[test]
fn a_run_that_starts_by_itself_bills_accounts_of_which_a_period_has_ended() {
    let account = account();
    assert!(!has_ended_period(&account, d("2027-06-14")) && has_ended_period(&account, d("2027-06-15")));
    let moved = move_on(&account, d("2027-06-15"), at("2027-06-15T01:00:00Z")).expect("a change").after;
    assert!(!has_ended_period(&moved, d("2027-07-14")) && has_ended_period(&moved, d("2027-08-15")));
}

#[test]
fn who_is_billed_when_has_its_codes() {
    let settings = BillingSettings::default();
    let active = account();
    assert_eq!(ensure_deactivated(&active).unwrap_err().code.as_str(), "account_not_deactivated");
    assert_eq!(preview_date(&active, d("2027-06-01")), Ok(d("2027-06-15")));
    assert_eq!(preview_date(&active, d("2027-09-20")), Ok(d("2027-09-20")), "no run has come since June: the next one is today's");
    assert!(in_bill_runs(&active));
    let gone = account::change_status(active.clone(), account::Status::Deactivated, None, &settings, at("2027-06-09T12:00:00Z"))
        .expect("a change")
        .after;
    assert_eq!(ensure_deactivated(&gone), Ok(()));
    let later = at("2027-07-01T00:00:00Z");
    assert_eq!((fees_until_now(&gone, &settings, later), fees_until_now(&active, &settings, later)), (d("2027-06-09"), d("2027-07-01")));
    assert_eq!(preview_date(&gone, d("2027-06-10")).unwrap_err().code.as_str(), "account_deactivated");
    assert!(!in_bill_runs(&gone));
    assert!(!in_bill_runs(&Account { status: account::Status::Inactive, ..active }));
    let unbilled = Unbilled { fees: vec![fee("31", "2027-06-01", None)], ..Unbilled::default() };
    let last = bill(&gone, d("2027-06-09"), &unbilled, &[]).expect("a bill");
    assert_eq!(amounts(&last), ["8.00"], "the final bill charges the part of the running period up to the end");
}

#[test]
fn a_cancelled_invoice_gives_back_what_stood_on_it() {
    let one = fee("31", "2027-06-01", None);
    let debit = adjustment(ChargeType::Debit, "1");
    let some = credit("3");
    let unbilled =
        Unbilled { fees: vec![one.clone()], adjustments: vec![debit.clone()], credits: vec![some.clone()], ..Unbilled::default() };
    let undone = undo(&billed(unbilled, "2027-07-15").lines);
    assert_eq!(
        undone,
        Undone { fees: vec![(one.id, d("2027-06-01"))], adjustments: vec![(debit.id, dec("1"))], credits: vec![(some.id, dec("3"))] }
    );
}
