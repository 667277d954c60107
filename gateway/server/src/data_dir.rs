//! The data directory is its owner's alone: keys, the database and the login of the private nats-server stand in it.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::OnceLock,
};

use rustix::{fs::Mode, process};

/// What is taken from the rights of every file: all that is not the owner's.
const OTHERS: u32 = 0o077;
/// What the program puts into a data directory. Only these are narrowed: the directory might be named by mistake.
const OURS: [&str; 8] = ["billwire.db", "billwire.db-shm", "billwire.db-wal", "dev", "lock", "master.key", "nats", "warehouse"];

static UMASK: OnceLock<u32> = OnceLock::new();

/// From now on whatever this process and its children make is readable for its user alone, unless it is asked to be otherwise.
pub fn make_files_private() {
    let before = process::umask(Mode::RWXG | Mode::RWXO);
    UMASK.get_or_init(|| wide(before.bits()));
}

/// Rights are 16 bits wide on some systems.
fn wide(bits: impl Into<u32>) -> u32 {
    bits.into()
}

/// What would be taken from a file's rights without [`make_files_private`].
pub fn usual_umask() -> u32 {
    UMASK.get().copied().unwrap_or(OTHERS)
}

/// Makes the directory if it is missing, and takes from everybody else whatever rights they have on it and on what the program put there.
///
/// # Errors
/// One line that says what is wrong with it and what to do.
pub fn make_private(folder: &Path) -> Result<(), String> {
    let failed = |error: io::Error| format!("BILLWIRE_DATA_DIR: {}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(failed)?;
    let there = fs::metadata(folder).map_err(failed)?;
    let (owner, us) = (there.uid(), process::geteuid().as_raw());
    // As root for instance, who may write into any directory: its owner could open what is closed here.
    if owner != us {
        return Err(format!(
            "BILLWIRE_DATA_DIR: {} belongs to user {owner}, and this process runs as user {us}; change its owner, or name a folder of \
             the gateway's own",
            folder.display()
        ));
    }
    let real = folder.canonicalize().map_err(failed)?;
    let temporary = std::env::temp_dir().canonicalize().is_ok_and(|temporary| temporary == real);
    let shared = there.mode() & 0o1000 != 0 || real.parent().is_none() || temporary;
    if shared {
        return Err(format!("BILLWIRE_DATA_DIR: {} is used by others too; name a folder of the gateway's own", folder.display()));
    }
    if there.mode() & OTHERS == 0 {
        return Ok(());
    }
    for ours in OURS {
        narrow(&folder.join(ours))?;
    }
    // Last: should this be interrupted, the next start goes on.
    close(folder, there.mode())?;
    tracing::warn!(folder = %folder.display(), "others could read in the data directory; now its owner alone can");
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
    // A link has no rights of its own, and where it leads is not ours to judge.
    if there.is_symlink() || there.mode() & OTHERS == 0 { Ok(()) } else { close(path, there.mode()) }
}

fn close(path: &Path, mode: u32) -> Result<(), String> {
    let mode = fs::Permissions::from_mode(mode & 0o7777 & !OTHERS);
    fs::set_permissions(path, mode).map_err(|error| format!("BILLWIRE_DATA_DIR: {}: {error}", path.display()))
}

/// Writes a file that only its owner may read, also where one with other rights stood before.
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
