use super::*;
use crate::{
    channel::{FailureScope, Outcome, Report},
    limits::limiter::{Availability, Permit, Waiter},
};
use billwire_schemas::ids::fresh;

pub(crate) fn target() -> Target {
    Target {
        id: fresh(),
        tenant: TenantId::default_tenant(),
        enabled: true,
        in_flight_max: 4,
        per_second: None,
        retry_plan: None,
        disable_when_failing: true,
    }
}

fn waiter() -> Arc<Waiter> {
    Arc::default()
}

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_timestamp_millis(1_700_000_000_000 + milliseconds).expect("a moment")
}

fn limiter(target: Target) -> (Limiters, Arc<Limiter>) {
    let limiters = Limiters::new(circuit_breaker::Settings::default());
    let limiter = limiters.of(&Arc::new(target), at(0));
    (limiters, limiter)
}

fn failed(status: Option<u16>) -> Outcome {
    let failure_scope =
        if status.is_some_and(|status| status < 500 && status != 429) { FailureScope::Delivery } else { FailureScope::Target };
    Outcome::Retry { report: Report::new(status, "no"), after: None, failure_scope }
}

fn fail(limiter: &Arc<Limiter>, times: u32, status: Option<u16>, now: Timestamp) {
    for _ in 0..times {
        limiter.try_acquire(now, &waiter()).expect("a permit").report(&failed(status), now);
    }
}

#[test]
fn no_more_calls_are_in_flight_than_allowed() {
    let (_, limiter) = limiter(target());
    let mut permits: Vec<Permit> = (0..4).filter_map(|_| limiter.try_acquire(at(0), &waiter())).collect();
    assert_eq!(permits.len(), 4);
    assert!(limiter.try_acquire(at(0), &waiter()).is_none());
    permits.pop();
    assert!(limiter.try_acquire(at(0), &waiter()).is_some());
}

#[test]
fn in_no_second_more_than_twice_the_rate_starts_and_over_time_no_more_than_the_rate() {
    let (_, limiter) = limiter(Target { per_second: Some(50), ..target() });
    let mut starts = vec![0; 10];
    for tick in 0..10_000 {
        if limiter.try_acquire(at(tick), &waiter()).is_some() {
            starts[(tick / 1000) as usize] += 1;
        }
    }
    assert!(starts[0] <= 100, "{starts:?}");
    assert!(starts[1..].iter().all(|count| (49..=51).contains(count)), "{starts:?}");
}

#[test]
fn a_process_takes_the_part_of_the_rate_that_its_slots_give_it() {
    let (limiters, limiter) = limiter(Target { per_second: Some(40), ..target() });
    let count = |from: i64| (from..from + 10_000).filter(|tick| limiter.try_acquire(at(*tick), &waiter()).is_some()).count();
    limiters.set_slots(4, at(0));
    assert!((100..=111).contains(&count(0)), "a quarter, and the burst");
    limiters.set_slots(8, at(20_000));
    assert!((200..=221).contains(&count(20_000)), "half");
    limiters.set_slots(16, at(40_000));
    assert!((400..=441).contains(&count(40_000)), "all of it");
}

#[test]
fn one_that_waits_for_a_permit_is_woken_when_a_call_ends() {
    let (_, limiter) = limiter(Target { in_flight_max: 1, ..target() });
    let (first, second) = (waiter(), waiter());
    let permit = limiter.try_acquire(at(0), &first).expect("a permit");
    assert!(limiter.try_acquire(at(0), &first).is_none() && limiter.try_acquire(at(0), &second).is_none());
    assert!(first.freed().is_empty());
    drop(permit);
    let freed = |waiter: &Waiter| waiter.freed().iter().map(|limiter| limiter.id()).collect::<Vec<_>>();
    assert_eq!((freed(&first), freed(&second)), (vec![limiter.id()], vec![]), "one call has ended, so one is woken");
    let permit = limiter.try_acquire(at(0), &first).expect("a permit");
    drop(permit);
    assert_eq!(second.freed().len(), 1, "the other one is next");
}

#[test]
fn limiters_of_targets_that_are_gone_are_dropped() {
    let limiters = Limiters::new(circuit_breaker::Settings::default());
    let (one, other) = (Arc::new(target()), Arc::new(target()));
    limiters.configure([&one, &other].into_iter(), [&one].into_iter(), at(0));
    assert!(limiters.get(one.id).is_some() && limiters.get(other.id).is_some() && limiters.get_tenant(&one.tenant).is_some());
    limiters.configure([&other].into_iter(), [].into_iter(), at(0));
    assert!(limiters.get(one.id).is_none() && limiters.get(other.id).is_some() && limiters.get_tenant(&one.tenant).is_none());
}

