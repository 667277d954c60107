//! Files that are written atomically, and secrets that only their owner can read.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Only the owner can read the file.
pub const PRIVATE: u32 = 0o600;
/// Not a secret. Only the owner can read the data directory anyway.
pub const PUBLIC: u32 = 0o644;

/// Writes `path` atomically and durably, with the permissions `mode`.
///
/// # Errors
/// One line that names the file.
pub fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), String> {
    let writing = || -> io::Result<()> {
        let new = path.with_extension("new");
        // A file that an interrupted write left could have other permissions.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    writing().map_err(|e| format!("{}: {e}", path.display()))
}

/// The text in `path`; `None` if there is no such file.
///
/// # Errors
/// One line that names the file.
pub fn read(path: &Path) -> Result<Option<String>, String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// The secret in a file; `None` if there is no such file.
///
/// # Errors
/// One line that says what is wrong with the file.
pub fn kept_secret(path: &Path) -> Result<Option<String>, String> {
    match read(path)? {
        Some(text) if text.trim().is_empty() => Err(format!("{} is empty; delete it to have another one created", path.display())),
        Some(text) => Ok(Some(text.trim().to_owned())),
        None => Ok(None),
    }
}

/// The secret in a file. It is created at the first call.
///
/// # Errors
/// One line that says what is wrong with the file.
pub fn secret(path: &Path, make: impl FnOnce() -> Result<String, String>) -> Result<String, String> {
    if let Some(kept) = kept_secret(path)? {
        return Ok(kept);
    }
    let text = make()?;
    write(path, format!("{text}\n").as_bytes(), PRIVATE)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_made_once_and_only_its_owner_reads_it() {
        let folder = std::env::temp_dir().join(format!("billwire-files-{}", billwire_schemas::ids::fresh()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("some.key");
        assert_eq!(secret(&path, || Ok("one".into())), Ok("one".to_owned()));
        assert_eq!(secret(&path, || Ok("two".into())), Ok("one".to_owned()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, PRIVATE);
        fs::write(&path, "\n").unwrap();
        assert!(secret(&path, || Ok("three".into())).unwrap_err().contains("delete it"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
