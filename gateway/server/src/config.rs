//! Configuration: `billwire.toml`, overridden by `BILLWIRE_*`, overridden by flags. An unknown name is an error, so that a typo does not
//! silently leave a default in effect.

mod names;
mod oidc;
mod public_url;
mod retention;
mod secrets;
mod warehouse;

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use billwire_delivery::limits::{circuit_breaker, retry_plan::RetryPlan};
use billwire_store::Deadlines;
use config::{Config, Environment, File, FileFormat};
use serde::Deserialize;

use crate::{
    adapters::routing_config::Limits,
    connections::{self, TrustedProxies},
};

/// Fewest processes that render templates: enough that one tenant's slow templates do not occupy all of them.
const TEMPLATE_WORKERS: usize = 4;

/// The shortest timeout of the database, in milliseconds: shorter ones would refuse ordinary work.
const TIMEOUT_MIN_MS: u64 = 100;

/// Every setting. `deploy/README.md` has the table, and a test compares the names.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// HTTP address.
    pub listen: SocketAddr,
    /// URL of the gateway for outsiders; absent: `http://` and the address listened on.
    pub public_url: Option<String>,
    /// Address for monitors; absent: none.
    pub monitoring_listen: Option<SocketAddr>,
    /// The directory of all local state.
    pub data_dir: PathBuf,
    /// `sqlite://…` or `postgres://…`; absent: SQLite in the data directory.
    pub database_url: Option<String>,
    /// `nats://…` or `tls://…`; absent: a private nats-server.
    pub nats_url: Option<String>,
    /// Credentials file for NATS.
    pub nats_creds: Option<PathBuf>,
    /// Replicas of stream and consumers.
    pub nats_replicas: usize,
    /// URL of NATS with the login of a user of its system account; absent: subscribers cannot connect.
    pub nats_callout_url: Option<String>,
    /// Seeds of the keys that answers of the auth callout are signed and encrypted with.
    pub nats_callout_seed: Option<String>,
    /// The same, read from a file.
    pub nats_callout_seed_file: Option<PathBuf>,
    /// URL of NATS as subscribers reach it; absent: that of the gateway.
    pub stream_url: Option<String>,
    /// Most stream subscriptions of a tenant.
    pub stream_subscriptions_per_tenant: usize,
    /// Most connections of a tenant's subscribers.
    pub stream_connections_per_tenant: usize,
    /// The nats-server program for the private one; absent: from the PATH.
    pub nats_server: Option<PathBuf>,
    /// API key with all scopes in tenant `default`.
    pub admin_key: Option<String>,
    /// Encrypts secrets at rest: base64 of 32 bytes; older ones may follow after commas.
    pub master_key: Option<String>,
    /// The same, read from a file.
    pub master_key_file: Option<PathBuf>,
    /// The warehouse's URL; absent: a directory in the data directory.
    pub warehouse_url: Option<String>,
    /// Longest an event waits before it is loaded into the warehouse, in milliseconds.
    pub warehouse_age_ms: u64,
    /// `host=ip:port,…`.
    pub webhook_connect_to: String,
    /// Extra trusted roots, PEM.
    pub webhook_ca_file: Option<PathBuf>,
    /// Waits before each attempt.
    pub webhook_retry_plan: String,
    /// Timeout of a webhook call, in milliseconds.
    pub webhook_timeout_ms: u64,
    /// Most connections to webhook receivers, in use and idle.
    pub webhook_connections: usize,
    /// Most concurrent calls to one webhook endpoint that has no limit of its own.
    pub endpoint_in_flight: usize,
    /// Most concurrent calls of one tenant.
    pub tenant_in_flight: usize,
    /// Most calls of one tenant per second; 0: no limit.
    pub tenant_per_second: u32,
    /// Consecutive failures, of two incidents or more, that open the circuit of a receiver.
    pub circuit_failures: u32,
    /// How long a circuit stays open the first time, in milliseconds; each further time doubles it.
    pub circuit_wait_ms: u64,
    /// Longest time a circuit stays open, in milliseconds.
    pub circuit_wait_max_ms: u64,
    /// Bytes of events that are being delivered in memory.
    pub in_flight_bytes: usize,
    /// Hours of failure after which an endpoint is disabled.
    pub give_up_hours: u64,
    /// Extra trusted roots for SMTP servers, PEM.
    pub smtp_ca_file: Option<PathBuf>,
    /// Timeout of one e-mail, in milliseconds.
    pub smtp_timeout_ms: u64,
    /// Whether mail servers must have public addresses. Tenants name them, so that only an operator who trusts every tenant should switch it off.
    pub smtp_public_only: bool,
    /// Number of processes that render templates, for all tenants; absent: the number of CPUs, at least [`TEMPLATE_WORKERS`].
    pub template_workers: usize,
    /// Memory limit of a template, in MiB.
    pub template_memory_mb: u64,
    /// Allows `setTestClock`.
    pub test_clock: bool,
    /// Largest request body, in bytes.
    pub body_max: usize,
    /// Bytes of stored items on one page of a list.
    pub page_bytes: usize,
    /// Memory of all pages of lists that are being read or sent, in bytes.
    pub pages_bytes: usize,
    /// Requests a second that an API key may send to this process; 0: any number.
    pub requests_per_key: u32,
    /// The same of all keys of a tenant together.
    pub requests_per_tenant: u32,
    /// Wrong credentials a minute that an address may send to this process; 0: any number.
    pub wrong_credentials_per_minute: u32,
    /// Tails of a tenant that wait for events in this process at the same time.
    pub tails_per_tenant: usize,
    /// Issuer of the identity provider that people sign in at on the page of the API; absent: they need a key.
    pub oidc_issuer: Option<String>,
    /// The id of a public client there.
    pub oidc_client_id: Option<String>,
    /// The resource that tokens are for, where the provider asks for it.
    pub oidc_resource: Option<String>,
    /// Most HTTP connections.
    pub connections_max: usize,
    /// Most HTTP connections from one address; absent: a quarter of all.
    pub connections_per_address: Option<usize>,
    /// Addresses and networks of proxies that are trusted to report a client's address, separated by commas.
    pub trusted_proxies: String,
    /// Timeout of the head of an HTTP request, in milliseconds.
    pub http_header_timeout_ms: u64,
    /// Timeout of an idle HTTP connection, in milliseconds.
    pub http_idle_timeout_ms: u64,
    /// Events that may wait for the stream before operations are refused.
    pub outbox_max: u64,
    /// Connections to the database.
    pub database_connections: u32,
    /// Longest wait for a database connection or lock, in milliseconds.
    pub database_lock_timeout_ms: u64,
    /// Longest a statement may take (PostgreSQL), in milliseconds.
    pub database_statement_timeout_ms: u64,
    /// Longest a transaction may stand still (PostgreSQL), in milliseconds.
    pub database_idle_timeout_ms: u64,
    /// Longest an operation may take, in milliseconds.
    pub operation_timeout_ms: u64,
    /// Free space on the disks of local state below which operations are refused, in MiB.
    pub disk_free_min_mb: u64,
    /// How long a lease lasts without being renewed, in milliseconds.
    pub lease_ms: u64,
    /// How long replies to idempotency keys are kept, in hours.
    pub idempotency_hours: u64,
    /// How long failed attempts are kept, in days.
    pub attempts_days: u64,
    /// How long events are kept, in days; 0: for ever.
    pub retention_events_days: u64,
    /// How long business transactions are kept, in days; 0: for ever.
    pub retention_business_transactions_days: u64,
    /// How long finished deliveries are kept, in days; 0: for ever.
    pub retention_deliveries_days: u64,
    /// How long the texts of answers are kept, in days; 0: for ever.
    pub retention_answers_days: u64,
    /// How long entries of the audit are kept, in days; 0: for ever.
    pub retention_audit_days: u64,
    /// How long messages stay on the stream, in days.
    pub retention_stream_days: u64,
    /// `info`, `debug`, or a filter of the crate tracing-subscriber.
    pub log: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: None,
            monitoring_listen: None,
            data_dir: PathBuf::from("./data"),
            database_url: None,
            nats_url: None,
            nats_creds: None,
            nats_replicas: 1,
            nats_callout_url: None,
            nats_callout_seed: None,
            nats_callout_seed_file: None,
            stream_url: None,
            stream_subscriptions_per_tenant: 20,
            stream_connections_per_tenant: 100,
            nats_server: None,
            admin_key: None,
            master_key: None,
            master_key_file: None,
            warehouse_url: None,
            warehouse_age_ms: 2000,
            webhook_connect_to: String::new(),
            webhook_ca_file: None,
            webhook_retry_plan: "0s,5s,5m,30m,2h,5h,10h,14h,20h,24h".to_owned(),
            webhook_timeout_ms: 20_000,
            webhook_connections: 4096,
            endpoint_in_flight: 64,
            tenant_in_flight: 1024,
            tenant_per_second: 0,
            circuit_failures: 10,
            circuit_wait_ms: 60_000,
            circuit_wait_max_ms: 900_000,
            in_flight_bytes: 64 * 1024 * 1024,
            give_up_hours: 120,
            smtp_ca_file: None,
            smtp_timeout_ms: 30_000,
            smtp_public_only: true,
            template_workers: thread::available_parallelism().map_or(TEMPLATE_WORKERS, |n| n.get().max(TEMPLATE_WORKERS)),
            template_memory_mb: 64,
            test_clock: false,
            body_max: 1 << 20,
            page_bytes: 4 << 20,
            pages_bytes: 128 << 20,
            requests_per_key: 1_000,
            requests_per_tenant: 5_000,
            wrong_credentials_per_minute: 60,
            tails_per_tenant: 100,
            oidc_issuer: None,
            oidc_client_id: None,
            oidc_resource: None,
            connections_max: 4096,
            connections_per_address: None,
            trusted_proxies: String::new(),
            http_header_timeout_ms: 10_000,
            http_idle_timeout_ms: 75_000,
            outbox_max: 1_000_000,
            database_connections: 8,
            database_lock_timeout_ms: 5000,
            database_statement_timeout_ms: 15_000,
            database_idle_timeout_ms: 10_000,
            operation_timeout_ms: 20_000,
            disk_free_min_mb: 16,
            lease_ms: 5000,
            idempotency_hours: 7 * 24,
            attempts_days: 30,
            retention_events_days: 400,
            retention_business_transactions_days: 400,
            retention_deliveries_days: 90,
            retention_answers_days: 30,
            retention_audit_days: 730,
            retention_stream_days: 30,
            log: "info".to_owned(),
        }
    }
}

