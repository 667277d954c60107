use billwire_schemas::{events::objects, ids::fresh};

use super::*;
use crate::customers::{
    account::{Status, tests::with_status},
    package,
};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

fn day(text: &str) -> NaiveDate {
    text.parse().expect("a date")
}

const NOON: &str = "2027-05-10T12:00:00Z";

fn in_currency(code: &str) -> Package {
    let recurring_fee = billwire_schemas::money::Money::new("9".parse().expect("an amount"), code.parse().expect("a currency"));
    let command = package::Create {
        id: PackageId(fresh()),
        external_id: None,
        name: "Fleet".into(),
        description: None,
        recurring_fee,
        recurring_period: None,
    };
    package::create(command, &BillingSettings::default(), at(NOON)).expect("a package").after
}

fn subscribed(start: Option<&str>, account: &Account, package: &Package) -> Result<Change<PackageSubscription>, Rejected> {
    let command = Subscribe {
        id: PackageSubscriptionId(fresh()),
        external_id: None,
        start_date: start.map(day),
        status: None,
        attributes: Default::default(),
    };
    subscribe(command, account, package, &BillingSettings::default(), at(NOON))
}

fn pending(account: &Account) -> PackageSubscription {
    subscribed(None, account, &in_currency("EUR")).expect("subscribed").after
}

fn change(subscription: PackageSubscription, account: &Account, to: &str) -> Result<Change<PackageSubscription>, Rejected> {
    change_status(subscription, account, &BillingSettings::default(), to.into(), None, at(NOON))
}

fn cancelled(subscription: PackageSubscription, account: &Account) -> Result<Change<PackageSubscription>, Rejected> {
    cancel(subscription, account, &BillingSettings::default(), Some("moved".into()), at(NOON))
}

#[test]
fn a_subscription_starts_today_in_the_initial_status_with_nothing_billed() {
    let account = with_status(Status::Active);
    let made = pending(&account);
    assert_eq!((made.status.as_str(), made.start_date, made.fee_billed_until), ("pending", day("2027-05-10"), day("2027-05-10")));
    let ahead = subscribed(Some("2027-06-01"), &account, &in_currency("EUR")).expect("subscribed").after;
    assert_eq!(ahead.fee_billed_until, day("2027-06-01"));
}

#[test]
fn the_days_before_today_have_the_status_that_the_subscription_starts_in() {
    let (account, package) = (with_status(Status::Active), in_currency("EUR"));
    let billable = |subscription: &PackageSubscription, date: &str| {
        subscription.status_history.on(day(date)).is_some_and(|(entry, _)| entry.value.billable)
    };
    let made = subscribed(Some("2027-03-01"), &account, &package).expect("subscribed").after;
    let active = change(made, &account, "active").expect("changed").after;
    assert_eq!((billable(&active, "2027-05-09"), billable(&active, "2027-05-10")), (false, true), "also if it changes on the same day");
    let start = |status: &str, start| {
        let (id, status) = (PackageSubscriptionId(fresh()), Some(status.to_owned()));
        let command = Subscribe { id, external_id: None, start_date: Some(day(start)), status, attributes: Default::default() };
        subscribe(command, &account, &package, &BillingSettings::default(), at(NOON))
    };
    let made = start("active", "2027-03-01").expect("subscribed").after;
    assert_eq!((made.status.as_str(), billable(&made, "2027-03-01")), ("active", true));
    let refused = |status, begin| start(status, begin).expect_err("refused").code.as_str();
    assert_eq!(refused("gone", "2027-03-01"), "status_unknown");
    assert_eq!(refused("suspended", "2027-03-01"), "status_transition_not_allowed");
    assert_eq!(refused("cancelled", "2027-03-01"), "status_transition_not_allowed");
    assert_eq!(refused("active", "2026-05-09"), "start_date_out_of_range");
    assert_eq!(refused("active", "2037-05-11"), "start_date_out_of_range");
    assert!(start("active", "2026-05-10").is_ok() && start("active", "2037-05-10").is_ok());
}

#[test]
fn today_is_the_tenants() {
    let settings = BillingSettings { time_zone: chrono_tz::Tz::Pacific__Auckland, ..BillingSettings::default() };
    let command =
        Subscribe { id: PackageSubscriptionId(fresh()), external_id: None, start_date: None, status: None, attributes: Default::default() };
    let made = subscribe(command, &with_status(Status::Active), &in_currency("EUR"), &settings, at("2027-05-10T22:00:00Z"));
    assert_eq!(made.expect("subscribed").after.start_date, day("2027-05-11"));
}

#[test]
fn each_rule_of_a_new_subscription_has_its_code() {
    let account = with_status(Status::Active);
    let codes = |start: Option<&str>, currency: &str| match subscribed(start, &account, &in_currency(currency)) {
        Ok(_) => vec![],
        Err(rejected) => rejected.violations.iter().map(|v| (v.code.as_str(), v.pointer.to_string())).collect(),
    };
    assert_eq!(codes(None, "USD"), [("currency_mismatch", "/package".to_owned())]);
    let out_of_range = [("start_date_out_of_range", "/startDate".to_owned())];
    assert_eq!(codes(Some("2026-05-09"), "EUR"), out_of_range);
    assert_eq!(codes(Some("2026-05-10"), "EUR"), vec![]);
    assert_eq!(codes(Some("2038-01-01"), "EUR"), out_of_range);
    assert_eq!(codes(Some("1900-01-01"), "USD").len(), 2, "every violation is named");
    let refused = subscribed(None, &with_status(Status::Deactivated), &in_currency("EUR")).expect_err("deactivated");
    assert_eq!(refused.code.as_str(), "account_deactivated");
}

