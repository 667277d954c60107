//! The listener for monitors, for whatever roles the process has: `/livez`, `/readyz` and `/metrics`, without a key.

use std::net::SocketAddr;

use billwire_app::App;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use super::api;
use crate::{config::Settings, connections};

/// Starts to listen.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub async fn start(
    tasks: &mut JoinSet<()>,
    address: SocketAddr,
    settings: &Settings,
    app: &App,
    stopped: &watch::Receiver<bool>,
) -> Result<(), String> {
    let failed = |e| format!("cannot listen on {address}: {e}; stop what uses that port, or set BILLWIRE_MONITORING_LISTEN to another");
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    tasks.spawn(connections::serve(listener, billwire_api::monitoring(app.clone()), api::connection_options(settings)?, stopped.clone()));
    Ok(())
}
