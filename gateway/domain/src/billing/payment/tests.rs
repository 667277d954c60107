use billwire_schemas::ids::{CreditId, RefundId, fresh};

use super::*;
use crate::billing::{credit, refund};

fn money(amount: &str) -> Money {
    Money::new(amount.parse().expect("an amount"), "EUR".parse().expect("a currency"))
}

fn cents(cents: i64) -> Money {
    Money::new(Decimal::from_millionths(cents * 10_000), "EUR".parse().expect("a currency"))
}

fn account() -> Account {
    serde_json::from_value(serde_json::json!({
        "id": fresh(), "version": 1, "name": "Acme", "status": "active", "currency": "EUR",
        "billCycle": { "billCycleId": fresh(), "period": { "start": "2027-01-01", "end": "2027-02-01" } },
        "createdAt": "2027-01-01T00:00:00Z", "updatedAt": "2027-01-01T00:00:00Z"
    }))
    .expect("an account")
}

fn open(account: &Account, amount: &str) -> Invoice {
    Invoice { account_id: account.id, ..crate::billing::invoice::tests::open(amount) }
}

fn command(amount: Money) -> Create {
    let id = PaymentId(fresh());
    Create { id, external_id: None, method: "card".into(), amount, status: Status::Processed, error: None, received_at: None }
}

fn codes<T: std::fmt::Debug>(result: Result<T, Rejected>) -> Vec<&'static str> {
    let refusal = result.expect_err("refused");
    if refusal.violations.is_empty() { vec![refusal.code.as_str()] } else { refusal.violations.iter().map(|v| v.code.as_str()).collect() }
}

#[test]
fn a_payment_pays_in_order_and_what_is_left_over_stays() {
    let (now, account) = (Timestamp::UNIX_EPOCH, account());
    let invoices = vec![open(&account, "10"), open(&account, "5"), open(&account, "1")];
    let (payment, paid) = record(command(money("12")), &account, invoices.clone(), false, now).expect("recorded");
    assert_eq!(payment.lifecycle, ["payment.processed"]);
    let parts: Vec<Money> = payment.after.allocations.iter().map(|one| one.amount).collect();
    assert_eq!(parts, [money("10"), money("2")]);
    assert_eq!(paid.iter().map(|change| change.after.status).collect::<Vec<_>>(), [invoice::Status::Paid, invoice::Status::Open]);
    let (payment, _) = record(command(money("20")), &account, invoices, false, now).expect("recorded");
    assert_eq!(payment.after.unallocated, money("4"));
}

#[test]
fn a_payment_that_failed_pays_nothing_and_says_why() {
    let (now, account) = (Timestamp::UNIX_EPOCH, account());
    let error = ProcessingError { code: "insufficient_funds".into(), message: "The card was declined".into() };
    let failed = Create { status: Status::Failed, error: Some(error.clone()), ..command(money("10")) };
    let (payment, paid) = record(failed.clone(), &account, vec![open(&account, "10")], false, now).expect("recorded");
    assert_eq!(payment.lifecycle, ["payment.failed"]);
    assert_eq!(payment.lifecycle[0].parameters["paymentError.code"], "insufficient_funds");
    assert!(paid.is_empty() && payment.after.allocations.is_empty() && payment.after.unallocated == money("0"));
    assert_eq!(codes(record(Create { error: None, ..failed }, &account, vec![], false, now)), ["payment_error_required"]);
    let twisted = Create { error: Some(error), ..command(money("10")) };
    assert_eq!(codes(record(twisted, &account, vec![], false, now)), ["payment_error_not_allowed"]);
    let refund = refund::Create { id: RefundId(fresh()), external_id: None, amount: money("1"), reason: "r".into() };
    assert_eq!(codes(refund::create(refund, payment.after, &account, vec![], now)), ["payment_not_processed"]);
}

