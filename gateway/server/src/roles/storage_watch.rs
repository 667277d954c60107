//! Refuses operations before a disk of local state is full, and reports when the database has room again.
//!
//! What was accepted still has to be published, delivered and loaded, and that needs room too: so the last megabytes are kept for it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use billwire_app::App;
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
        match &short {
            Some((free, folder)) if !app.storage_low() => {
                tracing::error!(folder = %folder.display(), free, floor, "the disk is nearly full; operations are refused until there is room");
            }
            None if app.storage_low() => tracing::info!("there is room on the disk again; operations are accepted"),
            _ => {}
        }
        app.set_storage_low(short.is_some());
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
