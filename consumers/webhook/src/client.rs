//! The only IO of this crate: one guarded HTTP client for all endpoints.
//!
//! A destination is checked three times, since each check misses what the next one sees: the URL's literal host (an address
//! skips the resolver), every address its name resolves to (one private address refuses them all, or a receiver could retry until
//! it is picked), and the peer that is really connected.

use std::{collections::HashMap, error::Error, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use billwire_schemas::destination;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::{
    endpoint::Identity,
    reply::{Answer, Failure},
};

/// Bytes of an answer's body that are read at most; then the connection is dropped.
pub const BODY_BYTES_MAX: usize = 16 * 1024;

/// Bytes of an answer's head over HTTP/2 at most. (Over HTTP/1.1 it is 100 headers and 400 KiB, which the library sets.)
const HEAD_BYTES_MAX: u32 = 16 * 1024;

/// Settings of the client.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where a named host is really reached, as curl's `--connect-to`: the URL, `Host` and the name in TLS stay. For these
    /// hosts alone the address, whatever it is, is not checked for being public. Default: none.
    pub connect_to: HashMap<String, SocketAddr>,
    /// A PEM file of roots trusted besides the platform's. Default: none.
    pub ca_file: Option<PathBuf>,
    /// Time for a whole call, the answer's body included. Default: 20 s.
    pub call_timeout: Duration,
    /// Time for name, TCP and TLS. Default: 5 s.
    pub connect_timeout: Duration,
    /// Connections kept open per host while unused. Default: 32.
    pub idle_per_host: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connect_to: HashMap::new(),
            ca_file: None,
            call_timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(5),
            idle_per_host: 32,
        }
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum BadConfig {
    /// The file of roots cannot be read.
    #[error("cannot read the CA file {path}: {source}")]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file of roots holds no certificate.
    #[error("the CA file {0} holds no PEM certificate")]
    NoCertificate(PathBuf),
    /// TLS cannot be set up.
    #[error("cannot set up TLS for webhooks: {0}")]
    Tls(#[source] reqwest::Error),
}

/// Names into addresses.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// All addresses of `host`. A port other than 0 replaces the URL's.
    ///
    /// # Errors
    /// When the name has none, or DNS is away.
    async fn addresses(&self, host: &str) -> io::Result<Vec<SocketAddr>>;
}

/// The machine's own resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn addresses(&self, host: &str) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.collect())
    }
}

/// Calls receivers. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Arc<Base>,
}

/// What clients with and without a certificate have in common.
struct Base {
    resolver: Arc<dyn Resolver>,
    connect_to: Arc<HashMap<String, SocketAddr>>,
    roots: Vec<reqwest::Certificate>,
    call_timeout: Duration,
    connect_timeout: Duration,
    idle_per_host: usize,
    /// The number of connections attempted.
    #[cfg(test)]
    dialled: crate::tests::Dialled,
}

impl Client {
    /// A client that asks the machine's resolver for names.
    ///
    /// # Errors
    /// [`BadConfig`].
    pub fn new(config: Config) -> Result<Self, BadConfig> {
        Self::with_resolver(config, Arc::new(SystemResolver))
    }

    /// A client that asks `resolver` for names; their answers are checked like any other.
    ///
    /// # Errors
    /// [`BadConfig`].
    pub fn with_resolver(config: Config, resolver: Arc<dyn Resolver>) -> Result<Self, BadConfig> {
        // `url` hands hosts over in lower case; what an operator wrote must match that.
        let connect_to: HashMap<_, _> = config.connect_to.into_iter().map(|(host, to)| (host.to_ascii_lowercase(), to)).collect();
        let base = Base {
            resolver,
            connect_to: Arc::new(connect_to),
            roots: roots(config.ca_file)?,
            call_timeout: config.call_timeout,
            connect_timeout: config.connect_timeout,
            idle_per_host: config.idle_per_host,
            #[cfg(test)]
            dialled: crate::tests::Dialled::default(),
        };
        let http = base.http(None).map_err(BadConfig::Tls)?;
        Ok(Self { http, base: Arc::new(base) })
    }

    /// A client like this one, with a client certificate and connections of its own.
    ///
    /// # Errors
    /// Why the certificate cannot be used, for people.
    pub fn with_client_certificate(&self, identity: &Identity) -> Result<Self, String> {
        let pem = format!("{}\n{}", identity.certificate, identity.key);
        let unfit = |error: reqwest::Error| causes(&error).last().map_or_else(String::new, ToString::to_string);
        let identity = reqwest::Identity::from_pem(pem.as_bytes()).map_err(unfit)?;
        Ok(Self { http: self.base.http(Some(identity)).map_err(unfit)?, base: self.base.clone() })
    }

    /// The number of connections attempted.
    #[cfg(test)]
    pub(crate) fn dialled(&self) -> usize {
        self.base.dialled.count()
    }

