use crate::customers::{
    account::{
        PlannedStart, Status, StatusChange, change_status, plan_status_change,
        tests::{account, at, cycle, utc},
    },
    bill_cycle::BillCycle,
};

use super::*;

const NOW: &str = "2027-05-03T12:00:00Z";

fn monthly() -> BillCycle {
    cycle(Some(1))
}

fn new() -> Account {
    account(&monthly(), "2027-05-01T00:00:00Z")
}

fn deactivated(account: Account) -> Account {
    change_status(account, Status::Deactivated, None, &utc(), at(NOW)).expect("deactivated").after
}

fn refusal(account: Account, pays: bool, payer: &Account, paid_for: usize) -> &'static str {
    assign_payer(account, pays, payer, paid_for, at(NOW)).expect_err("a refusal").code.as_str()
}

#[test]
fn the_payer_owes_what_the_account_uses_until_it_is_removed() {
    let (child, payer) = (new(), new());
    assert_eq!(child.debtor(), child.id);
    let child = assign_payer(child, false, &payer, 99, at(NOW)).expect("assigned").after;
    assert_eq!((child.debtor(), child.payer_changed_at, child.version), (payer.id, Some(at(NOW)), 2));
    assert_eq!(ensure_owes_itself(&child).expect_err("a refusal").code, Code::AccountHasPayer);
    let child = remove_payer(child, false, at("2027-05-04T12:00:00Z")).expect("removed").after;
    assert_eq!((child.debtor(), child.payer_changed_at, child.version), (child.id, Some(at("2027-05-04T12:00:00Z")), 3));
    assert_eq!(ensure_owes_itself(&child), Ok(()));
}

#[test]
fn the_same_payer_again_and_none_again_change_nothing() {
    let (child, payer) = (new(), new());
    assert_eq!(remove_payer(child.clone(), false, at(NOW)).expect("removed").after, child);
    let child = assign_payer(child, false, &payer, 0, at(NOW)).expect("assigned").after;
    let again = assign_payer(child.clone(), false, &payer, PAID_FOR_MAX, at("2027-05-04T12:00:00Z")).expect("no refusal");
    assert_eq!(again.after, child);
}

#[test]
fn each_rule_of_a_payer_has_its_code() {
    let payer = new();
    let itself = new();
    assert_eq!(refusal(itself.clone(), false, &itself, 0), "payer_is_itself");
    assert_eq!(refusal(new(), false, &Account { currency: "USD".into(), ..new() }, 0), "currency_mismatch");
    assert_eq!(refusal(deactivated(new()), false, &payer, 0), "account_deactivated");
    assert_eq!(refusal(new(), false, &deactivated(new()), 0), "account_deactivated");
    assert_eq!(refusal(new(), false, &Account { status: Status::Inactive, ..new() }, 0), "payer_not_active");
    let change = StatusChange { status: Status::Deactivated, reason: None, services: false };
    let start = PlannedStart::At(at("2027-06-01T00:00:00Z"));
    let ending = plan_status_change(new(), change, start, &utc(), at(NOW)).expect("planned").after;
    assert_eq!(refusal(new(), false, &ending, 0), "payer_ends");
    let paid = assign_payer(new(), false, &payer, 0, at(NOW)).expect("assigned").after;
    assert_eq!(remove_payer(paid.clone(), true, at(NOW)).expect_err("a refusal").code, Code::FinalInvoiceExists);
    assert_eq!(remove_payer(new(), true, at(NOW)).expect("nothing to remove").after.payer_id, None);
    assert_eq!(refusal(new(), false, &paid, 0), "account_has_payer");
    assert_eq!(refusal(new(), true, &payer, 0), "account_pays_for_others");
    assert_eq!(refusal(new(), false, &payer, PAID_FOR_MAX), "too_many_paid_accounts");
}

#[test]
fn an_account_that_pays_for_others_is_not_deactivated() {
    assert_eq!(ensure_can_end(false), Ok(()));
    assert_eq!(ensure_can_end(true).expect_err("a refusal").code, Code::AccountPaysForOthers);
}

#[test]
fn a_deactivated_account_can_lose_its_payer() {
    let (child, payer) = (new(), new());
    let child = deactivated(assign_payer(child, false, &payer, 0, at(NOW)).expect("assigned").after);
    assert_eq!(remove_payer(child, false, at(NOW)).expect("removed").after.payer_id, None);
}
