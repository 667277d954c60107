//! TLS in front of a receiver that speaks plain HTTP.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use billwire_tests::{certificates, gateway::Setup, receiver::HOST};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// TLS in front of a receiver, as a proxy would be.
pub struct Front {
    /// The next answer is lost.
    losing: Arc<AtomicBool>,
}

impl Front {
    /// Starts it in front of this port, and lets a gateway reach it.
    pub async fn start(setup: &mut Setup, port: u16) -> Self {
        let files = certificates::write(&setup.folder.0, HOST, false);
        let certificate = CertificateDer::from_pem_file(&files.certificate).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(&files.key).expect("a key");
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a certificate");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        setup.set("BILLWIRE_WEBHOOK_CONNECT_TO", format!("{HOST}={}", listener.local_addr().expect("an address")));
        setup.set("BILLWIRE_WEBHOOK_CA_FILE", files.authority.display().to_string());
        let (acceptor, losing) = (TlsAcceptor::from(Arc::new(config)), Arc::new(AtomicBool::new(false)));
        let lost = losing.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, lost) = (acceptor.clone(), lost.clone());
                tokio::spawn(async move {
                    let Ok(outside) = acceptor.accept(stream).await else { return };
                    let Ok(inside) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    relay(outside, inside, &lost).await;
                });
            }
        });
        Self { losing }
    }

    pub fn lose_the_next_answer(&self) {
        self.losing.store(true, Ordering::SeqCst);
    }

    pub fn has_lost_an_answer(&self) -> bool {
        !self.losing.load(Ordering::SeqCst)
    }
}

/// Passes a connection's bytes on, and closes it when an answer is to be lost.
async fn relay(outside: TlsStream<TcpStream>, inside: TcpStream, losing: &AtomicBool) {
    let (mut from_gateway, mut to_gateway) = tokio::io::split(outside);
    let (mut from_receiver, mut to_receiver) = inside.into_split();
    let calls = tokio::io::copy(&mut from_gateway, &mut to_receiver);
    let answers = async {
        let mut bytes = vec![0; 4096];
        loop {
            let count = from_receiver.read(&mut bytes).await.unwrap_or(0);
            if count == 0 || losing.swap(false, Ordering::SeqCst) {
                return;
            }
            if to_gateway.write_all(&bytes[..count]).await.is_err() || to_gateway.flush().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = calls => {}
        () = answers => {}
    }
}
