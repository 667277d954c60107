//! The role `api`: answers HTTP.

use std::{net::SocketAddr, time::Duration};

use billwire_app::App;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use crate::{config::Settings, connections};

/// How long open HTTP requests may take to finish at a stop.
pub const DRAIN: Duration = Duration::from_secs(5);

/// Listens. Connections wait until the role starts.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub async fn bind(settings: &Settings) -> Result<TcpListener, String> {
    let failed = |e| format!("cannot listen on {}: {e}; stop what uses that port, or set BILLWIRE_LISTEN to another", settings.listen);
    TcpListener::bind(settings.listen).await.map_err(failed)
}

/// Starts the role; returns where it listens.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub fn start(
    tasks: &mut JoinSet<()>,
    listener: TcpListener,
    settings: &Settings,
    app: &App,
    stopped: &watch::Receiver<bool>,
) -> Result<SocketAddr, String> {
    let address = listener.local_addr().map_err(|e| format!("cannot listen: {e}"))?;
    let options = connection_options(settings)?;
    let service = billwire_api::service(
        app.clone(),
        billwire_api::Options {
            body_limit: settings.body_max,
            page_bytes: settings.page_bytes,
            pages_bytes: settings.pages_bytes,
            pages_wait: settings.deadlines().operation,
            requests_per_key: settings.requests_per_key,
            requests_per_tenant: settings.requests_per_tenant,
            wrong_credentials_per_minute: settings.wrong_credentials_per_minute,
            tails_per_tenant: settings.tails_per_tenant,
            sign_in: settings.sign_in()?,
            ..billwire_api::Options::default()
        },
    );
    tasks.spawn(connections::serve(listener, service, options, stopped.clone()));
    Ok(address)
}

/// How connections are served.
///
/// # Errors
/// One line that names the wrong setting.
pub(crate) fn connection_options(settings: &Settings) -> Result<connections::Options, String> {
    Ok(connections::Options {
        limits: settings.connections(),
        patience: settings.patience(),
        trusted_proxies: settings.trusted_proxies()?,
        drain: DRAIN,
    })
}
