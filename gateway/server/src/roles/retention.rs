//! Purges what was kept long enough: one process at a time, in small steps with pauses between them, so that operations hardly wait.
//!
//! The order is by age, so a purge that was stopped anywhere continues with what is the oldest now. Rows that stay because they are still
//! owed are passed over.

pub(super) mod pace;
mod past;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use billwire_app::App;
use billwire_delivery::lease::{self, Leases};
use billwire_monitoring::{
    metrics::{METRICS, Purged},
    parts::{Part, Status},
};
use billwire_schemas::{
    clock::{Clock, ShiftedClock, SystemClock, Timestamp},
    ids::TenantId,
    lease::Lease,
};
use billwire_store::{
    Store,
    page::After,
    retention::{Kind, Range, Step},
};
use chrono::TimeDelta;
use tokio::{sync::watch, time::sleep};
use uuid::Uuid;

use self::{pace::Pace, past::Past};
use crate::{adapters::delivery_store::text, domain::events::retention::Retention};

/// The shortest wait before what is old is looked for again.
const IDLE_MIN: Duration = Duration::from_secs(2);
/// The longest.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// How much longer than a look without a result the wait after it is at least: with many tenants a look takes a while, and nothing waits for it.
const IDLE_SHARE: u32 = 200;
/// How long one kind of one tenant is purged before the next gets its turn.
const TURN: Duration = Duration::from_secs(10);
/// How often it is recorded that nothing is left, while nothing is purged.
const RECORD_EVERY: TimeDelta = TimeDelta::hours(1);
/// A purge that is further behind is reported.
const BEHIND: Duration = Duration::from_secs(24 * 3600);
/// Batches of the warehouse that are examined at once.
const BATCHES: u64 = 200;

/// Purges until `stop` turns true.
pub async fn run(app: App, store: Store, leases: Arc<dyn Leases>, ttl: Duration, stop: watch::Receiver<bool>) {
    lease::run(&leases, "retention", ttl, stop, |lease| purge(&app, &store, lease)).await;
}

async fn purge(app: &App, store: &Store, lease: Lease) -> Result<(), String> {
    let past = Past::load(store).await?;
    let mut purge = Purge { app, store, lease, past, paces: HashMap::new(), cursors: HashMap::new(), recorded: HashMap::new(), batch: 0 };
    loop {
        let begun = Instant::now();
        if !purge.pass().await? {
            sleep((begun.elapsed() * IDLE_SHARE).clamp(IDLE_MIN, IDLE_MAX)).await;
        }
    }
}

struct Purge<'a> {
    app: &'a App,
    store: &'a Store,
    lease: Lease,
    past: Past,
    paces: HashMap<Kind, Pace>,
    /// Where a turn ended before its range did.
    cursors: HashMap<(TenantId, Kind), After>,
    /// The ends of the ranges that were last recorded as purged.
    recorded: HashMap<(TenantId, Kind), Timestamp>,
    /// The last batch of the warehouse that was examined.
    batch: i64,
}

impl Purge<'_> {
    /// Gives each kind of each tenant a turn; gives whether one of them ended before its range did.
    async fn pass(&mut self) -> Result<bool, String> {
        let tenants = self.store.tenants_to_purge().await.map_err(text)?;
        let retentions = self.app.retentions(&tenants).await.map_err(text)?;
        let mut more = false;
        for tenant in &tenants {
            let retention = retentions.get(tenant).copied().unwrap_or_default();
            for kind in Kind::ALL {
                let now = self.past.now(self.store).await?;
                let audit = self.app.retention_limits().audit_days;
                if let Some(until) = until(kind, (&retention, audit), now, ShiftedClock::offset_to(self.app.now())) {
                    more |= self.turn(tenant, kind, until).await?;
                }
            }
        }
        self.report().await?;
        self.batch = self.store.purge_batches(self.batch, BATCHES).await.map_err(text)?.unwrap_or(0);
        Ok(more || self.batch > 0)
    }

    /// Reports how far the purge is behind.
    async fn report(&self) -> Result<(), String> {
        let progress = self.store.purge_progress().await.map_err(text)?;
        for kind in Kind::ALL {
            let lags = progress.iter().filter(|one| one.kind == kind.name()).map(|one| one.lag);
            METRICS.purge_behind_seconds.get_or_create(&Purged { kind: kind.name() }).set(lags.max().unwrap_or_default().as_secs_f64());
        }
        let (parts, now) = (self.app.parts(), SystemClock.now());
        match progress.iter().max_by_key(|one| one.lag).filter(|one| one.lag > BEHIND) {
            Some(one) => {
                let detail = format!("the purge of {} of tenant {} is {} hours behind", one.kind, one.tenant, one.lag.as_secs() / 3600);
                parts.report(Part::Retention, Status::Degraded, detail, now);
            }
            None => parts.ok(Part::Retention, now),
        }
        Ok(())
    }

    /// Purges a kind of a tenant for a while; gives whether more is left.
    async fn turn(&mut self, tenant: &TenantId, kind: Kind, until: Timestamp) -> Result<bool, String> {
        let of = (tenant.clone(), kind);
        let mut after = match self.cursors.remove(&of) {
            None if kind == Kind::Answers => self.store.purge_reached(tenant, kind).await.map_err(text)?.map(first_at),
            cursor => cursor,
        };
        let (begun, mut first, mut done) = (Instant::now(), None, Done::default());
        let recorded = loop {
            let pace = self.paces.entry(kind).or_default();
            let range = Range { tenant, until, after, limit: pace.rows() };
            let step = self.store.purge(&self.lease, kind, &range).await.map_err(text)?.ok_or("another process purges now")?;
            done.add(&step);
            if step.deleted > 0 {
                METRICS.purge_step_seconds.observe(step.took.as_secs_f64());
            }
            METRICS.purged_rows.get_or_create(&Purged { kind: kind.name() }).inc_by(step.deleted);
            let pause = pace.pause_after(step.took);
            let Some(next) = step.next else { break step.deleted > 0 };
            let first = *first.get_or_insert(next.sort);
            if begun.elapsed() >= TURN {
                pace.hurry_if_behind(next.sort - first, begun.elapsed());
                self.cursors.insert(of, next);
                done.log(tenant, kind, until);
                return Ok(true);
            }
            after = Some(next);
            sleep(pause).await;
        };
        done.log(tenant, kind, until);
        self.paces.entry(kind).or_default().relax();
        let is_news = done.deleted > 0 || self.recorded.get(&of).is_none_or(|last| until - *last > RECORD_EVERY);
        if is_news && !recorded {
            self.store.record_purged(kind, &Range { tenant, until, after: None, limit: 0 }).await.map_err(text)?;
        }
        if is_news {
            self.recorded.insert(of, until);
        }
        Ok(false)
    }
}

