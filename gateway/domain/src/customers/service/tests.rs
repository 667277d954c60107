use billwire_schemas::{
    events::{catalogue, objects},
    ids::{PackageId, fresh},
};

use super::*;
use crate::customers::{account::tests::with_status, billing_settings::StatusModel};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

const NOON: &str = "2027-05-10T12:00:00Z";
const LATER: &str = "2027-05-11T12:00:00Z";

fn created(account: &Account, subscription: Option<&PackageSubscription>) -> Result<Change<Service>, Rejected> {
    let command = Create {
        id: ServiceId(fresh()),
        external_id: Some("LINE-1".into()),
        name: "Truck".into(),
        service_type: "sim".into(),
        attributes: Default::default(),
    };
    create(command, account, subscription, &BillingSettings::default(), at(NOON))
}

fn service() -> Service {
    created(&with_status(Status::Active), None).expect("a service").after
}

fn in_status(status: &str) -> Service {
    Service { status: status.into(), ..service() }
}

fn subscription(account: &Account, status: &str) -> PackageSubscription {
    let date = at(NOON).date_naive();
    PackageSubscription {
        id: PackageSubscriptionId(fresh()),
        version: 1,
        external_id: None,
        account_id: account.id,
        package_id: PackageId(fresh()),
        attributes: Default::default(),
        status: status.into(),
        status_reason: None,
        start_date: date,
        end_date: None,
        fee_billed_until: date,
        planned_status_change: None,
        status_history: History::default(),
        created_at: at(NOON),
        updated_at: at(NOON),
    }
}

fn transitioned(service: Service, to: &str) -> Result<Change<Service>, Rejected> {
    let settings = BillingSettings::default();
    transition(service, &with_status(Status::Active), &settings, to.into(), Some("installed".into()), at(LATER))
}

fn followed(service: Service, to: Status) -> Option<Service> {
    follow_account(service, to, &BillingSettings::default(), None, at(LATER)).map(|change| change.after)
}

#[test]
fn a_service_starts_in_the_initial_status() {
    let account = with_status(Status::Active);
    let subscription = subscription(&account, "active");
    let made = created(&account, Some(&subscription)).expect("a service").after;
    assert_eq!((made.status.as_str(), made.package_subscription_id), ("preactive", Some(subscription.id)));
}

#[test]
fn each_rule_of_a_new_service_has_its_code() {
    let account = with_status(Status::Active);
    let code = |subscription: &PackageSubscription| {
        let refused = created(&account, Some(subscription)).expect_err("refused");
        (refused.code.as_str(), refused.violations[0].pointer.to_string())
    };
    let pointer = || "/packageSubscription".to_owned();
    let foreign = subscription(&with_status(Status::Active), "active");
    assert_eq!(code(&foreign), ("package_subscription_of_other_account", pointer()));
    assert_eq!(code(&subscription(&account, "cancelled")), ("package_subscription_ended", pointer()));
    assert_eq!(created(&with_status(Status::Deactivated), None).unwrap_err().code.as_str(), "account_deactivated");
}

#[test]
fn statuses_move_only_along_the_table() {
    let statuses = ["preactive", "trial", "active", "suspended", "cancelled"];
    let model = StatusModel::of_services();
    for from in statuses {
        for to in statuses {
            let code = transitioned(in_status(from), to).err().map(|r| r.code.as_str());
            let listed = model.transitions.iter().any(|way| way.from == from && way.to == to);
            let expected = match (from == to, listed) {
                (true, _) => Some("status_unchanged"),
                (false, true) => None,
                (false, false) => Some("status_transition_not_allowed"),
            };
            assert_eq!(code, expected, "{from} to {to}");
        }
    }
    let unknown = transitioned(service(), "gone").unwrap_err();
    assert_eq!((unknown.code.as_str(), unknown.violations[0].pointer.as_ref()), ("status_unknown", "/status"));
}

