use billwire_schemas::ids::fresh;

use super::*;

fn command() -> Update {
    Update {
        id: BillingSettingsId(fresh()),
        time_zone: "Europe/Berlin".into(),
        default_currency: None,
        payment_term_days: 30,
        delivery_offsets: vec![AskedOffset { days: 3, time: "09:30".into() }],
        due_reminders: Vec::new(),
        allocate_prepayments: true,
        service_statuses: StatusModel::of_services(),
        package_statuses: StatusModel::of_packages(),
    }
}

/// Code and pointer of each violation.
fn broken(command: Update) -> Vec<(&'static str, String)> {
    match update(BillingSettings::default(), command, Timestamp::UNIX_EPOCH) {
        Ok(_) => vec![],
        Err(rejected) => rejected.violations.into_iter().map(|v| (v.code.as_str(), v.pointer.into_owned())).collect(),
    }
}

fn one(code: &'static str, pointer: &str) -> Vec<(&'static str, String)> {
    vec![(code, pointer.to_owned())]
}

#[test]
fn the_default_currency_is_a_currency() {
    assert_eq!(broken(Update { default_currency: Some("CHF".into()), ..command() }), []);
    assert_eq!(broken(Update { default_currency: Some("EUX".into()), ..command() }), one("currency_unknown", "/defaultCurrency"));
}

