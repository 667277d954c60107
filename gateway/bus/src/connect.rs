//! The connection.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_nats::{
    Client, ConnectOptions, ServerAddr,
    jetstream::{self, Context, context::ContextBuilder},
};

use crate::{rejections::Rejections, seal::SealKeys, topology::MAX_AGE};

/// How to reach NATS. Not printable on purpose: the URL may hold a password.
#[derive(Clone)]
pub struct Options {
    /// `nats://…` or `tls://…`, with a name and password where the server asks for them.
    pub url: String,
    /// The keys that seal and verify messages.
    pub seal: Arc<SealKeys>,
    /// A `.creds` file.
    pub credentials: Option<PathBuf>,
    /// Replicas of stream and consumers. Default 1.
    pub replicas: usize,
    /// How long messages stay on the stream. SQL keeps the events; the stream only carries them. Default 30 days.
    pub max_age: Duration,
    /// How long a request may take. Default 5 s.
    pub timeout: Duration,
}

impl Options {
    /// The defaults for `url`.
    pub fn new(url: impl Into<String>, seal: Arc<SealKeys>) -> Self {
        Self { url: url.into(), seal, credentials: None, replicas: 1, max_age: MAX_AGE, timeout: Duration::from_secs(5) }
    }
}

/// What went wrong with NATS; the text is for the log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// NATS is away, or did not answer in time. What was sent may or may not have arrived.
    #[error("NATS is not available: {0}")]
    Unavailable(String),
    /// The server is too old, or its stream has an unsuitable configuration.
    #[error("{0}")]
    Unsuitable(String),
    /// The stream or consumer does not exist.
    #[error("missing: {0}")]
    Missing(String),
}

/// The oldest server with all features that the gateway uses and none of the known message losses: atomic batches with message
/// ids (2.12.1), consumer reset (2.14), the fixes listed for 2.14.3 and 2.14.5.
pub(crate) const SERVER_MIN: (u64, u64, u64) = (2, 14, 5);

/// A connection to NATS. Cheap to clone. It reconnects by itself, without limit.
#[derive(Clone)]
pub struct Bus {
    pub(crate) client: Client,
    pub(crate) jetstream: Context,
    pub(crate) replicas: usize,
    pub(crate) max_age: Duration,
    pub(crate) timeout: Duration,
    pub(crate) seal: Arc<SealKeys>,
    pub(crate) rejections: Arc<Rejections>,
}

impl Bus {
    /// Connects. The first connection must succeed within the timeout; later losses are reconnected.
    ///
    /// # Errors
    /// When NATS cannot be reached or is too old.
    pub async fn connect(options: &Options) -> Result<Self, Error> {
        let mut connect = patient("billwire", options.timeout);
        if let Some(file) = &options.credentials {
            connect = connect.credentials_file(file).await.map_err(|e| Error::Unsuitable(format!("{}: {e}", file.display())))?;
        }
        let client = connected(connect, &options.url).await?;
        check_version(&client.server_info().version)?;
        let jetstream: Context =
            ContextBuilder::new().timeout(options.timeout).max_ack_inflight(4096).backpressure_on_inflight(true).build(client.clone());
        let (seal, rejections) = (options.seal.clone(), Arc::default());
        Ok(Self { client, jetstream, replicas: options.replicas, max_age: options.max_age, timeout: options.timeout, seal, rejections })
    }

    /// Whether it is connected.
    pub fn connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// How many messages this process has rejected because the gateway did not make them.
    pub fn rejected(&self) -> u64 {
        self.rejections.total()
    }

    /// Whether the connection stands now.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// The largest message, headers and payload together, that the latest server accepts, in bytes.
    pub fn max_payload(&self) -> u64 {
        self.client.max_payload() as u64
    }

    pub(crate) async fn stream(&self) -> Result<jetstream::stream::Stream, Error> {
        self.jetstream.get_stream(crate::topology::STREAM).await.map_err(|e| {
            let text = e.to_string();
            if text.contains("not found") { Error::Missing(text) } else { Error::Unavailable(text) }
        })
    }
}

/// A client named `name` that reconnects by itself, without limit.
fn patient(name: &str, timeout: Duration) -> ConnectOptions {
    ConnectOptions::new()
        .name(name)
        .connection_timeout(timeout)
        .request_timeout(Some(timeout))
        .max_reconnects(None)
        .reconnect_delay_callback(|attempt| Duration::from_millis((50 * attempt as u64).min(1000)))
}

/// Connects with the login in the URL, which the client library ignores.
async fn connected(mut options: ConnectOptions, url: &str) -> Result<Client, Error> {
    let address = address(url)?;
    if let (Some(user), Some(password)) = (address.username(), address.password()) {
        options = options.user_and_password(user.to_owned(), password.to_owned());
    }
    options.connect(address).await.map_err(|e| Error::Unavailable(e.to_string()))
}

/// A connection that the stream is not used over.
pub(crate) async fn client(url: &str, name: &str, timeout: Duration) -> Result<Client, Error> {
    connected(patient(name, timeout), url).await
}

/// The parser's error may repeat the URL, and with it a password.
fn address(url: &str) -> Result<ServerAddr, Error> {
    url.parse().map_err(|_| Error::Unsuitable("not a NATS URL; one is nats://host:port or tls://host:port".to_owned()))
}

fn check_version(text: &str) -> Result<(), Error> {
    let mut numbers = text.split(['.', '-']).map(|n| n.parse::<u64>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < SERVER_MIN {
        let (a, b, c) = SERVER_MIN;
        return Err(Error::Unsuitable(format!("nats-server {text} is too old; {a}.{b}.{c} or newer is needed")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_version;

    #[test]
    fn an_old_server_is_refused_by_name() {
        assert!(check_version("2.9.10").is_err());
        assert!(check_version("2.14.4").is_err());
        assert!(check_version("2.14.5").is_ok());
        assert!(check_version("2.15.1").is_ok());
        assert!(check_version("2.16.0-beta.1").is_ok());
    }
}
