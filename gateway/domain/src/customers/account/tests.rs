use billwire_schemas::ids::fresh;

use super::*;
use crate::{
    calendar::{Period, PeriodUnit},
    customers::bill_cycle,
};

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

fn day(text: &str) -> NaiveDate {
    text.parse().expect("a date")
}

pub(crate) fn utc() -> BillingSettings {
    BillingSettings::default()
}

pub(crate) fn cycle(billing_day: Option<u32>) -> BillCycle {
    let command = bill_cycle::Create {
        id: BillCycleId(fresh()),
        external_id: None,
        name: "monthly".into(),
        period: PeriodUnit::Month,
        length: 1,
        individual: billing_day.is_none(),
        billing_day,
        billing_month: None,
        announce_days: None,
        auto_run: None,
    };
    bill_cycle::create(command, at("2027-01-01T00:00:00Z")).expect("a cycle").after
}

pub(crate) fn account(cycle: &BillCycle, now: &str) -> Account {
    create(command(), cycle, &utc(), at(now)).expect("an account").after
}

fn command() -> Create {
    Create {
        id: AccountId(fresh()),
        external_id: None,
        name: "Acme".into(),
        currency: Some("EUR".into()),
        active: true,
        billing_day: None,
        company: None,
        payment_term_days: None,
        attributes: Default::default(),
    }
}

#[test]
fn each_rule_of_a_new_account_has_its_code() {
    let broken = |command| match create(command, &cycle(None), &utc(), at("2027-05-01T00:00:00Z")) {
        Ok(_) => vec![],
        Err(rejected) => rejected.violations.iter().map(|v| (v.code.as_str(), v.pointer.to_string())).collect::<Vec<_>>(),
    };
    let dayed = || Create { billing_day: Some(3), ..command() };
    assert_eq!(broken(dayed()), vec![]);
    assert_eq!(broken(Create { currency: Some("EUX".into()), ..dayed() }), [("currency_unknown", "/currency".to_owned())]);
    assert_eq!(
        broken(Create { currency: Some("EUX".into()), payment_term_days: Some(400), ..command() }),
        [
            ("payment_term_out_of_range", "/paymentTermDays".to_owned()),
            ("currency_unknown", "/currency".to_owned()),
            ("billing_day_required", "/billingDay".to_owned()),
        ],
        "every violation is named"
    );
    assert_eq!(broken(Create { currency: None, ..dayed() }), [("currency_required", "/currency".to_owned())]);
}

#[test]
fn without_a_currency_an_account_has_the_default_one() {
    let settings = BillingSettings { default_currency: "CHF".parse().ok(), ..utc() };
    let made = |currency: Option<&str>| {
        let command = Create { currency: currency.map(str::to_owned), ..command() };
        create(command, &cycle(Some(1)), &settings, at("2027-05-01T00:00:00Z")).expect("an account").after.currency
    };
    assert_eq!((made(None), made(Some("EUR"))), ("CHF".to_owned(), "EUR".to_owned()));
}

/// An account in EUR, also used by the tests of other object types.
pub(crate) fn with_status(status: Status) -> Account {
    Account { status, ..account(&cycle(Some(1)), "2027-05-10T12:00:00Z") }
}

#[test]
fn the_first_period_is_shortened_to_the_first_billing_date() {
    let account = account(&cycle(Some(15)), "2027-05-10T12:00:00Z");
    assert_eq!(account.bill_cycle.period, Period { start: day("2027-05-10"), end: day("2027-05-15") });
}

#[test]
fn statuses_move_only_along_the_table() {
    use Status::{Active, Deactivated, Inactive, Suspended};
    for from in [Inactive, Active, Suspended, Deactivated] {
        for to in [Inactive, Active, Suspended, Deactivated] {
            let code = change_status(with_status(from), to, None, &utc(), at("2027-05-11T00:00:00Z")).err().map(|r| r.code.as_str());
            let expected = match (from, to) {
                (Deactivated, _) => Some("account_deactivated"),
                (a, b) if a == b => Some("status_unchanged"),
                (Inactive, Active) | (Active, Suspended) | (Suspended, Active) | (_, Deactivated) => None,
                _ => Some("status_transition_not_allowed"),
            };
            assert_eq!(code, expected, "{from:?} to {to:?}");
        }
    }
}

#[test]
fn deactivating_drops_the_planned_change_and_tells_of_the_cancellation() {
    let new = cycle(Some(15));
    let now = at("2027-05-11T00:00:00Z");
    let planned =
        update_bill_cycle(with_status(Status::Active), &new, None, Some(at("2027-06-01T00:00:00Z")), &utc(), now).expect("planned").after;
    let change = change_status(planned, Status::Deactivated, Some("moved away".into()), &utc(), now).expect("deactivated");
    assert_eq!(change.after.planned_bill_cycle_change, None);
    assert_eq!(change.after.status_reason.as_deref(), Some("moved away"));
    assert_eq!(change.lifecycle, ["account.status_changed", "account.cancelled", "account.bill_cycle_change_cancelled"]);
}

