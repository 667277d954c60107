//! Sends messages: with [`crate::connect`] the only IO of the crate.
//!
//! Idle connections are pooled per SMTP account and version. The pool is written by hand, over lettre's connections:
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
use lettre::{
    Address,
    transport::smtp::{
        authentication::{Credentials, Mechanism},
        client::AsyncSmtpConnection,
        commands::{Data, Mail, Rcpt, Rset},
        extension::{ClientId, Extension, MailBodyParameter, MailParameter},
        response::Response,
    },
};
use rustls::{
    ClientConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use rustls_platform_verifier::Verifier;

use crate::{
    SmtpAccount,
    connect::connect,
    reply::{CLOSING, Cause, Failure, Stage, refusal},
};

/// How long one try may take, from connecting to the last answer.
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
    /// Whether only servers with public addresses are allowed. With tenants that are not trusted, an account must not give access to the
    /// private network. Default: no, because most relays are in the private network.
    pub public_only: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { timeout: TIMEOUT_DEFAULT, ca_file: None, public_only: false }
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
    hello: ClientId,
    pools: Mutex<HashMap<SmtpAccountId, Pool>>,
}

/// The idle connections of one account, all for the same version of the account.
struct Pool {
    version: i64,
    last_used: Instant,
    idle: Vec<(AsyncSmtpConnection, Instant)>,
}

/// A message and its envelope.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The envelope's sender.
    pub from: Address,
    /// The envelope's recipients.
    pub to: Vec<Address>,
    /// Headers and body, lines ended by CRLF.
    pub content: Vec<u8>,
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
            hello: ClientId::default(),
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
            *stage = Stage::Sender;
            let mail = mail(&connection, envelope)?;
            let mut begun = connection.command(&mail).await.map_err(|error| Failure::of(Stage::Sender, &error));
            if used_before
                && matches!(&begun, Err(Failure { cause: Cause::Network | Cause::Garbled | Cause::Answer { code: CLOSING, .. }, .. }))
            {
                // The server closed the idle connection, or accepts no more mail on it. Nothing was sent on it yet, so a new connection is
                // safe, and shows whether the account works.
                self.disconnect(account);
                connection = self.connection(account, stage).await?.0;
                *stage = Stage::Sender;
                begun = connection.command(&mail).await.map_err(|error| Failure::of(Stage::Sender, &error));
            }
            begun?;
            *stage = Stage::Send;
            let mut recipients = Vec::with_capacity(envelope.to.len());
            for address in &envelope.to {
                recipients.push(match connection.command(Rcpt::new(address.clone(), vec![])).await {
                    Ok(_) => Recipient::sent(address.to_string()),
                    Err(error) => match Failure::of(Stage::Send, &error) {
                        Failure { cause: Cause::Answer { code, words }, .. } if code != CLOSING => refusal(address.as_ref(), code, &words),
                        failure => return Err(failure),
                    },
                });
            }
            let answer = if recipients.iter().any(|one| one.state == RecipientState::Sent) {
                connection.command(Data).await.map_err(|error| Failure::of(Stage::Send, &error))?;
                connection.command(Stuffed(&envelope.content)).await.map_err(|error| Failure::of(Stage::Send, &error))?
            } else {
                connection.command(Rset).await.map_err(|error| Failure::of(Stage::Send, &error))?
            };
            self.put_back(account, connection);
            Ok((recipients, report(&answer)))
        })
        .await
    }

    /// Checks whether the account works: connects, logs in and names the sender, but sends no message.
    ///
    /// # Errors
    /// [`Failure`]: the stage it failed in, and why.
    pub async fn verify(&self, account: &SmtpAccount, from: Address) -> Result<Report, Failure> {
        self.within_time(async |stage| {
            let mut connection = self.connect(account, stage).await?;
            *stage = Stage::Sender;
            let failed = |error| Failure::of(Stage::Sender, &error);
            let answer = connection.command(Mail::new(Some(from), vec![])).await.map_err(failed)?;
            connection.command(Rset).await.map_err(failed)?;
            // An error here does not change the result.
            let _ = connection.quit().await;
            Ok(report(&answer))
        })
        .await
    }

    /// Runs `work` with the timeout. `work` records the stage that it has reached. A timeout drops its connection.
    async fn within_time<T>(&self, work: impl AsyncFnOnce(&mut Stage) -> Result<T, Failure>) -> Result<T, Failure> {
        let mut stage = Stage::Connect;
        let worked = tokio::time::timeout(self.timeout, work(&mut stage)).await;
        worked.unwrap_or(Err(Failure { stage, cause: Cause::Timeout }))
    }

    /// A connection that is logged in, and whether it is an idle one that was used before.
    async fn connection(&self, account: &SmtpAccount, stage: &mut Stage) -> Result<(AsyncSmtpConnection, bool), Failure> {
        match self.take(account) {
            Some(idle) => Ok((idle, true)),
            None => Ok((self.connect(account, stage).await?, false)),
        }
    }

    /// A new connection that is logged in.
    async fn connect(&self, account: &SmtpAccount, stage: &mut Stage) -> Result<AsyncSmtpConnection, Failure> {
        let mut connection = connect(account, self.public_only, &self.tls, &self.hello, stage).await?;
        if let Some(username) = &account.username {
            *stage = Stage::Login;
            let password = account.password.as_ref().map_or("", |password| password.reveal());
            let credentials = Credentials::new(username.clone(), password.to_owned());
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            connection.auth(&mechanisms, &credentials).await.map_err(|e| Failure::of(Stage::Login, &e))?;
        }
        Ok(connection)
    }

    /// One of the account's idle connections. Creates the account's pool if it is missing.
    fn take(&self, account: &SmtpAccount) -> Option<AsyncSmtpConnection> {
        let now = Instant::now();
        let mut pools = self.pools();
        pools.retain(|id, pool| *id != account.id || pool.version == account.version);
        for pool in pools.values_mut() {
            pool.idle.retain(|(_, since)| now.duration_since(*since) < IDLE_FOR_MAX);
        }
        if let Some(pool) = pools.get_mut(&account.id) {
            pool.last_used = now;
            return pool.idle.pop().map(|(connection, _)| connection);
        }
        if pools.len() >= ACCOUNTS_MAX
            && let Some(oldest) = pools.iter().min_by_key(|(_, pool)| pool.last_used).map(|(id, _)| *id)
        {
            pools.remove(&oldest);
        }
        pools.insert(account.id, Pool { version: account.version, last_used: now, idle: Vec::new() });
        None
    }

    /// Closes the account's idle connections.
    fn disconnect(&self, account: &SmtpAccount) {
        if let Some(pool) = self.pools().get_mut(&account.id) {
            pool.idle.clear();
        }
    }

    /// Returns a connection to the pool after a message was sent.
    fn put_back(&self, account: &SmtpAccount, connection: AsyncSmtpConnection) {
        if connection.has_broken() {
            return;
        }
        if let Some(pool) = self.pools().get_mut(&account.id)
            && pool.version == account.version
            && pool.idle.len() < account.connections
        {
            pool.idle.push((connection, Instant::now()));
        }
    }

    fn pools(&self) -> MutexGuard<'_, HashMap<SmtpAccountId, Pool>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The command that begins a message.