    /// POSTs `body` to `url` once.
    ///
    /// # Errors
    /// Why there is no answer. Once the head of an answer is there, its status counts, however the body ends.
    pub async fn call(&self, url: Url, headers: HeaderMap, body: Bytes) -> Result<Answer, Failure> {
        let deadline = Instant::now() + self.base.call_timeout;
        destination::check(&url).map_err(|_| Failure::NotAllowed)?;
        let redirected = url.host_str().is_some_and(|host| self.base.connect_to.contains_key(host));
        let sending = self.http.post(url).headers(headers).body(body).send();
        let mut response = match timeout_at(deadline, sending).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(failure(&error)),
            Err(_) => return Err(Failure::TimedOut),
        };
        if !redirected && !response.remote_addr().is_some_and(|peer| destination::is_public(peer.ip())) {
            return Err(Failure::NotAllowed);
        }
        let mut read = BytesMut::new();
        // At the deadline, what was read so far is enough.
        let _ = timeout_at(deadline, read_capped(&mut response, &mut read)).await;
        Ok(Answer { status: response.status(), headers: std::mem::take(response.headers_mut()), body: read.freeze() })
    }
}

impl Base {
    #[expect(clippy::disallowed_methods, reason = "this is the guarded client the ban points to")]
    fn http(&self, identity: Option<reqwest::Identity>) -> Result<reqwest::Client, reqwest::Error> {
        let (resolver, connect_to) = (Arc::clone(&self.resolver), Arc::clone(&self.connect_to));
        let mut builder = reqwest::Client::builder()
            .https_only(true)
            .http2_max_header_list_size(HEAD_BYTES_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never()) // the engine decides about a second attempt
            .referer(false)
            .no_proxy()
            .dns_resolver(GuardedNames { resolver, connect_to })
            .tls_certs_merge(self.roots.clone())
            .connect_timeout(self.connect_timeout)
            .pool_max_idle_per_host(self.idle_per_host);
        #[cfg(test)]
        {
            builder = self.dialled.counted_in(builder);
        }
        if let Some(identity) = identity {
            builder = builder.identity(identity);
        }
        builder.build()
    }
}

/// Reads up to the cap, never beyond. A body that ends within it leaves the connection usable for the next call; any other
/// one closes it when the response is dropped.
async fn read_capped(response: &mut reqwest::Response, read: &mut BytesMut) {
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = BODY_BYTES_MAX - read.len();
        read.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            return;
        }
    }
}

fn roots(ca_file: Option<PathBuf>) -> Result<Vec<reqwest::Certificate>, BadConfig> {
    let Some(path) = ca_file else { return Ok(Vec::new()) };
    let pem = match std::fs::read(&path) {
        Ok(pem) => pem,
        Err(source) => return Err(BadConfig::CaFile { path, source }),
    };
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(roots) if !roots.is_empty() => Ok(roots),
        _ => Err(BadConfig::NoCertificate(path)),
    }
}

/// The resolver the HTTP client sees. It gives a port only for `connect_to` (and for a test's names): hyper uses a
/// resolver's port where it is not 0 and the URL names none, and our URLs never name one.
struct GuardedNames {
    resolver: Arc<dyn Resolver>,
    connect_to: Arc<HashMap<String, SocketAddr>>,
}

impl Resolve for GuardedNames {
    fn resolve(&self, name: Name) -> Resolving {
        if let Some(to) = self.connect_to.get(name.as_str()) {
            let addresses: Addrs = Box::new(std::iter::once(*to));
            return Box::pin(std::future::ready(Ok(addresses)));
        }
        let resolver = Arc::clone(&self.resolver);
        Box::pin(async move {
            let found = resolver.addresses(name.as_str()).await.map_err(|error| {
                tracing::debug!(host = name.as_str(), %error, "webhook host not resolved");
                Failure::NotResolved
            })?;
            if found.is_empty() {
                return Err(Failure::NotResolved.into());
            }
            if let Some(address) = found.iter().find(|address| !destination::is_public(address.ip())) {
                tracing::warn!(host = name.as_str(), address = %address.ip(), "webhook host resolves to an address that is not public");
                return Err(Failure::NotAllowed.into());
            }
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

/// The category of a failed call. The details of the error stay in the debug log, without the URL, whose query may hold a key.
fn failure(error: &reqwest::Error) -> Failure {
    let found = category(error);
    let causes: Vec<String> = causes(error).skip(1).map(ToString::to_string).collect();
    tracing::debug!(category = %found, causes = causes.join(": "), "webhook call failed");
    found
}

fn category(error: &reqwest::Error) -> Failure {
    if let Some(ours) = causes(error).find_map(|cause| cause.downcast_ref::<Failure>()) {
        *ours
    } else if error.is_timeout() {
        Failure::TimedOut
    } else if causes(error).any(|cause| cause.is::<rustls::Error>()) {
        Failure::TlsFailed
    } else if error.is_connect() {
        Failure::ConnectFailed
    } else {
        Failure::Broken
    }
}

/// An error and all below it. `io::Error` hides the error it wraps from `source`, so it is unwrapped by hand.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let below = |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => error.source(),
        }
    };
    std::iter::successors(Some(error), below)
}
