//! The data directory. Only its owner can read it, because it holds keys, the database and the login of the private nats-server; and
//! only one process at a time uses it.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::OnceLock,
};

use rustix::{fs::Mode, process};

/// The permissions that every file loses: those of group and others.
const OTHERS: u32 = 0o077;
/// What the program creates in a data directory. Only the permissions of these are changed: the setting may name a wrong directory.
const OURS: [&str; 9] = ["billwire.db", "billwire.db-shm", "billwire.db-wal", "dev", "id", "lock", "master.key", "nats", "warehouse"];

static UMASK: OnceLock<u32> = OnceLock::new();

/// From now on, only the user of this process can read the files that it and its child processes create, unless a caller sets other
/// permissions.
pub fn make_files_private() {
    let before = process::umask(Mode::RWXG | Mode::RWXO);
    UMASK.get_or_init(|| wide(before.bits()));
}

/// Permissions have 16 bits on some systems.
fn wide(bits: impl Into<u32>) -> u32 {
    bits.into()
}

/// The umask before [`make_files_private`].
pub fn usual_umask() -> u32 {
    UMASK.get().copied().unwrap_or(OTHERS)
}

/// Creates the directory if it is missing, and removes the permissions of group and others on it and on the program's files in it.
///
/// # Errors
/// One line that says what is wrong with it and what to do.
fn make_private(folder: &Path) -> Result<(), String> {
    let failed = |error: io::Error| format!("BILLWIRE_DATA_DIR: {}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(failed)?;
    let there = fs::metadata(folder).map_err(failed)?;
    let (owner, us) = (there.uid(), process::geteuid().as_raw());
    // Root, for example, may write into any directory. The directory's owner could then read the files.
    if owner != us {
        return Err(format!(
            "BILLWIRE_DATA_DIR: {} belongs to user {owner}, and this process runs as user {us}; change its owner, or set another \
             folder",
            folder.display()
        ));
    }
    let real = folder.canonicalize().map_err(failed)?;
    let temporary = std::env::temp_dir().canonicalize().is_ok_and(|temporary| temporary == real);
    let shared = there.mode() & 0o1000 != 0 || real.parent().is_none() || temporary;
    if shared {
        return Err(format!(
            "BILLWIRE_DATA_DIR: {} is shared with other programs; set a folder that only the gateway uses",
            folder.display()
        ));
    }
    if there.mode() & OTHERS == 0 {
        return Ok(());
    }
    for ours in OURS {
        narrow(&folder.join(ours))?;
    }
    // Last, so that the next start continues after an interruption.
    close(folder, there.mode())?;
    tracing::warn!(folder = %folder.display(), "other users could read the data directory; now only its owner can");
    Ok(())
}

fn narrow(path: &Path) -> Result<(), String> {
    let failed = |error: io::Error| format!("BILLWIRE_DATA_DIR: {}: {error}", path.display());
    let there = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        there => there.map_err(failed)?,
    };
    if there.is_dir() {
        for entry in fs::read_dir(path).map_err(failed)? {
            narrow(&entry.map_err(failed)?.path())?;
        }
    }
    // A symbolic link has no permissions of its own, and its target may be outside the data directory.
    if there.is_symlink() || there.mode() & OTHERS == 0 { Ok(()) } else { close(path, there.mode()) }
}

fn close(path: &Path, mode: u32) -> Result<(), String> {
    let mode = fs::Permissions::from_mode(mode & 0o7777 & !OTHERS);
    fs::set_permissions(path, mode).map_err(|error| format!("BILLWIRE_DATA_DIR: {}: {error}", path.display()))
}

/// Writes a file that only its owner can read. Replaces an existing file, whatever its permissions.
///
/// # Errors
/// One line that names the file.
pub fn write_private(path: &Path, text: &str) -> Result<(), String> {
    let writing = || -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
    };
    writing().map_err(|error| format!("{}: {error}", path.display()))
}

/// The lock on a data directory. It ends when this is dropped, or with the process.
pub struct DataDirLock(#[expect(dead_code, reason = "held, never read: the lock ends with the file")] fs::File);

/// Makes `folder` private and locks it for this process.
///
/// # Errors
/// One line that says what is wrong with the folder, or that another process uses it.
pub fn lock(folder: &Path) -> Result<DataDirLock, String> {
    make_private(folder)?;
    let path = folder.join("lock");
    let file = fs::File::create(&path).map_err(|e| format!("BILLWIRE_DATA_DIR: {}: {e}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(DataDirLock(file)),
        Err(_) => {
            Err(format!("another billwire works in {} already; stop it, or set BILLWIRE_DATA_DIR to another folder", folder.display()))
        }
    }
}