fn mail(connection: &AsyncSmtpConnection, envelope: &Envelope) -> Result<Mail, Failure> {
    let offers = |extension| connection.server_info().supports_feature(extension);
    let unsuitable = |what: &str| Failure { stage: Stage::Sender, cause: Cause::Unsuitable(what.to_owned()) };
    let mut options = Vec::new();
    let ascii = |address: &Address| AsRef::<str>::as_ref(address).is_ascii();
    if !envelope.to.iter().chain([&envelope.from]).all(ascii) {
        if !offers(Extension::SmtpUtfEight) {
            return Err(unsuitable("an address is not ASCII, and the server does not offer SMTPUTF8"));
        }
        options.push(MailParameter::SmtpUtfEight);
    }
    if !envelope.content.is_ascii() {
        if !offers(Extension::EightBitMime) {
            return Err(unsuitable("the message is not ASCII, and the server does not offer 8BITMIME"));
        }
        options.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    Ok(Mail::new(Some(envelope.from.clone()), options))
}

fn report(answer: &Response) -> Report {
    let words: Vec<&str> = answer.message().collect();
    Report::new(Some(answer.code().into()), words.join(" "))
}

/// The content including the final dot. A dot at the start of a line is doubled (RFC 5321 section 4.5.2).
struct Stuffed<'a>(&'a [u8]);

impl fmt::Display for Stuffed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(self.0);
        for line in text.split_inclusive("\r\n") {
            if line.starts_with('.') {
                f.write_str(".")?;
            }
            f.write_str(line)?;
        }
        f.write_str(if text.ends_with("\r\n") { ".\r\n" } else { "\r\n.\r\n" })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_message_can_end_it() {
        for (content, expected) in
            [("a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n"), (".", "..\r\n.\r\n"), ("..a\r\n", "...a\r\n.\r\n"), ("", "\r\n.\r\n")]
        {
            assert_eq!(Stuffed(content.as_bytes()).to_string(), expected);
        }
    }
}
