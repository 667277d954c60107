//! Logs: for people on a terminal, JSON otherwise.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

/// Starts logging to standard error.
///
/// # Errors
/// When `filter` cannot be parsed.
pub fn start(filter: &str) -> Result<(), String> {
    // Libraries log too much of their internals at `info`.
    let quiet = format!("{filter},sqlx=warn,async_nats=warn,sea_orm_migration=warn,hyper=warn,rustls=warn");
    let filter = EnvFilter::try_new(quiet).map_err(|e| format!("BILLWIRE_LOG: {e}"))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    let started =
        if stderr().is_terminal() { logs.with_target(false).compact().try_init() } else { logs.json().flatten_event(true).try_init() };
    started.map_err(|e| e.to_string())
}
