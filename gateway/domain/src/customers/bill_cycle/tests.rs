use super::*;
use billwire_schemas::ids::fresh;
use chrono::NaiveDate;

fn command(period: PeriodUnit, individual: bool, billing_day: Option<u32>, billing_month: Option<u32>) -> Create {
    Create {
        id: BillCycleId(fresh()),
        external_id: None,
        name: "c".into(),
        period,
        length: 1,
        individual,
        billing_day,
        billing_month,
        announce_days: None,
        auto_run: None,
    }
}

fn codes(command: Create) -> Vec<&'static str> {
    match create(command, Timestamp::UNIX_EPOCH) {
        Ok(_) => vec![],
        Err(rejected) => rejected.violations.iter().map(|v| v.code.as_str()).collect(),
    }
}

#[test]
fn each_rule_about_day_and_month_has_its_code() {
    use PeriodUnit::{Day, Month, Week, Year};
    assert_eq!(codes(command(Month, false, Some(28), None)), Vec::<&str>::new());
    assert_eq!(codes(command(Month, false, Some(29), None)), ["billing_day_out_of_range"]);
    assert_eq!(codes(command(Week, false, Some(8), None)), ["billing_day_out_of_range"]);
    assert_eq!(codes(command(Month, false, None, None)), ["billing_day_required"]);
    assert_eq!(codes(command(Month, true, Some(3), None)), ["billing_day_not_allowed"]);
    assert_eq!(codes(command(Day, false, Some(3), None)), ["billing_day_not_allowed"]);
    assert_eq!(codes(command(Month, false, Some(3), Some(4))), ["billing_month_not_allowed"]);
    assert_eq!(codes(command(Year, false, None, None)), ["billing_day_required", "billing_month_required"], "every violation is named");
}

#[test]
fn an_individual_cycle_takes_the_day_from_the_account() {
    let cycle = create(command(PeriodUnit::Month, true, None, None), Timestamp::UNIX_EPOCH).expect("a cycle").after;
    assert_eq!(cycle.schedule(Some(9)).map(|r| r.day), Ok(9));
    assert_eq!(cycle.schedule(None).unwrap_err().code.as_str(), "billing_day_required");
    assert_eq!(cycle.schedule(Some(0)).unwrap_err().code.as_str(), "billing_day_out_of_range");
    let shared = create(command(PeriodUnit::Month, false, Some(5), None), Timestamp::UNIX_EPOCH).expect("a cycle").after;
    assert_eq!(shared.schedule(Some(9)).unwrap_err().code.as_str(), "billing_day_not_allowed");
}

#[test]
fn an_update_changes_the_name_alone() {
    let cycle = create(command(PeriodUnit::Month, false, Some(5), None), Timestamp::UNIX_EPOCH).expect("a cycle").after;
    let updated = |command| update(cycle.clone(), command, &BillingSettings::default(), Timestamp::UNIX_EPOCH).expect("updated").after;
    let renamed = updated(Update { name: Some("d".into()), ..Update::default() });
    assert_eq!(renamed, BillCycle { version: 2, name: "d".into(), ..cycle.clone() });
    assert_eq!(updated(Update::default()).name, "c");
}

#[test]
fn each_billing_date_is_announced_once_some_days_before() {
    let settings = in_zone(chrono_tz::Europe::Berlin);
    let asked = Create { announce_days: Some(3), ..command(PeriodUnit::Month, false, Some(5), None) };
    // Of 5 March, the announcement has passed.
    let cycle = create(asked, at("2027-03-02T12:00:00Z")).expect("a cycle").after.announced(&settings, at("2027-03-02T12:00:00Z"));
    assert_eq!(cycle.due_at(), Some(at("2027-04-01T22:00:00Z")), "midnight of 2 April in Berlin");
    assert_eq!(announce(cycle.clone(), &settings, at("2027-04-01T21:59:59Z")), None);
    let told = announce(cycle.clone(), &settings, at("2027-04-01T22:00:00Z")).expect("due");
    assert_eq!(told.lifecycle, ["bill_run.upcoming"]);
    let parameters = &told.lifecycle[0].parameters;
    assert_eq!((&parameters["billCycle.billingDate"], &parameters["billCycle.daysUntilBilling"]), (&"2027-04-05".into(), &3.into()));
    assert_eq!(told.after.due_at(), Some(at("2027-05-01T22:00:00Z")));
    let never = Update { announce_days: Patch::Unset, ..Update::default() };
    assert_eq!(update(cycle, never, &settings, at("2027-03-03T00:00:00Z")).expect("updated").after.due_at(), None);
    let individual = Create { announce_days: Some(3), ..command(PeriodUnit::Month, true, None, None) };
    assert_eq!(codes(individual), ["announcement_not_allowed"]);
}

