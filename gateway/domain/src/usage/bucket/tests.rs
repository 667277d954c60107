use billwire_schemas::{
    events::{catalogue, objects},
    ids::fresh,
};

use super::*;
use crate::customers::{
    account::{Status, tests::with_status},
    billing_settings::BillingSettings,
};

fn tiers(sizes: &[i64]) -> Vec<Tier> {
    sizes.iter().map(|size| Tier { name: None, up_to: Decimal::units(*size) }).collect()
}

fn bucket(sizes: &[i64]) -> Bucket {
    Bucket {
        id: BucketId(fresh()),
        version: 1,
        external_id: None,
        account_id: AccountId(fresh()),
        service_id: ServiceId(fresh()),
        name: "Data".into(),
        unit: "MB".into(),
        tiers: tiers(sizes),
        resets: None,
        period: None,
        resets_at: None,
        used: Decimal::ZERO,
        tiers_used_up: 0,
        reset_at: None,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    }
}

fn to_json(change: &Change<Bucket>) -> Vec<i64> {
    change.lifecycle.iter().filter_map(|event| event.parameters["bucket.tierNumber"].as_i64()).collect()
}

#[test]
fn each_tier_is_told_of_once_in_order_however_usage_is_split() {
    for seed in 0..200_i64 {
        let mut bucket = bucket(&[10, 25, 70, 100]);
        let (mut state, mut all) = (seed * 7919 + 3, Vec::new());
        while bucket.used < Decimal::units(130) {
            state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
            let change = count(bucket, None, Decimal::from_millionths(state % 60_000_000), Timestamp::UNIX_EPOCH).expect("counted");
            all.extend(to_json(&change));
            bucket = change.after;
        }
        assert_eq!(all, [1, 2, 3, 4], "seed {seed}");
    }
}

#[test]
fn a_tier_counts_as_used_up_at_its_very_end() {
    let change = count(bucket(&[10]), None, Decimal::from_millionths(9_999_999), Timestamp::UNIX_EPOCH).expect("counted");
    assert_eq!(to_json(&change), Vec::<i64>::new());
    let change = count(change.after, None, Decimal::from_millionths(1), Timestamp::UNIX_EPOCH).expect("counted");
    assert_eq!(to_json(&change), [1]);
    assert_eq!(change.after.parameters()["bucket.remaining"], "0");
}

#[test]
fn each_rule_about_tiers_has_its_code() {
    let codes = |found: Vec<Violation>| found.iter().map(|v| (v.code.as_str(), v.pointer.to_string())).collect::<Vec<_>>();
    assert_eq!(codes(check(&tiers(&[1, 2, 3]))), vec![]);
    assert_eq!(codes(check(&tiers(&[0]))), [("tiers_not_ascending", "/tiers/0/upTo".to_owned())]);
    assert_eq!(codes(check(&tiers(&[5, 5, 4]))).len(), 2);
}

fn changed(bucket: &Bucket, tiers: Vec<Tier>) -> Result<Bucket, Vec<(&'static str, String)>> {
    update(bucket.clone(), &with_status(Status::Active), Update { tiers: Some(tiers), ..Update::default() }, None, Timestamp::UNIX_EPOCH)
        .map(|change| change.after)
        .map_err(|refused| refused.violations.iter().map(|v| (v.code.as_str(), v.pointer.to_string())).collect())
}

#[test]
fn tiers_used_up_stay_and_the_others_lie_above_what_is_used() {
    let bucket = count(bucket(&[5, 10]), None, Decimal::units(6), Timestamp::UNIX_EPOCH).expect("counted").after;
    let refused = |index| Err(vec![("tiers_not_extendable", format!("/tiers/{index}"))]);
    assert_eq!(changed(&bucket, tiers(&[5, 20, 30])).map(|b| (b.tiers.len(), b.tiers_used_up)), Ok((3, 1)));
    assert_eq!(changed(&bucket, tiers(&[4, 10])).map(|_| ()), refused(0));
    assert_eq!(changed(&bucket, tiers(&[5, 6])).map(|_| ()), refused(1), "it would be used up without usage");
    assert_eq!(changed(&bucket, Vec::new()).map(|_| ()), refused(0));
    let mut renamed = tiers(&[5, 10]);
    renamed[0].name = Some("half".into());
    assert_eq!(changed(&bucket, renamed.clone()).map(|_| ()), refused(0), "its name has been told");
    renamed.swap(0, 1);
    (renamed[0].up_to, renamed[1].up_to) = (Decimal::units(5), Decimal::units(10));
    assert!(changed(&bucket, renamed).is_ok(), "one that is not used up can be renamed");
}

