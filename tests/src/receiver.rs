//! A webhook receiver with real TLS that records every call and answers according to a script.

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::gateway::Setup;

/// The name in the receiver's certificate.
pub const HOST: &str = "hooks.receiver.example";

/// A received call.
#[derive(Debug, Clone)]
pub struct Call {
    pub headers: hyper::HeaderMap,
    pub path: String,
    pub body: Bytes,
    pub at: Instant,
}

impl Call {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().expect("text")
    }
}

/// The receiver's response to a call.
#[derive(Debug, Clone)]
pub enum Answer {
    Status(u16),
    RetryAfter(u16, u32),
    /// With a cookie, and in the body the request's credentials.
    Echo(u16),
    /// Waits, then answers 204.
    Slow(Duration),
}

/// Misbehaviour of a receiver that violates HTTP.
#[derive(Debug, Clone, Copy)]
pub enum Misbehaviour {
    /// One byte of the head at a time, slowly.
    DripHead,
    /// Endless headers, as fast as the client reads.
    EndlessHead,
    /// An endless body, as fast as the client reads.
    EndlessBody,
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    script: VecDeque<Answer>,
    always: Option<Answer>,
    keep: bool,
    count: usize,
    connections: usize,
}

/// A running receiver.
#[derive(Clone)]
pub struct Receiver {
    pub address: SocketAddr,
    /// The names under which it is reached.
    pub hosts: Vec<String>,
    /// Whether it offers HTTP/2 besides HTTP/1.1.
    pub http2: bool,
    ca: String,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    pub async fn start() -> Self {
        Self::named(HOST, None).await
    }

    /// Starts a receiver with another name, which may misbehave.
    pub async fn named(host: &str, misbehaviour: Option<Misbehaviour>) -> Self {
        Self::reached_as(vec![host.to_owned()], false, misbehaviour).await
    }

    /// Starts a receiver with several names, which may offer HTTP/2.
    pub async fn reached_as(hosts: Vec<String>, http2: bool, misbehaviour: Option<Misbehaviour>) -> Self {
        let (acceptor, ca) = tls(&hosts, http2);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State { keep: true, ..State::default() }));
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, state) = (acceptor.clone(), shared.clone());
                state.lock().expect("the receiver's state").connections += 1;
                let _ = stream.set_nodelay(true);
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    if let Some(misbehaviour) = misbehaviour {
                        return misbehave(stream, misbehaviour, state).await;
                    }
                    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    let (stream, service) = (TokioIo::new(stream), service_fn(move |request| answer(request, state.clone())));
                    let _ = if http2 {
                        hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await
                    } else {
                        hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await
                    };
                });
            }
        });
        Self { address, hosts, http2, ca, state }
    }

    /// Lets a gateway reach this receiver under [`HOST`].
    pub fn known_to(&self, setup: &mut Setup) {
        Self::all_known_to(std::slice::from_ref(self), setup);
    }

    /// Lets a gateway reach these receivers under their names.
    pub fn all_known_to(receivers: &[Self], setup: &mut Setup) {
        let file = setup.folder.0.join("receiver-ca.pem");
        std::fs::write(&file, receivers.iter().map(|one| one.ca.as_str()).collect::<String>()).expect("a file");
        let names = receivers.iter().flat_map(|one| one.hosts.iter().map(|host| format!("{host}={}", one.address)));
        setup.set("BILLWIRE_WEBHOOK_CONNECT_TO", names.collect::<Vec<_>>().join(","));
        setup.set("BILLWIRE_WEBHOOK_CA_FILE", file.display().to_string());
    }

    /// The certificate of the signing authority, as PEM.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    pub fn url(&self) -> String {
        format!("https://{}/hooks", self.hosts[0])
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("the receiver's state")
    }

    /// Sets the answers to the next calls, in order.
    pub fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state().script.extend(answers);
    }

    /// Discards the rest of the script.
    pub fn forget_script(&self) {
        self.state().script.clear();
    }

    /// Sets the answer to every call after the script; `None`: 204.
    pub fn always(&self, answer: Option<Answer>) {
        self.state().always = answer;
    }

    /// Whether calls are recorded or only counted (for measuring).
    pub fn keep_calls(&self, keep: bool) {
        self.state().keep = keep;
    }

    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// The calls since the last `take`.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.state().calls)
    }

    pub fn count(&self) -> usize {
        self.state().count
    }

    /// The number of connections accepted.
    pub fn connections(&self) -> usize {
        self.state().connections
    }

    pub fn forget(&self) {
        let mut state = self.state();
        state.calls.clear();
        state.count = 0;
    }
}

/// TLS for these names, and the certificate of the signing authority as PEM.
fn tls(hosts: &[String], http2: bool) -> (TlsAcceptor, String) {
    let mut authority = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().expect("a key");
    let ca = authority.self_signed(&authority_key).expect("a certificate");
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let leaf = rcgen::CertificateParams::new(hosts.to_vec()).expect("parameters").signed_by(&key, &issuer).expect("signed");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(leaf.der().to_vec())], key)
        .expect("a certificate");
    if http2 {
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    (TlsAcceptor::from(Arc::new(config)), ca.pem())
}

/// Answers the first call of a connection with this misbehaviour until the client hangs up.
async fn misbehave(mut stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>, how: Misbehaviour, state: Arc<Mutex<State>>) {
    let mut read = [0; 4096];
    if stream.read(&mut read).await.unwrap_or(0) == 0 {
        return;
    }
    state.lock().expect("the receiver's state").count += 1;
    let (mut next, then, wait) = match how {
        Misbehaviour::DripHead => ("HTTP/1.1 200 OK\r\nx-drip: ".to_owned(), "x".to_owned(), Duration::from_millis(500)),
        Misbehaviour::EndlessHead => ("HTTP/1.1 200 OK\r\n".to_owned(), "x-more: 0123456789\r\n".repeat(200), Duration::ZERO),
        Misbehaviour::EndlessBody => ("HTTP/1.1 200 OK\r\n\r\n".to_owned(), "x".repeat(4096), Duration::ZERO),
    };
    while stream.write_all(next.as_bytes()).await.is_ok() && stream.flush().await.is_ok() {
        next.clone_from(&then);
        tokio::time::sleep(wait).await;
    }
}

async fn answer(request: Request<Incoming>, state: Arc<Mutex<State>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Ok(respond(400)) };
    let what = {
        let mut state = state.lock().expect("the receiver's state");
        state.count += 1;
        if state.keep {
            let path = head.uri.path().to_owned();
            state.calls.push(Call { headers: head.headers.clone(), path, body: body.to_bytes(), at: Instant::now() });
        }
        state.script.pop_front().or_else(|| state.always.clone())
    };
    match what {
        None => Ok(respond(204)),
        Some(Answer::Status(status)) => Ok(respond(status)),
        Some(Answer::RetryAfter(status, seconds)) => {
            let mut response = respond(status);
            response.headers_mut().insert("retry-after", seconds.into());
            Ok(response)
        }
        Some(Answer::Echo(status)) => {
            let mut response = respond(status);
            response.headers_mut().insert("set-cookie", hyper::header::HeaderValue::from_static("session=secret-of-the-receiver"));
            let credentials = head.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
            *response.body_mut() = Full::new(Bytes::from(format!("you said\n{credentials}")));
            Ok(response)
        }
        Some(Answer::Slow(wait)) => {
            tokio::time::sleep(wait).await;
            Ok(respond(204))
        }
    }
}

fn respond(status: u16) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = hyper::StatusCode::from_u16(status).expect("a status");
    response
}
