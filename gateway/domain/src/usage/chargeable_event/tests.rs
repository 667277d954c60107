use billwire_schemas::ids::{AdjustmentId, BillCycleId, fresh};
use chrono::TimeDelta;

use super::*;
use crate::{
    calendar::PeriodUnit,
    customers::{account, bill_cycle, billing_settings::BillingSettings},
};

fn money(amount: &str) -> Money {
    Money::new(amount.parse().expect("an amount"), "EUR".parse().expect("a currency"))
}

fn account() -> Account {
    let cycle = bill_cycle::Create {
        id: BillCycleId(fresh()),
        external_id: None,
        name: "Monthly".into(),
        period: PeriodUnit::Month,
        length: 1,
        individual: false,
        billing_day: Some(1),
        billing_month: None,
        announce_days: None,
        auto_run: None,
    };
    let cycle = bill_cycle::create(cycle, Timestamp::UNIX_EPOCH).expect("a cycle").after;
    let create = account::Create {
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
    account::create(create, &cycle, &BillingSettings::default(), Timestamp::UNIX_EPOCH).expect("an account").after
}

fn command(amount: &str) -> Record {
    Record {
        id: ChargeableEventId(fresh()),
        external_id: None,
        service_id: None,
        usage_identifier_id: None,
        charge_type: "voice".into(),
        description: None,
        quantity: None,
        unit: None,
        amount: money(amount),
        occurred_at: Timestamp::UNIX_EPOCH,
    }
}

fn charge(amount: &str) -> ChargeableEvent {
    record(command(amount), &account(), false, Timestamp::UNIX_EPOCH).expect("a charge").after
}

fn adjustment(charge_type: ChargeType, amount: &str) -> adjustment::Create {
    let id = AdjustmentId(fresh());
    adjustment::Create { id, charge_type, amount: money(amount), tax_included: false, reason: "goodwill".into(), user: None }
}

fn code(result: Result<impl std::fmt::Debug, Rejected>) -> Vec<&'static str> {
    result.expect_err("refused").violations.iter().map(|v| v.code.as_str()).collect()
}

#[test]
fn each_rule_of_recording_has_its_code_and_all_broken_ones_are_named() {
    let now = Timestamp::UNIX_EPOCH;
    let foreign = Record { amount: Money::new("1".parse().unwrap(), "USD".parse().unwrap()), ..command("1") };
    assert_eq!(code(record(foreign, &account(), false, now)), ["currency_mismatch"]);
    let many = Record { quantity: Some("-1".parse().unwrap()), occurred_at: now + TimeDelta::hours(2), ..command("-0.01") };
    assert_eq!(
        code(record(many, &account(), false, now)),
        ["amount_negative", "quantity_negative", "unit_required", "occurred_at_in_future"]
    );
    let ended = Account { status: account::Status::Deactivated, ..account() };
    assert_eq!(record(command("1"), &ended, false, now).expect_err("refused").code, "account_deactivated");
}

#[test]
fn each_rule_of_adjusting_has_its_code() {
    let (now, account) = (Timestamp::UNIX_EPOCH, account());
    let of = |amount: &str, wanted| adjust(charge(amount), wanted, &account, false, now);
    assert_eq!(code(of("5", adjustment(ChargeType::Credit, "5.000001"))), ["charge_below_zero"]);
    assert_eq!(code(of("5", adjustment(ChargeType::Debit, "0"))), ["amount_not_positive"]);
    assert_eq!(code(of("9000000000000", adjustment(ChargeType::Debit, "1"))), ["amount_out_of_range"]);
    let foreign =
        adjustment::Create { amount: Money::new("1".parse().unwrap(), "USD".parse().unwrap()), ..adjustment(ChargeType::Debit, "1") };
    assert_eq!(code(of("5", foreign)), ["currency_mismatch"]);
}

#[test]
fn an_adjustment_of_a_billed_charge_waits_for_the_next_invoice() {
    let (now, account) = (Timestamp::UNIX_EPOCH, account());
    let (made, _) = adjust(charge("5"), adjustment(ChargeType::Credit, "1"), &account, false, now).expect("adjusted");
    assert_eq!(made.after.state, adjustment::State::Applied);
    let billed = ChargeableEvent { state: State::Billed, invoice_id: Some(InvoiceId(fresh())), ..charge("5") };
    let (made, changed) = adjust(billed, adjustment(ChargeType::Credit, "1"), &account, false, now).expect("adjusted");
    assert_eq!(made.after.state, adjustment::State::Pending);
    assert_eq!(changed.lifecycle, ["chargeable_event.adjusted"]);
    assert_eq!(changed.after.amount, money("5"), "what was recorded stays");
}

/// Reproducible pseudo-random numbers.
fn numbers(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    })
}