#[test]
fn a_reset_bucket_tells_of_its_tiers_anew() {
    let full = count(bucket(&[5, 10]), None, Decimal::units(12), Timestamp::UNIX_EPOCH).expect("counted").after;
    let empty = reset(full, &with_status(Status::Active), None, Timestamp::UNIX_EPOCH).expect("reset").after;
    assert_eq!((empty.used, empty.tiers_used_up), (Decimal::ZERO, 0));
    assert_eq!(to_json(&count(empty, None, Decimal::units(12), Timestamp::UNIX_EPOCH).expect("counted")), [1, 2]);
}

#[test]
fn more_than_can_be_counted_is_not_counted() {
    let full = count(bucket(&[5]), None, Decimal::units(9_000_000_000_000), Timestamp::UNIX_EPOCH).expect("counted").after;
    assert_eq!(count(full, None, Decimal::units(1), Timestamp::UNIX_EPOCH), None);
}

#[test]
fn a_bucket_of_a_deactivated_account_takes_no_changes() {
    let (dead, now) = (with_status(Status::Deactivated), Timestamp::UNIX_EPOCH);
    assert_eq!(update(bucket(&[5]), &dead, Update::default(), None, now).unwrap_err().code.as_str(), "account_deactivated");
    assert_eq!(reset(bucket(&[5]), &dead, None, now).unwrap_err().code.as_str(), "account_deactivated");
    assert_eq!(delete(bucket(&[5]), &dead).unwrap_err().code.as_str(), "account_deactivated");
}

#[test]
fn its_parameters_are_those_of_the_catalogue() {
    let names = |offered: &'static [billwire_schemas::events::parameters::Parameter]| {
        let mut names: Vec<_> = offered.iter().map(|p| p.name.to_owned()).collect();
        names.sort_unstable();
        names
    };
    let change = count(bucket(&[5]), None, Decimal::units(5), Timestamp::UNIX_EPOCH).expect("counted");
    assert_eq!(change.after.parameters().into_keys().collect::<Vec<_>>(), names(objects::bucket::PARAMETERS));
    let own = catalogue::find("usage_threshold.exceeded").expect("in the catalogue").own_parameters;
    assert_eq!(change.lifecycle[0].parameters.keys().cloned().collect::<Vec<_>>(), names(own));
    assert_eq!(change.lifecycle[0].parameters["bucket.tier"], "1", "a tier without a name goes by its number");
}

