//! Limiters: one per target and one per tenant, shared by all partitions of a process. A limiter bounds how many calls are in flight and how
//! many start per second, and admits none while the target's circuit breaker is open.
//!
//! Rates hold for the installation: each process uses the part of a rate that its share of the slots gives it.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use billwire_schemas::{
    clock::Timestamp,
    delivery::Health,
    ids::{Slot, TenantId},
};
use uuid::Uuid;

use crate::limits::{
    circuit_breaker,
    limiter::{Limiter, Target},
};

/// What changed in the health of targets.
#[derive(Debug, Default)]
pub struct HealthChanges {
    /// Targets that fail, with their current health.
    pub failing: Vec<Health>,
    /// Targets that no longer fail.
    pub healed: Vec<Uuid>,
    /// Targets that have failed for too long.
    pub given_up: Vec<Arc<Target>>,
}

/// All limiters of a process.
pub struct Limiters {
    settings: circuit_breaker::Settings,
    slots_here: AtomicU8,
    limiters: Mutex<HashMap<Uuid, Arc<Limiter>>>,
    tenants: Mutex<HashMap<TenantId, Arc<Limiter>>>,
    restored: Mutex<HashMap<Uuid, Health>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Limiters {
    /// Limiters whose circuit breakers have these settings.
    pub fn new(settings: circuit_breaker::Settings) -> Self {
        Self {
            settings,
            slots_here: AtomicU8::new(Slot::COUNT),
            limiters: Mutex::default(),
            tenants: Mutex::default(),
            restored: Mutex::default(),
        }
    }

    /// Takes over the stored health, from before a restart or from other processes.
    pub fn restore(&self, health: Vec<Health>) {
        *locked(&self.restored) = health.into_iter().map(|one| (one.target, one)).collect();
    }

    /// Sets how many slots run in this process, which gives its part of each rate.
    pub fn set_slots(&self, slots_here: u8, now: Timestamp) {
        if self.slots_here.swap(slots_here, Ordering::Relaxed) != slots_here {
            for limiter in locked(&self.limiters).values().chain(locked(&self.tenants).values()) {
                let target = limiter.target();
                limiter.update(&target, slots_here, now);
            }
        }
    }

    /// Adopts the configured targets, and the limits of each tenant; limiters of others are dropped.
    pub fn configure<'t>(
        &self,
        targets: impl Iterator<Item = &'t Arc<Target>>,
        tenants: impl Iterator<Item = &'t Arc<Target>>,
        now: Timestamp,
    ) {
        let targets: HashSet<Uuid> = targets.map(|target| self.of(target, now).target().id).collect();
        locked(&self.limiters).retain(|id, _| targets.contains(id));
        let tenants: HashSet<TenantId> = tenants.map(|limits| self.of_tenant(limits, now).target().tenant.clone()).collect();
        locked(&self.tenants).retain(|tenant, _| tenants.contains(tenant));
    }

    /// The limiter of a configured target.
    pub fn get(&self, target: Uuid) -> Option<Arc<Limiter>> {
        locked(&self.limiters).get(&target).cloned()
    }

    /// The limiter of a tenant with configured targets.
    pub fn get_tenant(&self, tenant: &TenantId) -> Option<Arc<Limiter>> {
        locked(&self.tenants).get(tenant).cloned()
    }

    /// The limiter of a target, as configured now.
    fn of(&self, target: &Arc<Target>, now: Timestamp) -> Arc<Limiter> {
        let slots_here = self.slots_here.load(Ordering::Relaxed);
        let mut limiters = locked(&self.limiters);
        let limiter = limiters.entry(target.id).or_insert_with(|| {
            let restored = locked(&self.restored).get(&target.id).cloned();
            Arc::new(Limiter::new(target.clone(), restored, self.settings.clone(), slots_here, now))
        });
        limiter.update(target, slots_here, now);
        limiter.clone()
    }

    /// The limiter of a tenant, for all its calls together.
    fn of_tenant(&self, limits: &Arc<Target>, now: Timestamp) -> Arc<Limiter> {
        let slots_here = self.slots_here.load(Ordering::Relaxed);
        let mut tenants = locked(&self.tenants);
        let new = || Arc::new(Limiter::new(limits.clone(), None, self.settings.clone(), slots_here, now));
        let limiter = tenants.entry(limits.tenant.clone()).or_insert_with(new);
        limiter.update(limits, slots_here, now);
        limiter.clone()
    }

    /// What changed since the last [`Limiters::saved`].
    pub fn health_changes(&self, now: Timestamp, give_up_after: Duration) -> HealthChanges {
        let mut health_changes = HealthChanges::default();
        for limiter in locked(&self.limiters).values() {
            let inner = limiter.inner();
            let health = inner.health();
            if health != inner.saved {
                match &health {
                    Some(health) => health_changes.failing.push(health.clone()),
                    None => health_changes.healed.push(inner.target.id),
                }
            }
            let too_long = |since: Timestamp| (now - since).to_std().is_ok_and(|failing| failing >= give_up_after);
            if inner.target.enabled && inner.target.disable_when_failing && health.is_some_and(|health| too_long(health.failing_since)) {
                health_changes.given_up.push(inner.target.clone());
            }
        }
        health_changes
    }

    /// The changes have been saved.
    pub fn saved(&self, health_changes: &HealthChanges) {
        let limiters = locked(&self.limiters);
        let failing = health_changes.failing.iter().map(|health| (health.target, Some(health)));
        for (target, health) in failing.chain(health_changes.healed.iter().map(|target| (*target, None))) {
            if let Some(limiter) = limiters.get(&target) {
                limiter.inner().saved = health.cloned();
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