#[test]
fn an_update_without_valid_from_cuts_the_running_period_at_once() {
    let account = account(&cycle(Some(1)), "2027-05-01T00:00:00Z");
    let new = cycle(Some(15));
    let change = update_bill_cycle(account, &new, None, None, &utc(), at("2027-05-10T09:00:00Z")).expect("changed");
    assert_eq!(change.lifecycle, ["account.bill_cycle_changed"]);
    assert_eq!(change.after.bill_cycle.bill_cycle_id, new.id);
    assert_eq!(change.after.bill_cycle.period, Period { start: day("2027-05-10"), end: day("2027-05-15") });
    assert_eq!(change.after.version, 2);
}

#[test]
fn a_due_change_leaves_the_running_period_whole_and_adds_one_short_one() {
    let old = cycle(Some(1));
    let new = cycle(Some(15));
    let account = account(&old, "2027-05-01T00:00:00Z");
    let due = at("2027-05-20T00:00:00Z");
    let planned = update_bill_cycle(account, &new, None, Some(due), &utc(), at("2027-05-10T00:00:00Z")).expect("planned").after;
    assert_eq!(planned.bill_cycle.bill_cycle_id, old.id, "nothing moves before it is due");

    let early = perform_due_bill_cycle_change(planned.clone(), &new, &utc(), at("2027-05-19T23:59:59Z")).expect("no refusal");
    assert_eq!(early, None);
    let done = perform_due_bill_cycle_change(planned, &new, &utc(), due).expect("no refusal").expect("due").after;
    assert_eq!(done.bill_cycle.period, Period { start: day("2027-05-01"), end: day("2027-06-01") });
    assert_eq!(done.bill_cycle.short_period, Some(Period { start: day("2027-06-01"), end: day("2027-06-15") }));
    assert_eq!(perform_due_bill_cycle_change(done, &new, &utc(), due).expect("no refusal"), None, "a second clock finds nothing to do");
}

#[test]
fn a_second_update_replaces_the_planned_one() {
    let now = at("2027-05-10T00:00:00Z");
    let (first, second) = (cycle(Some(10)), cycle(Some(20)));
    let account =
        update_bill_cycle(with_status(Status::Active), &first, None, Some(at("2027-06-01T00:00:00Z")), &utc(), now).expect("planned").after;
    let account = update_bill_cycle(account, &second, None, Some(at("2027-07-01T00:00:00Z")), &utc(), now).expect("replaced").after;
    assert_eq!(account.planned_bill_cycle_change.map(|p| p.bill_cycle_id), Some(second.id));
}

#[test]
fn perform_takes_effect_now_and_cannot_be_cancelled_afterwards() {
    let now = at("2027-05-10T00:00:00Z");
    let new = cycle(Some(20));
    let account =
        update_bill_cycle(with_status(Status::Active), &new, None, Some(at("2027-06-01T00:00:00Z")), &utc(), now).expect("planned").after;
    let account = perform_bill_cycle_change(account, &new, &utc(), now).expect("performed").after;
    assert_eq!(account.bill_cycle.bill_cycle_id, new.id);
    assert_eq!(cancel_bill_cycle_change(account.clone(), now).unwrap_err().code.as_str(), "no_bill_cycle_change_in_progress");
    assert_eq!(perform_bill_cycle_change(account, &new, &utc(), now).unwrap_err().code.as_str(), "no_bill_cycle_change_in_progress");
}

#[test]
fn a_cancelled_change_is_gone() {
    let now = at("2027-05-10T00:00:00Z");
    let account = update_bill_cycle(with_status(Status::Active), &cycle(Some(9)), None, Some(at("2027-06-01T00:00:00Z")), &utc(), now)
        .expect("planned")
        .after;
    let change = cancel_bill_cycle_change(account, now).expect("cancelled");
    assert_eq!(change.after.planned_bill_cycle_change, None);
    assert_eq!(change.lifecycle, ["account.bill_cycle_change_cancelled"]);
}

#[test]
fn a_deactivated_account_takes_no_bill_cycle_operation() {
    let now = at("2027-05-10T00:00:00Z");
    let dead = || with_status(Status::Deactivated);
    let new = cycle(Some(9));
    assert_eq!(update_bill_cycle(dead(), &new, None, None, &utc(), now).unwrap_err().code.as_str(), "account_deactivated");
    assert_eq!(cancel_bill_cycle_change(dead(), now).unwrap_err().code.as_str(), "account_deactivated");
    assert_eq!(perform_bill_cycle_change(dead(), &new, &utc(), now).unwrap_err().code.as_str(), "account_deactivated");
}

#[test]
fn a_valid_from_that_is_not_in_the_future_is_refused() {
    let now = at("2027-05-10T00:00:00Z");
    let refused = update_bill_cycle(with_status(Status::Active), &cycle(Some(9)), None, Some(now), &utc(), now).unwrap_err();
    assert_eq!((refused.code.as_str(), refused.violations[0].pointer.as_ref()), ("valid_from_in_past", "/validFrom"));
}