#[test]
fn what_is_taken_back_frees_its_tiers_and_they_are_told_of_again() {
    let at = Timestamp::UNIX_EPOCH;
    let used = count(bucket(&[10, 20]), None, Decimal::units(21), at).expect("counted").after;
    let change = recount(used, Decimal::units(6), Decimal::ZERO, at).expect("counted");
    assert_eq!((to_json(&change), change.after.used, change.after.tiers_used_up), (vec![], Decimal::units(15), 1));
    let change = recount(change.after, Decimal::units(15), Decimal::units(20), at).expect("counted");
    assert_eq!((to_json(&change), change.after.tiers_used_up), (vec![2], 2), "the first stays used up and is not told of again");
    let change = recount(change.after, Decimal::units(99), Decimal::ZERO, at).expect("counted");
    assert_eq!((change.after.used, change.after.tiers_used_up), (Decimal::ZERO, 0), "never below zero");
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

/// The period of an account on a cycle of the first of each month, in Berlin.
fn month(moment: &str) -> Option<CountingPeriod> {
    let settings = BillingSettings { time_zone: chrono_tz::Europe::Berlin, ..BillingSettings::default() };
    CountingPeriod::of(&with_status(Status::Active), &settings, at(moment))
}

fn monthly(sizes: &[i64], now: &str) -> Bucket {
    let mut bucket = Bucket { resets: Some(Resets::BillingPeriod), ..bucket(sizes) };
    bucket.enter(month(now));
    bucket
}

#[test]
fn usage_of_the_next_billing_period_begins_at_zero_and_tells_of_its_tiers_anew() {
    let june = monthly(&[10], "2027-06-10T00:00:00Z");
    assert_eq!((june.resets_at, june.due_at()), (Some(at("2027-06-30T22:00:00Z")), None), "nothing is used, so nothing is due");
    let used = count(june, month("2027-06-30T21:59:59Z"), Decimal::units(12), at("2027-06-30T21:59:59Z")).expect("counted");
    assert_eq!((to_json(&used), used.after.due_at()), (vec![1], Some(at("2027-06-30T22:00:00Z"))));
    let july = count(used.after, month("2027-06-30T22:00:00Z"), Decimal::units(11), at("2027-06-30T22:00:00Z")).expect("counted");
    assert_eq!((to_json(&july), july.after.used), (vec![1], Decimal::units(11)));
    assert_eq!(july.after.period.map(|period| period.start.to_string()).as_deref(), Some("2027-07-01"));
}

#[test]
fn usage_of_an_earlier_period_does_not_count_nor_is_it_taken_back() {
    let july = monthly(&[10], "2027-07-10T00:00:00Z");
    let takes = |moment| july.takes(month(moment));
    assert_eq!([takes("2027-06-30T21:59:59Z"), takes("2027-06-30T22:00:00Z"), takes("2027-08-01T00:00:00Z")], [false, true, true]);
    let counted = |moment| july.has_counted(month(moment));
    assert_eq!([counted("2027-06-30T21:59:59Z"), counted("2027-06-30T22:00:00Z"), counted("2027-08-01T00:00:00Z")], [false, true, false]);
    let ever = bucket(&[10]);
    assert!(ever.takes(month("2027-06-10T00:00:00Z")) && ever.has_counted(None), "one that never resets counts all");
}

#[test]
fn the_clock_resets_what_is_used_when_the_next_period_begins() {
    let june = monthly(&[10], "2027-06-10T00:00:00Z");
    let used = count(june, month("2027-06-10T00:00:00Z"), Decimal::units(12), at("2027-06-10T00:00:00Z")).expect("counted").after;
    let now = "2027-06-30T22:00:00Z";
    assert_eq!(next_period(used.clone(), month(now), at("2027-06-30T21:59:59Z")), None);
    let july = next_period(used.clone(), month(now), at(now)).expect("due").after;
    assert_eq!((july.used, july.tiers_used_up, july.due_at(), july.reset_at), (Decimal::ZERO, 0, None, None));
    assert_eq!((july.resets_at, next_period(july.clone(), month(now), at(now))), (Some(at("2027-07-31T22:00:00Z")), None));
    let utc = CountingPeriod::of(&with_status(Status::Active), &BillingSettings::default(), at(now));
    let moved = next_period(used, utc, at(now)).expect("due").after;
    assert_eq!((moved.used, moved.due_at()), (Decimal::units(12), Some(at("2027-07-01T00:00:00Z"))), "the time zone has changed: not yet");
}

#[test]
fn a_bucket_that_begins_or_ceases_to_reset_keeps_what_is_used() {
    let now = at("2027-06-10T00:00:00Z");
    let used = count(bucket(&[10]), None, Decimal::units(12), now).expect("counted").after;
    let updated = |bucket, resets| {
        let command = Update { resets, ..Update::default() };
        update(bucket, &with_status(Status::Active), command, month("2027-06-10T00:00:00Z"), now).expect("updated").after
    };
    let monthly = updated(used, Patch::Set(Resets::BillingPeriod));
    assert_eq!((monthly.used, monthly.due_at()), (Decimal::units(12), Some(at("2027-06-30T22:00:00Z"))));
    let ever = updated(monthly, Patch::Unset);
    assert_eq!((ever.used, ever.period, ever.due_at()), (Decimal::units(12), None, None));
}
