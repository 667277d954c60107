use billwire_schemas::{
    events::{catalogue, objects},
    ids::fresh,
};

use super::*;
use crate::customers::account::{self, tests::with_status as account_with_status};

fn date(month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2027, month, day).expect("a date")
}

fn money(amount: &str) -> Money {
    Money::new(amount.parse().expect("an amount"), "EUR".parse().expect("a currency"))
}

fn contract(end_date: Option<NaiveDate>) -> Contract {
    let zone = chrono_tz::Europe::Berlin;
    let first = period(date(1, 31), 1, 0, end_date).expect("a period");
    Contract {
        id: ContractId(fresh()),
        version: 1,
        external_id: None,
        account_id: AccountId(fresh()),
        name: "Frame".into(),
        status: Status::Active,
        start_date: date(1, 31),
        period_months: 1,
        end_date,
        tiers: vec![Tier { name: "Silver".into(), commit: money("100") }, Tier { name: "Gold".into(), commit: money("500") }],
        period: first,
        period_starts_at: midnight(zone, first.start),
        period_ends_at: midnight(zone, first.end),
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    }
}

#[test]
fn each_tier_fallen_short_of_is_told_at_the_end_of_the_period_in_the_tenants_zone() {
    let zone = chrono_tz::Europe::Berlin;
    let contract = contract(None);
    let end: Timestamp = "2027-02-27T23:00:00Z".parse().expect("midnight in Berlin");
    assert_eq!(contract.due_at(), Some(end));
    assert_eq!(due(contract.clone(), Decimal::ZERO, zone, end - chrono::TimeDelta::seconds(1)), None);
    let tiers = |spend: i64| {
        let change = due(contract.clone(), Decimal::units(spend), zone, end).expect("due");
        change.lifecycle.iter().map(|event| event.parameters["contract.tier"].as_str().unwrap_or("").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(tiers(99), ["Silver", "Gold"]);
    assert_eq!(tiers(100), ["Gold"], "what was committed to is enough");
    assert_eq!(tiers(500), Vec::<String>::new());
    let change = due(contract.clone(), Decimal::units(99), zone, end).expect("due");
    assert_eq!(change.lifecycle[0].parameters["contract.shortfall"], "1.00");
    assert_eq!(change.after.period, Period { start: date(2, 28), end: date(3, 31) }, "a start on the 31st does not wander");
    assert_eq!(due(change.after, Decimal::ZERO, zone, end), None, "told once");
}

#[test]
fn a_contract_ends_with_a_shortened_period() {
    let zone = chrono_tz::Europe::Berlin;
    let first = due(contract(Some(date(3, 10))), Decimal::ZERO, zone, midnight(zone, date(2, 28))).expect("due").after;
    assert_eq!(first.period, Period { start: date(2, 28), end: date(3, 10) });
    let ended = due(first, Decimal::ZERO, zone, midnight(zone, date(3, 10))).expect("due").after;
    assert_eq!((ended.status, ended.due_at()), (Status::Ended, None));
}

fn created(start: NaiveDate, end: Option<NaiveDate>, tiers: Vec<Tier>, account: &Account) -> Result<Contract, Vec<(&'static str, String)>> {
    let command = Create {
        id: ContractId(fresh()),
        external_id: None,
        name: "Frame".into(),
        start_date: start,
        period_months: 1,
        end_date: end,
        tiers,
    };
    create(command, account, chrono_tz::UTC, midnight(chrono_tz::UTC, date(1, 10)))
        .map(|change| change.after)
        .map_err(|refused| refused.violations.iter().map(|v| (v.code.as_str(), v.pointer.to_string())).collect())
}

fn live() -> Account {
    account_with_status(account::Status::Active)
}

fn dead() -> Account {
    account_with_status(account::Status::Deactivated)
}

fn tier(amount: &str) -> Tier {
    Tier { name: "T".into(), commit: money(amount) }
}

#[test]
fn each_rule_of_a_new_contract_has_its_code_and_place() {
    let live = live();
    let code = |start, end, tiers| created(start, end, tiers, &live).err().unwrap_or_default();
    let at = |code, pointer: &str| vec![(code, pointer.to_owned())];
    assert_eq!(code(date(1, 5), None, vec![tier("1"), tier("2")]), vec![]);
    assert_eq!(code(date(2, 5), Some(date(2, 5)), vec![tier("1")]), at("end_date_before_start", "/endDate"));
    assert_eq!(code(date(1, 11) - Months::new(1), None, vec![tier("1")]), vec![], "its first period runs");
    assert_eq!(code(date(1, 10) - Months::new(1), None, vec![tier("1")]), at("contract_too_long_ago", "/startDate"));
    assert_eq!(code(date(1, 5), None, vec![tier("0")]), at("amount_not_positive", "/tiers/0/commit/amount"));
    assert_eq!(code(date(1, 5), None, vec![tier("2"), tier("2")]), at("tiers_not_ascending", "/tiers/1/commit/amount"));
    let dollars = Tier { name: "T".into(), commit: Money::new(Decimal::units(1), "USD".parse().expect("a currency")) };
    assert_eq!(code(date(1, 5), None, vec![dollars.clone()]), at("currency_mismatch", "/tiers/0/commit/currency"));
    let all: Vec<_> = code(date(2, 5), Some(date(2, 4)), vec![dollars, tier("1")]).into_iter().map(|found| found.0).collect();
    assert_eq!(all, ["end_date_before_start", "currency_mismatch", "tiers_not_ascending"], "every violation is named");
}

#[test]
fn each_refusal_of_a_change_has_its_code() {
    let (live, dead, utc) = (live(), dead(), chrono_tz::UTC);
    let now = midnight(utc, date(2, 10));
    let code = |change: Result<Change<Contract>, Rejected>| change.err().map(|refused| refused.code.as_str());
    let ended = Contract { status: Status::Ended, ..contract(None) };
    assert_eq!(code(update(ended, &live, Update::default(), utc, now)), Some("contract_ended"));
    for end in [date(1, 31), date(2, 10)] {
        let ending = Update { end_date: Patch::Set(end), ..Update::default() };
        assert_eq!(code(update(contract(None), &live, ending, utc, now)), Some("end_date_in_past"), "{end}");
    }
    assert_eq!(code(delete(contract(None), &live, now)), Some("contract_started"));
    assert_eq!(code(delete(contract(None), &live, midnight(utc, date(1, 30)))), None);
    assert_eq!(code(update(contract(None), &dead, Update::default(), utc, now)), Some("account_deactivated"));
    assert_eq!(code(delete(contract(None), &dead, now)), Some("account_deactivated"));
    let command = Create {
        id: ContractId(fresh()),
        external_id: None,
        name: "Frame".into(),
        start_date: date(2, 10),
        period_months: 1,
        end_date: None,
        tiers: vec![tier("1")],
    };
    assert_eq!(code(create(command, &dead, utc, now)), Some("account_deactivated"));
}

#[test]
fn a_new_end_date_cuts_the_running_period_short_or_lets_it_go_on() {
    let (live, utc) = (live(), chrono_tz::UTC);
    let now = midnight(utc, date(2, 10));
    let until = |end_date| Update { end_date, ..Update::default() };
    let ending = |contract, end| update(contract, &live, until(Patch::Set(end)), utc, now).expect("updated").after;
    let short = ending(contract(None), date(2, 20));
    assert_eq!((short.period.end, short.due_at()), (date(2, 20), Some(midnight(utc, date(2, 20)))));
    let long = ending(short, date(6, 1));
    assert_eq!((long.period.end, long.due_at()), (date(2, 28), Some(midnight(utc, date(2, 28)))));
    let open = update(ending(long, date(2, 20)), &live, until(Patch::Unset), utc, now).expect("updated").after;
    assert_eq!((open.end_date, open.period.end), (None, date(2, 28)), "without an end, the period is a full one");
}

#[test]
fn missed_periods_are_caught_up_one_after_the_other() {
    let (utc, mut contract) = (chrono_tz::UTC, contract(Some(date(5, 10))));
    contract.period_ends_at = midnight(utc, contract.period.end);
    let now = midnight(utc, date(12, 24));
    let mut to_json = Vec::new();
    while let Some(change) = due(contract.clone(), Decimal::units(200), utc, now) {
        let of = |event: &Lifecycle| event.parameters["contract.periodStart"].as_str().unwrap_or("").to_owned();
        to_json.extend(change.lifecycle.iter().map(of));
        if change.after.status == Status::Active {
            assert_eq!(change.after.period_starts_at, contract.period_ends_at, "no moment falls between two periods");
        }
        contract = change.after;
    }
    assert_eq!(to_json, ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30"]);
    assert_eq!((contract.status, contract.period.end), (Status::Ended, date(5, 10)));
}

#[test]
fn its_parameters_are_those_of_the_catalogue() {
    let names = |offered: &'static [billwire_schemas::events::parameters::Parameter]| {
        let mut names: Vec<_> = offered.iter().map(|p| p.name.to_owned()).collect();
        names.sort_unstable();
        names
    };
    let full = Contract { external_id: Some("FRAME".into()), ..contract(Some(date(12, 1))) };
    assert_eq!(full.parameters().into_keys().collect::<Vec<_>>(), names(objects::contract::PARAMETERS));
    let at = full.due_at().expect("due");
    let change = due(full, Decimal::ZERO, chrono_tz::Europe::Berlin, at).expect("due");
    let own = names(catalogue::find("contract.under_commit").expect("in the catalogue").own_parameters);
    for name in own {
        assert!(change.lifecycle[0].parameters.contains_key(&name), "{name}");
    }
}

#[test]
fn a_contract_ends_with_its_account_and_compares_the_spend_up_to_then_once() {
    let zone = chrono_tz::Europe::Berlin;
    let now: Timestamp = "2027-02-10T23:30:00Z".parse().expect("11 February in Berlin");
    let change = end(contract(None), Decimal::units(120), zone, now);
    assert_eq!(change.lifecycle.len(), 1, "Silver is reached");
    let told = &change.lifecycle[0].parameters;
    assert_eq!((&told["contract.tier"], &told["contract.periodEnd"]), (&"Gold".into(), &"2027-02-11".into()));
    let ended = change.after;
    assert_eq!((ended.status, ended.end_date, ended.period.end), (Status::Ended, Some(date(2, 11)), date(2, 11)));
    assert_eq!((ended.due_at(), due(ended.clone(), Decimal::ZERO, zone, now + chrono::TimeDelta::days(90))), (None, None));
}

#[test]
fn a_contract_that_has_not_started_ends_without_a_comparison() {
    let zone = chrono_tz::Europe::Berlin;
    let started = contract(None).period_starts_at;
    let change = end(contract(None), Decimal::ZERO, zone, started);
    assert_eq!(change.lifecycle.len(), 0);
    assert_eq!((change.after.status, change.after.period), (Status::Ended, contract(None).period));
    assert_eq!(end(contract(None), Decimal::ZERO, zone, started + chrono::TimeDelta::seconds(1)).lifecycle.len(), 2);
}
