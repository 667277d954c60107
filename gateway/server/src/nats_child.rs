//! A private nats-server as a child process, with its store in the data directory.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    process::{Child, Command},
    time::sleep,
};

/// The running child. It is killed when this is dropped.
pub struct NatsChild {
    child: Child,
    /// Where it listens.
    pub url: String,
}

/// What the private server runs with: every acknowledged message is on disk before the acknowledgement.
const CONFIGURATION: &str = include_str!("../../../deploy/nats/local.conf");

/// How long the child may take to say where it listens.
const START_MAX: Duration = Duration::from_secs(15);

impl NatsChild {
    /// Starts `program` with its store and files under `data_dir`.
    ///
    /// # Errors
    /// One line that says what to do.
    pub async fn start(program: Option<&Path>, data_dir: &Path) -> Result<Self, String> {
        let program = program.map_or_else(|| PathBuf::from("nats-server"), Path::to_path_buf);
        let folder = std::path::absolute(data_dir.join("nats")).map_err(|e| format!("{}: {e}", data_dir.display()))?;
        std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        reap(&folder);
        let configuration = folder.join("nats.conf");
        std::fs::write(&configuration, CONFIGURATION).map_err(|e| format!("{}: {e}", configuration.display()))?;
        for old in ports_files(&folder) {
            let _ = std::fs::remove_file(old);
        }
        let log = std::fs::File::create(folder.join("nats.log")).map_err(|e| format!("{}: {e}", folder.display()))?;
        let mut command = Command::new(&program);
        command
            .arg("-c")
            .arg(&configuration)
            .args(["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir"])
            .arg(&folder)
            .arg("-sd")
            .arg(folder.join("store"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            // Ctrl-C on the terminal is for us; we stop the child when our own work is done.
            .process_group(0);
        let child = command.spawn().map_err(|e| {
            format!("no nats-server to be had at '{}' ({e}); `make run` installs one, or set BILLWIRE_NATS_URL", program.display())
        })?;
        if let Some(pid) = child.id() {
            let _ = std::fs::write(folder.join("nats.pid"), pid.to_string());
        }
        let mut started = Self { child, url: String::new() };
        let polls = START_MAX.as_millis() / 20;
        for _ in 0..polls {
            if let Ok(Some(status)) = started.child.try_wait() {
                return Err(format!("nats-server ended at once ({status}); its log is {}", folder.join("nats.log").display()));
            }
            if let Some(url) = ports_files(&folder).first().and_then(|file| listening(file)) {
                started.url = url;
                return Ok(started);
            }
            sleep(Duration::from_millis(20)).await;
        }
        Err(format!("nats-server did not start within {START_MAX:?}; its log is {}", folder.join("nats.log").display()))
    }

    /// Stops the child and waits for it.
    pub async fn stop(mut self) {
        if let Some(pid) = self.child.id() {
            // SIGTERM lets it flush; a kill follows if it does not end.
            let _ = std::process::Command::new("kill").arg(pid.to_string()).status();
        }
        if tokio::time::timeout(Duration::from_secs(5), self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

/// A child that outlived a killed parent would hold the store: it is ended first, if it is surely ours.
fn reap(folder: &Path) {
    let Ok(pid) = std::fs::read_to_string(folder.join("nats.pid")) else { return };
    let command = std::fs::read_to_string(format!("/proc/{}/cmdline", pid.trim())).unwrap_or_default();
    if command.contains("nats") && command.contains(&*folder.to_string_lossy()) {
        let _ = std::process::Command::new("kill").args(["-9", pid.trim()]).status();
        for _ in 0..100 {
            if !Path::new(&format!("/proc/{}", pid.trim())).exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn ports_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().map(|e| e.path()).filter(|path| path.extension().is_some_and(|e| e == "ports")).collect()
}

/// The address in a ports file: `{"nats":["nats://127.0.0.1:41234"], …}`.
fn listening(file: &Path) -> Option<String> {
    let ports: serde_json::Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    Some(ports["nats"][0].as_str()?.to_owned())
}