#[test]
fn its_status_moves_only_along_the_table() {
    let account = with_status(Status::Active);
    let active = change(pending(&account), &account, "active").expect("active");
    assert_eq!(active.lifecycle, ["package.status_changed"]);
    let code = |to| change(active.after.clone(), &account, to).err().map(|r| r.code.as_str());
    assert_eq!(code("active"), Some("status_unchanged"));
    assert_eq!(code("pending"), Some("status_transition_not_allowed"));
    assert_eq!(code("gone"), Some("status_unknown"));
    assert_eq!(code("suspended"), None);
    let dead = with_status(Status::Deactivated);
    assert_eq!(change(active.after.clone(), &dead, "suspended").unwrap_err().code, "account_deactivated");
}

#[test]
fn to_cancel_is_to_change_to_the_cancelled_status() {
    let account = with_status(Status::Active);
    for done in [cancelled(pending(&account), &account), change(pending(&account), &account, "cancelled")] {
        let done = done.expect("cancelled");
        assert_eq!(done.lifecycle, ["package.status_changed", "package.cancelled"]);
        assert_eq!((done.after.status.as_str(), done.after.end_date), ("cancelled", Some(day("2027-05-10"))));
        assert_eq!(cancelled(done.after.clone(), &account).unwrap_err().code.as_str(), "package_subscription_cancelled");
        assert_eq!(change(done.after, &account, "active").unwrap_err().code, "status_transition_not_allowed");
    }
    assert_eq!(cancelled(pending(&account), &with_status(Status::Deactivated)).unwrap_err().code.as_str(), "account_deactivated");
}

#[test]
fn one_that_never_began_ends_at_its_start() {
    let account = with_status(Status::Active);
    let ahead = subscribed(Some("2027-06-01"), &account, &in_currency("EUR")).expect("subscribed").after;
    assert_eq!(cancelled(ahead, &account).expect("cancelled").after.end_date, Some(day("2027-06-01")));
}

#[test]
fn its_history_says_whether_it_was_billable_on_each_day() {
    let account = with_status(Status::Active);
    let later = at("2027-05-20T12:00:00Z");
    let end = |subscription| cancel(subscription, &account, &BillingSettings::default(), None, later).expect("cancelled").after;
    let (never, once) = (end(pending(&account)), end(change(pending(&account), &account, "active").expect("active").after));
    let billable = |one: &PackageSubscription| {
        let on = |date| one.status_history.on(day(date)).map(|(entry, _)| entry.value.billable);
        (on("2027-05-10"), on("2027-05-19"), on("2027-05-20"))
    };
    assert_eq!(billable(&never), (Some(false), Some(false), Some(false)));
    assert_eq!(billable(&once), (Some(true), Some(true), Some(false)), "activated on its first day");
}

#[test]
fn a_fee_given_back_is_due_again_from_that_day_on() {
    let billed = fee_billed(pending(&with_status(Status::Active)), day("2027-06-01"), at(NOON)).after;
    let back = fee_given_back(billed, day("2027-05-10"), at(NOON)).after;
    assert_eq!((back.fee_billed_until, back.version), (day("2027-05-10"), 3));
    assert_eq!(fee_given_back(back, day("2027-05-20"), at(NOON)).after.fee_billed_until, day("2027-05-10"), "never forward");
}

#[test]
fn billing_its_fee_moves_the_date_only_forward() {
    let billed = fee_billed(pending(&with_status(Status::Active)), day("2027-06-01"), at(NOON)).after;
    assert_eq!((billed.fee_billed_until, billed.version), (day("2027-06-01"), 2));
    assert_eq!(fee_billed(billed, day("2027-05-20"), at(NOON)).after.fee_billed_until, day("2027-06-01"));
}

#[test]
fn its_parameters_are_those_of_the_catalogue() {
    let account = with_status(Status::Active);
    let package = Package { external_id: Some("P".into()), ..in_currency("EUR") };
    let attributes = Attributes::from(std::collections::BTreeMap::from([("region".to_owned(), "EMEA".to_owned())]));
    let made = PackageSubscription { external_id: Some("S".into()), attributes, ..pending(&account) };
    let planned = PlannedStatus { status: "active".into(), reason: None, valid_from: at(NOON) };
    let ended = cancelled(made, &account).expect("cancelled").after;
    let mut given = PackageSubscription { planned_status_change: Some(planned), ..ended }.parameters();
    given.extend(package.parameters());
    let mut offered: Vec<_> = objects::package::PARAMETERS.iter().map(|p| p.name).collect();
    offered.sort_unstable();
    assert_eq!(given.into_keys().collect::<Vec<_>>(), offered);
}

#[test]
fn a_subscription_ends_with_its_account_once() {
    let account = with_status(Status::Active);
    let settings = BillingSettings::default();
    let now = at("2027-06-20T10:00:00Z");
    let ended = end_with_account(pending(&account), &settings, Some("moved away".into()), now).expect("ended");
    assert_eq!(ended.lifecycle, ["package.status_changed", "package.cancelled"]);
    assert_eq!((ended.after.status.as_str(), ended.after.status_reason.as_deref()), ("cancelled", Some("moved away")));
    assert!(ended.after.end_date.is_some());
    assert_eq!(end_with_account(ended.after, &settings, None, now), None);
}
