//! How a message travels: the only file that does IO.
//!
//! Connections are kept per SMTP account and version and used again. The pool is our own, on lettre's connections, and not
//! lettre's: that one takes a connection back whose use was cut off by a timeout, so the next message would read the late
//! answers to the one before and could count as delivered without being sent. Here a connection only ever comes back after
//! its conversation has ended well; any other is closed by being dropped.

use std::{
    collections::HashMap,
    fmt,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use billwire_delivery::channel::Report;
use billwire_schemas::ids::SmtpAccountId;
use lettre::{
    Message,
    transport::smtp::{
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, Certificate, TlsParameters},
        extension::ClientId,
    },
};

use crate::{
    Security, SmtpAccount,
    reply::{Cause, Failure, Stage},
};

/// How long one try may take, from connecting to the last answer.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// Accounts whose connections are kept at the same time; the least recently used gives way.
const ACCOUNTS_MAX: usize = 64;
/// Idle connections kept per account.
const IDLE_MAX: usize = 4;
/// Idle connections older than this are closed: servers close them before long (RFC 5321 section 4.5.3.2.7 grants 5 min).
const IDLE_FOR_MAX: Duration = Duration::from_secs(60);

/// What can be configured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long one try may take in all.
    pub timeout: Duration,
    /// A PEM file of roots to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { timeout: TIMEOUT_DEFAULT, ca_file: None }
    }
}

/// Settings that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The file of extra roots cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file of extra roots holds no certificates in PEM.
    #[error("{path}: not certificates in PEM")]
    NotCertificates {
        /// The file.
        path: PathBuf,
    },
}

/// Speaks SMTP.
pub struct Client {
    timeout: Duration,
    roots: Option<Certificate>,
    hello: ClientId,
    held: Mutex<HashMap<SmtpAccountId, Held>>,
}

/// What is kept of one account.
struct Held {
    version: i64,
    used: Instant,
    tls: Option<TlsParameters>,
    idle: Vec<(AsyncSmtpConnection, Instant)>,
}

impl Client {
    /// A client with these settings.
    ///
    /// # Errors
    /// [`SetupError`] if the file of extra roots is of no use.
    pub fn new(settings: &Settings) -> Result<Self, SetupError> {
        let roots = match &settings.ca_file {
            None => None,
            Some(path) => {
                let pem = std::fs::read(path).map_err(|source| SetupError::Unreadable { path: path.clone(), source })?;
                let begins = pem.windows(27).any(|window| window == b"-----BEGIN CERTIFICATE-----");
                let roots = Certificate::from_pem(&pem).ok().filter(|_| begins);
                Some(roots.ok_or_else(|| SetupError::NotCertificates { path: path.clone() })?)
            }
        };
        Ok(Self { timeout: settings.timeout, roots, hello: ClientId::default(), held: Mutex::default() })
    }

    /// Hands `message` to the account's server; the report is the server's last answer.
    ///
    /// # Errors
    /// [`Failure`]: how far it came, and why no further.
    pub async fn send(&self, account: &SmtpAccount, message: &Message) -> Result<Report, Failure> {
        let bytes = message.formatted();
        self.within_time(async |stage| {
            let mut connection = self.connection(account, stage).await?;
            *stage = Stage::Send;
            let answer = connection.send(message.envelope(), &bytes).await.map_err(|e| Failure::of(Stage::Send, &e))?;
            self.keep(account, connection);
            let words: Vec<&str> = answer.message().collect();
            Ok(Report::new(Some(answer.code().into()), words.join(" ")))
        })
        .await
    }

    /// Connects and logs in, and sends nothing: whether the account works.
    ///
    /// # Errors
    /// [`Failure`]: how far it came, and why no further.
    pub async fn probe(&self, account: &SmtpAccount) -> Result<(), Failure> {
        self.within_time(async |stage| {
            let connection = self.connection(account, stage).await?;
            self.keep(account, connection);
            Ok(())
        })
        .await
    }

