//! Whether the database's storage has room.

use std::{fmt::Write, sync::atomic::Ordering};

use billwire_schemas::ids::fresh;
use sea_orm::ConnectionTrait;

use crate::{Error, Store};

/// The setting that is written to find out.
const PROBE: &str = "storage_probe";
/// Ids written to find out, which no database compresses: 72 kB.
const PROBE_IDS: usize = 2_000;

impl Store {
    /// Whether the last operation that was to be written found no room.
    pub fn storage_full(&self) -> bool {
        self.0.storage_full.load(Ordering::Relaxed)
    }

    /// Finds out whether there is room again, by writing more than an operation does.
    ///
    /// # Errors
    /// When there is none, or the database fails.
    pub async fn probe_storage(&self) -> Result<(), Error> {
        let mut text = String::new();
        for _ in 0..PROBE_IDS {
            let _ = write!(text, "{}", fresh());
        }
        let sql = "INSERT INTO setting (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        self.0.write.execute_raw(self.statement(sql, [PROBE.into(), text.into()])).await?;
        self.0.write.execute_raw(self.statement("DELETE FROM setting WHERE key = $1", [PROBE.into()])).await?;
        self.0.storage_full.store(false, Ordering::Relaxed);
        Ok(())
    }
}