fn moment(date: &str, time: &str) -> String {
    let time = time.parse().expect("a time");
    local_moment(Tz::Europe__Berlin, date.parse().expect("a date"), time).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

#[test]
fn settings_are_made_at_version_one_and_changed_after() {
    let made = update(BillingSettings::default(), command(), Timestamp::UNIX_EPOCH).expect("settings");
    assert_eq!((made.action, made.after.version, made.before.is_none()), (billwire_schemas::events::envelope::Action::Created, 1, true));
    assert_eq!(made.after.zone(), Tz::Europe__Berlin);
    let changed = update(made.after.clone(), Update { payment_term_days: 15, ..command() }, Timestamp::UNIX_EPOCH).expect("settings");
    assert_eq!((changed.after.version, changed.after.id), (2, made.after.id), "the second command's id is not used");
    let text = serde_json::to_string(&changed.after).expect("JSON");
    assert!(text.contains(r#""deliveryOffsets":[{"days":3,"time":"09:30"}]"#), "{text}");
    assert_eq!(serde_json::from_str::<BillingSettings>(&text).expect("the same"), changed.after);
}

#[test]
fn each_rule_of_the_settings_has_its_code() {
    let offset = |days, time: &str| AskedOffset { days, time: time.into() };
    assert_eq!(broken(Update { time_zone: "Europe/Bärlin".into(), ..command() }), one("time_zone_unknown", "/timeZone"));
    assert_eq!(broken(Update { payment_term_days: 366, ..command() }), one("payment_term_out_of_range", "/paymentTermDays"));
    let reminders = |due_reminders: Vec<AskedOffset>| broken(Update { due_reminders, ..command() });
    assert_eq!(reminders((0..21).map(|days| offset(days, "10:00")).collect()), one("too_many_due_reminders", "/dueReminders"));
    assert_eq!(reminders(vec![offset(366, "10:00")]), one("due_reminder_out_of_range", "/dueReminders/0/days"));
    assert_eq!(reminders(vec![offset(1, "1:00")]), one("time_of_day_invalid", "/dueReminders/0/time"));
    assert_eq!(reminders(vec![offset(1, "10:00"), offset(1, "10:00")]), one("due_reminder_repeated", "/dueReminders/1"));
    let asked = |offsets: Vec<AskedOffset>| broken(Update { delivery_offsets: offsets, ..command() });
    assert_eq!(asked((0..21).map(|days| offset(days, "10:00")).collect()), one("too_many_delivery_offsets", "/deliveryOffsets"));
    assert_eq!(asked(vec![offset(366, "10:00")]), one("delivery_offset_out_of_range", "/deliveryOffsets/0/days"));
    for bad in ["24:00", "9:30", "09:60", "09:30:00", "", "+9:30"] {
        assert_eq!(asked(vec![offset(1, bad)]), one("time_of_day_invalid", "/deliveryOffsets/0/time"), "{bad:?}");
    }
    assert_eq!(asked(vec![offset(1, "10:00"), offset(1, "10:00")]), one("delivery_offset_repeated", "/deliveryOffsets/1"));
    assert_eq!(asked(vec![offset(1, "10:00"), offset(1, "10:01")]), vec![]);
}

#[test]
fn each_rule_of_a_status_model_has_its_code() {
    let asked = |change: fn(&mut StatusModel)| {
        let mut model = StatusModel::of_packages();
        change(&mut model);
        broken(Update { package_statuses: model, ..command() })
    };
    let way = |from: &str, to: &str| StatusTransition { from: from.into(), to: to.into() };
    assert_eq!(
        asked(|m| m.statuses.push(StatusKind { name: "active".into(), billable: false })),
        one("status_repeated", "/packageStatuses/statuses/4/name")
    );
    assert_eq!(asked(|m| m.initial = "x".into()), one("status_unknown", "/packageStatuses/initial"));
    assert_eq!(asked(|m| m.active = Some("x".into())), one("status_unknown", "/packageStatuses/active"));
    assert_eq!(asked(|m| m.suspended = Some("x".into())), one("status_unknown", "/packageStatuses/suspended"));
    assert_eq!(asked(|m| m.cancelled = "x".into()), one("status_unknown", "/packageStatuses/cancelled"));
    assert_eq!(asked(|m| m.transitions[0].to = "x".into()), one("status_unknown", "/packageStatuses/transitions/0/to"));
    assert_eq!(asked(|m| m.initial = "cancelled".into()), one("initial_status_is_cancelled", "/packageStatuses/initial"));
    let with = |from: &str, to: &str| {
        let mut model = StatusModel::of_services();
        model.transitions = vec![way("preactive", "active"), way(from, to)];
        broken(Update { service_statuses: model, ..command() })
    };
    assert_eq!(with("cancelled", "active"), one("cancelled_is_final", "/serviceStatuses/transitions/1/from"));
    assert_eq!(with("active", "active"), one("transition_to_itself", "/serviceStatuses/transitions/1/to"));
    assert_eq!(with("preactive", "active"), one("transition_repeated", "/serviceStatuses/transitions/1"));
    assert_eq!(broken(Update { time_zone: "x".into(), payment_term_days: 999, ..command() }).len(), 2, "every violation is named");
}

#[test]
fn transitions_move_only_along_the_table() {
    let model = StatusModel::of_services();
    let code = |from, to| model.check_transition("service", from, to).err().map(|r| r.code.as_str());
    assert_eq!(code("preactive", "active"), None);
    assert_eq!(code("preactive", "suspended"), Some("status_transition_not_allowed"));
    assert_eq!(code("cancelled", "active"), Some("status_transition_not_allowed"));
    assert_eq!(code("active", "active"), Some("status_unchanged"));
    assert_eq!(code("active", "gone"), Some("status_unknown"));
    assert_eq!(code("of an older model", "active"), None, "nothing is caught in a status that was taken away");
    assert_eq!(model.billable_statuses().collect::<Vec<_>>(), ["active"]);
    assert!(!model.billable("of an older model"));
}

#[test]
fn local_times_follow_daylight_saving_in_berlin() {
    assert_eq!(moment("2027-01-15", "09:30"), "2027-01-15T08:30:00Z");
    assert_eq!(moment("2027-07-15", "09:30"), "2027-07-15T07:30:00Z");
    assert_eq!(moment("2027-03-28", "01:59"), "2027-03-28T00:59:00Z");
    for skipped in ["02:00", "02:30", "02:59"] {
        assert_eq!(moment("2027-03-28", skipped), "2027-03-28T01:00:00Z", "{skipped} is skipped, 03:00 is next");
    }
    assert_eq!(moment("2027-03-28", "03:00"), "2027-03-28T01:00:00Z");
    assert_eq!(moment("2027-10-31", "02:30"), "2027-10-31T00:30:00Z", "the earlier of two");
    assert_eq!(moment("2027-10-31", "03:00"), "2027-10-31T02:00:00Z");
}

#[test]
fn a_gap_at_midnight_and_a_day_that_never_was_have_a_first_moment_after_them() {
    let at = |zone: Tz, date: &str| local_moment(zone, date.parse().expect("a date"), TimeOfDay::MIDNIGHT).to_rfc3339();
    assert_eq!(at(Tz::America__Santiago, "2022-09-11"), "2022-09-11T04:00:00+00:00", "clocks went from 24:00 to 01:00");
    assert_eq!(at(Tz::Pacific__Apia, "2011-12-30"), "2011-12-30T10:00:00+00:00", "Samoa had no 30 December 2011");
}

#[test]
fn the_date_is_the_one_of_the_tenants_zone() {
    let settings = update(BillingSettings::default(), command(), Timestamp::UNIX_EPOCH).expect("settings").after;
    let late = "2027-05-31T22:30:00Z".parse().expect("a moment");
    assert_eq!(settings.date_of(late).to_string(), "2027-06-01");
    assert_eq!(BillingSettings::default().date_of(late).to_string(), "2027-05-31");
}