/// What a turn has done.
#[derive(Default)]
struct Done {
    deleted: u64,
    steps: u64,
    longest: Duration,
}

impl Done {
    fn add(&mut self, step: &Step) {
        self.deleted += step.deleted;
        self.steps += 1;
        self.longest = self.longest.max(step.took);
    }

    fn log(&self, tenant: &TenantId, kind: Kind, until: Timestamp) {
        let Self { deleted, steps, longest } = self;
        if *deleted > 0 {
            let (tenant, kind, longest_us) = (tenant.as_str(), kind.name(), longest.as_micros());
            tracing::debug!(tenant, kind, deleted, steps, longest_us, %until, "purged what was kept long enough");
        }
    }
}

/// Before every row of this moment.
fn first_at(moment: Timestamp) -> After {
    After { sort: moment.timestamp_micros(), id: Uuid::nil() }
}

/// The longest retention that is computed with, in hours: a hundred years.
const HOURS_MAX: u32 = 100 * 366 * 24;

/// Before which moment rows of a kind are purged, with the days for which the audit is kept; `None`: they are kept for ever. `shift` is how far
/// business time is ahead, in microseconds.
fn until(kind: Kind, (retention, audit_days): (&Retention, Option<u32>), now: Timestamp, shift: i64) -> Option<Timestamp> {
    let days = match kind {
        Kind::Events => retention.events_days,
        Kind::BusinessTransactions => retention.business_transactions_days,
        Kind::Deliveries | Kind::Replays => retention.deliveries_days,
        Kind::Attempts => retention.attempts_days,
        Kind::Answers => retention.answers_days,
        // Their time is that of the system.
        Kind::Replies => return before(now, retention.idempotency_hours?),
        Kind::Audit => return before(now, audit_days?.saturating_mul(24)),
    };
    before(now + TimeDelta::microseconds(shift), days?.saturating_mul(24))
}

fn before(now: Timestamp, hours: u32) -> Option<Timestamp> {
    now.checked_sub_signed(TimeDelta::hours(hours.min(HOURS_MAX).into()))
}

#[cfg(test)]
mod tests {
    use billwire_schemas::clock::{Clock, SystemClock};

    use super::*;

    #[test]
    fn replies_age_by_the_system_clock_and_all_else_by_business_time() {
        let (now, day) = (SystemClock.now(), TimeDelta::days(1));
        let retention = Retention { events_days: Some(1), idempotency_hours: Some(24), ..Retention::default() };
        let shift = (day * 10).num_microseconds().expect("small");
        assert_eq!(until(Kind::Events, (&retention, Some(30)), now, shift), Some(now + day * 9));
        assert_eq!(until(Kind::Replies, (&retention, Some(30)), now, shift), Some(now - day));
        assert_eq!(until(Kind::Audit, (&retention, Some(30)), now, shift), Some(now - day * 30));
        assert_eq!(until(Kind::Audit, (&retention, None), now, shift), None);
        assert_eq!(until(Kind::Deliveries, (&retention, Some(30)), now, shift), None);
        let long = Retention { events_days: Some(u32::MAX), ..retention };
        assert!(until(Kind::Events, (&long, Some(30)), now, 0).is_some_and(|until| until < now - day * 36_000));
    }
}
