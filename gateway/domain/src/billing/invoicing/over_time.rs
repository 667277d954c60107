//! Fees are computed from what was true on each day: change of cycle, status and price, runs that come late, and clocks.

use billwire_schemas::ids::{AccountId, BillCycleId, PackageId, fresh};

use super::*;
use crate::{
    calendar::{PeriodUnit, RecurringPeriod},
    customers::{
        account,
        bill_cycle::{self, BillCycle},
        package, package_subscription,
    },
    patch::Patch,
};

fn d(text: &str) -> NaiveDate {
    text.parse().expect("a date")
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

fn cycle(period: PeriodUnit, day: u32) -> BillCycle {
    let command = bill_cycle::Create {
        id: BillCycleId(fresh()),
        external_id: None,
        name: "cycle".into(),
        period,
        length: 1,
        individual: false,
        billing_day: period.billing_days().map(|_| day),
        billing_month: (period == PeriodUnit::Year).then_some(1),
        announce_days: None,
        auto_run: None,
    };
    bill_cycle::create(command, at("2027-01-01T00:00:00Z")).expect("a cycle").after
}

fn monthly(day: u32) -> BillCycle {
    cycle(PeriodUnit::Month, day)
}

/// An account on a cycle of the first of the month, with a subscription to a package.
struct World {
    settings: BillingSettings,
    account: Account,
    package: Package,
    subscription: PackageSubscription,
}

impl World {
    /// Created, subscribed and activated at `now`.
    fn new(now: &str, fee: &str) -> Self {
        let mut world = Self::inactive(now, fee, BillingSettings::default());
        world.account_status(now, account::Status::Active);
        world.status(now, "active");
        world
    }

    /// With an inactive account, and a subscription that is pending.
    fn inactive(now: &str, fee: &str, settings: BillingSettings) -> Self {
        let now = at(now);
        let command = account::Create {
            id: AccountId(fresh()),
            external_id: None,
            name: "Acme".into(),
            currency: Some("EUR".into()),
            active: false,
            billing_day: None,
            company: None,
            payment_term_days: None,
            attributes: Default::default(),
        };
        let account = account::create(command, &monthly(1), &settings, now).expect("an account").after;
        let recurring_fee = Money::new(fee.parse().expect("a fee"), "EUR".parse().expect("a currency"));
        let (id, name) = (PackageId(fresh()), "p".into());
        let command = package::Create { id, external_id: None, name, description: None, recurring_fee, recurring_period: None };
        let package = package::create(command, &settings, now).expect("a package").after;
        let command = package_subscription::Subscribe {
            id: PackageSubscriptionId(fresh()),
            external_id: None,
            start_date: None,
            status: None,
            attributes: Default::default(),
        };
        let subscription = package_subscription::subscribe(command, &account, &package, &settings, now).expect("subscribed").after;
        Self { settings, account, package, subscription }
    }

    fn account_status(&mut self, now: &str, status: account::Status) {
        self.account = account::change_status(self.account.clone(), status, None, &self.settings, at(now)).expect("changed").after;
    }

    fn status(&mut self, now: &str, status: &str) {
        let (one, to) = (self.subscription.clone(), status.to_owned());
        self.subscription =
            package_subscription::change_status(one, &self.account, &self.settings, to, None, at(now)).expect("changed").after;
    }

    fn cycle(&mut self, now: &str, cycle: &BillCycle) {
        self.account = account::update_bill_cycle(self.account.clone(), cycle, None, None, &self.settings, at(now)).expect("changed").after;
    }

    /// Plans a change, which the clock performs at `performed`.
    fn planned_cycle(&mut self, now: &str, cycle: &BillCycle, valid_from: &str, performed: &str) {
        let valid_from = Some(at(valid_from));
        let planned = account::update_bill_cycle(self.account.clone(), cycle, None, valid_from, &self.settings, at(now)).expect("planned");
        let done = account::perform_due_bill_cycle_change(planned.after, cycle, &self.settings, at(performed)).expect("performed");
        self.account = done.expect("due").after;
    }

    fn fee(&mut self, now: &str, fee: &str) {
        let recurring_fee = Some(Money::new(fee.parse().expect("a fee"), self.package.currency));
        let command = package::Update { recurring_fee, ..package::Update::default() };
        self.package = package::update(self.package.clone(), command, &self.settings, at(now)).expect("updated").after;
    }

    /// Gives the package a period of its own.
    fn own(&mut self, now: &str, own: Option<(PeriodUnit, u32)>) {
        let recurring_period = own.map_or(Patch::Unset, |(unit, length)| Patch::Set(RecurringPeriod { unit, length }));
        let command = package::Update { recurring_period, ..package::Update::default() };
        self.package = package::update(self.package.clone(), command, &self.settings, at(now)).expect("updated").after;
    }

    /// Bills as a run of this date does. Gives each line's days and amount.
    fn run(&mut self, date: &str) -> Vec<String> {
        let until = fees_until(&self.account, d(date));
        let lines = self.bill_until(until);
        let now = at("2028-01-01T00:00:00Z");
        if let Some(moved) = move_on(&self.account, d(date), now) {
            self.account = moved.after;
        }
        lines
    }

    fn bill_until(&mut self, until: NaiveDate) -> Vec<String> {
        let item = FeeItem::of(&self.subscription, &self.package, &self.account, &self.settings);
        let bill = bill(&self.account, until, &Unbilled { fees: vec![item], ..Unbilled::default() }, &[]).expect("a bill");
        if let Some((_, until)) = bill.fees.first() {
            self.subscription = package_subscription::fee_billed(self.subscription.clone(), *until, at("2028-01-01T00:00:00Z")).after;
        }
        let text = |line: &Line| match &line.about {
            About::Fee { period, .. } => {
                format!("{}..{} {}", &period.start.to_string()[5..], &period.end.to_string()[5..], line.amount.amount_text())
            }
            other => panic!("{other:?}"),
        };
        bill.lines.iter().map(text).collect()
    }
}

const JUNE: &str = "2027-06-01T08:00:00Z";

/// The sum of the amounts of lines.
fn sum(lines: &[String]) -> Decimal {
    let amounts = lines.iter().map(|line| line.rsplit(' ').next().and_then(|amount| amount.parse().ok()).expect("an amount"));
    amounts.fold(Decimal::ZERO, |sum, amount: Decimal| sum.plus(amount).expect("in range"))
}

#[test]
fn the_lines_of_a_period_add_up_to_its_fee_however_many_invoices_bill_it() {
    let mut world = World::new("2027-03-01T10:00:00Z", "31.00");
    world.cycle("2027-03-01T10:00:00Z", &cycle(PeriodUnit::Day, 1));
    world.own("2027-03-01T10:00:00Z", Some((PeriodUnit::Month, 1)));
    let mut lines = Vec::new();
    for day in d("2027-03-02").iter_days().take(59 + 31) {
        lines.extend(world.run(&day.to_string()));
    }
    assert_eq!((lines.len(), sum(&lines)), (59 + 31, Decimal::units(31 * 2 + 29)), "March and April whole, and 29 of the 31 days of May");
}

#[test]
fn a_cycle_changed_at_once_charges_the_part_of_the_period_that_ran() {
    for new in [cycle(PeriodUnit::Week, 1), cycle(PeriodUnit::Year, 1), monthly(20)] {
        let mut world = World::new(JUNE, "300.00");
        world.cycle("2027-06-25T10:00:00Z", &new);
        assert_eq!(world.run("2028-03-01")[0], "06-01..06-25 240.00", "24 of 30 days, whatever follows");
    }
    let mut world = World::new(JUNE, "300.00");
    let new = monthly(15);
    let planned =
        account::update_bill_cycle(world.account.clone(), &new, None, Some(at("2027-09-01T00:00:00Z")), &world.settings, at(JUNE));
    let now = at("2027-06-11T10:00:00Z");
    world.account =
        account::perform_bill_cycle_change(planned.expect("planned").after, &new, &world.settings, now).expect("performed").after;
    assert_eq!(world.run("2027-06-15"), ["06-01..06-11 100.00", "06-11..06-15 38.71"]);
}

#[test]
fn a_planned_change_leaves_the_running_period_whole_also_when_it_is_billed_late() {
    for run_before in [false, true] {
        let mut world = World::new(JUNE, "300.00");
        let june = if run_before { world.run("2027-07-01") } else { vec![] };
        world.planned_cycle(JUNE, &monthly(15), "2027-07-01T00:00:00Z", "2027-07-01T00:00:01Z");
        let all = [june, world.run("2027-08-15")].concat();
        assert_eq!(all, ["06-01..07-01 300.00", "07-01..07-15 140.00", "07-15..08-15 300.00"], "June billed before: {run_before}");
    }
    for (run_before, performed) in [(false, "2027-07-10T00:00:01Z"), (true, "2027-07-10T00:00:01Z"), (false, "2027-12-01T00:00:00Z")] {
        let mut world = World::new(JUNE, "300.00");
        let june = if run_before { world.run("2027-07-01") } else { vec![] };
        world.planned_cycle(JUNE, &monthly(15), "2027-07-10T00:00:00Z", performed);
        let all = [june, world.run("2027-08-15")].concat();
        assert_eq!(all, ["06-01..07-01 300.00", "07-01..08-01 300.00", "08-01..08-15 135.48"], "{run_before} {performed}");
    }
}

#[test]
fn a_subscription_is_charged_for_the_days_it_was_billable_not_for_its_status_at_the_run() {
    const AUGUST: &str = "2027-08-01T08:00:00Z";
    let mut late = World::new(AUGUST, "300.00");
    late.status("2027-09-01T02:00:00Z", "suspended");
    assert_eq!(late.run("2027-09-01"), ["08-01..09-01 300.00"], "suspended before the run, but after the period");
    let mut suspended = World::new(AUGUST, "300.00");
    suspended.status("2027-08-11T10:00:00Z", "suspended");
    assert_eq!(suspended.run("2027-09-01"), ["08-01..09-01 96.77"]);
    let mut back = World::new(AUGUST, "300.00");
    back.status("2027-08-11T10:00:00Z", "suspended");
    back.status("2027-08-21T10:00:00Z", "active");
    assert_eq!(back.run("2027-09-01"), ["08-01..09-01 203.23"], "the stretches of a period are one line, rounded once");
    let mut pending = World::inactive(AUGUST, "300.00", BillingSettings::default());
    pending.account_status(AUGUST, account::Status::Active);
    pending.status("2027-08-21T10:00:00Z", "active");
    assert_eq!(pending.run("2027-09-01"), ["08-01..09-01 106.45"]);
}

#[test]
fn a_cancelled_subscription_is_charged_for_the_days_it_was_active() {
    let mut world = World::new("2027-05-01T08:00:00Z", "31.00");
    world.status("2027-05-02T10:00:00Z", "suspended");
    world.status("2027-05-20T10:00:00Z", "cancelled");
    assert_eq!(world.run("2027-06-01"), ["05-01..05-20 1.00"]);
}

#[test]
fn an_account_owes_fees_from_its_activation_on() {
    let mut world = World::inactive("2027-01-04T08:00:00Z", "300.00", BillingSettings::default());
    world.status("2027-01-04T09:00:00Z", "active");
    world.account_status("2027-04-11T10:00:00Z", account::Status::Active);
    assert_eq!(world.run("2027-05-01"), ["04-01..05-01 200.00"]);
}

#[test]
fn a_new_fee_applies_from_the_day_it_is_set() {
    let mut world = World::new(JUNE, "300.00");
    world.fee("2027-06-21T10:00:00Z", "600.00");
    assert_eq!(world.run("2027-07-01"), ["06-01..06-21 200.00", "06-21..07-01 200.00"]);
}

#[test]
fn days_are_those_of_the_tenants_zone() {
    let berlin = || BillingSettings { time_zone: chrono_tz::Europe::Berlin, ..BillingSettings::default() };
    let mut world = World::inactive("2027-05-31T22:30:00Z", "300.00", berlin());
    world.account_status("2027-05-31T22:30:00Z", account::Status::Active);
    world.status("2027-05-31T22:30:00Z", "active");
    assert_eq!(world.account.bill_cycle.period.start, d("2027-06-01"));
    world.cycle("2027-06-10T22:30:00Z", &monthly(15));
    assert_eq!(world.run("2027-06-15"), ["06-01..06-11 100.00", "06-11..06-15 38.71"]);
}

#[test]
fn runs_in_any_number_and_order_bill_each_day_once() {
    let bills = |dates: &[&str]| {
        let mut world = World::new(JUNE, "300.00");
        world.status("2027-07-11T10:00:00Z", "suspended");
        world.status("2027-08-05T10:00:00Z", "active");
        world.cycle("2027-08-20T10:00:00Z", &monthly(15));
        dates.iter().flat_map(|date| world.run(date)).collect::<Vec<_>>()
    };
    let once = bills(&["2027-11-15"]);
    assert_eq!(bills(&["2027-07-01", "2027-07-01", "2027-08-01", "2027-09-01", "2027-09-15", "2027-10-15", "2027-11-15"]), once);
    assert_eq!(bills(&["2027-08-01", "2027-07-01", "2027-11-15", "2027-10-15"]), once);
}

#[test]
fn a_fee_is_rounded_once() {
    let fee: Decimal = "0.0731".parse().expect("a fee");
    assert_eq!(fee.part(183, 365, 4), Some("0.0367".parse().expect("a decimal")), "not first to a millionth, which would be 0.0366");
}

#[test]
fn an_account_without_a_history_is_billed_by_its_current_cycle() {
    let mut world = World::new(JUNE, "300.00");
    let cycle = monthly(1);
    world.account.bill_cycle_history = History::default();
    world.account.status_history = History::default();
    world.subscription.status_history = History::default();
    world.package.fee_history = History::default();
    world.account = world.account.with_bill_cycle_history(cycle.schedule(None).expect("a schedule"));
    assert_eq!(world.run("2027-08-01"), ["06-01..07-01 300.00", "07-01..08-01 300.00"]);
    let mut changing = World::new(JUNE, "300.00");
    changing.planned_cycle(JUNE, &monthly(15), "2027-06-10T00:00:00Z", "2027-06-10T00:00:00Z");
    changing.account.bill_cycle_history = History::default();
    changing.account = changing.account.with_bill_cycle_history(monthly(15).schedule(None).expect("a schedule"));
    assert_eq!(changing.run("2027-08-15"), ["06-01..07-01 300.00", "07-01..07-15 140.00", "07-15..08-15 300.00"]);
}

const JANUARY: &str = "2027-01-01T08:00:00Z";

#[test]
fn a_monthly_package_costs_an_account_that_is_billed_weekly_its_days_of_the_month() {
    let mut world = World::new(JANUARY, "310.00");
    world.cycle(JANUARY, &cycle(PeriodUnit::Week, 5));
    world.own(JANUARY, Some((PeriodUnit::Month, 1)));
    assert_eq!(world.run("2027-01-08"), ["01-01..01-08 70.00"]);
    let weeks = ["01-08..01-15 70.00", "01-15..01-22 70.00", "01-22..01-29 70.00", "01-29..02-01 30.00", "02-01..02-05 44.29"];
    assert_eq!(world.run("2027-02-05"), weeks, "February has 28 days");
}

#[test]
fn a_period_of_its_own_is_counted_from_the_subscription_s_first_day() {
    let mut world = World::new("2027-01-31T08:00:00Z", "280.00");
    world.own("2027-01-31T08:00:00Z", Some((PeriodUnit::Month, 1)));
    assert_eq!(world.run("2027-02-01"), ["01-31..02-01 10.00"], "1 of the 28 days from 31 January to 28 February");
    assert_eq!(world.run("2027-03-01"), ["02-01..02-28 270.00", "02-28..03-01 9.03"], "then 1 of 31 days");
    let mut yearly = World::new(JANUARY, "365.00");
    yearly.own(JANUARY, Some((PeriodUnit::Year, 1)));
    assert_eq!(yearly.run("2027-03-01"), ["01-01..02-01 31.00", "02-01..03-01 28.00"]);
    let mut weekly = World::new(JANUARY, "7.00");
    weekly.own(JANUARY, Some((PeriodUnit::Week, 2)));
    assert_eq!(weekly.run("2027-02-01"), ["01-01..01-15 7.00", "01-15..01-29 7.00", "01-29..02-01 1.50"]);
}

#[test]
fn another_period_applies_from_the_day_it_is_set_as_another_fee_does() {
    let mut world = World::new(JANUARY, "310.00");
    world.own("2027-01-11T10:00:00Z", Some((PeriodUnit::Week, 1)));
    world.fee("2027-01-11T11:00:00Z", "70.00");
    world.own("2027-01-22T10:00:00Z", None);
    world.fee("2027-01-22T10:00:00Z", "310.00");
    let lines = ["01-01..01-11 100.00", "01-11..01-15 40.00", "01-15..01-22 70.00", "01-22..02-01 100.00"];
    assert_eq!(world.run("2027-02-01"), lines);
}

#[test]
fn days_of_an_own_period_that_are_not_billable_cost_nothing() {
    let mut world = World::new(JANUARY, "310.00");
    world.own(JANUARY, Some((PeriodUnit::Month, 1)));
    world.cycle(JANUARY, &cycle(PeriodUnit::Week, 5));
    world.status("2027-01-03T10:00:00Z", "suspended");
    world.status("2027-01-06T10:00:00Z", "active");
    assert_eq!(world.run("2027-01-08"), ["01-01..01-08 40.00"]);
}

#[test]
fn runs_bill_own_periods_alike_in_any_number_and_order() {
    let bills = |dates: &[&str]| {
        let mut world = World::new(JUNE, "299.99");
        world.own("2027-06-04T10:00:00Z", Some((PeriodUnit::Month, 1)));
        world.cycle("2027-06-20T10:00:00Z", &cycle(PeriodUnit::Week, 3));
        world.own("2027-08-04T10:00:00Z", Some((PeriodUnit::Day, 10)));
        dates.iter().flat_map(|date| world.run(date)).collect::<Vec<_>>()
    };
    let once = bills(&["2027-10-15"]);
    assert_eq!(
        bills(&["2027-06-09", "2027-06-16", "2027-06-25", "2027-07-14", "2027-08-06", "2027-08-06", "2027-09-01", "2027-10-15"]),
        once
    );
    assert_eq!(bills(&["2027-09-01", "2027-07-01", "2027-10-15", "2027-08-15"]), once);
}
