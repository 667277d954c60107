//! A gateway in a separate process.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{Folder, PATIENCE, api::Api, pending::Places, required, reserved_port, root};

/// The database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

pub const BOTH: [Database; 2] = [Database::Sqlite, Database::Postgres];

/// Everything needed to start a gateway; kept so that it can be restarted.
pub struct Setup {
    pub folder: Folder,
    pub database_url: Option<String>,
    pub address: SocketAddr,
    pub key: String,
    pub environment: Vec<(String, String)>,
    /// Prefix of its commands: a program that runs the rest elsewhere.
    pub through: Vec<String>,
    /// Why its gateways may end with something left to do.
    pub leaving: Option<&'static str>,
}

pub const ADMIN_KEY: &str = "test-admin-key-0123456789";
const MASTER_KEY: &str = "q83vEjRWeJq83vEjRWeJq83vEjRWeJq83vEjRWeJq80=";

/// The program under test: the one built with this test, or the one named in the environment.
pub fn program() -> PathBuf {
    if let Ok(named) = std::env::var("BILLWIRE_TEST_PROGRAM") {
        return named.into();
    }
    let target = std::env::var("CARGO_TARGET_DIR").map_or_else(|_| root().join("target"), PathBuf::from);
    let path = target.join("debug/billwire");
    assert!(path.exists(), "{} is missing; run the tests by `make test`", path.display());
    path
}

impl Setup {
    pub fn new(name: &str, database: Database) -> Self {
        Self::within(Folder::new(name), database)
    }

    /// One whose files are in memory, see [`Folder::in_memory`].
    pub fn in_memory(name: &str, database: Database) -> Self {
        Self::within(Folder::in_memory(name), database)
    }

    fn within(folder: Folder, database: Database) -> Self {
        let database_url = match database {
            Database::Sqlite => None,
            Database::Postgres => Some(new_postgres_database()),
        };
        let address = SocketAddr::from(([127, 0, 0, 1], reserved_port()));
        let environment = vec![
            ("BILLWIRE_NATS_SERVER".to_owned(), required("BILLWIRE_NATS_SERVER")),
            ("BILLWIRE_WAREHOUSE_AGE_MS".to_owned(), "200".to_owned()),
            ("BILLWIRE_LEASE_MS".to_owned(), "600".to_owned()),
            // A receiver that is briefly unavailable must not delay a test by a minute.
            ("BILLWIRE_CIRCUIT_WAIT_MS".to_owned(), "200".to_owned()),
            ("BILLWIRE_CIRCUIT_WAIT_MAX_MS".to_owned(), "800".to_owned()),
            ("BILLWIRE_TEST_CLOCK".to_owned(), "true".to_owned()),
            ("BILLWIRE_LOG".to_owned(), std::env::var("BILLWIRE_TEST_LOG").unwrap_or_else(|_| "info".to_owned())),
        ];
        Self { folder, database_url, address, key: ADMIN_KEY.to_owned(), environment, through: Vec::new(), leaving: None }
    }

    pub fn set(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.environment.retain(|(n, _)| n != name);
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    pub fn data_dir(&self) -> PathBuf {
        self.folder.0.join("data")
    }

    pub fn api(&self) -> Api {
        Api::new(&format!("http://{}", self.address), &self.key)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut words = self.through.iter().map(PathBuf::from).chain([program()]);
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words).args(arguments).current_dir(&self.folder.0).env_clear().stdin(Stdio::null());
        if let Ok(path) = std::env::var("PATH") {
            command.env("PATH", path);
        }
        command
            .env("BILLWIRE_LISTEN", self.address.to_string())
            .env("BILLWIRE_DATA_DIR", self.data_dir())
            .env("BILLWIRE_ADMIN_KEY", &self.key)
            .env("BILLWIRE_MASTER_KEY", MASTER_KEY)
            // The tests' mail servers are on this machine.
            .env("BILLWIRE_SMTP_PUBLIC_ONLY", "false");
        if let Some(url) = &self.database_url {
            command.env("BILLWIRE_DATABASE_URL", url);
        }
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        command
    }

    /// Starts the gateway and waits until it answers.
    pub async fn start(&self) -> Gateway {
        self.start_with(&["serve"]).await
    }

