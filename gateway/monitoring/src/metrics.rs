//! Metrics, for Prometheus. Names and units follow <https://prometheus.io/docs/practices/naming/>; no label has values that tenants choose.

use std::sync::{LazyLock, atomic::AtomicU64};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::parts::Status;

/// The metrics of this process.
pub static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Request {
    /// The operationId; `none` for an address without one.
    pub operation: &'static str,
    /// HTTP status.
    pub status: u16,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Task {
    /// Its name.
    pub task: String,
}

/// A single label.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident $member:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
        pub struct $name {
            /// Its value.
            pub $member: &'static str,
        }
    };
}
label!(/** A part. */ PartLabel part);
label!(/** A reader of the stream. */ Reader reader);
label!(/** What the audit of the stream found. */ Finding finding);
label!(/** The result of an attempt. */ Outcome outcome);
label!(/** What was purged. */ Purged kind);
label!(/** What is done when something is due. */ DueAction action);
label!(/** Why a line of the log was lost. */ LostLine reason);

/// All metrics of a process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Requests answered.
    pub requests: Family<Request, Counter>,
    /// Seconds from a request's head to its answer.
    pub request_seconds: Histogram,
    /// Operations committed together.
    pub commit_group_operations: Histogram,
    /// Seconds that a commit took, from the beginning of its transaction.
    pub commit_seconds: Histogram,
    /// Events in the outbox, up to its limit.
    pub outbox_events: Gauge,
    /// Age of the oldest event in the outbox.
    pub outbox_oldest_age_seconds: Gauge<f64, AtomicU64>,
    /// Events set aside.
    pub set_aside_events: Gauge,
    /// Age of the oldest message of the stream that a reader has not settled; the slots are one reader.
    pub unsettled_oldest_age_seconds: Family<Reader, Gauge<f64, AtomicU64>>,
    /// Findings of the audit of the stream.
    pub audit_findings: Family<Finding, Counter>,
    /// Events published again.
    pub audit_republished_events: Counter,
    /// Events that did not arrive over the stream and were taken in from SQL.
    pub audit_taken_in_events: Counter,
    /// Attempts to deliver, by outcome.
    pub attempts: Family<Outcome, Counter>,
    /// Seconds that an attempt took.
    pub attempt_seconds: Histogram,
    task_restarts: Family<Task, Counter>,
    /// Due actions that failed or were refused.
    pub due_failed: Family<DueAction, Counter>,
    /// Seconds until a transaction began: the wait for a connection, and on SQLite for its lock.
    pub transaction_begin_seconds: Histogram,
    /// Seconds until a group of operations held the locks of its ordering keys.
    pub lock_seconds: Histogram,
    /// How far the purge is behind, by kind; of the tenant that is the furthest behind.
    pub purge_behind_seconds: Family<Purged, Gauge<f64, AtomicU64>>,
    /// Lines of the log that were lost.
    pub log_lines_lost: Family<LostLine, Counter>,
    /// Seconds that a step of the purge held the writer.
    pub purge_step_seconds: Histogram,
    /// Rows purged.
    pub purged_rows: Family<Purged, Counter>,
    parts: Family<PartLabel, Gauge>,
}

/// Bounds of durations, from half a millisecond to 32 s.
fn seconds() -> Histogram {
    Histogram::new((0..17).map(|power| 0.0005 * f64::from(1 << power)))
}

impl Metrics {
    fn new() -> Self {
        let (mut metrics, mut registry) = (Self::unregistered(), Registry::with_prefix("billwire"));
        metrics.register_work(&mut registry);
        metrics.register_conditions(&mut registry);
        metrics.registry = registry;
        metrics
    }

