//! The role `clock`: performs what is due, such as planned changes and overdue invoices, and works on bill runs, and purges what was kept long
//! enough.

use std::{sync::Arc, time::Duration};

use billwire_app::App;
use billwire_delivery::lease::Leases;
use billwire_store::Store;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::{audit, bill_runs, retention, supervised};
use crate::config::Settings;

/// How often due dates are checked.
const DUE_EVERY: Duration = Duration::from_millis(500);

/// Starts the role.
pub fn start(
    tasks: &mut JoinSet<()>,
    settings: &Settings,
    app: &App,
    store: &Store,
    leases: Arc<dyn Leases>,
    stopped: &watch::Receiver<bool>,
) {
    let due = app.clone();
    tasks.spawn(supervised::run("clock", app.parts().clone(), stopped.clone(), move |stop| perform_due(due.clone(), stop)));
    tasks.spawn(audit::run(store.clone(), leases.clone(), settings.lease(), stopped.clone()));
    tasks.spawn(bill_runs::run(app.clone(), leases.clone(), settings.lease(), stopped.clone()));
    tasks.spawn(retention::run(app.clone(), store.clone(), leases, settings.lease(), stopped.clone()));
}

/// Performs what is due, until `stop` turns true. Any number of processes may run it: each due item is decided under the lock of its
/// account, so the second process finds nothing left to do.
async fn perform_due(app: App, mut stop: watch::Receiver<bool>) {
    let mut tick = interval(DUE_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            _ = tick.tick() => {}
        }
        if let Err(error) = app.perform_due().await {
            tracing::warn!(%error, "cannot perform what is due; it stays due");
        }
    }
}
