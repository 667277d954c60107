//! The limiter of one target or tenant: how many calls are in flight and start per second, and the circuit breaker.

use std::{
    collections::VecDeque,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use billwire_schemas::{
    clock::Timestamp,
    delivery::Health,
    ids::{Slot, TenantId},
};
use chrono::TimeDelta;
use governor::{
    Quota, RateLimiter,
    clock::FakeRelativeClock,
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    channel::{FailureScope, Outcome},
    limits::{
        circuit_breaker::{self, Admission, Circuit, Incidents},
        retry_plan::RetryPlan,
    },
};

/// What calls go to: a webhook endpoint or an SMTP account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its id.
    pub id: Uuid,
    /// The tenant.
    pub tenant: TenantId,
    /// Whether it may be called.
    pub enabled: bool,
    /// The number of concurrent calls.
    pub in_flight_max: usize,
    /// The number of calls started per second; `None`: no limit.
    pub per_second: Option<u32>,
    /// Its own retry plan, if it has one.
    pub retry_plan: Option<RetryPlan>,
    /// Whether it is disabled after failing for too long.
    pub disable_when_failing: bool,
}

/// The number of failures from which on the health of a target is stored: fewer are normal.
const REPORTED_FROM: u64 = 5;
/// The shortest wait of a parked delivery.
const PARKED_MIN: TimeDelta = TimeDelta::seconds(1);
/// The longest wait of a delivery for its turn: limits may change meanwhile.
const PARKED_MAX: TimeDelta = TimeDelta::seconds(60);

type DirectRateLimiter =
    RateLimiter<NotKeyed, InMemoryState, FakeRelativeClock, NoOpMiddleware<<FakeRelativeClock as governor::clock::Clock>::Instant>>;

/// A rate limit on the engine's own clock.
struct Rate {
    limiter: DirectRateLimiter,
    clock: FakeRelativeClock,
    per_second: f64,
    /// The time the clock shows.
    shown: Timestamp,
    /// The turn given to the latest delivery that has to wait.
    booked: Timestamp,
}

impl Rate {
    fn new(per_second: f64, now: Timestamp) -> Option<Self> {
        let burst = NonZeroU32::new(per_second.round().clamp(1.0, f64::from(u32::MAX)) as u32)?;
        let quota = Quota::with_period(Duration::from_secs_f64(1.0 / per_second))?.allow_burst(burst);
        let clock = FakeRelativeClock::default();
        Some(Self { limiter: RateLimiter::direct_with_clock(quota, clock.clone()), clock, per_second, shown: now, booked: now })
    }

    fn admits(&mut self, now: Timestamp) -> bool {
        self.clock.advance((now - self.shown).to_std().unwrap_or_default());
        self.shown = now;
        self.limiter.check().is_ok()
    }
}

pub(super) struct Inner {
    pub target: Arc<Target>,
    circuit: Circuit,
    in_flight: usize,
    rate: Option<Rate>,
    /// The slots that run in this process.
    slots_here: u8,
    /// Who waits for a call to end.
    waiters: VecDeque<Arc<Waiter>>,
    failing: Option<(Timestamp, u64)>,
    /// The health that was saved last.
    pub saved: Option<Health>,
}

impl Inner {
    fn admission(&self, now: Timestamp, settings: &circuit_breaker::Settings) -> Admission {
        self.circuit.admission(now, self.target.in_flight_max, settings)
    }

    /// Sets the part of the rate that this process may use.
    fn set_rate(&mut self, now: Timestamp) {
        let share = |limit: u32| f64::from(limit) * f64::from(self.slots_here.max(1)) / f64::from(Slot::COUNT);
        let per_second = self.target.per_second.map(share);
        if self.rate.as_ref().map(|rate| rate.per_second) != per_second {
            self.rate = per_second.and_then(|per_second| Rate::new(per_second, now));
        }
    }

    pub fn health(&self) -> Option<Health> {
        let (failing_since, failures) = self.failing.filter(|(_, failures)| *failures >= REPORTED_FROM)?;
        let (target, tenant) = (self.target.id, self.target.tenant.clone());
        Some(Health { target, tenant, failing_since, failures, open: self.circuit.open() })
    }
}

/// Whether waiting deliveries of a target should be attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// Yes.
    Open,
    /// No: the target is disabled, or its circuit breaker is open.
    Closed,
    /// One delivery, as a probe of whether the target works again.
    ProbeWanted,
}

/// A partition that waits for permits.
#[derive(Default)]
pub struct Waiter {
    /// The limiters of targets and tenants at which a call has ended meanwhile.
    freed: Mutex<Vec<Arc<Limiter>>>,
    notify: Notify,
}

impl Waiter {
    fn wake(&self, limiter: &Arc<Limiter>) {
        self.freed.lock().unwrap_or_else(PoisonError::into_inner).push(limiter.clone());
        self.notify.notify_one();
    }

    /// Resolves when a call has ended at a target that the partition waits for.
    pub async fn woken(&self) {
        self.notify.notified().await;
    }