    fn unregistered() -> Self {
        Self {
            registry: Registry::default(),
            requests: Family::default(),
            request_seconds: seconds(),
            commit_group_operations: Histogram::new((0..8).map(|power| f64::from(1 << power))),
            commit_seconds: seconds(),
            outbox_events: Gauge::default(),
            outbox_oldest_age_seconds: Gauge::default(),
            set_aside_events: Gauge::default(),
            unsettled_oldest_age_seconds: Family::default(),
            audit_findings: Family::default(),
            audit_republished_events: Counter::default(),
            audit_taken_in_events: Counter::default(),
            attempts: Family::default(),
            attempt_seconds: seconds(),
            task_restarts: Family::default(),
            due_failed: Family::default(),
            transaction_begin_seconds: seconds(),
            lock_seconds: seconds(),
            purge_behind_seconds: Family::default(),
            log_lines_lost: Family::default(),
            purge_step_seconds: Histogram::new([1, 2, 4, 8, 16, 25, 50, 100, 200, 400, 1000].map(|ms| f64::from(ms) / 1000.0)),
            purged_rows: Family::default(),
            parts: Family::default(),
        }
    }

    /// What is done, and how long it takes.
    fn register_work(&self, r: &mut Registry) {
        r.register("requests", "Requests answered, by operation and status", self.requests.clone());
        r.register_with_unit("request", "Time from a request's head to its answer", Unit::Seconds, self.request_seconds.clone());
        r.register("commit_group_operations", "Operations committed in one transaction", self.commit_group_operations.clone());
        r.register_with_unit("commit", "Time that the transaction of a group took", Unit::Seconds, self.commit_seconds.clone());
        r.register("attempts", "Attempts to deliver, by outcome", self.attempts.clone());
        r.register_with_unit("attempt", "Time that an attempt took", Unit::Seconds, self.attempt_seconds.clone());
        let help = "Time until a transaction began: the wait for a connection, and on SQLite for its lock";
        r.register_with_unit("transaction_begin", help, Unit::Seconds, self.transaction_begin_seconds.clone());
        let help = "Time until a group of operations held the locks of its ordering keys";
        r.register_with_unit("ordering_key_lock", help, Unit::Seconds, self.lock_seconds.clone());
        let help = "Time that a step of the purge held the writer";
        r.register_with_unit("purge_step", help, Unit::Seconds, self.purge_step_seconds.clone());
        r.register("purged_rows", "Rows purged because they were kept long enough", self.purged_rows.clone());
    }

    /// What is wrong, and how far behind something is.
    fn register_conditions(&self, r: &mut Registry) {
        r.register("outbox_events", "Events that wait to be published", self.outbox_events.clone());
        let oldest = self.outbox_oldest_age_seconds.clone();
        r.register_with_unit("outbox_oldest_age", "Age of the oldest event that waits to be published", Unit::Seconds, oldest);
        r.register(
            "set_aside_events",
            "Events that are too large for the stream and wait with their ordering keys",
            self.set_aside_events.clone(),
        );
        let unsettled = self.unsettled_oldest_age_seconds.clone();
        let help = "Age of the oldest message on the stream that a reader has not settled";
        r.register_with_unit("unsettled_oldest_age", help, Unit::Seconds, unsettled);
        r.register("audit_findings", "What the audit of the stream found", self.audit_findings.clone());
        r.register("audit_republished_events", "Events that the stream had lost, published again", self.audit_republished_events.clone());
        let help = "Events that did not arrive over the stream, taken in from SQL";
        r.register("audit_taken_in_events", help, self.audit_taken_in_events.clone());
        r.register("task_restarts", "Tasks that ended or panicked and were started again", self.task_restarts.clone());
        r.register("due_failed", "Due actions that failed or were refused, and are tried again later", self.due_failed.clone());
        let help = "How far the purge is behind, by kind; of the tenant that is the furthest behind";
        r.register_with_unit("purge_behind", help, Unit::Seconds, self.purge_behind_seconds.clone());
        r.register("log_lines_lost", "Lines of the log that were lost, by reason", self.log_lines_lost.clone());
        r.register("part_status", "State of a part: 0 ok, 1 degraded, 2 down", self.parts.clone());
    }

    /// Counts that a task ended, or panicked, and is started again.
    pub fn restarted(&self, task: &str) {
        self.task_restarts.get_or_create(&Task { task: task.to_owned() }).inc();
    }

    pub(crate) fn part(&self, part: &'static str, status: Status) {
        self.parts.get_or_create(&PartLabel { part }).set(status as i64);
    }

    /// All metrics in the text format (OpenMetrics 1.0, which Prometheus reads).
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// The media type of [`Metrics::text`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