#[test]
fn a_transition_tells_where_from_where_to_and_whether_it_is_billed() {
    let change = transitioned(service(), "active").expect("active");
    assert_eq!(change.lifecycle, ["service.state_changed"]);
    assert_eq!(change.lifecycle[0].parameters["service.previousStatus"], "preactive");
    assert_eq!(change.lifecycle[0].parameters["service.billable"], true);
    assert_eq!(change.after.parameters()["service.status"], "active");
    assert_eq!(change.after.status_reason.as_deref(), Some("installed"));
    assert_eq!(change.after.status_changed_at, at(LATER));
}

#[test]
fn its_parameters_are_those_of_the_catalogue() {
    let change = transitioned(service(), "active").expect("active");
    let names = |offered: &'static [billwire_schemas::events::parameters::Parameter]| {
        let mut names: Vec<_> = offered.iter().map(|p| p.name.to_owned()).collect();
        names.sort_unstable();
        names
    };
    let planned = PlannedStatus { status: "suspended".into(), reason: None, valid_from: at(LATER) };
    let attributes = Attributes::from(std::collections::BTreeMap::from([("region".to_owned(), "EMEA".to_owned())]));
    let full = Service { planned_status_change: Some(planned), attributes, ..change.after };
    assert_eq!(full.parameters().into_keys().collect::<Vec<_>>(), names(objects::service::PARAMETERS));
    let own = catalogue::find("service.state_changed").expect("in the catalogue").own_parameters;
    let mut given: Vec<_> = change.lifecycle[0].parameters.keys().cloned().collect();
    given.sort_unstable();
    assert_eq!(given, names(own));
}

#[test]
fn only_an_initial_service_on_which_nothing_hangs_can_be_deleted() {
    let (account, settings) = (with_status(Status::Active), BillingSettings::default());
    let code = |service, account: &Account, in_use| delete(service, account, &settings, in_use).err().map(|r| r.code.as_str());
    assert_eq!(code(service(), &account, false), None);
    assert_eq!(code(service(), &account, true), Some("still_in_use"));
    assert_eq!(code(in_status("active"), &account, false), Some("service_not_initial"));
    assert_eq!(code(service(), &with_status(Status::Deactivated), false), Some("account_deactivated"));
}

#[test]
fn a_service_of_a_deactivated_account_takes_no_changes() {
    let (dead, settings) = (with_status(Status::Deactivated), BillingSettings::default());
    assert_eq!(update(service(), &dead, Update::default(), at(LATER)).unwrap_err().code, "account_deactivated");
    assert_eq!(transition(service(), &dead, &settings, "active".into(), None, at(LATER)).unwrap_err().code, "account_deactivated");
}

#[test]
fn an_update_keeps_what_it_does_not_name() {
    let account = with_status(Status::Active);
    assert_eq!(update(service(), &account, Update::default(), at(LATER)).expect("updated").after.name, "Truck");
    let renamed = update(service(), &account, Update { name: Some("Van".into()), ..Update::default() }, at(LATER)).expect("updated").after;
    assert_eq!((renamed.name.as_str(), renamed.version, renamed.status_changed_at), ("Van", 2, at(NOON)));
}

#[test]
fn services_follow_their_account_into_suspension_and_back() {
    let resting = followed(in_status("active"), Status::Suspended).expect("suspended");
    assert_eq!((resting.status.as_str(), resting.suspended_with_account), ("suspended", true));
    let back = followed(resting, Status::Active).expect("active again");
    assert_eq!((back.status.as_str(), back.suspended_with_account), ("active", false));
    assert_eq!(followed(in_status("preactive"), Status::Suspended), None, "the table has no way");
    assert_eq!(followed(in_status("suspended"), Status::Active), None, "one that was suspended for itself stays so");
}

#[test]
fn services_end_with_their_account_from_any_status() {
    for status in ["preactive", "trial", "active", "suspended", "of an older model"] {
        assert_eq!(followed(in_status(status), Status::Deactivated).map(|s| s.status).as_deref(), Some("cancelled"), "{status}");
    }
    assert_eq!(followed(in_status("cancelled"), Status::Deactivated), None);
}
