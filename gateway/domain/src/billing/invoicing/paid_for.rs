//! Bills with the items of accounts that the billed account pays for.

use super::{
    tests::{account, adjustment, amounts, charges, credit, d, dec, fee},
    *,
};
use crate::usage::adjustment::ChargeType;

fn of(account: &Account, unbilled: Unbilled) -> PaidFor {
    PaidFor { account: account.clone(), fees_until: fees_until(account, d("2027-06-15")), unbilled }
}

fn billed(payer: &Account, own: &Unbilled, paid_for: &[PaidFor]) -> Bill {
    bill(payer, fees_until(payer, d("2027-06-15")), own, paid_for).expect("a bill")
}

#[test]
fn the_items_of_an_account_that_is_paid_for_are_lines_that_name_it() {
    let (payer, child) = (account(), account());
    let own = Unbilled { charges: vec![charges("data", 1, "1")], ..Unbilled::default() };
    let items = Unbilled { charges: vec![charges("data", 2, "3")], fees: vec![fee("31", "2027-06-01", None)], ..Unbilled::default() };
    let bill = billed(&payer, &own, &[of(&child, items)]);
    assert_eq!(amounts(&bill), ["1.00", "3.00", "14.00"]);
    assert_eq!(bill.lines.iter().map(|line| line.account_id).collect::<Vec<_>>(), [None, Some(child.id), Some(child.id)]);
    assert_eq!(bill.total.amount, dec("18"));
}

#[test]
fn an_account_that_is_paid_for_costs_what_it_would_cost_itself() {
    let (payer, child) = (account(), account());
    let items = Unbilled {
        charges: vec![charges("data", 3, "0.125"), charges("voice", 1, "0.135")],
        fees: vec![fee("31", "2027-06-03", None), fee("30", "2027-06-05", Some("2027-06-09"))],
        adjustments: vec![adjustment(ChargeType::Debit, "1.5"), adjustment(ChargeType::Credit, "0.7")],
        ..Unbilled::default()
    };
    let alone = billed(&child, &items, &[]);
    let paid = billed(&payer, &Unbilled::default(), &[of(&child, items)]);
    let lines = alone.lines.iter().map(|line| Line { account_id: Some(child.id), ..line.clone() }).collect::<Vec<_>>();
    assert_eq!((paid.lines, paid.total, paid.fees, paid.adjustments), (lines, alone.total, alone.fees, alone.adjustments));
}

#[test]
fn what_gives_back_lowers_the_whole_bill_and_credits_are_the_payers_alone() {
    let (payer, child) = (account(), account());
    let own = Unbilled { charges: vec![charges("data", 1, "5")], credits: vec![credit("1")], ..Unbilled::default() };
    let items = Unbilled {
        charges: vec![charges("data", 1, "2")],
        adjustments: vec![adjustment(ChargeType::Credit, "4")],
        credits: vec![credit("9")],
        ..Unbilled::default()
    };
    let bill = billed(&payer, &own, &[of(&child, items)]);
    assert_eq!(amounts(&bill), ["5.00", "2.00", "-4.00", "-1.00"]);
    assert_eq!(bill.credits, [(own.credits[0].id, dec("1"))]);
}

#[test]
fn each_account_is_billed_by_its_own_cycle() {
    let (payer, child) = (account(), account());
    let items = || Unbilled { fees: vec![fee("31", "2027-06-01", None)], ..Unbilled::default() };
    let late = PaidFor { account: child.clone(), fees_until: d("2027-06-11"), unbilled: items() };
    let bill = billed(&payer, &items(), &[late]);
    assert_eq!(amounts(&bill), ["14.00", "10.00"]);
    assert_eq!(bill.fees.iter().map(|(_, until)| *until).collect::<Vec<_>>(), [d("2027-06-15"), d("2027-06-11")]);
}

#[test]
fn an_invoice_cannot_be_cancelled_once_a_payer_has_changed() {
    let (payer, child) = (account(), account());
    let items = Unbilled { charges: vec![charges("data", 1, "2")], ..Unbilled::default() };
    let bill = billed(&payer, &Unbilled::default(), &[of(&child, items)]);
    let invoice = super::tests::posted(&payer, &bill).expect("an invoice").after;
    assert_eq!(invoice.paid_for_account_ids, [child.id]);
    let changed = |at| Account { payer_changed_at: Some(at), ..child.clone() };
    let before = changed(invoice.created_at - chrono::TimeDelta::seconds(1));
    assert_eq!(ensure_payers_unchanged(&invoice, [&payer, &before]), Ok(()));
    let since = changed(invoice.created_at);
    assert_eq!(ensure_payers_unchanged(&invoice, [&payer, &since]).expect_err("a refusal").code, Code::PayerChangedSince);
}
