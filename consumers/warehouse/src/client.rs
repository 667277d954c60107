//! Writes the files: the only IO of the crate.
//!
//! ```text
//! <root>/_id                                     a random id of the directory
//! <root>/_tmp/…                                  temporary files; readers ignore them
//! <root>/events/<batch / 1000>/<batch>.parquet   complete files, which never change
//! <root>/duckdb.sql                              views over all files
//! ```
//!
//! Not written through the crate `object_store`, whose local files are as durable: a file for other users must have their permissions
//! before it appears under its name, and temporary files that a crash left must be found again.

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

/// Why the warehouse cannot be used or a file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The URL is not that of a local directory.
    #[error("{0}: the warehouse must be a local directory, file:///absolute/path")]
    Url(String),
    /// The file system reported an error.
    #[error("{path}: {source}")]
    Io {
        /// The path.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// The rows could not be written as Parquet.
    #[error(transparent)]
    Parquet(#[from] parquet::errors::ParquetError),
    /// The file does not have the columns of the warehouse.
    #[error("{0} is not a file of the warehouse")]
    Unreadable(PathBuf),
    /// The batch number is negative.
    #[error("{0} is not a batch number")]
    Batch(i64),
    /// The process is ending.
    #[error("the write was cancelled")]
    CutOff,
}

/// A directory of Parquet files.
#[derive(Debug, Clone)]
pub struct Directory {
    root: Arc<PathBuf>,
    views_written: Arc<AtomicBool>,
    umask: Option<u32>,
}

impl Directory {
    /// The directory of a `file://` URL. The first batch creates it.
    ///
    /// # Errors
    /// [`SinkError::Url`].
    pub fn open(url: &str) -> Result<Self, SinkError> {
        let parsed = Url::parse(url).ok().filter(|parsed| parsed.scheme() == "file");
        let root = parsed.and_then(|parsed| parsed.to_file_path().ok()).ok_or_else(|| SinkError::Url(url.to_owned()))?;
        Ok(Self { root: Arc::new(root), views_written: Arc::default(), umask: None })
    }

    /// Lets other users read the files: they get the permissions that `umask` leaves, although the process keeps its other files private.
    #[must_use]
    pub fn shared(self, umask: u32) -> Self {
        Self { umask: Some(umask), ..self }
    }

    /// The path of the file of `batch`.
    ///
    /// # Errors
    /// [`SinkError::Batch`] if it is negative.
    pub fn path(&self, batch: i64) -> Result<PathBuf, SinkError> {
        let number = u64::try_from(batch).map_err(|_| SinkError::Batch(batch))?;
        Ok(self.events().join(format!("{:06}", number / 1000)).join(format!("{number:012}.parquet")))
    }

    pub(crate) fn events(&self) -> PathBuf {
        self.root.join("events")
    }

    /// A random id that the directory keeps, by which processes tell whether they write to the same one.
    ///
    /// # Errors
    /// [`SinkError`].
    pub async fn id(&self) -> Result<String, SinkError> {
        let directory = self.clone();
        tokio::task::spawn_blocking(move || directory.id_blocking()).await.map_err(|_| SinkError::CutOff)?
    }

    fn id_blocking(&self) -> Result<String, SinkError> {
        let path = self.root.join("_id");
        match fs::read_to_string(&path) {
            Ok(id) if id.trim().len() == 36 => Ok(id.trim().to_owned()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&path)(error)),
            found => {
                let draft = format!("{}.id", fresh());
                let id = |mut file: &File| writeln!(file, "{}", fresh()).map_err(at(&path));
                // One that holds no id is replaced.
                self.put(&path, &draft, if found.is_ok() { replace } else { leave }, id)?;
                Ok(fs::read_to_string(&path).map_err(at(&path))?.trim().to_owned())
            }
        }
    }

    /// Writes the file of `batch`. After `Ok`, the file is complete and survives a power cut. Writing it again with the same rows
    /// changes nothing that a reader can see.
    ///
    /// # Errors
    /// [`SinkError`]; the file is then either missing or complete.
    pub async fn write(&self, batch: i64, rows: RecordBatch) -> Result<(), SinkError> {
        let directory = self.clone();
        tokio::task::spawn_blocking(move || directory.write_blocking(batch, &rows)).await.map_err(|_| SinkError::CutOff)?
    }

    fn write_blocking(&self, batch: i64, rows: &RecordBatch) -> Result<(), SinkError> {
        let path = self.path(batch)?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        self.sweep(&format!("{batch:012}."))?;
        self.put(&path, &format!("{batch:012}.{}.parquet", fresh()), replace, |file| {
            let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(properties))?;
            writer.write(rows)?;
            writer.close()?;
            Ok(())
        })?;
        // Once per process, and after the first file, because DuckDB cannot create a view over no files.
        if !self.views_written.load(Ordering::Relaxed) {
            self.write_views()?;
            self.views_written.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    fn write_views(&self) -> Result<(), SinkError> {
        let path = self.root.join("duckdb.sql");
        if fs::read(&path).is_ok_and(|there| there == DUCKDB.as_bytes()) {
            return Ok(());
        }
        self.put(&path, &format!("{}.sql", fresh()), replace, |mut file| file.write_all(DUCKDB.as_bytes()).map_err(at(&path)))
    }

    /// Writes `path` atomically and durably with what `fill` writes. A power cut leaves the complete file or none.
    fn put(&self, path: &Path, draft: &str, place: Place, fill: impl FnOnce(&File) -> Result<(), SinkError>) -> Result<(), SinkError> {
        let drafts = self.root.join("_tmp");
        self.create_folder(&drafts)?;
        let draft = drafts.join(draft);
        let folder = path.parent().unwrap_or(&self.root);
        self.create_folder(folder)?;
        let written = (|| {
            let file = File::create_new(&draft).map_err(at(&draft))?;
            fill(&file)?;
            if let Some(umask) = self.umask {
                file.set_permissions(Permissions::from_mode(0o666 & !umask)).map_err(at(&draft))?;
            }
            file.sync_all().map_err(at(&draft))?;
            place(&draft, path).map_err(at(path))
        })();
        // After a rename there is none.
        let _ = fs::remove_file(&draft);
        written?;
        // A new name is durable once its directory is synced, and so on for each parent.
        for directory in folder.ancestors().take_while(|directory| directory.starts_with(&*self.root)) {
            File::open(directory).and_then(|opened| opened.sync_all()).map_err(at(directory))?;
        }
        Ok(())
    }

    fn create_folder(&self, path: &Path) -> Result<(), SinkError> {
        let missing: Vec<&Path> = path.ancestors().take_while(|folder| !folder.exists()).collect();
        fs::create_dir_all(path).map_err(at(path))?;
        if let Some(umask) = self.umask {
            for created in missing {
                fs::set_permissions(created, Permissions::from_mode(0o777 & !umask)).map_err(at(created))?;
            }
        }
        Ok(())
    }

    /// Removes the temporary files of a batch that a crash left behind. Such a batch is written again, and calls this first. If another
    /// process is writing the same batch, its write fails and is repeated.
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

/// Gives a draft the name of a file.
type Place = fn(&Path, &Path) -> io::Result<()>;

/// It replaces a file of that name.
fn replace(draft: &Path, path: &Path) -> io::Result<()> {
    fs::rename(draft, path)
}

/// A file of that name stays as it is: of processes that start at once, the first names the directory. Where there are no links, it is replaced.
fn leave(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(_) => fs::rename(draft, path),
        linked => linked,
    }
}

pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> SinkError {
    let path = path.to_owned();
    move |source| SinkError::Io { path, source }
}