    pub async fn start_with(&self, arguments: &[&str]) -> Gateway {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.0.join("gateway.log")).expect("a log");
        self.start_logging_to(arguments, log).await
    }

    /// Starts the gateway with `log` as its standard error.
    pub async fn start_logging_to(&self, arguments: &[&str], log: impl Into<Stdio>) -> Gateway {
        let child = self.command(arguments).stdout(Stdio::null()).stderr(log).spawn().expect("billwire starts");
        // Dropping it on an early return ends the process.
        let mut gateway = Gateway { child: Some(child), setup: None, places: None };
        let api = self.api();
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Ok(answer) = api.try_send(reqwest::Method::GET, "/livez", None, &[]).await
                && answer.status == 200
            {
                gateway.places = self.leaving.is_none().then(|| Places::of(self));
                return gateway;
            }
            if let Some(status) = gateway.child.as_mut().expect("running").try_wait().expect("a status") {
                panic!("billwire ended at once ({status}):\n{}", self.log_tail());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("billwire does not answer:\n{}", self.log_tail());
    }

    /// Starts a separate process that only delivers, on the same database and NATS as the running gateway. `number` tells it apart from
    /// others.
    pub fn consumers(&self, number: usize) -> Gateway {
        let log = self.folder.0.join(format!("consumers-{number}.log"));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).expect("a log");
        let child = self
            .command(&["serve", "--roles", "consumers"])
            .env("BILLWIRE_DATA_DIR", self.folder.0.join(format!("consumers-{number}")))
            .env("BILLWIRE_NATS_URL", self.nats_address())
            .env("BILLWIRE_WAREHOUSE_URL", format!("file://{}", self.data_dir().join("warehouse").display()))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("billwire starts");
        Gateway { child: Some(child), setup: None, places: None }
    }

    /// Starts a separate process that only serves the API, at `address`, on the same database as the running gateway.
    pub fn apis(&self, address: &str) -> Gateway {
        let log = self.folder.0.join("apis.log");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).expect("a log");
        let mut command = self.command(&["serve", "--roles", "api", "--listen", address]);
        command.env("BILLWIRE_DATA_DIR", self.folder.0.join("apis"));
        let child = command.stdout(Stdio::null()).stderr(log).spawn().expect("billwire starts");
        Gateway { child: Some(child), setup: None, places: None }
    }

    /// The address of the nats-server that the gateway uses, with the login: a running gateway's private one, or that of
    /// [`Setup::nats_server`].
    pub fn nats_address(&self) -> String {
        let own = self.environment.iter().find(|(name, _)| name == "BILLWIRE_NATS_URL").map(|(_, url)| url.clone());
        own.unwrap_or_else(|| std::fs::read_to_string(self.data_dir().join("nats/url")).expect("a URL").trim().to_owned())
    }

    /// Starts a nats-server on the store of the private one, which must not be running, with the same configuration and login. The
    /// gateway uses it from its next start on.
    pub fn nats_server(&mut self, port: u16) -> NatsServer {
        let folder = self.data_dir().join("nats");
        let address = self.nats_address();
        let (login, _) = address.rsplit_once('@').expect("a login");
        let url = format!("{login}@127.0.0.1:{port}");
        let child = Command::new(required("BILLWIRE_NATS_SERVER"))
            .args(["-a", "127.0.0.1", "-p", &port.to_string(), "-c"])
            .arg(folder.join("nats.conf"))
            .arg("-sd")
            .arg(folder.join("store"))
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server");
        self.set("BILLWIRE_NATS_URL", &url);
        NatsServer { child, url }
    }

    pub fn log_tail(&self) -> String {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&self.folder.0).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
        files.sort();
        let tail = |path: &PathBuf| {
            let log = std::fs::read_to_string(path).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            format!("--- the end of {}\n{}", path.display(), lines[lines.len().saturating_sub(40)..].join("\n"))
        };
        files.iter().map(tail).collect::<Vec<_>>().join("\n")
    }

    /// The pid of the private nats-server.
    pub fn nats_pid(&self) -> Option<String> {
        std::fs::read_to_string(self.data_dir().join("nats/nats.pid")).ok()
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        // A killed gateway leaves its nats-server running, as after a crash.
        if let Some(pid) = self.nats_pid() {
            signal(&pid, "-9");
        }
        if std::thread::panicking() {
            eprintln!("{}", self.log_tail());
        }
    }
}

