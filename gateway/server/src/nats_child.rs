//! A private nats-server as a child process, with its store in the data directory. Only who can read the data directory can log in.

use std::{
    fs::OpenOptions,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use tokio::{
    process::{Child, Command},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{data_dir, random};

/// The running child, started again whenever it ends by itself. It is killed when this is dropped.
pub struct NatsChild {
    /// Where it listens, with the login. Not to be shown.
    pub url: String,
    /// The file that holds the same, for a person who wants to look at the stream.
    pub url_file: PathBuf,
    stop: watch::Sender<bool>,
    keeper: JoinSet<()>,
}

/// What the private server runs with: every acknowledged message is on disk before the acknowledgement.
const CONFIGURATION: &str = include_str!("../../../deploy/nats/local.conf");
/// Who we are to it.
const USER: &str = "billwire";
/// How long the child may take to say where it listens.
const START_MAX: Duration = Duration::from_secs(15);
/// Ports to choose from, below the range from which systems lend ports to outgoing connections: the port must be free again when the
/// child is, since clients come back to it.
const PORTS: std::ops::Range<u16> = 20_000..32_768;
/// How many are tried, and how often a start that lost its port to another program is repeated.
const PORT_TRIES: usize = 100;
const FIRST_TRIES: usize = 5;
/// Wait before an ended child is started again: at first, and at most, doubled in between.
const AGAIN_MIN: Duration = Duration::from_millis(100);
const AGAIN_MAX: Duration = Duration::from_secs(5);
/// One that ran for so long ended for a new reason.
const STEADY: Duration = Duration::from_secs(30);

/// What one start takes.
struct Launch {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
}

impl NatsChild {
    /// Starts `program` with its store and files under `data_dir`, with a login drawn for this very start.
    ///
    /// # Errors
    /// One line that says what to do.
    pub async fn start(program: Option<&Path>, data_dir: &Path) -> Result<Self, String> {
        let program = program.map_or_else(|| PathBuf::from("nats-server"), Path::to_path_buf);
        let folder = std::path::absolute(data_dir.join("nats")).map_err(|e| format!("{}: {e}", data_dir.display()))?;
        std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        reap(&folder);
        let _ = std::fs::remove_file(folder.join("nats.log"));
        let password = password()?;
        // Letters, digits, `-` and `_` alone: nothing in it means anything to the configuration or in a URL.
        let login = format!("\nauthorization {{\n  user: \"{USER}\"\n  password: \"{password}\"\n}}\n");
        data_dir::write_private(&folder.join("nats.conf"), &format!("{CONFIGURATION}{login}"))?;
        let mut launch = Launch { program, folder, port: free_port()? };
        let mut tries = 1;
        let child = loop {
            match launch.run().await {
                Ok(child) => break child,
                Err(_) if tries < FIRST_TRIES && !is_free(launch.port) => launch.port = free_port()?,
                Err(error) => return Err(error),
            }
            tries += 1;
        };
        let url = format!("nats://{USER}:{password}@127.0.0.1:{}", launch.port);
        let url_file = launch.folder.join("url");
        data_dir::write_private(&url_file, &format!("{url}\n"))?;
        let (stop, stopped) = watch::channel(false);
        let mut keeper = JoinSet::new();
        keeper.spawn(keep(launch, child, stopped));
        Ok(Self { url, url_file, stop, keeper })
    }

    /// Stops the child and waits for it.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        while self.keeper.join_next().await.is_some() {}
    }
}

/// Starts the child again whenever it ends, until `stop` turns true: with the same login on the same port, so that every client comes
/// back by itself.
async fn keep(launch: Launch, mut child: Child, mut stop: watch::Receiver<bool>) {
    let mut wait = AGAIN_MIN;
    loop {
        let began = Instant::now();
        tokio::select! {
            ended = child.wait() => {
                let status = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
                tracing::error!(status, "the private nats-server ended by itself; it is started again, and events wait until then");
            }
            _ = stop.changed() => return terminate(child).await,
        }
        if began.elapsed() > STEADY {
            wait = AGAIN_MIN;
        }
        child = loop {
            let again = async {
                sleep(wait).await;
                launch.run().await
            };
            let started = tokio::select! {
                started = again => started,
                _ = stop.changed() => return,
            };
            wait = (wait * 2).min(AGAIN_MAX);
            match started {
                Ok(child) => break child,
                Err(error) => tracing::error!(error, "the private nats-server could not be started again; it will be tried further"),
            }
        };
        tracing::info!("the private nats-server runs again");
    }
}

async fn terminate(mut child: Child) {
    if let Some(pid) = child.id() {
        // SIGTERM lets it flush; a kill follows if it does not end.
        let _ = std::process::Command::new("kill").arg(pid.to_string()).status();
    }
    if timeout(Duration::from_secs(5), child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

impl Launch {
    /// Starts the child and waits until it listens.
    async fn run(&self) -> Result<Child, String> {
        let Self { program, folder, port } = self;
        for old in ports_files(folder) {
            let _ = std::fs::remove_file(old);
        }
        let log_file = folder.join("nats.log");
        let log = OpenOptions::new().create(true).append(true).open(&log_file).map_err(|e| format!("{}: {e}", log_file.display()))?;
        let mut command = Command::new(program);
        // The login stands in the configuration alone: everybody on the machine can read a command line.
        command
            .arg("-c")
            .arg(folder.join("nats.conf"))
            .args(["-a", "127.0.0.1", "-p", &port.to_string(), "--ports_file_dir"])
            .arg(folder)
            .arg("-sd")
            .arg(folder.join("store"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            // Ctrl-C on the terminal is for us; we stop the child when our own work is done.
            .process_group(0);
        let mut child = command.spawn().map_err(|e| {
            format!("no nats-server to be had at '{}' ({e}); `make run` installs one, or set BILLWIRE_NATS_URL", program.display())
        })?;
        if let Some(pid) = child.id() {
            let _ = std::fs::write(folder.join("nats.pid"), pid.to_string());
        }
        for _ in 0..START_MAX.as_millis() / 20 {
            if let Ok(Some(status)) = child.try_wait() {
                let taken = if is_free(*port) { String::new() } else { format!("another program has port {port}; ") };
                return Err(format!("nats-server ended at once ({status}); {taken}its log is {}", log_file.display()));
            }
            if !ports_files(folder).is_empty() {
                return Ok(child);
            }
            sleep(Duration::from_millis(20)).await;
        }
        Err(format!("nats-server did not start within {START_MAX:?}; its log is {}", log_file.display()))
    }
}

fn password() -> Result<String, String> {
    Ok(URL_SAFE_NO_PAD.encode(random::bytes::<32>()?))
}

/// A port nobody listens on. Drawn, so that gateways which start together hardly ever draw the same.
fn free_port() -> Result<u16, String> {
    for _ in 0..PORT_TRIES {
        let port = PORTS.start + u16::from_be_bytes(random::bytes()?) % (PORTS.end - PORTS.start);
        if is_free(port) {
            return Ok(port);
        }
    }
    Err(format!("no free port of 127.0.0.1 was found between {} and {}", PORTS.start, PORTS.end))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
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

/// The files that say where it listens: they appear once it does.
fn ports_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().map(|e| e.path()).filter(|path| path.extension().is_some_and(|e| e == "ports")).collect()
}
