//! The worker of bill runs: one process at a time bills, page by page.
//!
//! The lease only saves double work: the store makes sure that no account is billed twice, so a process that sleeps through its lease
//! does no harm. The next worker continues a run that a killed one left.

use std::{sync::Arc, time::Duration};

use billwire_app::{App, BillRunCursors};
use billwire_delivery::lease::{self, Leases};
use tokio::{sync::watch, time::sleep};

/// How often new runs are looked for while none is in progress.
const IDLE: Duration = Duration::from_millis(500);

/// Works on bill runs until `stop` turns true.
pub async fn run(app: App, leases: Arc<dyn Leases>, ttl: Duration, stop: watch::Receiver<bool>) {
    lease::run(&leases, "bill-runs", ttl, stop, |_| advance(&app)).await;
}

/// Bills a page of each run, again and again.
async fn advance(app: &App) -> Result<(), String> {
    let mut cursors = BillRunCursors::default();
    loop {
        if app.advance_bill_runs(&mut cursors).await.map_err(|error| error.to_string())? == 0 {
            sleep(IDLE).await;
        }
    }
}
