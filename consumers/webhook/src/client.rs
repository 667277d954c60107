//! The guarded HTTP client for all endpoints, and for the issuers of tokens: one request, within a deadline and bounds on what is read of
//! the answer.

use std::{collections::HashMap, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use billwire_schemas::destination;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response, Uri, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use rustls::{
    ClientConfig,
    client::{Resumption, danger::ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use rustls_platform_verifier::Verifier;
use tokio::time::{Instant, timeout_at};
use url::{Host, Url};

pub use crate::connect::{Resolver, SystemResolver};
use crate::{
    connect::{Body, Connector, GuardedNames, Timeouts, not_public},
    endpoint::Identity,
    pool::{Lease, Pool},
    reply::{Answer, Failure},
};

/// Bytes of an answer's body that are read at most; then the connection is dropped.
pub const BODY_BYTES_MAX: usize = 16 * 1024;

/// Hosts whose TLS sessions are kept for resumption. (The library keeps up to eight tickets for each.)
const RESUMED_HOSTS: usize = 1024;
/// How often a call is sent again that the receiver has certainly not processed, such as one over a connection that was just closed.
const RESENDS_MAX: usize = 3;

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
    /// Open connections at most, to all hosts together; those of clients with a certificate count too. Default: 4096.
    pub connections: usize,
    /// How long an unused connection is kept. Default: 50 s, before the 60 s after which many receivers close it.
    pub idle_timeout: Duration,
    /// How long an HTTP/2 connection is silent before a PING asks for an answer, and how long the answer may take. Default: 7 s.
    pub ping: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connect_to: HashMap::new(),
            ca_file: None,
            call_timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(5),
            connections: 4096,
            idle_timeout: Duration::from_secs(50),
            ping: Duration::from_secs(7),
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
    Tls(#[from] rustls::Error),
}

/// Calls receivers. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    connector: Arc<Connector>,
    pool: Arc<Pool>,
    tls: Arc<Tls>,
    call_timeout: Duration,
}

/// What the TLS configurations of clients with and without a certificate have in common.
struct Tls {
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
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
        let names = GuardedNames { resolver, connect_to: Arc::new(connect_to) };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = Arc::new(Verifier::new_with_extra_roots(roots(config.ca_file)?, Arc::clone(&provider))?);
        let tls = Tls { provider, verifier };
        let timeouts = Timeouts { connect: config.connect_timeout, ping: config.ping };
        Ok(Self {
            connector: Arc::new(Connector::new(names, tls.config(None)?, timeouts)),
            pool: Pool::new(config.connections, config.idle_timeout, config.connect_timeout),
            tls: Arc::new(tls),
            call_timeout: config.call_timeout,
        })
    }

    /// A client like this one, with a client certificate, and connections and TLS sessions of its own within the same total.
    ///
    /// # Errors
    /// Why the certificate cannot be used, for people.
    pub fn with_client_certificate(&self, identity: &Identity) -> Result<Self, String> {
        let tls = self.tls.config(Some(identity)).map_err(|error| error.to_string())?;
        Ok(Self { connector: Arc::new(self.connector.with_tls(tls)), ..self.clone() })
    }

    /// The number of connections attempted.
    #[cfg(test)]
    pub(crate) fn dialled(&self) -> usize {
        self.connector.dialled()
    }

    /// POSTs `body` to `url` once: again only where the receiver has certainly not processed the first request.
    ///
    /// # Errors
    /// Why there is no answer. Once the head of an answer is there, its status counts, however the body ends.
    pub async fn call(&self, url: Url, headers: HeaderMap, body: Bytes) -> Result<Answer, Failure> {
        let deadline = Instant::now() + self.call_timeout;
        // At the deadline, what was read so far is enough.
        let (answer, _) = self.exchange(http::Method::POST, &url, headers, body, BODY_BYTES_MAX, deadline).await?;
        Ok(answer)
    }

    /// GETs `url` within `time`. The answer's body is whole, and shorter than `bytes_max`.
    ///
    /// # Errors
    /// Why there is no such answer.
    pub async fn get(&self, url: &Url, bytes_max: usize, time: Duration) -> Result<Answer, Failure> {
        let deadline = Instant::now() + time.min(self.call_timeout);
        let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("application/json"))]);
        match self.exchange(http::Method::GET, url, headers, Bytes::new(), bytes_max, deadline).await? {
            (answer, true) => Ok(answer),
            (_, false) if Instant::now() >= deadline => Err(Failure::TimedOut),
            (_, false) => Err(Failure::Broken),
        }
    }

    /// Sends a request; gives the answer, and whether its body was read whole by the deadline.
    async fn exchange(
        &self,
        method: http::Method,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
        bytes_max: usize,
        deadline: Instant,
    ) -> Result<(Answer, bool), Failure> {
        allowed(url)?;
        let sent = timeout_at(deadline, self.send(method, url, headers, body)).await;
        let (lease, response) = sent.unwrap_or(Err(Failure::TimedOut))?;
        let (head, mut incoming) = response.into_parts();
        let mut read = BytesMut::new();
        let whole = timeout_at(deadline, read_capped(&mut incoming, &mut read, bytes_max)).await == Ok(true);
        if whole {
            lease.keep(deadline);
        }
        Ok((Answer { status: head.status, headers: head.headers, body: read.freeze() }, whole))
    }

    async fn send(
        &self,
        method: http::Method,
        url: &Url,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<(Lease, Response<Incoming>), Failure> {
        let host = url.host_str().ok_or(Failure::NotAllowed)?;
        let whole = Uri::try_from(url.as_str()).map_err(|_| Failure::NotAllowed)?;
        headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        let mut sent = 0;
        loop {
            let mut lease = self.pool.lease(&self.connector, host).await?;
            let mut request = Request::new(Body::new(body.clone()));
            *request.method_mut() = method.clone();
            *request.headers_mut() = headers.clone();
            if lease.is_http2() {
                *request.uri_mut() = whole.clone();
            } else {
                *request.uri_mut() = whole.path_and_query().cloned().map(Uri::from).unwrap_or_default();
                request.headers_mut().insert(header::HOST, HeaderValue::from_str(host).map_err(|_| Failure::NotAllowed)?);
            }
            sent += 1;
            match lease.send(request).await {
                Ok(response) => return Ok((lease, response)),
                Err(unanswered) if unanswered.unprocessed && lease.reused && sent <= RESENDS_MAX => {}
                Err(unanswered) => return Err(unanswered.failure),
            }
        }
    }
}

