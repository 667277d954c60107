//! One line in the log for each request that was answered, and its metrics.

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use billwire_monitoring::metrics::{METRICS, Request as Labels};
use poem::{
    Request,
    http::{Method, StatusCode},
};

/// What authorization learns of a request: the operation, and who calls it. Authorization is further in than the log.
#[derive(Default)]
pub(crate) struct Learned {
    operation: OnceLock<&'static str>,
    actor: OnceLock<String>,
}

impl Learned {
    /// Records the operation that a request addresses.
    pub fn operation(request: &Request, operation: &'static str) {
        if let Some(learned) = request.data::<Arc<Self>>() {
            let _ = learned.operation.set(operation);
        }
    }

    /// Records who calls.
    pub fn actor(request: &Request, actor: &str) {
        if let Some(learned) = request.data::<Arc<Self>>() {
            let _ = learned.actor.set(actor.to_owned());
        }
    }
}

/// A request until it is answered.
pub(crate) struct Access {
    method: Method,
    began: Instant,
    learned: Arc<Learned>,
}

impl Access {
    /// Begins with the head of a request.
    pub fn begin(request: &mut Request) -> Self {
        let learned = Arc::<Learned>::default();
        request.set_data(learned.clone());
        Self { method: request.method().clone(), began: Instant::now(), learned }
    }

    /// Writes the line. An address without an operation is not in it: it may hold anything.
    pub fn answered(self, status: StatusCode, request_id: &str) {
        let (operation, actor) = (self.learned.operation.get().copied().unwrap_or("none"), self.learned.actor.get());
        let (method, status, took) = (self.method.as_str(), status.as_u16(), self.began.elapsed());
        METRICS.requests.get_or_create(&Labels { operation, status }).inc();
        METRICS.request_seconds.observe(took.as_secs_f64());
        let ms = took.as_secs_f64() * 1e3;
        tracing::info!(target: "billwire_access", method, operation, status, ms, request.id = request_id, key = actor.map(String::as_str), "answered");
    }
}