#[test]
fn each_refusal_of_payments_and_credits_has_its_code() {
    let (now, account) = (Timestamp::UNIX_EPOCH, account());
    let foreign = Money::new("1.001".parse().expect("an amount"), "USD".parse().expect("a currency"));
    assert_eq!(codes(record(command(foreign), &account, vec![], false, now)), ["currency_mismatch", "amount_too_fine"]);
    assert_eq!(codes(record(command(money("0")), &account, vec![], false, now)), ["amount_not_positive"]);
    let other = crate::billing::invoice::tests::open("5");
    assert_eq!(codes(record(command(money("1")), &account, vec![other.clone()], true, now)), ["invoice_of_other_account"]);
    let paid = invoice::pay(open(&account, "5"), Decimal::units(5), now).expect("paid").after;
    assert_eq!(codes(record(command(money("1")), &account, vec![paid.clone()], true, now)), ["invoice_not_open"]);
    let given = |amount| credit::Create { id: CreditId(fresh()), external_id: None, amount, reason: "r".into() };
    assert_eq!(codes(credit::create(given(money("1")), &account, Some(other), false, now)), ["invoice_of_other_account"]);
    assert_eq!(codes(credit::create(given(money("6")), &account, Some(open(&account, "5")), false, now)), ["credit_exceeds_due"]);
    assert_eq!(codes(credit::create(given(money("1")), &account, Some(paid), false, now)), ["invoice_not_open"]);
    assert_eq!(codes(credit::create(given(money("0.001")), &account, None, false, now)), ["amount_too_fine"]);
    let late = credit::create(given(money("1")), &account, None, true, now).expect_err("refused");
    assert_eq!(late.code.as_str(), "final_invoice_exists");
    assert!(credit::create(given(money("1")), &account, Some(open(&account, "5")), true, now).is_ok());
}

#[test]
fn what_an_invoice_takes_of_a_credit_it_gives_back_and_no_more() {
    let (now, account) = (Timestamp::UNIX_EPOCH, account());
    let wanted = credit::Create { id: CreditId(fresh()), external_id: None, amount: money("5"), reason: "r".into() };
    let (made, _) = credit::create(wanted, &account, None, false, now).expect("a credit");
    let taken = credit::take(made.after, Decimal::units(2), now).after;
    assert_eq!((taken.remaining, taken.version), (money("3"), 2));
    assert_eq!(credit::take(taken.clone(), Decimal::units(9), now).after.remaining, money("0"));
    let back = credit::give_back(taken, Decimal::units(2), now).after;
    assert_eq!((back.remaining, back.version), (money("5"), 3));
    assert_eq!(credit::give_back(back, Decimal::units(1), now).after.remaining, money("5"));
}

fn changed(invoices: &mut [Invoice], changes: Vec<Change<Invoice>>) {
    for change in changes {
        let place = invoices.iter_mut().find(|invoice| invoice.id == change.after.id).expect("there");
        *place = change.after;
    }
}

#[test]
fn a_refund_takes_what_no_invoice_got_and_then_what_is_due_again() {
    let (now, account) = (Timestamp::UNIX_EPOCH, account());
    let (payment, paid) = record(command(money("25")), &account, vec![open(&account, "10")], false, now).expect("recorded");
    let invoices = vec![paid[0].after.clone()];
    let wanted = |amount| refund::Create { id: RefundId(fresh()), external_id: None, amount: money(amount), reason: "r".into() };
    let (_, first, reopened) = refund::create(wanted("15"), payment.after, &account, invoices.clone(), now).expect("refunded");
    assert_eq!((first.after.unallocated, first.after.refunded, reopened.len()), (money("0"), money("15"), 0));
    let (_, second, reopened) = refund::create(wanted("5"), first.after, &account, invoices, now).expect("refunded");
    assert_eq!((second.after.unallocated, second.after.refunded), (money("0"), money("20")));
    assert_eq!(second.after.allocations[0].amount, money("5"));
    let invoice = &reopened[0];
    assert_eq!(invoice.lifecycle, ["invoice.reopened"]);
    assert_eq!(
        (invoice.after.status, invoice.after.amount_paid, invoice.after.amount_due),
        (invoice::Status::Open, money("5"), money("5"))
    );
}

