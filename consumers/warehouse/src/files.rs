//! Reads which files there are, and which events a file holds: after the database was restored to an older moment, the files know more of
//! the batches than SQL does.

use std::{fs, fs::File, io, path::Path};

use arrow_array::{Array, Int64Array, StringArray};
use billwire_schemas::ids::{EventId, OrderingKey, TenantId};
use parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder};

use crate::client::{Directory, SinkError, at};

/// An event that a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Its id.
    pub id: EventId,
    /// Its type.
    pub kind: String,
    /// The tenant.
    pub tenant: TenantId,
    /// Its ordering key.
    pub key: OrderingKey,
    /// Its sequence within the key.
    pub sequence: i64,
}

impl Directory {
    /// The numbers of the batches after this one that have a file, in order.
    ///
    /// # Errors
    /// [`SinkError`].
    pub async fn batches_after(&self, batch: i64) -> Result<Vec<i64>, SinkError> {
        let directory = self.clone();
        tokio::task::spawn_blocking(move || directory.batches_after_blocking(batch)).await.map_err(|_| SinkError::CutOff)?
    }

    fn batches_after_blocking(&self, after: i64) -> Result<Vec<i64>, SinkError> {
        let mut found = Vec::new();
        for folder in names(&self.events())? {
            let Ok(thousand) = folder.parse::<i64>() else { continue };
            if thousand < after / 1000 {
                continue;
            }
            let files = names(&self.events().join(&folder))?;
            found.extend(files.iter().filter_map(|file| file.strip_suffix(".parquet")?.parse().ok()).filter(|batch: &i64| *batch > after));
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The events in the file of `batch`.
    ///
    /// # Errors
    /// [`SinkError`], also if there is no such file or it is not one of the gateway's.
    pub async fn events_of(&self, batch: i64) -> Result<Vec<Loaded>, SinkError> {
        let path = self.path(batch)?;
        tokio::task::spawn_blocking(move || events_in(&path)).await.map_err(|_| SinkError::CutOff)?
    }
}

/// The names in a folder; none if it is missing.
fn names(folder: &Path) -> Result<Vec<String>, SinkError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(at(folder))?,
    };
    let names = entries.map(|entry| Ok(entry.map_err(at(folder))?.file_name().to_string_lossy().into_owned()));
    names.collect()
}

fn events_in(path: &Path) -> Result<Vec<Loaded>, SinkError> {
    let unreadable = || SinkError::Unreadable(path.to_owned());
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).map_err(at(path))?)?;
    let columns = ProjectionMask::columns(reader.parquet_schema(), ["event_id", "event_type", "tenant_id", "ordering_key", "sequence"]);
    let mut found = Vec::new();
    for rows in reader.with_projection(columns).build()? {
        let rows = rows.map_err(|_| unreadable())?;
        let texts =
            |name| rows.column_by_name(name).and_then(|column| column.as_any().downcast_ref::<StringArray>()).ok_or_else(unreadable);
        let (ids, kinds, tenants, keys) = (texts("event_id")?, texts("event_type")?, texts("tenant_id")?, texts("ordering_key")?);
        let sequences = rows.column_by_name("sequence").and_then(|column| column.as_any().downcast_ref::<Int64Array>());
        let sequences = sequences.ok_or_else(unreadable)?;
        for row in 0..rows.num_rows() {
            found.push(Loaded {
                id: ids.value(row).parse().map_err(|_| unreadable())?,
                kind: kinds.value(row).to_owned(),
                tenant: tenants.value(row).parse().map_err(|_| unreadable())?,
                key: keys.value(row).parse().map_err(|_| unreadable())?,
                sequence: sequences.value(row),
            });
        }
    }
    Ok(found)
}