/// Reads the settings. `file` is the file that the command line names; it must exist.
///
/// # Errors
/// One line that names the setting and says what is wrong with it.
pub fn read(file: Option<&Path>) -> Result<Settings, String> {
    let mut builder = Config::builder();
    builder = match file {
        Some(path) => builder.add_source(File::from(path).format(FileFormat::Toml)),
        None => builder.add_source(File::new("billwire.toml", FileFormat::Toml).required(false)),
    };
    let environment = Environment::with_prefix("BILLWIRE").prefix_separator("_").separator("\u{0}").try_parsing(false);
    names::unknown_variables()?;
    let config = builder.add_source(environment).build().map_err(|e| format!("configuration: {e}"))?;
    let mut settings: Settings = config.try_deserialize().map_err(|e| format!("configuration: {e}"))?;
    // A compose file passes an unset variable as an empty one.
    settings.admin_key = settings.admin_key.filter(|key| !key.trim().is_empty());
    settings.public_url(settings.listen)?;
    settings.retry_plan()?;
    settings.connect_to()?;
    settings.trusted_proxies()?;
    settings.warehouse()?;
    settings.retention()?;
    Ok(settings)
}

impl Settings {
    /// The database's URL.
    pub fn database(&self) -> String {
        self.database_url.clone().unwrap_or_else(|| format!("sqlite://{}", self.data_dir.join("billwire.db").display()))
    }