#[test]
fn a_new_invoice_is_paid_from_what_earlier_payments_have_left() {
    let (now, account) = (Timestamp::UNIX_EPOCH, account());
    let prepaid = record(command(money("7")), &account, vec![], false, now).expect("recorded").0.after;
    let mut invoice = Change::created(open(&account, "3")).and("invoice.posted");
    let used = prepay(&mut invoice, vec![prepaid], now);
    assert_eq!((invoice.after.status, invoice.after.amount_due), (invoice::Status::Paid, money("0")));
    assert_eq!(invoice.lifecycle, ["invoice.posted", "invoice.paid"]);
    assert_eq!((used[0].after.unallocated, used[0].after.allocations[0].amount), (money("4"), money("3")));
    let mut next = Change::created(open(&account, "6"));
    assert_eq!(prepay(&mut next, vec![used[0].after.clone()], now).len(), 1);
    assert_eq!((next.after.status, next.after.amount_due, next.after.amount_paid), (invoice::Status::Open, money("2"), money("4")));
}

#[test]
fn a_payment_is_allocated_and_deallocated_by_hand_and_a_cancelled_one_opens_what_it_paid() {
    let (now, account) = (Timestamp::UNIX_EPOCH, account());
    let payment = record(command(money("8")), &account, vec![], false, now).expect("recorded").0.after;
    let invoice = open(&account, "10");
    assert_eq!(codes(allocate(payment.clone(), vec![], false, now)), ["no_open_invoice"]);
    let other = crate::billing::invoice::tests::open("5");
    assert_eq!(codes(allocate(payment.clone(), vec![other], true, now)), ["invoice_of_other_account"]);
    let (payment, paid) = allocate(payment, vec![invoice], true, now).expect("allocated");
    assert_eq!((payment.after.unallocated, paid[0].after.amount_due), (money("0"), money("2")));
    let (payment, invoice) = (payment.after, paid[0].after.clone());
    assert_eq!(codes(allocate(payment.clone(), vec![invoice.clone()], true, now)), ["nothing_unallocated"]);
    let (back, due) = deallocate(payment.clone(), vec![invoice.clone()], now).expect("deallocated");
    assert_eq!((back.after.unallocated, due[0].after.amount_due, back.after.allocations.len()), (money("8"), money("10"), 0));
    assert_eq!(codes(deallocate(back.after, vec![invoice.clone()], now)), ["nothing_allocated"]);
    let (gone, due) = cancel(payment.clone(), vec![invoice.clone()], "bounced".into(), now).expect("cancelled");
    assert_eq!(gone.lifecycle, ["payment.cancelled"]);
    assert_eq!((gone.after.status, due[0].after.amount_due), (Status::Cancelled, money("10")));
    assert_eq!(codes(cancel(gone.after, vec![], "again".into(), now)), ["payment_not_processed"]);
    let wanted = refund::Create { id: RefundId(fresh()), external_id: None, amount: money("1"), reason: "r".into() };
    let (_, refunded, _) = refund::create(wanted, payment, &account, vec![invoice], now).expect("refunded");
    assert_eq!(codes(cancel(refunded.after, vec![], "bounced".into(), now)), ["payment_refunded"]);
}

#[test]
fn a_credit_is_reversed_as_far_as_no_invoice_has_used_it() {
    let (now, account) = (Timestamp::UNIX_EPOCH, account());
    let wanted = credit::Create { id: CreditId(fresh()), external_id: None, amount: money("5"), reason: "r".into() };
    let taken = credit::take(credit::create(wanted, &account, None, false, now).expect("a credit").0.after, Decimal::units(2), now).after;
    let reversed = credit::reverse(taken, now).expect("reversed");
    assert_eq!(reversed.lifecycle, ["credit.reversed"]);
    assert_eq!((reversed.after.remaining, reversed.after.reversed), (money("0"), Some(money("3"))));
    assert_eq!(codes(credit::reverse(reversed.after, now)), ["credit_used_up"]);
}

