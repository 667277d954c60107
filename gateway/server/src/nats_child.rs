//! A private nats-server as a child process. Its store and its login are in the data directory: only who can read that directory can
//! log in; subscribers are let in by the auth callout.

use std::{
    fs::OpenOptions,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use billwire_bus::CalloutKeys;
use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process},
};
use tokio::{
    process::{Child, Command},
    sync::watch,
    task::JoinSet,
    time::{Instant, interval, sleep, timeout},
};

use crate::{data_dir, nats_access::CalloutAccess, random, roles::storage_watch};

/// The running nats-server. It is restarted whenever it ends by itself, and killed when this is dropped.
pub struct NatsChild {
    /// Its URL, with the login. Secret.
    pub url: String,
    /// How its subscribers are let in.
    pub callout: CalloutAccess,
    /// The file that holds the URL, for people who want to inspect the stream.
    pub url_file: PathBuf,
    stop: watch::Sender<bool>,
    keeper: JoinSet<()>,
}

/// Its configuration: every message is on disk before it is acknowledged.
const CONFIGURATION: &str = include_str!("../../../deploy/nats/local.conf");
/// The user that the gateway logs in as, and the one of the system account.
const USER: &str = "billwire";
const SYSTEM_USER: &str = "billwire_system";
/// The account of the stream, and the one that it was in up to version 0.2, as folders of the store.
const ACCOUNT: &str = "jetstream/BILLING";
const FORMER_ACCOUNT: &str = "jetstream/$G";
/// How long the server may take to start.
const START_MAX: Duration = Duration::from_secs(15);
/// Ports to choose from. They are below the ephemeral port range: the port must still be free when the server is restarted, because
/// clients reconnect to it. The kernel would choose an ephemeral port.
const PORTS: std::ops::Range<u16> = 20_000..32_768;
/// How many ports are tried, and how often a start is repeated when another program took the port first.
const PORT_TRIES: usize = 100;
const FIRST_TRIES: usize = 5;
/// Wait before a restart: the first wait, which doubles with each failure, and the longest.
const AGAIN_MIN: Duration = Duration::from_millis(100);
const AGAIN_MAX: Duration = Duration::from_secs(5);
/// After a run of this length, the next restart begins with the first wait again.
const STEADY: Duration = Duration::from_secs(30);

/// How often the free space on the disk of the store is read.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Below this many free bytes the server may have failed to store a message. Its stream then refuses all messages until a restart.
const FULL: u64 = 2 << 20;
/// From this many free bytes on it is worth a restart.
const ROOM: u64 = 8 << 20;

/// The parameters of a start.
struct Launch {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
}

impl NatsChild {
    /// Starts `program` with its store and files in `data_dir`, with new random logins, and on the port of the last start.
    ///
    /// # Errors
    /// One line that says what to do.
    pub async fn start(program: Option<&Path>, data_dir: &Path) -> Result<Self, String> {
        let program = program.map_or_else(|| PathBuf::from("nats-server"), Path::to_path_buf);
        let folder = std::path::absolute(data_dir.join("nats")).map_err(|e| format!("{}: {e}", data_dir.display()))?;
        std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        reap(&folder);
        let _ = std::fs::remove_file(folder.join("nats.log"));
        move_stream(&folder)?;
        let (password, system_password, seeds) = (password()?, password()?, CalloutKeys::fresh().map_err(|e| e.to_string())?);
        let keys = CalloutKeys::parse(&seeds).map_err(|e| e.to_string())?;
        let (issuer, curve) = keys.public();
        // They have only letters, digits, `-` and `_`, so they need no escaping in the configuration or in a URL.
        let variables = format!(
            "GATEWAY_PASSWORD: \"{password}\"\nSYSTEM_PASSWORD: \"{system_password}\"\nCALLOUT_ISSUER: \"{issuer}\"\nCALLOUT_XKEY: \"{curve}\"\n"
        );
        data_dir::write_private(&folder.join("nats.conf"), &format!("{variables}{CONFIGURATION}"))?;
        let port = port_of(&folder)?;
        let mut launch = Launch { program, folder, port };
        let mut tries = 1;
        let child = loop {
            match launch.run().await {
                Ok(child) => break child,
                Err(_) if tries < FIRST_TRIES && !is_free(launch.port) => launch.port = free_port()?,
                Err(error) => return Err(error),
            }
            tries += 1;
        };
        let port = launch.port;
        data_dir::write_private(&launch.folder.join("port"), &port.to_string())?;
        let url = format!("nats://{USER}:{password}@127.0.0.1:{port}");
        let callout = CalloutAccess {
            system_url: format!("nats://{SYSTEM_USER}:{system_password}@127.0.0.1:{port}"),
            keys: Arc::new(keys),
            subscribers_url: format!("nats://127.0.0.1:{port}"),
        };
        let url_file = launch.folder.join("url");
        data_dir::write_private(&url_file, &format!("{url}\n"))?;
        let (stop, stopped) = watch::channel(false);
        let mut keeper = JoinSet::new();
        keeper.spawn(keep(launch, child, stopped));
        Ok(Self { url, callout, url_file, stop, keeper })
    }

    /// Stops the server and waits for its end.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        while self.keeper.join_next().await.is_some() {}
    }
}