#[test]
fn the_net_amount_is_the_recorded_one_and_all_adjustments_and_never_below_zero() {
    let (now, account) = (Timestamp::UNIX_EPOCH, account());
    for seed in 0..50 {
        let mut numbers = numbers(seed);
        let mut next = |below: u64| numbers.next().unwrap_or(0) % below;
        let mut charge = charge(&format!("{}.{:06}", next(100), next(1_000_000)));
        let mut expected = charge.amount.amount.millionths();
        for _ in 0..40 {
            let millionths = i64::try_from(next(40_000_000)).expect("fits") + 1;
            let charge_type = if next(2) == 0 { ChargeType::Credit } else { ChargeType::Debit };
            let sign = if charge_type == ChargeType::Credit { -1 } else { 1 };
            let amount = Money::new(Decimal::from_millionths(millionths), charge.amount.currency);
            let wanted = adjustment::Create { amount, ..adjustment(charge_type, "1") };
            match adjust(charge.clone(), wanted, &account, false, now) {
                Ok((_, changed)) => {
                    expected += sign * millionths;
                    charge = changed.after;
                }
                Err(refusal) => {
                    assert_eq!(refusal.code.as_str(), "charge_below_zero");
                    assert!(expected + sign * millionths < 0);
                }
            }
            assert_eq!(charge.net_amount.amount.millionths(), expected);
            assert!(expected >= 0);
        }
    }
}

fn reversal(replacement: Option<&str>) -> Reverse {
    let replacement = replacement.map(|amount| reversal::Replacement {
        id: ChargeableEventId(fresh()),
        external_id: None,
        charge_type: None,
        description: None,
        quantity: None,
        amount: money(amount),
    });
    Reverse { adjustment: AdjustmentId(fresh()), reason: "wrong tariff".into(), user: None, replacement }
}

#[test]
fn a_reversal_takes_back_what_is_left_and_a_replacement_is_the_same_usage_at_another_amount() {
    let (now, account) = (Timestamp::UNIX_EPOCH + TimeDelta::days(3), account());
    let lowered = adjust(charge("5"), adjustment(ChargeType::Credit, "2"), &account, false, now).expect("adjusted").1.after;
    let done = reverse(lowered, reversal(Some("4.2")), &account, false, now).expect("reversed");
    let (charge, credit, replacement) = (done.charge.after, done.adjustment.expect("a credit").after, done.replacement.expect("one").after);
    assert_eq!((charge.net_amount, charge.amount, charge.reversed_at), (money("0"), money("5"), Some(now)));
    assert_eq!((credit.amount, credit.charge_type, credit.state), (money("3"), ChargeType::Credit, adjustment::State::Applied));
    assert_eq!(
        (replacement.amount, replacement.occurred_at, &replacement.charge_type),
        (money("4.2"), charge.occurred_at, &charge.charge_type)
    );
    assert_eq!(charge.replaced_by, Some(replacement.id));
    let again = reverse(charge.clone(), reversal(None), &account, false, now).expect_err("refused");
    let adjusted = adjust(charge, adjustment(ChargeType::Debit, "1"), &account, false, now).expect_err("refused");
    assert_eq!([again.code, adjusted.code], [Code::ChargeReversed; 2]);
}

#[test]
fn a_billed_charge_is_reversed_on_the_next_invoice_and_one_over_nothing_needs_no_credit() {
    let (now, account) = (Timestamp::UNIX_EPOCH, account());
    let billed = ChargeableEvent { state: State::Billed, invoice_id: Some(InvoiceId(fresh())), ..charge("5") };
    let done = reverse(billed, reversal(None), &account, false, now).expect("reversed");
    assert_eq!(done.adjustment.map(|made| made.after.state), Some(adjustment::State::Pending));
    assert!(reverse(charge("0"), reversal(None), &account, false, now).expect("reversed").adjustment.is_none());
    let refused = reverse(charge("5"), reversal(Some("-1")), &account, false, now).expect_err("refused");
    assert_eq!(refused.violations.first().map(|broken| broken.pointer.as_ref()), Some("/replacement/amount/amount"));
}

#[test]
fn an_ended_account_takes_what_occurred_before_its_end_until_its_final_invoice() {
    let end = Timestamp::UNIX_EPOCH + TimeDelta::days(9);
    let ended = Account { status: account::Status::Deactivated, deactivated_at: Some(end), ..account() };
    let now = end + TimeDelta::days(5);
    let of = |occurred_at, has_final_invoice| {
        record(Record { occurred_at, ..command("5") }, &ended, has_final_invoice, now).map_err(|refused| refused.code.as_str())
    };
    assert!(of(end - TimeDelta::microseconds(1), false).is_ok());
    assert_eq!(of(end, false).unwrap_err(), "account_deactivated");
    assert_eq!(of(end - TimeDelta::days(1), true).unwrap_err(), "final_invoice_exists");
    assert_eq!(of(end, true).unwrap_err(), "final_invoice_exists");
    let reversed = |has_final_invoice| reverse(charge("5"), reversal(None), &ended, has_final_invoice, now);
    assert!(reversed(false).is_ok());
    assert_eq!(reversed(true).unwrap_err().code, "final_invoice_exists");
    let adjusted = |has_final_invoice| adjust(charge("5"), adjustment(ChargeType::Credit, "1"), &ended, has_final_invoice, now);
    assert!(adjusted(false).is_ok());
    assert_eq!(adjusted(true).unwrap_err().code, "final_invoice_exists");
    assert!(record(command("5"), &account(), true, now).is_ok(), "of an account that has not ended, no invoice is final");
}
