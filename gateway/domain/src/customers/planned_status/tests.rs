use billwire_schemas::ids::{AccountId, ServiceId, fresh};

use super::*;
use crate::{
    customers::{
        account::{Status, tests::with_status},
        service::{Service, transition},
    },
    history::History,
};

const NOW: &str = "2027-05-11T09:00:00Z";
const JUNE: &str = "2027-06-01T00:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

fn service(status: &str) -> Service {
    Service {
        id: ServiceId(fresh()),
        version: 1,
        external_id: None,
        account_id: AccountId(fresh()),
        package_subscription_id: None,
        name: "Truck".into(),
        service_type: "sim".into(),
        attributes: Default::default(),
        status: status.into(),
        status_reason: None,
        status_changed_at: at("2027-01-01T15:00:00Z"),
        planned_status_change: None,
        status_history: History::default(),
        suspended_with_account: false,
        created_at: at("2027-01-01T15:00:00Z"),
        updated_at: at("2027-01-01T15:00:00Z"),
    }
}

fn planned(object: Service, to: &str, start: PlannedStart) -> Result<Change<Service>, Rejected> {
    let wanted = WantedStatus { status: to.into(), reason: Some("ordered".into()) };
    plan(object, &with_status(Status::Active), &BillingSettings::default(), (wanted, false), start, at(NOW))
}

/// An active service that is to be in this status from June on.
fn planning(to: &str) -> Service {
    planned(service("active"), to, PlannedStart::At(at(JUNE))).expect("planned").after
}

#[test]
fn a_planned_change_is_performed_once_when_it_is_due() {
    let (account, settings) = (with_status(Status::Active), BillingSettings::default());
    let planning = planning("suspended");
    assert_eq!((planning.status.as_str(), planning.due_at()), ("active", Some(at(JUNE))));
    assert_eq!(perform_due(planning.clone(), &account, &settings, at(NOW)), Ok(None));
    let done = perform_due(planning.clone(), &account, &settings, at(JUNE)).expect("no refusal").expect("due");
    assert_eq!(done.lifecycle.iter().map(|event| event.kind).collect::<Vec<_>>(), ["service.state_changed"]);
    assert_eq!((done.after.status.as_str(), done.after.status_reason.as_deref()), ("suspended", Some("ordered")));
    assert_eq!(perform_due(done.after, &account, &settings, at(JUNE)), Ok(None));
    let dead = with_status(Status::Deactivated);
    let withdrawn = perform_due(planning, &dead, &settings, at(JUNE)).expect("no refusal").expect("due");
    assert_eq!((withdrawn.lifecycle[0].kind, withdrawn.after.due_at()), ("service.state_change_cancelled", None));
}

#[test]
fn each_refusal_has_its_code() {
    let (account, settings) = (with_status(Status::Active), BillingSettings::default());
    let code = |to, start| planned(service("active"), to, start).err().map(|refused| refused.code.as_str());
    assert_eq!(code("trial", PlannedStart::EndOfPeriod), Some("status_transition_not_allowed"));
    assert_eq!(code("active", PlannedStart::EndOfPeriod), Some("status_unchanged"));
    assert_eq!(code("gone", PlannedStart::EndOfPeriod), Some("status_unknown"));
    assert_eq!(code("suspended", PlannedStart::At(at(NOW))), Some("valid_from_in_past"));
    assert_eq!(cancel(service("active"), &account, at(NOW)).unwrap_err().code, "no_status_change_in_progress");
    assert_eq!(perform(service("active"), &account, &settings, at(NOW)).unwrap_err().code, "no_status_change_in_progress");
    let dead = with_status(Status::Deactivated);
    assert_eq!(cancel(planning("suspended"), &dead, at(NOW)).unwrap_err().code, "account_deactivated");
    assert_eq!(perform(planning("suspended"), &dead, &settings, at(NOW)).unwrap_err().code, "account_deactivated");
}

#[test]
fn a_change_at_once_withdraws_the_plan_that_cannot_follow_it_and_no_other() {
    let (account, settings) = (with_status(Status::Active), BillingSettings::default());
    let changed = |planning, to: &str| transition(planning, &account, &settings, to.into(), None, at(NOW)).expect("changed");
    let kept = changed(planning("cancelled"), "suspended");
    assert!(kept.after.planned_status_change.is_some(), "a suspended service can be cancelled");
    let kinds = |change: Change<Service>| change.lifecycle.iter().map(|event| event.kind).collect::<Vec<_>>();
    assert_eq!(kinds(kept), ["service.state_changed"]);
    for (plan, to) in [("suspended", "suspended"), ("suspended", "cancelled"), ("cancelled", "cancelled")] {
        assert_eq!(kinds(changed(planning(plan), to)), ["service.state_changed", "service.state_change_cancelled"], "{plan}, {to}");
    }
}