    /// Cuts `work` off when its time is over. `work` notes how far it came. Dropping it drops its connection.
    async fn within_time<T>(&self, work: impl AsyncFnOnce(&mut Stage) -> Result<T, Failure>) -> Result<T, Failure> {
        let mut stage = Stage::Connect;
        let worked = tokio::time::timeout(self.timeout, work(&mut stage)).await;
        worked.unwrap_or(Err(Failure { stage, cause: Cause::Timeout }))
    }

    /// A connection that is logged in: an idle one that still answers, or a new one.
    async fn connection(&self, account: &SmtpAccount, stage: &mut Stage) -> Result<AsyncSmtpConnection, Failure> {
        let tls = loop {
            let (tls, idle) = self.take(account)?;
            let Some(mut connection) = idle else { break tls };
            if connection.test_connected().await {
                return Ok(connection);
            }
        };
        let failed = |e| Failure::of(Stage::Connect, &e);
        let wrapped = if account.security == Security::Tls { tls.clone() } else { None };
        let server = (account.server.as_str(), account.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, Some(self.timeout), &self.hello, wrapped, None).await.map_err(failed)?;
        if let (Security::Starttls, Some(tls)) = (account.security, tls) {
            connection.starttls(tls, &self.hello).await.map_err(failed)?;
        }
        // Whatever went wrong above, nothing worth hiding is said on a line that was to be encrypted and is not.
        if account.security != Security::None && !connection.is_encrypted() {
            return Err(Failure { stage: Stage::Connect, cause: Cause::Tls });
        }
        *stage = Stage::Login;
        if let Some(username) = &account.username {
            let password = account.password.as_ref().map_or("", |password| password.reveal());
            let credentials = Credentials::new(username.clone(), password.to_owned());
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            connection.auth(&mechanisms, &credentials).await.map_err(|e| Failure::of(Stage::Login, &e))?;
        }
        Ok(connection)
    }

    /// The account's TLS parameters and one of its idle connections. Makes room for the account if it is new.
    fn take(&self, account: &SmtpAccount) -> Result<(Option<TlsParameters>, Option<AsyncSmtpConnection>), Failure> {
        let now = Instant::now();
        let mut held = self.held();
        held.retain(|id, kept| *id != account.id || kept.version == account.version);
        for kept in held.values_mut() {
            kept.idle.retain(|(_, since)| now.duration_since(*since) < IDLE_FOR_MAX);
        }
        if let Some(kept) = held.get_mut(&account.id) {
            kept.used = now;
            return Ok((kept.tls.clone(), kept.idle.pop().map(|(connection, _)| connection)));
        }
        let tls = match account.security {
            Security::None => None,
            Security::Starttls | Security::Tls => Some(self.tls(account)?),
        };
        if held.len() >= ACCOUNTS_MAX
            && let Some(oldest) = held.iter().min_by_key(|(_, kept)| kept.used).map(|(id, _)| *id)
        {
            held.remove(&oldest);
        }
        held.insert(account.id, Held { version: account.version, used: now, tls: tls.clone(), idle: Vec::new() });
        Ok((tls, None))
    }

    /// Keeps a connection whose conversation has ended well.
    fn keep(&self, account: &SmtpAccount, connection: AsyncSmtpConnection) {
        if connection.has_broken() {
            return;
        }
        if let Some(kept) = self.held().get_mut(&account.id)
            && kept.version == account.version
            && kept.idle.len() < IDLE_MAX
        {
            kept.idle.push((connection, Instant::now()));
        }
    }

    fn tls(&self, account: &SmtpAccount) -> Result<TlsParameters, Failure> {
        let mut builder = TlsParameters::builder(account.server.clone());
        if let Some(roots) = &self.roots {
            builder = builder.add_root_certificate(roots.clone());
        }
        builder.build().map_err(|e| Failure::of(Stage::Connect, &e))
    }

    fn held(&self) -> MutexGuard<'_, HashMap<SmtpAccountId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
