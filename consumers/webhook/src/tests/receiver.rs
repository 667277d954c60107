//! A TLS receiver that does what it is told to.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustls::{
    HandshakeKind,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Barrier, Notify},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// How the receiver answers each request.
#[derive(Clone)]
pub enum Script {
    /// With these bytes.
    Answer(String),
    /// With a good head and a body that never ends, as fast as it is taken.
    Endless,
    /// With a good head and a body of a byte now and then.
    DripBody,
    /// With a byte of the head now and then.
    DripHead,
    /// By hanging up.
    HangUp,
    /// With these bytes, once as many requests wait as the barrier asks for.
    Together(Arc<Barrier>, String),
}

impl Script {
    /// An answer with this status line and body, and the headers in between.
    pub fn answer(status: &str, headers: &str, body: &str) -> Self {
        Self::Answer(format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len()))
    }
}

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    pub sni: Option<String>,
    pub head: String,
    pub body: Vec<u8>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    open: AtomicUsize,
    open_max: AtomicUsize,
    handshakes: Mutex<Vec<HandshakeKind>>,
    requests: Mutex<Vec<Request>>,
    broken_off: Notify,
}

/// A receiver whose certificate is valid for the names it was started with.
pub struct Receiver {
    pub address: SocketAddr,
    /// Holds the receiver's root.
    pub ca_file: PathBuf,
    seen: Arc<Seen>,
    accepting: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
        let _ = std::fs::remove_file(&self.ca_file);
    }
}

impl Receiver {
    pub async fn start(name: &str, script: Script) -> Self {
        Self::asking(name, script, None).await
    }

    /// One that lets in only who shows a certificate that `asked` vouches for.
    pub async fn asking(name: &str, script: Script, asked: Option<CertificateDer<'static>>) -> Self {
        let (acceptor, ca_file) = acceptor(name, asked, &[]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let (acceptor, script, shared) = (acceptor.clone(), script.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    let open = shared.open.fetch_add(1, Ordering::SeqCst) + 1;
                    shared.open_max.fetch_max(open, Ordering::SeqCst);
                    serve(acceptor, socket, script, &shared).await;
                    shared.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, ca_file, seen, accepting }
    }

    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Connections that are open now, and the most that were open at once.
    pub fn open(&self) -> (usize, usize) {
        (self.seen.open.load(Ordering::SeqCst), self.seen.open_max.load(Ordering::SeqCst))
    }

    /// How each connection's TLS session began.
    pub fn handshakes(&self) -> Vec<HandshakeKind> {
        self.seen.handshakes.lock().unwrap().clone()
    }

    pub fn requests(&self) -> Vec<Request> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// Returns once a caller has broken off an answer.
    pub async fn broken_off(&self) {
        self.seen.broken_off.notified().await;
    }
}

/// TLS with a new certificate for `name`, and a file with its root.
pub fn acceptor(name: &str, asked: Option<CertificateDer<'static>>, protocols: &[&[u8]]) -> (TlsAcceptor, PathBuf) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let ca_file = std::env::temp_dir().join(format!("billwire-webhook-{}.pem", billwire_schemas::ids::fresh()));
    std::fs::write(&ca_file, made.cert.pem()).unwrap();
    let chain = vec![CertificateDer::from(made.cert.der().to_vec())];
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let tls = match asked {
        None => tls.with_no_client_auth(),
        Some(root) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(root).unwrap();
            let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            tls.with_client_cert_verifier(verifier)
        }
    };
    let mut tls = tls.with_single_cert(chain, key).unwrap();
    tls.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    (TlsAcceptor::from(Arc::new(tls)), ca_file)
}

async fn serve(acceptor: TlsAcceptor, socket: TcpStream, script: Script, seen: &Seen) {
    let Ok(mut stream) = acceptor.accept(socket).await else { return };
    seen.handshakes.lock().unwrap().extend(stream.get_ref().1.handshake_kind());
    while let Some(request) = read_request(&mut stream).await {
        seen.requests.lock().unwrap().push(request);
        let mut wait = Duration::from_millis(20);
        let (first, then) = match &script {
            Script::Answer(text) | Script::Together(_, text) => {
                if let Script::Together(barrier, _) = &script {
                    barrier.wait().await;
                }
                if stream.write_all(text.as_bytes()).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
                continue;
            }
            Script::HangUp => return,
            Script::Endless => {
                wait = Duration::ZERO;
                ("HTTP/1.1 200 OK\r\n\r\n", "x".repeat(4096))
            }
            Script::DripBody => ("HTTP/1.1 200 OK\r\n\r\n", "x".to_owned()),
            Script::DripHead => ("HTTP/1.1 200 OK\r\nx-drip: ", "x".to_owned()),
        };
        let mut next = first.to_owned();
        while stream.write_all(next.as_bytes()).await.is_ok() && stream.flush().await.is_ok() {
            next.clone_from(&then);
            tokio::time::sleep(wait).await;
        }
        seen.broken_off.notify_one();
        return;
    }
}

async fn read_request(stream: &mut TlsStream<TcpStream>) -> Option<Request> {
    let mut read = Vec::new();
    let head_end = loop {
        if let Some(at) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&read[..head_end]).to_ascii_lowercase();
    let length: usize = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |text| text.parse().unwrap());
    while read.len() < head_end + length {
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
    let sni = stream.get_ref().1.server_name().map(str::to_owned);
    Some(Request { sni, head, body: read.split_off(head_end) })
}
