//! How a file comes to be: the only IO.
//!
//! ```text
//! <root>/_tmp/…                                  being written; a reader leaves it alone
//! <root>/events/<batch / 1000>/<batch>.parquet   whole, and never changed
//! <root>/duckdb.sql                              views over all of it
//! ```

use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use arrow_array::RecordBatch;
use billwire_schemas::ids::fresh;
use parquet::{arrow::ArrowWriter, basic::Compression, file::properties::WriterProperties};
use url::Url;

const DUCKDB: &str = include_str!("duckdb.sql");

/// Why the warehouse cannot be used, or a file not be written.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// Not a URL of a directory on this machine.
    #[error("{0}: the warehouse must be a directory of this machine, file:///absolute/path")]
    Url(String),
    /// Something of the file system.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What.
        source: io::Error,
    },
    /// The rows could not be written as Parquet.
    #[error(transparent)]
    Parquet(#[from] parquet::errors::ParquetError),
    /// Batches are numbered from 0.
    #[error("{0} is not the number of a batch")]
    Batch(i64),
    /// The process is ending.
    #[error("the write was cut off")]
    CutOff,
}

/// A directory of Parquet files.
#[derive(Debug, Clone)]
pub struct Directory {
    root: Arc<PathBuf>,
    explained: Arc<AtomicBool>,
    umask: Option<u32>,
}

impl Directory {
    /// The directory a `file://` URL names. It is made when the first batch is written.
    ///
    /// # Errors
    /// [`SinkError::Url`].
    pub fn open(url: &str) -> Result<Self, SinkError> {
        let parsed = Url::parse(url).ok().filter(|parsed| parsed.scheme() == "file");
        let root = parsed.and_then(|parsed| parsed.to_file_path().ok()).ok_or_else(|| SinkError::Url(url.to_owned()))?;
        Ok(Self { root: Arc::new(root), explained: Arc::default(), umask: None })
    }

    /// Gives what is written the rights that `umask` leaves, however private the process keeps its other files: others read it too.
    #[must_use]
    pub fn shared(self, umask: u32) -> Self {
        Self { umask: Some(umask), ..self }
    }

    /// Where the file of `batch` stands once it is written.
    ///
    /// # Errors
    /// [`SinkError::Batch`] if it is negative.
    pub fn path(&self, batch: i64) -> Result<PathBuf, SinkError> {
        let number = u64::try_from(batch).map_err(|_| SinkError::Batch(batch))?;
        Ok(self.root.join("events").join(format!("{:06}", number / 1000)).join(format!("{number:012}.parquet")))
    }

    /// Writes the file of `batch`. When it returns `Ok`, the file stands under its name, whole, and survives a power cut.
    /// Writing it again with the same rows changes nothing a reader could see.
    ///
    /// # Errors
    /// [`SinkError`]; the file is then either absent or whole.
    pub async fn write(&self, batch: i64, rows: RecordBatch) -> Result<(), SinkError> {
        let directory = self.clone();
        tokio::task::spawn_blocking(move || directory.write_blocking(batch, &rows)).await.map_err(|_| SinkError::CutOff)?
    }

    fn write_blocking(&self, batch: i64, rows: &RecordBatch) -> Result<(), SinkError> {
        let path = self.path(batch)?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        self.sweep(&format!("{batch:012}."))?;
        self.put(&path, &format!("{batch:012}.{}.parquet", fresh()), |file| {
            let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(properties))?;
            writer.write(rows)?;
            writer.close()?;
            Ok(())
        })?;
        // After the first file, since the view could not be made over nothing; then once in the life of a process.
        if !self.explained.load(Ordering::Relaxed) {
            self.explain()?;
            self.explained.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    fn explain(&self) -> Result<(), SinkError> {
        let path = self.root.join("duckdb.sql");
        if fs::read(&path).is_ok_and(|there| there == DUCKDB.as_bytes()) {
            return Ok(());
        }
        self.put(&path, &format!("{}.sql", fresh()), |mut file| file.write_all(DUCKDB.as_bytes()).map_err(at(&path)))
    }

    /// Makes `path` appear with what `fill` writes, at once and for good: a power cut leaves all of it or nothing.
    fn put(&self, path: &Path, draft: &str, fill: impl FnOnce(&File) -> Result<(), SinkError>) -> Result<(), SinkError> {
        let drafts = self.root.join("_tmp");
        self.folder(&drafts)?;
        let draft = drafts.join(draft);
        let home = path.parent().unwrap_or(&self.root);
        self.folder(home)?;
        let written = (|| {
            let file = File::create_new(&draft).map_err(at(&draft))?;
            fill(&file)?;
            if let Some(umask) = self.umask {
                file.set_permissions(Permissions::from_mode(0o666 & !umask)).map_err(at(&draft))?;
            }
            file.sync_all().map_err(at(&draft))?;
            fs::rename(&draft, path).map_err(at(path))
        })();
        if written.is_err() {
            let _ = fs::remove_file(&draft);
        }
        written?;
        // A name is only as durable as the directory it stands in, and that one's name in turn.
        for directory in home.ancestors().take_while(|directory| directory.starts_with(&*self.root)) {
            File::open(directory).and_then(|opened| opened.sync_all()).map_err(at(directory))?;
        }
        Ok(())
    }

    fn folder(&self, path: &Path) -> Result<(), SinkError> {
        let missing: Vec<&Path> = path.ancestors().take_while(|folder| !folder.exists()).collect();
        fs::create_dir_all(path).map_err(at(path))?;
        if let Some(umask) = self.umask {
            for made in missing {
                fs::set_permissions(made, Permissions::from_mode(0o777 & !umask)).map_err(at(made))?;
            }
        }
        Ok(())
    }

    /// Removes drafts that a crash left behind. They can only be of a batch that has no file yet, which is therefore
    /// written again and comes by here. Should another process be writing it just now, that one fails and looks again.
    fn sweep(&self, prefix: &str) -> Result<(), SinkError> {
        let drafts = self.root.join("_tmp");
        let entries = match fs::read_dir(&drafts) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(at(&drafts))?,
        };
        for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)) {
            let _ = fs::remove_file(entry.path());
        }
        Ok(())
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> SinkError {
    let path = path.to_owned();
    move |source| SinkError::Io { path, source }
}
