//! How a message travels: with [`crate::connect`] the only IO.
//!
//! Connections are kept per SMTP account and version and used again. The pool is our own, on lettre's connections, and not
//! lettre's: that one takes a connection back whose use was cut off by a timeout, so the next message would read the late
//! answers to the one before and could count as delivered without being sent. Here a connection only ever comes back after
//! its conversation has ended well; any other is closed by being dropped.

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

/// Accounts whose connections are kept at the same time; the least recently used gives way.
const ACCOUNTS_MAX: usize = 64;
/// Idle connections older than this are closed: servers close them before long (RFC 5321 section 4.5.3.2.7 grants 5 min).
const IDLE_FOR_MAX: Duration = Duration::from_secs(60);

/// What can be configured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long one try may take in all.
    pub timeout: Duration,
    /// A PEM file of roots to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether only servers with public addresses are dialled: where tenants are strangers, an account must not be a way to look around in
    /// our own network. Default: no, since relays mostly stand there.
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
    held: Mutex<HashMap<SmtpAccountId, Held>>,
}

/// What is kept of one account.
struct Held {
    version: i64,
    used: Instant,
    idle: Vec<(AsyncSmtpConnection, Instant)>,
}

/// A message as it is handed over.
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
            held: Mutex::default(),
        })
    }

    /// Hands a message to the account's server: to all recipients that the server takes. Gives what became of each, in their order, and
    /// the server's last answer.
    ///
    /// # Errors
    /// [`Failure`]: how far it came, and why no further; the message then went to nobody, as far as can be known.
    pub async fn send(&self, account: &SmtpAccount, envelope: &Envelope) -> Result<(Vec<Recipient>, Report), Failure> {
        self.within_time(async |stage| {
            let (mut connection, used_before) = self.connection(account, stage).await?;
            *stage = Stage::Sender;
            let mail = mail(&connection, envelope)?;
            let mut begun = connection.command(&mail).await.map_err(|error| Failure::of(Stage::Sender, &error));
            if used_before
                && matches!(&begun, Err(Failure { cause: Cause::Network | Cause::Garbled | Cause::Answer { code: CLOSING, .. }, .. }))
            {
                // It was closed while it lay idle, or the server takes no more on it; nothing was said on it yet. What the server
                // thinks of the account a new connection tells.
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
            self.keep(account, connection);
            Ok((recipients, report(&answer)))
        })
        .await
    }

    /// Connects, logs in and names the sender, and sends nothing: whether the account works.
    ///
    /// # Errors
    /// [`Failure`]: how far it came, and why no further.
    pub async fn verify(&self, account: &SmtpAccount, from: Address) -> Result<Report, Failure> {
        self.within_time(async |stage| {
            let mut connection = self.dialled(account, stage).await?;
            *stage = Stage::Sender;
            let failed = |error| Failure::of(Stage::Sender, &error);
            let answer = connection.command(Mail::new(Some(from), vec![])).await.map_err(failed)?;
            connection.command(Rset).await.map_err(failed)?;
            // What follows cannot change what was found.
            let _ = connection.quit().await;
            Ok(report(&answer))
        })
        .await
    }

    /// Cuts `work` off when its time is over. `work` notes how far it came. Dropping it drops its connection.
    async fn within_time<T>(&self, work: impl AsyncFnOnce(&mut Stage) -> Result<T, Failure>) -> Result<T, Failure> {
        let mut stage = Stage::Connect;
        let worked = tokio::time::timeout(self.timeout, work(&mut stage)).await;
        worked.unwrap_or(Err(Failure { stage, cause: Cause::Timeout }))
    }

    /// A connection that is logged in: an idle one, or a new one; and whether it was used before.
    async fn connection(&self, account: &SmtpAccount, stage: &mut Stage) -> Result<(AsyncSmtpConnection, bool), Failure> {
        match self.take(account) {
            Some(idle) => Ok((idle, true)),
            None => Ok((self.dialled(account, stage).await?, false)),
        }
    }

    /// A new connection that is logged in.
    async fn dialled(&self, account: &SmtpAccount, stage: &mut Stage) -> Result<AsyncSmtpConnection, Failure> {
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

    /// One of the account's idle connections. Makes room for the account if it is new.
    fn take(&self, account: &SmtpAccount) -> Option<AsyncSmtpConnection> {
        let now = Instant::now();
        let mut held = self.held();
        held.retain(|id, kept| *id != account.id || kept.version == account.version);
        for kept in held.values_mut() {
            kept.idle.retain(|(_, since)| now.duration_since(*since) < IDLE_FOR_MAX);
        }
        if let Some(kept) = held.get_mut(&account.id) {
            kept.used = now;
            return kept.idle.pop().map(|(connection, _)| connection);
        }
        if held.len() >= ACCOUNTS_MAX
            && let Some(oldest) = held.iter().min_by_key(|(_, kept)| kept.used).map(|(id, _)| *id)
        {
            held.remove(&oldest);
        }
        held.insert(account.id, Held { version: account.version, used: now, idle: Vec::new() });
        None
    }

    /// Closes the account's idle connections.
    fn disconnect(&self, account: &SmtpAccount) {
        if let Some(kept) = self.held().get_mut(&account.id) {
            kept.idle.clear();
        }
    }

    /// Keeps a connection whose conversation has ended well.
    fn keep(&self, account: &SmtpAccount, connection: AsyncSmtpConnection) {
        if connection.has_broken() {
            return;
        }
        if let Some(kept) = self.held().get_mut(&account.id)
            && kept.version == account.version
            && kept.idle.len() < account.connections
        {
            kept.idle.push((connection, Instant::now()));
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<SmtpAccountId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
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

/// The content up to and with the final dot, in one piece: dots that begin a line are doubled (RFC 5321 section 4.5.2).
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
