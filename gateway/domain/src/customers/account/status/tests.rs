use chrono::TimeDelta;

use super::*;
use crate::customers::account::{DueAction, PlannedChange, tests::with_status};

const NOW: &str = "2027-05-11T09:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

fn wanted(status: Status) -> StatusChange {
    StatusChange { status, reason: Some("moved away".into()), services: true }
}

fn planned(account: Account, status: Status, start: PlannedStart) -> Result<Change<Account>, Rejected> {
    plan_status_change(account, wanted(status), start, &BillingSettings::default(), at(NOW))
}

/// An active account that is to be in this status from June on.
fn planning(status: Status) -> Account {
    planned(with_status(Status::Active), status, PlannedStart::At(at("2027-06-01T00:00:00Z"))).expect("planned").after
}

fn changed(account: Account, to: Status) -> Change<Account> {
    change_status(account, to, None, &BillingSettings::default(), at(NOW)).expect("changed")
}

#[test]
fn a_planned_change_leaves_the_status_and_is_due_at_its_moment() {
    let change = planned(with_status(Status::Active), Status::Suspended, PlannedStart::At(at("2027-06-01T00:00:00Z"))).expect("planned");
    assert_eq!(change.lifecycle, ["account.status_change_planned"]);
    assert_eq!(change.after.status, Status::Active);
    let due = at("2027-06-01T00:00:00Z");
    assert_eq!(change.after.next_due(), Some((due, DueAction::StatusChange)));
    let settings = BillingSettings::default();
    assert_eq!(perform_due_status_change(change.after.clone(), &settings, due - TimeDelta::seconds(1)), Ok(None));
    let done = perform_due_status_change(change.after, &settings, due).expect("no refusal").expect("due");
    assert_eq!(done.lifecycle, ["account.status_changed"]);
    assert_eq!((done.after.status, done.after.status_reason.as_deref()), (Status::Suspended, Some("moved away")));
    assert!(done.before.as_ref().is_some_and(|before| before.planned_status_change.is_some()), "it shows what was planned");
    assert_eq!(perform_due_status_change(done.after, &settings, due), Ok(None), "a second clock finds nothing to do");
}

#[test]
fn the_end_of_the_period_is_midnight_in_the_tenants_zone() {
    let berlin = BillingSettings { time_zone: chrono_tz::Europe::Berlin, ..BillingSettings::default() };
    let end = |now| {
        let change = wanted(Status::Deactivated);
        let change = plan_status_change(with_status(Status::Active), change, PlannedStart::EndOfPeriod, &berlin, at(now));
        change.expect("planned").after.planned_status_change.expect("a plan").valid_from
    };
    assert_eq!(end("2027-05-11T09:00:00Z"), at("2027-05-31T22:00:00Z"));
    assert_eq!(end("2027-05-31T22:30:00Z"), at("2027-06-30T22:00:00Z"), "June has begun, though no run has billed May");
}

#[test]
fn a_plan_is_refused_as_the_change_would_be_and_where_it_is_not_ahead() {
    let code = |account, to, start| planned(account, to, start).err().map(|refused| refused.code.as_str());
    let june = PlannedStart::At(at("2027-06-01T00:00:00Z"));
    assert_eq!(code(with_status(Status::Deactivated), Status::Active, june), Some("account_deactivated"));
    assert_eq!(code(with_status(Status::Active), Status::Active, june), Some("status_unchanged"));
    assert_eq!(code(with_status(Status::Inactive), Status::Suspended, june), Some("status_transition_not_allowed"));
    assert_eq!(code(with_status(Status::Active), Status::Suspended, PlannedStart::At(at(NOW))), Some("valid_from_in_past"));
    let both = PlannedStart::of(Some(at("2027-06-01T00:00:00Z")), true).expect_err("refused");
    assert_eq!((both.code.as_str(), both.violations[0].pointer.as_ref()), ("valid_from_ambiguous", "/endOfPeriod"));
    assert_eq!(PlannedStart::of(None, false), Ok(None));
}

#[test]
fn a_change_at_once_withdraws_the_plan_that_cannot_follow_it_and_no_other() {
    let kept = changed(planning(Status::Deactivated), Status::Suspended);
    assert_eq!(kept.lifecycle, ["account.status_changed"]);
    assert!(kept.after.planned_status_change.is_some(), "a suspended account can be deactivated");
    let withdrawn = changed(planning(Status::Suspended), Status::Suspended);
    assert_eq!(withdrawn.lifecycle, ["account.status_changed", "account.status_change_cancelled"]);
    assert_eq!(withdrawn.after.planned_status_change, None);
    let ended = changed(planning(Status::Suspended), Status::Deactivated);
    assert_eq!(ended.lifecycle, ["account.status_changed", "account.cancelled", "account.status_change_cancelled"]);
    assert_eq!((ended.after.ended_at(), ended.after.planned_status_change), (Some(at(NOW)), None));
}

#[test]
fn a_plan_is_replaced_cancelled_or_performed_ahead_of_time() {
    let (now, settings) = (at(NOW), BillingSettings::default());
    let replaced = planned(planning(Status::Suspended), Status::Deactivated, PlannedStart::EndOfPeriod).expect("replaced").after;
    assert_eq!(replaced.planned_status_change.as_ref().map(|plan| plan.status), Some(Status::Deactivated));
    let cancelled = cancel_status_change(replaced.clone(), now).expect("cancelled");
    assert_eq!(cancelled.lifecycle, ["account.status_change_cancelled"]);
    assert_eq!(cancelled.after.next_due(), None);
    let done = perform_status_change(replaced, &settings, now).expect("performed");
    assert_eq!(done.lifecycle, ["account.status_changed", "account.cancelled"]);
    for account in [cancelled.after, with_status(Status::Active)] {
        assert_eq!(cancel_status_change(account.clone(), now).unwrap_err().code, "no_status_change_in_progress");
        assert_eq!(perform_status_change(account, &settings, now).unwrap_err().code, "no_status_change_in_progress");
    }
    assert_eq!(cancel_status_change(done.after.clone(), now).unwrap_err().code, "account_deactivated");
    assert_eq!(perform_status_change(done.after, &settings, now).unwrap_err().code, "account_deactivated");
}

#[test]
fn what_is_due_first_comes_first_and_the_cycle_before_the_status() {
    let june = at("2027-06-01T00:00:00Z");
    let next = |cycle_from| {
        let account = planning(Status::Suspended);
        let cycle = PlannedChange { bill_cycle_id: account.bill_cycle.bill_cycle_id, billing_day: None, valid_from: cycle_from };
        Account { planned_bill_cycle_change: Some(cycle), ..account }.next_due()
    };
    assert_eq!(next(june), Some((june, DueAction::BillCycleChange)));
    assert_eq!(next(june + TimeDelta::seconds(1)), Some((june, DueAction::StatusChange)));
    let ended = Account { ending: true, ..changed(with_status(Status::Active), Status::Deactivated).after };
    assert_eq!(ended.next_due(), Some((at(NOW), DueAction::Ending)));
    assert_eq!(all_ended(ended, at(NOW)).after.next_due(), None);
}

#[test]
fn an_account_deactivated_by_an_earlier_version_ended_with_its_last_change() {
    let ended = Account { deactivated_at: None, ..changed(with_status(Status::Active), Status::Deactivated).after };
    assert_eq!(ended.ended_at(), Some(at(NOW)));
    assert_eq!(with_status(Status::Suspended).ended_at(), None);
}
