//! The list of what is left out or incomplete, one JSON object a line.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use serde_json::Value;

/// A file that appears under its name once it is complete.
pub(super) struct List {
    path: PathBuf,
    draft: PathBuf,
    file: BufWriter<File>,
}

impl List {
    /// Begins a list.
    ///
    /// # Errors
    /// One line that names the file.
    pub fn create(path: &Path) -> Result<Self, String> {
        let draft = path.with_added_extension("part");
        let file = File::create(&draft).map_err(|error| failed(&draft, &error))?;
        Ok(Self { path: path.to_owned(), draft, file: BufWriter::new(file) })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// One line that names the file.
    pub fn add(&mut self, line: &Value) -> Result<(), String> {
        writeln!(self.file, "{line}").map_err(|error| failed(&self.draft, &error))
    }

    /// Removes a list that is not needed.
    ///
    /// # Errors
    /// One line that names the file.
    pub fn discard(self) -> Result<(), String> {
        fs::remove_file(&self.draft).map_err(|error| failed(&self.draft, &error))
    }

    /// Ends the list; gives its path.
    ///
    /// # Errors
    /// One line that names the file.
    pub fn finish(self) -> Result<PathBuf, String> {
        let Self { path, draft, file } = self;
        let ended = file.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all());
        ended.and_then(|()| fs::rename(&draft, &path)).map_err(|error| failed(&path, &error))?;
        Ok(path)
    }
}

fn failed(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}