#[test]
fn those_that_have_to_wait_get_their_turns_one_after_the_other() {
    let (_, limiter) = limiter(Target { per_second: Some(2), ..target() });
    let turns: Vec<i64> = (0..4).map(|_| (limiter.next_turn(at(0)) - at(0)).num_milliseconds()).collect();
    assert_eq!(turns, [1500, 2000, 2500, 3000]);
    let last = (0..1000).map(|_| (limiter.next_turn(at(0)) - at(0)).num_seconds()).max();
    assert_eq!(last, Some(61), "limits may change, so none waits for hours");
}

#[test]
fn a_receiver_that_fails_rests_and_one_that_refuses_does_not() {
    let (_, refusing) = limiter(target());
    fail(&refusing, 50, Some(422), at(0));
    assert_eq!(refusing.availability(at(0)), Availability::Open);
    let (_, failing) = limiter(target());
    fail(&failing, 10, Some(503), at(0));
    assert_eq!((failing.availability(at(59_999)), failing.availability(at(60_000))), (Availability::Closed, Availability::ProbeWanted));
    let probe = failing.try_acquire(at(60_000), &waiter());
    assert!(probe.is_some() && failing.try_acquire(at(60_000), &waiter()).is_none(), "one probe at a time");
    assert_eq!(failing.availability(at(60_000)), Availability::Closed);
}

#[test]
fn calls_that_were_in_flight_together_when_a_connection_broke_do_not_make_a_receiver_rest() {
    let (_, limiter) = limiter(Target { in_flight_max: 100, ..target() });
    let together: Vec<Permit> = (0..100).filter_map(|_| limiter.try_acquire(at(0), &waiter())).collect();
    together.iter().for_each(|permit| permit.report(&failed(None), at(10)));
    assert_eq!((together.len(), limiter.availability(at(10))), (100, Availability::Open));
    drop(together);
    fail(&limiter, 1, None, at(20));
    assert_eq!(limiter.availability(at(20)), Availability::Closed, "a call that began afterwards failed too");
}

#[test]
fn a_failing_target_is_reported_restored_after_a_restart_and_given_up_after_long() {
    let (limiters, limiter) = limiter(target());
    fail(&limiter, 10, None, at(0));
    let long = Duration::from_secs(3600);
    let health_changes = limiters.health_changes(at(1000), long);
    assert_eq!((health_changes.failing.len(), health_changes.failing[0].failures, health_changes.given_up.len()), (1, 10, 0));
    limiters.saved(&health_changes);
    assert!(limiters.health_changes(at(1000), long).failing.is_empty(), "reported once");
    let after = Limiters::new(circuit_breaker::Settings::default());
    after.restore(health_changes.failing);
    let restored = after.of(&limiter.target(), at(2000));
    assert_eq!(restored.availability(at(2000)), Availability::Closed);
    assert_eq!(after.health_changes(at(3_600_000), long).given_up.len(), 1);
    restored.try_acquire(at(60_000), &waiter()).expect("a probe").report(&Outcome::Delivered(Report::default()), at(60_000));
    let health_changes = after.health_changes(at(60_000), long);
    assert_eq!((health_changes.healed.len(), health_changes.given_up.len()), (1, 0));
}

#[test]
fn one_that_is_disabled_rests_and_starts_afresh_when_it_is_enabled() {
    let (limiters, limiter) = limiter(target());
    fail(&limiter, 10, None, at(0));
    let known = limiter.target();
    limiters.of(&Arc::new(Target { enabled: false, ..(*known).clone() }), at(100_000));
    assert_eq!(limiter.availability(at(100_000)), Availability::Closed);
    assert!(limiter.try_acquire(at(100_000), &waiter()).is_none());
    limiters.of(&known, at(0));
    assert_eq!(limiter.availability(at(1)), Availability::Open, "its circuit is closed again");
}

#[test]
fn a_target_that_wants_to_be_left_alone_is_at_once_and_one_delivery_in_trouble_costs_it_nothing() {
    let (_limiters, limiter) = limiter(target());
    for n in 0..50 {
        let permit = limiter.try_acquire(at(n), &waiter()).expect("a permit");
        permit
            .report(&Outcome::Retry { report: Report::new(Some(451), "grey"), after: None, failure_scope: FailureScope::Delivery }, at(n));
    }
    assert_eq!(limiter.availability(at(60)), Availability::Open);
    let permit = limiter.try_acquire(at(60), &waiter()).expect("a permit");
    permit
        .report(&Outcome::Retry { report: Report::new(Some(421), "closing"), after: None, failure_scope: FailureScope::Overload }, at(60));
    drop(permit);
    assert_eq!(limiter.availability(at(61)), Availability::Closed);
    assert!(limiter.try_acquire(at(61), &waiter()).is_none());
}
