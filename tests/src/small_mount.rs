//! A file system of a few megabytes, for tests of full disks.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{JoinHandle, sleep, spawn},
    time::Duration,
};

use crate::Folder;

/// A mounted tmpfs, unmounted at the end of the test.
pub struct SmallMount {
    path: PathBuf,
    /// The process that holds the mount namespace, if the user may not mount in the current one.
    holder: Option<Child>,
    _folder: Folder,
}

impl SmallMount {
    /// Mounts a tmpfs: visible to all if run as root, otherwise in a separate namespace. Panics if neither is possible, because such a
    /// test has no alternative.
    pub fn new(name: &str, megabytes: u32) -> Self {
        let folder = Folder::new(name);
        let options = format!("size={megabytes}m,mode=0777");
        let mount = ["-t", "tmpfs", "-o", &options, "billwire-test"];
        let by_root = Command::new("mount").args(mount).arg(&folder.0).output().expect("mount");
        if by_root.status.success() {
            return Self { path: folder.0.clone(), holder: None, _folder: folder };
        }
        let script = format!("mount {} \"$0\" && echo mounted && exec cat", mount.join(" "));
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
            .arg(&folder.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare");
        let mut line = String::new();
        BufReader::new(holder.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        assert_eq!(
            line,
            "mounted\n",
            "a small file system can be mounted neither by `mount` ({}) nor by `unshare --user --mount`: run the tests as root, or where user \
             name spaces are allowed",
            String::from_utf8_lossy(&by_root.stderr).trim()
        );
        let path = PathBuf::from(format!("/proc/{}/root{}", holder.id(), folder.0.display()));
        Self { path, holder: Some(holder), _folder: folder }
    }

    /// The path for this process.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Prefix for commands that need to see the file system at [`SmallMount::inside`].
    pub fn entering(&self) -> Vec<String> {
        let Some(holder) = &self.holder else { return Vec::new() };
        ["nsenter", "--user", "--mount", "--preserve-credentials", "-t", &holder.id().to_string()].map(str::to_owned).into()
    }

    /// The path for commands with the prefix [`SmallMount::entering`]. (SQLite resolves links, so [`SmallMount::path`] would lead it out of
    /// the namespace.)
    pub fn inside(&self) -> &Path {
        &self._folder.0
    }

    /// Fills the file system completely and keeps it full until the result is dropped.
    pub fn fill(&self) -> Full {
        let path = self.path.join("filling");
        let mut file = OpenOptions::new().create(true).append(true).open(&path).expect("a file");
        fill_up(&mut file);
        let freed = Arc::new(AtomicBool::new(false));
        let filling = spawn({
            let freed = freed.clone();
            move || {
                // Also takes space that others free meanwhile.
                while !freed.load(Ordering::Relaxed) {
                    fill_up(&mut file);
                    sleep(Duration::from_millis(2));
                }
            }
        });
        Full { path, freed, filling: Some(filling) }
    }
}

impl Drop for SmallMount {
    fn drop(&mut self) {
        if let Some(holder) = &mut self.holder {
            let _ = holder.kill();
            let _ = holder.wait();
        } else {
            let _ = Command::new("umount").arg("--lazy").arg(&self.path).status();
        }
    }
}

/// Keeps a file system full until dropped.
pub struct Full {
    path: PathBuf,
    freed: Arc<AtomicBool>,
    filling: Option<JoinHandle<()>>,
}

impl Drop for Full {
    fn drop(&mut self) {
        self.freed.store(true, Ordering::Relaxed);
        if let Some(filling) = self.filling.take() {
            let _ = filling.join();
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

fn fill_up(file: &mut File) {
    static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
    for size in [ZEROS.len(), 4096, 1] {
        while file.write(&ZEROS[..size]).is_ok_and(|written| written > 0) {}
    }
}