    /// The limiters at which a call has ended since the last call of this function.
    pub fn freed(&self) -> Vec<Arc<Limiter>> {
        std::mem::take(&mut *self.freed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The limiter of a target or tenant.
pub struct Limiter {
    settings: circuit_breaker::Settings,
    inner: Mutex<Inner>,
}

impl Limiter {
    pub(super) fn new(
        target: Arc<Target>,
        restored: Option<Health>,
        settings: circuit_breaker::Settings,
        slots_here: u8,
        now: Timestamp,
    ) -> Self {
        let open = restored.as_ref().and_then(|health| health.open);
        let circuit = open.map_or_else(Circuit::default, |(until, waited)| Circuit::opened(until, waited));
        let failing = restored.as_ref().map(|health| (health.failing_since, health.failures));
        let waiters = VecDeque::new();
        let mut inner = Inner { target, circuit, in_flight: 0, rate: None, slots_here, waiters, failing, saved: restored };
        inner.set_rate(now);
        Self { settings, inner: Mutex::new(inner) }
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn update(&self, target: &Arc<Target>, slots_here: u8, now: Timestamp) {
        let mut inner = self.inner();
        if inner.slots_here != slots_here {
            inner.slots_here = slots_here;
            inner.set_rate(now);
        }
        if inner.target == *target {
            return;
        }
        if target.enabled && !inner.target.enabled {
            (inner.circuit, inner.failing, inner.saved) = (Circuit::default(), None, None);
        }
        inner.target = target.clone();
        inner.set_rate(now);
    }

    /// A permit for one call, if it may start now. Otherwise, if only calls in flight are in its way, `waiter` is woken when one has ended.
    pub fn try_acquire(self: &Arc<Self>, now: Timestamp, waiter: &Arc<Waiter>) -> Option<Permit> {
        let mut inner = self.inner();
        let may = match inner.admission(now, &self.settings) {
            Admission::UpTo(max) => inner.in_flight < max,
            Admission::OneProbe => inner.in_flight == 0,
            Admission::Shut(_) => false,
        };
        if !may && inner.in_flight > 0 && !inner.waiters.iter().any(|one| Arc::ptr_eq(one, waiter)) {
            inner.waiters.push_back(waiter.clone());
        }
        if !inner.target.enabled || !may || inner.rate.as_mut().is_some_and(|rate| !rate.admits(now)) {
            return None;
        }
        inner.in_flight += 1;
        Some(Permit { limiter: self.clone(), known: inner.circuit.incidents() })
    }

    /// Wakes the next partition that waits, if a call may start: the one that was woken did not need it.
    pub fn pass_on(self: &Arc<Self>) {
        let waiter = {
            let mut inner = self.inner();
            if inner.in_flight < inner.target.in_flight_max { inner.waiters.pop_front() } else { None }
        };
        if let Some(waiter) = waiter {
            waiter.wake(self);
        }
    }

    /// Whether waiting deliveries should be attempted.
    pub fn availability(&self, now: Timestamp) -> Availability {
        let inner = self.inner();
        match inner.admission(now, &self.settings) {
            _ if !inner.target.enabled => Availability::Closed,
            Admission::UpTo(_) => Availability::Open,
            Admission::OneProbe if inner.in_flight == 0 => Availability::ProbeWanted,
            Admission::OneProbe | Admission::Shut(_) => Availability::Closed,
        }
    }

    /// When a delivery that cannot be attempted now gets its turn; turns follow each other at the rate.
    pub fn next_turn(&self, now: Timestamp) -> Timestamp {
        let mut inner = self.inner();
        let soonest = match inner.admission(now, &self.settings) {
            Admission::Shut(until) => until,
            _ => now + PARKED_MIN,
        };
        let Some(rate) = &mut inner.rate else { return soonest };
        let step = TimeDelta::from_std(Duration::from_secs_f64(1.0 / rate.per_second)).unwrap_or(PARKED_MAX);
        rate.booked = (rate.booked.max(soonest) + step).min(soonest + PARKED_MAX);
        rate.booked
    }

    /// The target's own retry plan.
    pub fn retry_plan(&self) -> Option<RetryPlan> {
        self.inner().target.retry_plan.clone()
    }

    /// The id of its target, or of the tenant's limits.
    pub fn id(&self) -> Uuid {
        self.inner().target.id
    }

    /// The target.
    pub fn target(&self) -> Arc<Target> {
        self.inner().target.clone()
    }

    fn record(&self, outcome: &Outcome, known: Incidents, now: Timestamp) {
        let mut inner = self.inner();
        let max = inner.target.in_flight_max;
        match outcome {
            Outcome::NotAttempted(_) | Outcome::GiveUp(_) => {}
            Outcome::Delivered(_) => {
                inner.failing = None;
                inner.circuit.succeeded(now, max, &self.settings);
            }
            Outcome::Gone(_) => inner.circuit.shut(now, &self.settings),
            Outcome::Retry { report, failure_scope, .. } => {
                let (since, failures) = inner.failing.unwrap_or((now, 0));
                inner.failing = Some((since, failures + 1));
                let opened = match failure_scope {
                    FailureScope::Delivery => {
                        inner.circuit.succeeded(now, max, &self.settings);
                        false
                    }
                    FailureScope::Target => inner.circuit.failed(known, now, max, &self.settings),
                    FailureScope::Overload => {
                        inner.circuit.shut(now, &self.settings);
                        true
                    }
                };
                if opened {
                    let (target, open) = (inner.target.id, inner.circuit.open());
                    let seconds = open.map_or(0, |(_, waited)| waited.as_secs());
                    tracing::warn!(target.id = %target, seconds, detail = report.detail, "a target fails; nothing is sent to it for a while");
                }
            }
        }
    }
}

/// The permit for a call. The call ends when it is dropped.
pub struct Permit {
    limiter: Arc<Limiter>,
    /// The incidents when the call began.
    known: Incidents,
}

impl Permit {
    /// Reports the outcome of the call.
    pub fn report(&self, outcome: &Outcome, now: Timestamp) {
        self.limiter.record(outcome, self.known, now);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let waiter = {
            let mut inner = self.limiter.inner();
            inner.in_flight = inner.in_flight.saturating_sub(1);
            inner.waiters.pop_front()
        };
        if let Some(waiter) = waiter {
            waiter.wake(&self.limiter);
        }
    }
}
