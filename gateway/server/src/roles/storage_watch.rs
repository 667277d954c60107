//! Refuses operations before a disk of local state is full, and reports when the database has room again.
//!
//! What was accepted still has to be published, delivered and loaded, and that needs room too: so the last megabytes are kept for it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use billwire_app::App;
use billwire_monitoring::parts::{Part, Status};
use billwire_schemas::clock::{Clock, SystemClock};
use billwire_store::Store;
use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{Instant, interval},
};

/// How often the free space is read.
const EVERY: Duration = Duration::from_millis(250);
/// How often a database without room is tried.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Refuses operations while one of `folders` is on a disk with less than `floor` bytes free; until `stop` turns true.
pub async fn run(app: App, store: Store, folders: Vec<PathBuf>, floor: u64, mut stop: watch::Receiver<bool>) {
    let mut tick = interval(EVERY);
    let mut probed = Instant::now();
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            _ = tick.tick() => {}
        }
        let watched = folders.clone();
        let short =
            spawn_blocking(move || watched.into_iter().find_map(|folder| Some((free(&folder)?, folder)).filter(|(free, _)| *free < floor)));
        let short = short.await.unwrap_or_default();
        app.set_storage_low(short.is_some());
        let now = SystemClock.now();
        match &short {
            Some((free, folder)) => {
                let detail = format!("{free} bytes are free on the disk of {}, fewer than {floor}", folder.display());
                app.parts().report(Part::Storage, Status::Down, detail, now);
            }
            None if store.storage_full() => app.parts().report(Part::Storage, Status::Down, "the database has no room", now),
            None => app.parts().ok(Part::Storage, now),
        }
        if store.storage_full() && probed.elapsed() >= PROBE_EVERY {
            probed = Instant::now();
            match store.probe_storage().await {
                Ok(()) => tracing::info!("the database has room again"),
                Err(error) => tracing::warn!(%error, "the database has no room yet"),
            }
        }
    }
}

/// Bytes free for this process on the disk of `folder`, or of its nearest parent that exists; `None`: unknown.
pub(crate) fn free(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|folder| folder.exists())?;
    let space = rustix::fs::statvfs(there).ok()?;
    Some(space.f_bavail.saturating_mul(space.f_frsize))
}
