//! Sends messages: with [`crate::connect`] and [`crate::session`] the only IO of the crate.
//!
//! Idle connections are pooled per SMTP account and version. The pool is written by hand:
//!
//! - lettre's own pool takes a connection back after a timeout, so that the next message would read the late replies to the one before
//!   and could count as delivered without being sent. It also connects without the check for public addresses. Here a connection returns
//!   to the pool only after a message was sent; otherwise it is dropped, which closes it.
//! - deadpool and bb8 create connections without the caller's context, so that a timeout could not tell which stage the attempt had
//!   reached. Neither drops the pools of changed or unused accounts.

use std::{
    collections::HashMap,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use billwire_delivery::channel::{Recipient, RecipientState, Report};
use billwire_schemas::ids::SmtpAccountId;
use lettre::transport::smtp::extension::ClientId;
use rustls::{
    ClientConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use rustls_platform_verifier::Verifier;

use crate::{
    SmtpAccount,
    connect::{Wire, connect},
    reply::{CLOSING, Cause, Failure, Stage, refusal},
    session::{Reply, Session},
};

/// How long one attempt may take, from connecting to the last reply.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// Most accounts with pooled connections; the least recently used one is dropped.
const ACCOUNTS_MAX: usize = 64;
/// Connections that are idle for longer are closed, before the server closes them (after 5 minutes or more, RFC 5321 section 4.5.3.2.7).
const IDLE_FOR_MAX: Duration = Duration::from_secs(60);

/// What can be configured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The timeout of one attempt as a whole.
    pub timeout: Duration,
    /// A PEM file of roots to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether only servers with public addresses are allowed. Default: yes, because tenants name the servers, and an account must not give
    /// them access to the private network.
    pub public_only: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { timeout: TIMEOUT_DEFAULT, ca_file: None, public_only: true }
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
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Speaks SMTP.
pub struct Client {
    timeout: Duration,
    public_only: bool,
    tls: Arc<ClientConfig>,
    /// The name that the client introduces itself with.
    hello: String,
    pools: Mutex<HashMap<SmtpAccountId, Pool>>,
}

/// The idle connections of one account, all for the same version of the account.
struct Pool {
    version: i64,
    last_used: Instant,
    idle: Vec<(Connection, Instant)>,
}

/// A connection to an account's server, logged in if the account has a user.
type Connection = Session<Wire>;

/// A message and its envelope.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The envelope's sender, with its domain in ASCII.
    pub from: String,
    /// The envelope's recipients.
    pub to: Vec<Target>,
    /// The message.
    pub content: Content,
}

/// A recipient of an envelope.
#[derive(Debug, Clone)]
pub struct Target {
    /// The address as the tenant has it.
    pub address: String,
    /// The address with its domain in ASCII.
    pub wire: String,
}

/// Headers and body, lines ended by CRLF.
#[derive(Debug, Clone)]
pub struct Content {
    /// For servers that offer SMTPUTF8.
    pub whole: Vec<u8>,
    /// For other servers: without the addresses that only SMTPUTF8 can carry. `None`: there are no such addresses.
    pub ascii: Option<Vec<u8>>,
}

impl Client {
    /// A client with these settings.
    ///
    /// # Errors
    /// [`SetupError`] if the file of extra roots is of no use.
    pub fn new(settings: &Settings) -> Result<Self, SetupError> {
        let roots = match &settings.ca_file {
            None => Vec::new(),
            Some(path) => {
                let pem = std::fs::read(path).map_err(|source| SetupError::Unreadable { path: path.clone(), source })?;
                let roots: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(&pem).collect();
                let none = || SetupError::NotCertificates { path: path.clone() };
                roots.ok().filter(|roots| !roots.is_empty()).ok_or_else(none)?
            }
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Verifier::new_with_extra_roots(roots, provider.clone())?;
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self {
            timeout: settings.timeout,
            public_only: settings.public_only,
            tls: Arc::new(tls),
            hello: ClientId::default().to_string(),
            pools: Mutex::default(),
        })
    }

    /// Sends a message through the account's server to all recipients that the server accepts. Returns the result for each recipient, in
    /// their order, and the server's last reply.
    ///
    /// # Errors
    /// [`Failure`]: the stage it failed in, and why. As far as the client can know, no recipient then got the message.
    pub async fn send(&self, account: &SmtpAccount, envelope: &Envelope) -> Result<(Vec<Recipient>, Report), Failure> {
        self.within_time(async |stage| {
            let (mut connection, used_before) = self.connection(account, stage).await?;
            let mut sent = transmit(&mut connection, envelope, stage).await;
            if used_before
                && *stage == Stage::Sender
                && matches!(&sent, Err(Failure { cause: Cause::Network | Cause::Garbled | Cause::Answer { code: CLOSING, .. }, .. }))
            {
                // The server closed the idle connection, or accepts no more mail on it. Nothing was sent on it yet, so a new connection is
                // safe, and shows whether the account works.
                self.disconnect(account);
                connection = self.connect(account, stage).await?;
                sent = transmit(&mut connection, envelope, stage).await;
            }
            match &sent {
                Ok(_) => self.put_back(account, connection),
                Err(Failure { cause: Cause::Answer { .. }, .. }) => close([connection]),
                // Whoever does not speak SMTP, or no longer, waits for no farewell.
                Err(_) => {}
            }
            sent
        })
        .await
    }

    /// Checks whether the account works: connects, logs in and names the sender, but sends no message.
    ///
    /// # Errors
    /// [`Failure`]: the stage it failed in, and why.
    pub async fn verify(&self, account: &SmtpAccount, from: &str) -> Result<Report, Failure> {
        self.within_time(async |stage| {
            let mut connection = self.connect(account, stage).await?;
            *stage = Stage::Sender;
            let failed = |cause: Cause| cause.at(Stage::Sender);
            let international = !from.is_ascii();
            let answer = connection.command(&mail(&connection, from, international, false)?, 2).await.map_err(failed)?;
            connection.command("RSET", 2).await.map_err(failed)?;
            close([connection]);
            Ok(report(&answer))
        })
        .await
    }

    /// Runs `work` with the timeout. `work` records the stage that it has reached. A timeout drops its connection.
    async fn within_time<T>(&self, work: impl AsyncFnOnce(&mut Stage) -> Result<T, Failure>) -> Result<T, Failure> {
        let mut stage = Stage::Connect;
        let worked = tokio::time::timeout(self.timeout, work(&mut stage)).await;
        worked.unwrap_or(Err(Cause::Timeout.at(stage)))
    }

    /// A connection that is logged in, and whether it is an idle one that was used before.
    async fn connection(&self, account: &SmtpAccount, stage: &mut Stage) -> Result<(Connection, bool), Failure> {
        match self.take(account) {
            Some(idle) => Ok((idle, true)),
            None => Ok((self.connect(account, stage).await?, false)),
        }
    }

    /// A new connection that is logged in.
    async fn connect(&self, account: &SmtpAccount, stage: &mut Stage) -> Result<Connection, Failure> {
        let mut connection = connect(account, self.public_only, &self.tls, &self.hello, stage).await?;
        if let Some(username) = &account.username {
            *stage = Stage::Login;
            let password = account.password.as_ref().map_or("", |password| password.reveal());
            connection.login(username, password).await.map_err(|cause| cause.at(Stage::Login))?;
        }
        Ok(connection)
    }

    /// One of the account's idle connections. Creates the account's pool if it is missing.
    fn take(&self, account: &SmtpAccount) -> Option<Connection> {
        let now = Instant::now();
        let mut pools = self.pools();
        let outdated = pools.extract_if(|id, pool| *id == account.id && pool.version != account.version);
        let mut unused: Vec<Connection> = outdated.flat_map(|(_, pool)| pool.idle).map(|(connection, _)| connection).collect();
        for pool in pools.values_mut() {
            let expired = pool.idle.extract_if(.., |(_, since)| now.duration_since(*since) >= IDLE_FOR_MAX);
            unused.extend(expired.map(|(connection, _)| connection));
        }
        if !pools.contains_key(&account.id)
            && pools.len() >= ACCOUNTS_MAX
            && let Some(oldest) = pools.iter().min_by_key(|(_, pool)| pool.last_used).map(|(id, _)| *id)
        {
            unused.extend(pools.remove(&oldest).into_iter().flat_map(|pool| pool.idle).map(|(connection, _)| connection));
        }
        let new = || Pool { version: account.version, last_used: now, idle: Vec::new() };
        let pool = pools.entry(account.id).or_insert_with(new);
        pool.last_used = now;
        let idle = pool.idle.pop().map(|(connection, _)| connection);
        drop(pools);
        close(unused);
        idle
    }

    /// Closes the account's idle connections.
    fn disconnect(&self, account: &SmtpAccount) {
        let idle = self.pools().get_mut(&account.id).map(|pool| std::mem::take(&mut pool.idle));
        close(idle.into_iter().flatten().map(|(connection, _)| connection));
    }

    /// Returns a connection to the pool after a message was sent.
    fn put_back(&self, account: &SmtpAccount, connection: Connection) {
        if let Some(pool) = self.pools().get_mut(&account.id)
            && pool.version == account.version
            && pool.idle.len() < account.connections
            && connection.is_idle()
        {
            return pool.idle.push((connection, Instant::now()));
        }
        close([connection]);
    }

    fn pools(&self) -> MutexGuard<'_, HashMap<SmtpAccountId, Pool>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends a message over a connection.
async fn transmit(connection: &mut Connection, envelope: &Envelope, stage: &mut Stage) -> Result<(Vec<Recipient>, Report), Failure> {
    *stage = Stage::Sender;
    let smtputf8 = connection.offers("SMTPUTF8");
    let content = envelope.content.ascii.as_ref().filter(|_| !smtputf8).unwrap_or(&envelope.content.whole);
    let carried: Vec<&Target> = envelope.to.iter().filter(|to| smtputf8 || to.wire.is_ascii()).collect();
    if carried.is_empty() {
        return Ok((envelope.to.iter().map(without_smtputf8).collect(), Report::default()));
    }
    let international = !(content.is_ascii() && envelope.from.is_ascii() && carried.iter().all(|to| to.wire.is_ascii()));
    let mail = mail(connection, &envelope.from, international, !content.is_ascii())?;
    connection.command(&mail, 2).await.map_err(|cause| cause.at(Stage::Sender))?;
    *stage = Stage::Send;
    let failed = |cause: Cause| cause.at(Stage::Send);
    let mut recipients = Vec::with_capacity(envelope.to.len());
    for to in &envelope.to {
        if !smtputf8 && !to.wire.is_ascii() {
            recipients.push(without_smtputf8(to));
            continue;
        }
        recipients.push(match connection.command(&format!("RCPT TO:<{}>", to.wire), 2).await {
            Ok(_) => Recipient::sent(to.address.clone()),
            Err(Cause::Answer { code, words }) if code != CLOSING => refusal(&to.address, code, &words),
            Err(cause) => return Err(failed(cause)),
        });
    }
    let answer = if recipients.iter().any(|one| one.state == RecipientState::Sent) {
        connection.command("DATA", 3).await.map_err(failed)?;
        connection.content(content).await.map_err(failed)?
    } else {
        connection.command("RSET", 2).await.map_err(failed)?
    };
    Ok((recipients, report(&answer)))
}

/// The result for a recipient whose address the server cannot carry. It says nothing of the account.
fn without_smtputf8(to: &Target) -> Recipient {
    let detail = "the address is not ASCII, and the server does not offer SMTPUTF8".to_owned();
    Recipient { address: to.address.clone(), state: RecipientState::Refused, status: None, detail }
}

/// The command that begins a message. `international`: an address or a header requires SMTPUTF8; `eight_bit`: the content is not ASCII.
fn mail(connection: &Connection, from: &str, international: bool, eight_bit: bool) -> Result<String, Failure> {
    if international && !connection.offers("SMTPUTF8") {
        let what = "the sender's address is not ASCII, and the server does not offer SMTPUTF8";
        return Err(Cause::Unsuitable(what.to_owned()).at(Stage::Sender));
    }
    // A server that offers SMTPUTF8 accepts 8BITMIME too (RFC 6531 section 3.1).
    let options = [(international, " SMTPUTF8"), (eight_bit, " BODY=8BITMIME")];
    let options: String = options.into_iter().filter(|(wanted, _)| *wanted).map(|(_, option)| option).collect();
    Ok(format!("MAIL FROM:<{from}>{options}"))
}

/// Ends connections in the background, so that nobody waits for servers that do not answer.
fn close(connections: impl IntoIterator<Item = Connection>) {
    for connection in connections {
        tokio::spawn(connection.quit());
    }
}

fn report(reply: &Reply) -> Report {
    Report::new(Some(reply.code), reply.words())
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
