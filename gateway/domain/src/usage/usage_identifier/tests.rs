use billwire_schemas::{events::objects, ids::fresh};
use chrono::TimeDelta;

use super::*;
use crate::customers::account::{Status, tests::with_status};

fn moment(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

fn identifier(days: Option<u32>) -> UsageIdentifier {
    UsageIdentifier {
        id: UsageIdentifierId(fresh()),
        version: 1,
        external_id: None,
        account_id: AccountId(fresh()),
        service_id: ServiceId(fresh()),
        kind: "iccid".into(),
        value: "8949".into(),
        dormant_after_days: days,
        last_usage_on: None,
        dormant_at: None,
        dormant_since: None,
        created_at: moment("2027-01-01T15:00:00Z"),
        updated_at: moment("2027-01-01T15:00:00Z"),
    }
}

#[test]
fn it_is_dormant_once_after_its_days_without_usage_and_again_after_new_usage() {
    let fresh = identifier(Some(3));
    let at = moment("2027-01-05T00:00:00Z");
    assert_eq!(fresh.due_at(), Some(at));
    assert_eq!(due(fresh.clone(), at - TimeDelta::microseconds(1)), None);
    let dormant = due(fresh, at).expect("dormant");
    assert_eq!(dormant.lifecycle, ["usage_identifier.dormant"]);
    assert_eq!(due(dormant.after.clone(), at + TimeDelta::days(9)), None, "told once");
    let live = with_status(Status::Active);
    let used = used(dormant.after, &live, at, &BillingSettings::default(), at).expect("used").after;
    assert_eq!((used.dormant_since, used.due_at()), (None, Some(moment("2027-01-09T00:00:00Z"))));
    assert!(due(used, moment("2027-01-09T00:00:00Z")).is_some(), "told again");
    assert_eq!(identifier(None).due_at(), None);
}

#[test]
fn usage_is_noted_at_most_once_a_day_and_late_usage_wakes_nobody() {
    let now = moment("2027-01-04T10:00:00Z");
    let date = |day| NaiveDate::from_ymd_opt(2027, 1, day).expect("a date");
    let live = with_status(Status::Active);
    let used = |one, day: u32| used(one, &live, moment(&format!("2027-01-{day:02}T10:00:00Z")), &BillingSettings::default(), now);
    let noted = used(identifier(Some(3)), 4).expect("noted").after;
    assert_eq!(used(noted.clone(), 4), None);
    assert_eq!(used(noted.clone(), 3), None);
    let dormant = due(noted, moment("2027-01-10T00:00:00Z")).expect("dormant").after;
    assert_eq!(used(dormant.clone(), 4), None, "usage from before is no sign of life");
    let woken = used(dormant, 11).expect("woken").after;
    assert_eq!((woken.dormant_since, woken.last_usage_on), (None, Some(date(11))));
}

#[test]
fn its_days_are_those_of_the_tenants_zone() {
    let berlin = BillingSettings { time_zone: chrono_tz::Europe::Berlin, ..BillingSettings::default() };
    let late = moment("2027-02-02T23:30:00Z");
    let one = used(identifier(Some(2)), &with_status(Status::Active), late, &berlin, late).expect("noted").after;
    assert_eq!((one.last_usage_on, one.due_at()), (NaiveDate::from_ymd_opt(2027, 2, 3), Some(moment("2027-02-05T23:00:00Z"))));
}

fn service() -> Service {
    Service {
        id: ServiceId(fresh()),
        version: 1,
        external_id: None,
        account_id: AccountId(fresh()),
        package_subscription_id: None,
        name: "Truck".into(),
        service_type: "sim".into(),
        attributes: Default::default(),
        status: "active".into(),
        status_reason: None,
        status_changed_at: moment("2027-01-01T15:00:00Z"),
        planned_status_change: None,
        status_history: crate::history::History::default(),
        suspended_with_account: false,
        created_at: moment("2027-01-01T15:00:00Z"),
        updated_at: moment("2027-01-01T15:00:00Z"),
    }
}

fn created(account: &Account, taken: bool) -> Result<Change<UsageIdentifier>, Rejected> {
    let command =
        Create { id: UsageIdentifierId(fresh()), external_id: None, kind: "iccid".into(), value: "8949".into(), dormant_after_days: None };
    create(command, &service(), account, taken, &BillingSettings::default(), moment("2027-01-02T00:00:00Z"))
}

#[test]
fn each_refusal_has_its_code() {
    let (live, dead) = (with_status(Status::Active), with_status(Status::Deactivated));
    let now = moment("2027-01-02T00:00:00Z");
    assert_eq!(created(&live, false).map(|change| change.after.version), Ok(1));
    assert_eq!(created(&live, true).unwrap_err().code.as_str(), "usage_identifier_taken");
    assert_eq!(created(&dead, false).unwrap_err().code.as_str(), "account_deactivated");
    assert_eq!(
        update(identifier(None), &dead, Update::default(), &BillingSettings::default(), now).unwrap_err().code.as_str(),
        "account_deactivated"
    );
    assert_eq!(delete(identifier(None), &dead).unwrap_err().code.as_str(), "account_deactivated");
}

#[test]
fn other_days_wake_a_dormant_one_only_where_they_have_not_passed_yet() {
    let live = with_status(Status::Active);
    let now = moment("2027-01-05T00:00:00Z");
    let dormant = due(identifier(Some(3)), now).expect("dormant").after;
    let days = |days| Update { dormant_after_days: days, ..Update::default() };
    let after = |wanted| update(dormant.clone(), &live, days(wanted), &BillingSettings::default(), now).expect("updated").after;
    for days in [Patch::Keep, Patch::Set(3), Patch::Set(1)] {
        let same = after(days);
        assert_eq!((same.dormant_since, same.due_at()), (dormant.dormant_since, None), "{days:?}: not told of again without usage");
    }
    assert_eq!(after(Patch::Keep).dormant_after_days, Some(3), "absent stays");
    let never = after(Patch::Unset);
    assert_eq!((never.dormant_after_days, never.dormant_since, never.due_at()), (None, None, None));
    let longer = after(Patch::Set(4));
    assert_eq!((longer.dormant_since, longer.due_at()), (None, Some(moment("2027-01-06T00:00:00Z"))));
    let watched = update(identifier(None), &live, days(Patch::Set(1)), &BillingSettings::default(), now).expect("updated").after;
    assert!(due(watched, now).is_some(), "one that was not watched is told of");
}

#[test]
fn its_parameters_are_those_of_the_catalogue() {
    let mut full = due(identifier(Some(3)), moment("2027-01-10T00:00:00Z")).expect("dormant").after;
    full.external_id = Some("SIM-1".into());
    full.last_usage_on = NaiveDate::from_ymd_opt(2027, 1, 2);
    let mut offered: Vec<_> = objects::usage_identifier::PARAMETERS.iter().map(|p| p.name.to_owned()).collect();
    offered.sort_unstable();
    assert_eq!(full.parameters().into_keys().collect::<Vec<_>>(), offered);
}

#[test]
fn one_whose_account_has_ended_never_becomes_dormant_again() {
    let (dead, settings) = (with_status(Status::Deactivated), BillingSettings::default());
    let now = moment("2027-01-02T00:00:00Z");
    let ended = end_with_account(identifier(Some(3)), now).expect("changed").after;
    assert_eq!((ended.due_at(), ended.dormant_after_days), (None, None));
    assert_eq!(end_with_account(ended.clone(), now), None);
    assert_eq!(end_with_account(identifier(None), now), None, "it was not watched");
    for one in [ended, identifier(Some(3)), due(identifier(Some(3)), moment("2027-01-05T00:00:00Z")).expect("dormant").after] {
        let used = used(one, &dead, moment("2027-01-05T12:00:00Z"), &settings, now).expect("late usage is noted").after;
        assert_eq!((used.due_at(), used.last_usage_on), (None, NaiveDate::from_ymd_opt(2027, 1, 5)));
    }
}
