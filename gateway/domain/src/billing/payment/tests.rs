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
    assert_eq!(codes(refund::create(refund, payment.after, &account, now)), ["payment_not_processed"]);
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
    assert_eq!(codes(credit::create(given(money("1")), &account, Some(other), now)), ["invoice_of_other_account"]);
    assert_eq!(codes(credit::create(given(money("6")), &account, Some(open(&account, "5")), now)), ["credit_exceeds_due"]);
    assert_eq!(codes(credit::create(given(money("1")), &account, Some(paid), now)), ["invoice_not_open"]);
    assert_eq!(codes(credit::create(given(money("0.001")), &account, None, now)), ["amount_too_fine"]);
}

#[test]
fn what_an_invoice_takes_of_a_credit_it_gives_back_and_no_more() {
    let (now, account) = (Timestamp::UNIX_EPOCH, account());
    let wanted = credit::Create { id: CreditId(fresh()), external_id: None, amount: money("5"), reason: "r".into() };
    let (made, _) = credit::create(wanted, &account, None, now).expect("a credit");
    let taken = credit::take(made.after, Decimal::units(2), now).after;
    assert_eq!((taken.remaining, taken.version), (money("3"), 2));
    assert_eq!(credit::take(taken.clone(), Decimal::units(9), now).after.remaining, money("0"));
    let back = credit::give_back(taken, Decimal::units(2), now).after;
    assert_eq!((back.remaining, back.version), (money("5"), 3));
    assert_eq!(credit::give_back(back, Decimal::units(1), now).after.remaining, money("5"));
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
            match next(3) {
                0 => {
                    let live = invoices.iter().filter(|i| i.status == invoice::Status::Open).cloned().collect();
                    let (payment, paid) = record(command(amount), &account, live, false, now).expect("recorded");
                    for change in paid {
                        let place = invoices.iter_mut().find(|i| i.id == change.after.id).expect("there");
                        *place = change.after;
                    }
                    payments.push(payment.after);
                }
                1 => {
                    let place = usize::try_from(next(5)).expect("fits");
                    let wanted = credit::Create { id: CreditId(fresh()), external_id: None, amount, reason: "r".into() };
                    if let Ok((_, Some(change))) = credit::create(wanted, &account, Some(invoices[place].clone()), now) {
                        invoices[place] = change.after;
                    }
                }
                _ => {
                    let Some(last) = payments.pop() else { continue };
                    let wanted = refund::Create { id: RefundId(fresh()), external_id: None, amount, reason: "r".into() };
                    match refund::create(wanted, last.clone(), &account, now) {
                        Ok((_, payment)) => payments.push(payment.after),
                        Err(refusal) => {
                            assert_eq!(refusal.code.as_str(), "refund_exceeds_payment");
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
            assert_eq!(sum(&[payment.amount]), sum(&allocated) + sum(&[payment.unallocated]));
            assert!(payment.refunded.amount <= payment.amount.amount);
        }
        let allocated: i64 = payments.iter().flat_map(|p| &p.allocations).map(|a| a.amount.amount.millionths()).sum();
        assert_eq!(allocated, invoices.iter().map(|i| i.amount_paid.amount.millionths()).sum::<i64>());
    }
}