/// Restarts the server whenever it ends, until `stop` turns true: with the same login on the same port, so that every client reconnects
/// by itself.
async fn keep(launch: Launch, mut child: Child, mut stop: watch::Receiver<bool>) {
    let (mut wait, store) = (AGAIN_MIN, launch.folder.join("store"));
    loop {
        let began = Instant::now();
        tokio::select! {
            ended = child.wait() => {
                let status = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
                tracing::error!(status, "the private nats-server ended unexpectedly; it is restarted, and events wait until then");
            }
            () = room_again(&store) => {
                tracing::warn!("the disk of the private nats-server was full and has room again; it is restarted, since it stores nothing more");
                terminate(child).await;
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
                Err(error) => tracing::error!(error, "cannot restart the private nats-server; the next attempt follows"),
            }
        };
        tracing::info!("the private nats-server is running again");
    }
}

/// Resolves when the disk of `store` has been full and has room again.
async fn room_again(store: &Path) {
    let mut tick = interval(LOOK_EVERY);
    let mut full = false;
    loop {
        tick.tick().await;
        let free = storage_watch::free(store).unwrap_or(ROOM);
        if full && free >= ROOM {
            return;
        }
        full |= free < FULL;
    }
}

async fn terminate(mut child: Child) {
    // SIGTERM lets it flush its store. It is killed if that takes too long.
    signal(child.id().and_then(|id| i32::try_from(id).ok()), Signal::TERM);
    if timeout(Duration::from_secs(5), child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

impl Launch {
    /// Starts the server and waits until it listens.
    async fn run(&self) -> Result<Child, String> {
        let Self { program, folder, port } = self;
        for old in ports_files(folder) {
            let _ = std::fs::remove_file(old);
        }
        let log_file = folder.join("nats.log");
        let log = OpenOptions::new().create(true).append(true).open(&log_file).map_err(|e| format!("{}: {e}", log_file.display()))?;
        let mut command = Command::new(program);
        // The login is only in the configuration: every user of the machine can read a command line.
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
            // Ctrl-C on the terminal must not reach the server: it is stopped after the gateway's own work is done.
            .process_group(0);
        let mut child = command
            .spawn()
            .map_err(|e| format!("no nats-server at '{}' ({e}); `make run` installs one, or set BILLWIRE_NATS_URL", program.display()))?;
        if let Some(pid) = child.id() {
            let _ = std::fs::write(folder.join("nats.pid"), pid.to_string());
        }
        for _ in 0..START_MAX.as_millis() / 20 {
            if let Ok(Some(status)) = child.try_wait() {
                let port_taken = if is_free(*port) { String::new() } else { format!("another program has port {port}; ") };
                return Err(format!("nats-server ended at once ({status}); {port_taken}its log is {}", log_file.display()));
            }
            if !ports_files(folder).is_empty() {
                return Ok(child);
            }
            sleep(Duration::from_millis(20)).await;
        }
        Err(format!("nats-server did not start within {START_MAX:?}; its log is {}", log_file.display()))
    }
}

/// Sends `signal` to the process `pid`. A process that has ended is no error.
fn signal(pid: Option<i32>, signal: Signal) {
    if let Some(pid) = pid.and_then(Pid::from_raw)
        && let Err(error) = kill_process(pid, signal)
        && error != Errno::SRCH
    {
        tracing::warn!(%error, "cannot send a signal to the private nats-server");
    }
}

fn password() -> Result<String, String> {
    Ok(URL_SAFE_NO_PAD.encode(random::bytes::<32>()?))
}

/// The port of the last start, which subscribers know; another one if that is taken, or at the first start.
fn port_of(folder: &Path) -> Result<u16, String> {
    let last = std::fs::read_to_string(folder.join("port")).ok().and_then(|port| port.trim().parse().ok());
    match last {
        Some(port) if is_free(port) => Ok(port),
        last => {
            let port = free_port()?;
            if let Some(last) = last {
                tracing::warn!(last, port, "another program has the port of the private nats-server; subscribers must be told the new one");
            }
            Ok(port)
        }
    }
}

/// Moves the stream that version 0.2 has left to the account that it is in now.
fn move_stream(folder: &Path) -> Result<(), String> {
    let store = folder.join("store");
    let (from, to) = (store.join(FORMER_ACCOUNT), store.join(ACCOUNT));
    if !from.exists() {
        return Ok(());
    }
    let failed = |e: std::io::Error| format!("{}: {e}", from.display());
    if to.exists() {
        // Version 0.2 ran again after a later one: what it has left is newer. SQL has the events of both.
        let aside = folder.join("store-aside");
        let _ = std::fs::remove_dir_all(&aside);
        std::fs::rename(&to, &aside).map_err(failed)?;
    }
    std::fs::rename(&from, &to).map_err(failed)
}

/// A random port that is free. Gateways that start at the same time hardly ever choose the same one.
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

/// Kills a server that outlived a killed gateway, because it holds the store. Only if it certainly is this data directory's.
fn reap(folder: &Path) {
    let Ok(pid) = std::fs::read_to_string(folder.join("nats.pid")) else { return };
    let command = std::fs::read_to_string(format!("/proc/{}/cmdline", pid.trim())).unwrap_or_default();
    if command.contains("nats") && command.contains(&*folder.to_string_lossy()) {
        signal(pid.trim().parse().ok(), Signal::KILL);
        for _ in 0..100 {
            if !Path::new(&format!("/proc/{}", pid.trim())).exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The files in which the server writes where it listens. They appear once it listens.
fn ports_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().map(|e| e.path()).filter(|path| path.extension().is_some_and(|e| e == "ports")).collect()
}