/// Checks the URL, and tells the operator what is wrong with it.
fn allowed(url: &Url) -> Result<(), Failure> {
    destination::check(url).map_err(|refused| match url.host() {
        Some(Host::Ipv4(address)) if !destination::is_public(address.into()) => not_public(&address.to_string(), address.into()),
        Some(Host::Ipv6(address)) if !destination::is_public(address.into()) => not_public(&address.to_string(), address.into()),
        _ => {
            tracing::warn!(host = url.host_str(), %refused, "webhook not sent: the URL breaks the rules of destinations");
            Failure::NotAllowed
        }
    })
}

impl Tls {
    fn config(&self, identity: Option<&Identity>) -> Result<ClientConfig, rustls::Error> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider)).with_safe_default_protocol_versions()?;
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::clone(&self.verifier));
        let (mut config, hosts) = match identity {
            None => (builder.with_no_client_auth(), RESUMED_HOSTS),
            Some(identity) => {
                let (chain, key) = pem(identity).map_err(|error| rustls::Error::General(format!("not a certificate in PEM: {error}")))?;
                (builder.with_client_auth_cert(chain, key)?, 1)
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // The library counts eight sessions for each host.
        config.resumption = Resumption::in_memory_sessions(8 * hosts);
        Ok(config)
    }
}

type Pem = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn pem(identity: &Identity) -> Result<Pem, rustls::pki_types::pem::Error> {
    let both = format!("{}\n{}", identity.certificate, identity.key);
    let chain = CertificateDer::pem_slice_iter(both.as_bytes()).collect::<Result<_, _>>()?;
    Ok((chain, PrivateKeyDer::from_pem_slice(both.as_bytes())?))
}

/// Reads up to the cap, never beyond; true if the body ended within it.
async fn read_capped(body: &mut Incoming, read: &mut BytesMut, bytes_max: usize) -> bool {
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        let Ok(chunk) = frame.into_data() else { continue };
        let room = bytes_max - read.len();
        read.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            return false;
        }
    }
    true
}

fn roots(ca_file: Option<PathBuf>) -> Result<Vec<CertificateDer<'static>>, BadConfig> {
    let Some(path) = ca_file else { return Ok(Vec::new()) };
    let pem = match std::fs::read(&path) {
        Ok(pem) => pem,
        Err(source) => return Err(BadConfig::CaFile { path, source }),
    };
    let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    roots.ok().filter(|roots| !roots.is_empty()).ok_or(BadConfig::NoCertificate(path))
}