    /// The folders of local state: the data directory, and those of the private nats-server, of SQLite and of the warehouse.
    pub fn local_folders(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.data_dir.clone()];
        if self.nats_url.is_none() {
            folders.push(self.data_dir.join("nats"));
        }
        let database = self.database();
        let database = database.strip_prefix("sqlite://").map(|path| Path::new(path.split('?').next().unwrap_or(path)));
        folders.extend(database.and_then(Path::parent).map(Path::to_path_buf));
        folders.extend(self.warehouse().ok().and_then(|url| url.strip_prefix("file://").map(PathBuf::from)));
        folders
    }

    /// How long the database may take.
    pub fn deadlines(&self) -> Deadlines {
        let [lock, statement, idle, operation] =
            [self.database_lock_timeout_ms, self.database_statement_timeout_ms, self.database_idle_timeout_ms, self.operation_timeout_ms]
                .map(|ms| Duration::from_millis(ms.max(TIMEOUT_MIN_MS)));
        Deadlines { lock, statement, idle, operation }
    }

    /// The retry plan.
    ///
    /// # Errors
    /// When it cannot be parsed.
    pub fn retry_plan(&self) -> Result<RetryPlan, String> {
        self.webhook_retry_plan.parse().map_err(|e| format!("BILLWIRE_WEBHOOK_RETRY_PLAN: {e}"))
    }

    /// The limits of HTTP connections.
    pub fn connections(&self) -> connections::Limits {
        let connections = self.connections_max.max(1);
        let per_address = self.connections_per_address.unwrap_or(connections / 4).clamp(1, connections);
        connections::Limits { connections, per_address }
    }

    /// How long a lease lasts without being renewed.
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    /// How long HTTP clients may take.
    pub fn patience(&self) -> connections::Patience {
        let (head, idle) = (Duration::from_millis(self.http_header_timeout_ms), Duration::from_millis(self.http_idle_timeout_ms));
        connections::Patience { head, idle }
    }

    /// The proxies that are trusted to report a client's address.
    ///
    /// # Errors
    /// When a part is neither an address nor a network.
    pub fn trusted_proxies(&self) -> Result<TrustedProxies, String> {
        TrustedProxies::parse(&self.trusted_proxies)
            .map_err(|part| format!("BILLWIRE_TRUSTED_PROXIES: '{part}' is neither an address nor a network such as 10.0.0.0/8"))
    }

    /// The limits of calls.
    pub fn limits(&self) -> Limits {
        Limits {
            endpoint_in_flight: self.endpoint_in_flight.max(1),
            tenant_in_flight: self.tenant_in_flight.max(1),
            tenant_per_second: (self.tenant_per_second > 0).then_some(self.tenant_per_second),
        }
    }

    /// When circuits open, and for how long.
    pub fn circuit(&self) -> circuit_breaker::Settings {
        circuit_breaker::Settings {
            in_a_row: self.circuit_failures.max(1),
            wait: Duration::from_millis(self.circuit_wait_ms),
            wait_max: Duration::from_millis(self.circuit_wait_max_ms.max(self.circuit_wait_ms)),
        }
    }

    /// The address to connect to for each of these hosts.
    ///
    /// # Errors
    /// When a part is not `host=ip:port`.
    pub fn connect_to(&self) -> Result<HashMap<String, SocketAddr>, String> {
        let parts = self.webhook_connect_to.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts
            .map(|part| {
                let (host, address) =
                    part.split_once('=').ok_or_else(|| format!("BILLWIRE_WEBHOOK_CONNECT_TO: '{part}' is not host=ip:port"))?;
                let address = address.parse().map_err(|_| format!("BILLWIRE_WEBHOOK_CONNECT_TO: '{address}' is not ip:port"))?;
                Ok((host.to_owned(), address))
            })
            .collect()
    }
}