#[test]
fn a_cycle_in_use_stays() {
    let cycle = create(command(PeriodUnit::Month, false, Some(5), None), Timestamp::UNIX_EPOCH).expect("a cycle").after;
    assert_eq!(delete(cycle.clone(), true).unwrap_err().code.as_str(), "still_in_use");
    assert!(delete(cycle, false).is_ok());
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

fn day(text: &str) -> NaiveDate {
    text.parse().expect("a date")
}

fn in_zone(time_zone: chrono_tz::Tz) -> BillingSettings {
    BillingSettings { time_zone, ..BillingSettings::default() }
}

/// A cycle on the 28th of each month whose runs start at this hour, as planned `now`.
fn running_at(hour: u32, settings: &BillingSettings, now: &str) -> BillCycle {
    let command = Create { auto_run: Some(AutoRun { hour }), ..command(PeriodUnit::Month, false, Some(28), None) };
    create(command, at(now)).expect("a cycle").after.planned(settings, at(now))
}

#[test]
fn a_run_starts_by_itself_at_its_hour_of_each_billing_date_in_the_tenants_zone() {
    let settings = in_zone(chrono_tz::Europe::Berlin);
    let mut cycle = running_at(2, &settings, "2027-02-28T00:59:59Z");
    let mut runs = Vec::new();
    while runs.len() < 9 {
        let (due, action) = cycle.next_due().expect("a run");
        assert_eq!((action, cycle.due_at()), (DueAction::Run, Some(due)));
        assert_eq!((cycle.due_run(&settings, due - chrono::TimeDelta::seconds(1)), cycle.due_run(&settings, due).is_some()), (None, true));
        assert_eq!(plan_next_run(cycle.clone(), &settings, due - chrono::TimeDelta::seconds(1)), None);
        runs.push(due.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
        cycle = plan_next_run(cycle, &settings, due).expect("due").after;
    }
    let [winter, gap, summer, autumn] = [runs[0].as_str(), runs[1].as_str(), runs[2].as_str(), runs[8].as_str()];
    assert_eq!([winter, summer, autumn], ["2027-02-28T01:00:00Z", "2027-04-28T00:00:00Z", "2027-10-28T00:00:00Z"]);
    assert_eq!(gap, "2027-03-28T01:00:00Z", "02:00 is skipped: the first moment after the gap, 03:00");
}

#[test]
fn an_hour_that_has_passed_on_the_billing_date_waits_for_the_next_one() {
    let settings = in_zone(chrono_tz::UTC);
    let planned = |now| running_at(2, &settings, now).next_run.map(|run| run.billing_date);
    assert_eq!(planned("2027-02-28T01:59:59Z"), Some(day("2027-02-28")));
    assert_eq!(planned("2027-02-28T02:00:00Z"), Some(day("2027-03-28")));
}

#[test]
fn another_hour_moves_the_planned_run_and_null_cancels_it() {
    let settings = in_zone(chrono_tz::UTC);
    let cycle = running_at(2, &settings, "2027-02-01T00:00:00Z");
    let updated = |auto_run, now| {
        let command = Update { auto_run, ..Update::default() };
        update(cycle.clone(), command, &settings, at(now)).expect("updated").after.next_run
    };
    let run = |moment| Some(NextRun { billing_date: day("2027-02-28"), at: at(moment) });
    assert_eq!(updated(Patch::Set(AutoRun { hour: 5 }), "2027-02-28T01:00:00Z"), run("2027-02-28T05:00:00Z"));
    assert_eq!(updated(Patch::Set(AutoRun { hour: 0 }), "2027-02-28T01:00:00Z"), run("2027-02-28T01:00:00Z"), "at once, not before");
    assert_eq!(updated(Patch::Unset, "2027-02-28T01:00:00Z"), None);
    assert_eq!(updated(Patch::Keep, "2027-02-28T01:00:00Z"), run("2027-02-28T02:00:00Z"));
}

#[test]
fn a_planned_run_does_not_start_before_its_hour_in_a_new_time_zone() {
    let cycle = running_at(2, &in_zone(chrono_tz::Europe::Berlin), "2027-02-01T00:00:00Z");
    let (due, _) = cycle.next_due().expect("a run");
    let west = in_zone(chrono_tz::America::New_York);
    assert_eq!(cycle.due_run(&west, due), None, "it is the evening before there");
    let moved = plan_next_run(cycle.clone(), &west, due).expect("due").after;
    assert_eq!(moved.next_run, Some(NextRun { billing_date: day("2027-02-28"), at: at("2027-02-28T07:00:00Z") }));
    assert_eq!(moved.due_run(&west, at("2027-02-28T07:00:00Z")), Some(day("2027-02-28")));
    assert_eq!(cycle.due_run(&in_zone(chrono_tz::Asia::Tokyo), due), Some(day("2027-02-28")), "the hour has passed there");
}

#[test]
fn an_individual_cycle_has_no_runs_of_its_own() {
    let individual = |auto_run| Create { auto_run, ..command(PeriodUnit::Month, true, None, None) };
    assert_eq!(codes(individual(Some(AutoRun { hour: 2 }))), ["auto_run_not_allowed"]);
    let cycle = create(individual(None), Timestamp::UNIX_EPOCH).expect("a cycle").after;
    let asked = Update { auto_run: Patch::Set(AutoRun { hour: 2 }), ..Update::default() };
    let refused = update(cycle, asked, &BillingSettings::default(), Timestamp::UNIX_EPOCH).unwrap_err();
    assert_eq!((refused.code.as_str(), refused.violations[0].pointer.as_ref()), ("auto_run_not_allowed", "/autoRun"));
}