/// A nats-server started by the test. Dropping it kills it.
pub struct NatsServer {
    child: Child,
    /// Its address, with the login.
    pub url: String,
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Connects to the nats-server at `url` once it answers, with the login in the URL, if any, which the client library ignores.
pub async fn nats_client(url: &str) -> async_nats::Client {
    let address: async_nats::ServerAddr = url.parse().expect("a URL");
    for _ in 0..500 {
        let options = match (address.username(), address.password()) {
            (Some(user), Some(password)) => async_nats::ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned()),
            _ => async_nats::ConnectOptions::new(),
        };
        match options.connect(address.clone()).await {
            Ok(client) => return client,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    panic!("nats-server does not answer");
}

/// Sends a signal.
pub fn signal(pid: &str, which: &str) {
    let _ = Command::new("kill").args([which, pid.trim()]).stderr(Stdio::null()).status();
}

/// Kills a process with `kill -9` and waits until it is gone and has released its files.
pub async fn kill(pid: &str) {
    signal(pid, "-9");
    crate::eventually("the end of a killed process", async || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", pid.trim()));
        // A zombie holds no files.
        status.map_or(Some(()), |status| status.contains("State:\tZ").then_some(()))
    })
    .await;
}

/// A running gateway. Dropping it kills it. Before it is dropped or stopped, it must have nothing left to do: every event is published
/// and every delivery made. A test that leaves something says why with [`Gateway::leaving`]; one that fails is not checked.
pub struct Gateway {
    child: Option<Child>,
    setup: Option<Setup>,
    /// Where to look for what is left to do; `None` if it may leave something.
    places: Option<Places>,
}

impl Gateway {
    /// Keeps the set-up for as long as the gateway runs.
    pub fn keeping(mut self, setup: Setup) -> Self {
        self.setup = Some(setup);
        self
    }

    /// Allows it to end with something left to do, for this reason.
    pub fn leaving(mut self, _reason: &'static str) -> Self {
        self.places = None;
        self
    }

    pub fn pid(&self) -> String {
        self.child.as_ref().expect("running").id().to_string()
    }

    /// `kill -9`: like a power failure or the kernel's OOM killer.
    pub fn kill(mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends SIGTERM and waits for the process to end.
    pub async fn stop(mut self) -> std::process::ExitStatus {
        if let Some(places) = self.places.take() {
            places.settled().await;
        }
        let child = self.child.as_mut().expect("running");
        signal(&child.id().to_string(), "-TERM");
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) = child.try_wait().expect("a status") {
                self.child = None;
                return status;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("billwire did not stop within {} s", PATIENCE.as_secs());
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let places = self.places.take().filter(|_| !std::thread::panicking());
        // On a thread and runtime of its own, since this one may not wait here.
        let settled = places.map(|places| {
            let wait = move || tokio::runtime::Runtime::new().expect("a runtime").block_on(places.settled());
            std::thread::spawn(wait).join()
        });
        let _ = child.kill();
        let _ = child.wait();
        if let Some(Err(panic)) = settled {
            std::panic::resume_unwind(panic);
        }
    }
}

/// Creates a database in the cluster that `make test` started.
pub fn new_postgres_database() -> String {
    create_postgres_database("")
}

/// Copies a database that nobody is connected to.
pub fn copy_postgres_database(url: &str) -> String {
    let (_, name) = url.rsplit_once('/').expect("a database name");
    create_postgres_database(&format!("TEMPLATE {name}"))
}

fn create_postgres_database(options: &str) -> String {
    let server = required("BILLWIRE_TEST_POSTGRES");
    let name = format!("t_{}", uuid::Uuid::now_v7().simple());
    let created = Command::new("psql").args([&server, "-qc", &format!("CREATE DATABASE {name} {options}")]).output().expect("psql");
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    let (base, _) = server.rsplit_once('/').expect("a database name");
    format!("{base}/{name}")
}
