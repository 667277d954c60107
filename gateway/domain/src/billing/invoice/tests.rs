use billwire_schemas::ids::fresh;
use chrono::TimeDelta;

use super::*;

fn moment(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

fn money(amount: &str) -> Money {
    Money::new(amount.parse().expect("an amount"), "EUR".parse().expect("a currency"))
}

/// An open invoice with this total, posted on 2027-01-31 and due on 2027-02-14.
pub(crate) fn open(amount: &str) -> Invoice {
    let now = moment("2027-01-31T10:00:00Z");
    Invoice {
        id: InvoiceId(fresh()),
        version: 1,
        account_id: AccountId(fresh()),
        number: "1-0001".into(),
        paid_for_account_ids: Vec::new(),
        kind: Kind::Cycle,
        bill_run_id: None,
        currency: "EUR".parse().expect("a currency"),
        lines: Vec::new(),
        total: money(amount),
        amount_paid: money("0"),
        amount_credited: money("0"),
        amount_due: money(amount),
        status: Status::Open,
        issued_on: now.date_naive(),
        due_on: now.date_naive() + Days::new(14),
        overdue_at: moment("2027-02-15T00:00:00Z"),
        cutoff: now,
        attributes: Default::default(),
        delivered_at: None,
        overdue_since: None,
        delivery_offsets: Vec::new(),
        due_reminders: Vec::new(),
        created_at: now,
        updated_at: now,
    }
}

fn settings(offsets: &[(u32, &str)]) -> BillingSettings {
    let asked =
        offsets.iter().map(|(days, time)| crate::customers::billing_settings::AskedOffset { days: *days, time: (*time).to_owned() });
    let defaults = BillingSettings::default();
    let update = crate::customers::billing_settings::Update {
        id: billwire_schemas::ids::BillingSettingsId(fresh()),
        time_zone: "Europe/Berlin".into(),
        default_currency: None,
        payment_term_days: 14,
        allocate_prepayments: true,
        delivery_offsets: asked.clone().collect(),
        due_reminders: asked.collect(),
        service_statuses: defaults.service_statuses.clone(),
        package_statuses: defaults.package_statuses.clone(),
    };
    crate::customers::billing_settings::update(defaults, update, Timestamp::UNIX_EPOCH).expect("settings").after
}

#[test]
fn offsets_after_delivery_keep_local_time_over_the_change_to_summer_time() {
    let delivered = deliver(open("10"), &settings(&[(60, "09:00"), (1, "09:00")]), moment("2027-01-31T23:30:00Z")).expect("delivered");
    assert_eq!(delivered.lifecycle, ["invoice.delivered"]);
    let at: Vec<String> = delivered.after.delivery_offsets.iter().map(|offset| offset.at.to_rfc3339()).collect();
    assert_eq!(at, ["2027-02-02T08:00:00+00:00", "2027-04-02T07:00:00+00:00"], "counted from the local date, soonest first");
    assert_eq!(
        deliver(delivered.after, &settings(&[]), moment("2027-02-01T00:00:00Z")).expect_err("refused").code.as_str(),
        "invoice_already_delivered"
    );
}

#[test]
fn what_is_due_is_told_once_in_the_order_it_fell_due_however_late_the_clock_comes() {
    let delivered =
        deliver(open("10"), &settings(&[(30, "09:00"), (1, "09:00")]), moment("2027-01-31T10:00:00Z")).expect("delivered").after;
    let late = moment("2028-01-01T00:00:00Z");
    let change = due(delivered.clone(), late).expect("due");
    assert_eq!(change.lifecycle, ["invoice.delivery_offset_reached", "invoice.overdue", "invoice.delivery_offset_reached"]);
    let days: Vec<_> = change.lifecycle.iter().filter_map(|event| event.parameters.get("invoice.offsetDays")).collect();
    assert_eq!(days, [1, 30]);
    assert_eq!(change.after.overdue_since, Some(change.after.overdue_at), "since it was, not since somebody looked");
    assert_eq!(due(change.after, late + TimeDelta::days(1)), None);
    assert_eq!(due(delivered, moment("2027-01-31T11:00:00Z")), None);
}

#[test]
fn a_reminder_comes_days_before_the_due_date_and_one_that_has_passed_at_posting_does_not() {
    let posted = open("10");
    let reminders = due_reminders(&settings(&[(30, "09:00"), (3, "09:00"), (0, "18:30")]), posted.due_on, posted.created_at);
    let at: Vec<String> = reminders.iter().map(|reminder| reminder.at.to_rfc3339()).collect();
    assert_eq!(at, ["2027-02-11T08:00:00+00:00", "2027-02-14T17:30:00+00:00"]);
    let posted = Invoice { due_reminders: reminders, ..posted };
    let soon = due(posted.clone(), moment("2027-02-11T08:00:00Z")).expect("due");
    assert_eq!((&soon.lifecycle[0].kind, soon.lifecycle.len()), (&"invoice.due_soon", 1));
    assert_eq!(soon.lifecycle[0].parameters["invoice.daysUntilDue"], 3);
    let late = due(posted, moment("2028-01-01T00:00:00Z")).expect("due");
    assert_eq!(late.lifecycle, ["invoice.due_soon", "invoice.due_soon", "invoice.overdue"]);
}

#[test]
fn nothing_is_told_of_an_invoice_that_was_paid_or_cancelled() {
    let delivered = deliver(open("10"), &settings(&[(1, "09:00")]), moment("2027-01-31T10:00:00Z")).expect("delivered").after;
    let late = moment("2028-01-01T00:00:00Z");
    let paid = pay(delivered.clone(), "10".parse().expect("an amount"), late).expect("paid");
    assert_eq!(paid.lifecycle, ["invoice.paid"]);
    assert_eq!(due(paid.after.clone(), late), None);
    assert_eq!(due(cancel(delivered, true, late).expect("cancelled").after, late), None);
    assert_eq!(pay(paid.after, Decimal::units(1), late).expect_err("refused").code, "invoice_not_open");
}

#[test]
fn each_refusal_of_covering_and_cancelling_has_its_code() {
    let now = Timestamp::UNIX_EPOCH;
    let code = |result: Result<Change<Invoice>, Rejected>| result.expect_err("refused").code;
    assert_eq!(code(pay(open("10"), "10.01".parse().expect("an amount"), now)), "amount_out_of_range");
    let part = credit(open("10"), Decimal::units(4), now).expect("credited").after;
    assert_eq!((part.amount_due, part.status), (money("6"), Status::Open));
    assert_eq!(code(cancel(part, true, now)), "invoice_has_payments");
    assert_eq!(code(cancel(open("10"), false, now)), "later_invoice_exists");
    let cancelled = cancel(open("10"), true, now).expect("cancelled").after;
    assert_eq!(code(cancel(cancelled.clone(), true, now)), "invoice_not_open");
    assert_eq!(code(deliver(cancelled, &BillingSettings::default(), now)), "invoice_not_open");
}