#[test]
fn sums_hold_together_whatever_is_paid_credited_and_paid_back() {
    let (now, account) = (Timestamp::UNIX_EPOCH, account());
    for seed in 0..60_i64 {
        let mut state = seed * 7919 + 17;
        let mut next = |below: i64| {
            state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
            (state >> 8) % below
        };
        let mut invoices: Vec<Invoice> = (0..5)
            .map(|_| Invoice { total: cents(0), ..open(&account, "1") })
            .map(|i| {
                let m = cents(next(9_000) + 1);
                Invoice { total: m, amount_due: m, ..i }
            })
            .collect();
        let mut payments: Vec<Payment> = Vec::new();
        for _ in 0..30 {
            let amount = cents(next(4_000) + 1);
            match next(6) {
                0 => {
                    let live = invoices.iter().filter(|i| i.status == invoice::Status::Open).cloned().collect();
                    let (payment, paid) = record(command(amount), &account, live, false, now).expect("recorded");
                    changed(&mut invoices, paid);
                    payments.push(payment.after);
                }
                1 => {
                    let place = usize::try_from(next(5)).expect("fits");
                    let wanted = credit::Create { id: CreditId(fresh()), external_id: None, amount, reason: "r".into() };
                    if let Ok((_, Some(change))) = credit::create(wanted, &account, Some(invoices[place].clone()), false, now) {
                        invoices[place] = change.after;
                    }
                }
                kind @ 3..=5 => {
                    let Some(last) = payments.pop() else { continue };
                    let all = invoices.clone();
                    let result = match kind {
                        3 => allocate(last.clone(), all.into_iter().filter(|i| i.status == invoice::Status::Open).collect(), false, now),
                        4 => deallocate(last.clone(), all, now),
                        _ => cancel(last.clone(), all, "bounced".into(), now),
                    };
                    match result {
                        Ok((payment, paid)) => {
                            payments.push(payment.after);
                            changed(&mut invoices, paid);
                        }
                        Err(_) => payments.push(last),
                    }
                }
                _ => {
                    let Some(last) = payments.pop() else { continue };
                    let wanted = refund::Create { id: RefundId(fresh()), external_id: None, amount, reason: "r".into() };
                    match refund::create(wanted, last.clone(), &account, invoices.clone(), now) {
                        Ok((_, payment, reopened)) => {
                            payments.push(payment.after);
                            changed(&mut invoices, reopened);
                        }
                        Err(refusal) => {
                            let expected =
                                if last.status == Status::Processed { "refund_exceeds_payment" } else { "payment_not_processed" };
                            assert_eq!(refusal.code.as_str(), expected);
                            payments.push(last);
                        }
                    }
                }
            }
        }
        let sum = |parts: &[Money]| parts.iter().map(|part| part.amount.millionths()).sum::<i64>();
        for invoice in &invoices {
            assert_eq!(sum(&[invoice.total]), sum(&[invoice.amount_paid, invoice.amount_credited, invoice.amount_due]));
            assert_eq!(invoice.status == invoice::Status::Paid, invoice.amount_due.amount.is_zero());
        }
        for payment in &payments {
            let allocated: Vec<Money> = payment.allocations.iter().map(|one| one.amount).collect();
            let held = sum(&allocated) + sum(&[payment.unallocated, payment.refunded]);
            assert_eq!(if payment.status == Status::Cancelled { 0 } else { sum(&[payment.amount]) }, held, "{payment:?}");
        }
        let allocated: i64 = payments.iter().flat_map(|p| &p.allocations).map(|a| a.amount.amount.millionths()).sum();
        assert_eq!(allocated, invoices.iter().map(|i| i.amount_paid.amount.millionths()).sum::<i64>());
    }
}
