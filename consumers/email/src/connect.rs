//! How a connection comes to be: the name, TCP, TLS, the greeting.
//!
//! STARTTLS is spoken here and not by the SMTP library, whose reading buffer outlives the change to TLS: what an attacker on the way
//! adds behind the server's consent in clear would be taken for the server's own answers afterwards (CVE-2011-0411 and its kin). Here
//! nothing may follow that answer.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use billwire_schemas::destination;
use lettre::transport::smtp::{
    client::{AsyncSmtpConnection, AsyncTokioStream},
    extension::ClientId,
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf},
    net::{TcpStream, lookup_host},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    Security, SmtpAccount,
    reply::{Cause, Failure, Stage},
};

/// Longest line of an answer (RFC 5321 section 4.5.3.1.5 grants 512; servers write more).
const LINE_BYTES_MAX: u64 = 2048;
/// Most lines of an answer.
const LINES_MAX: usize = 100;

/// A connection, in clear or not.
#[derive(Debug)]
enum Wire {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What the SMTP library talks through. `ahead` is read before the wire.
#[derive(Debug)]
struct Line {
    wire: Wire,
    ahead: &'static [u8],
}

impl AsyncTokioStream for Line {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        match &self.wire {
            Wire::Clear(tcp) => tcp.peer_addr(),
            Wire::Tls(tls) => tls.get_ref().0.peer_addr(),
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let (now, later) = self.ahead.split_at(self.ahead.len().min(into.remaining()));
            into.put_slice(now);
            self.ahead = later;
            return Poll::Ready(Ok(()));
        }
        match &mut self.wire {
            Wire::Clear(tcp) => Pin::new(tcp).poll_read(context, into),
            Wire::Tls(tls) => Pin::new(tls).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.wire {
            Wire::Clear(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Wire::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Clear(tcp) => Pin::new(tcp).poll_flush(context),
            Wire::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Clear(tcp) => Pin::new(tcp).poll_shutdown(context),
            Wire::Tls(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }
}

/// A connection to the account's server on which the greeting and EHLO are done, encrypted as the account asks.
///
/// `public_only`: nothing but public addresses is dialled, and one that is not spoils them all. `stage` is told how far it came.
///
/// # Errors
/// [`Failure`].
pub async fn connect(
    account: &SmtpAccount,
    public_only: bool,
    tls: &Arc<ClientConfig>,
    hello: &ClientId,
    stage: &mut Stage,
) -> Result<AsyncSmtpConnection, Failure> {
    *stage = Stage::Resolve;
    let addresses: Vec<SocketAddr> = match lookup_host((account.server.as_str(), account.port)).await {
        Ok(addresses) => addresses.collect(),
        Err(_) => return Err(Failure { stage: Stage::Resolve, cause: Cause::Network }),
    };
    if public_only && !addresses.iter().all(|address| destination::is_public(address.ip())) {
        return Err(Failure { stage: Stage::Resolve, cause: Cause::Unsuitable("the server's address is not public".to_owned()) });
    }
    *stage = Stage::Connect;
    let tcp = TcpStream::connect(addresses.as_slice()).await.map_err(|_| Failure { stage: Stage::Connect, cause: Cause::Network })?;
    // A message ends with a small write behind a large one: without this each would wait for a delayed acknowledgement.
    tcp.set_nodelay(true).map_err(|_| Failure { stage: Stage::Connect, cause: Cause::Network })?;
    let line = match account.security {
        Security::None => Line { wire: Wire::Clear(tcp), ahead: b"" },
        Security::Tls => {
            *stage = Stage::Tls;
            Line { wire: Wire::Tls(Box::new(encrypted(tcp, account, tls).await?)), ahead: b"" }
        }
        Security::Starttls => {
            *stage = Stage::Greeting;
            let tcp = starttls(tcp, hello, stage).await?;
            *stage = Stage::Tls;
            let wire = Wire::Tls(Box::new(encrypted(tcp, account, tls).await?));
            // The library waits for a greeting; the server has given it already, in clear.
            Line { wire, ahead: b"220 encrypted\r\n" }
        }
    };
    *stage = Stage::Greeting;
    AsyncSmtpConnection::connect_with_transport(Box::new(line), hello).await.map_err(|error| Failure::of(Stage::Greeting, &error))
}

async fn encrypted(tcp: TcpStream, account: &SmtpAccount, tls: &Arc<ClientConfig>) -> Result<TlsStream<TcpStream>, Failure> {
    let failed = |why: String| Failure { stage: Stage::Tls, cause: Cause::Tls(why) };
    let name =
        ServerName::try_from(account.server.clone()).map_err(|_| failed("the server has no name that a certificate could have".into()))?;
    TlsConnector::from(tls.clone()).connect(name, tcp).await.map_err(|error| failed(why(&error)))
}

/// What is wrong with TLS, in words that help.
fn why(error: &io::Error) -> String {
    use rustls::{CertificateError as Bad, Error};
    let told = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match told {
        Some(Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. })) => "the certificate has expired".to_owned(),
        Some(Error::InvalidCertificate(Bad::NotValidYet | Bad::NotValidYetContext { .. })) => "the certificate is not valid yet".to_owned(),
        Some(Error::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. })) => {
            "the certificate is for another name".to_owned()
        }
        Some(Error::InvalidCertificate(Bad::UnknownIssuer)) => "the certificate's issuer is not trusted".to_owned(),
        Some(Error::InvalidCertificate(Bad::Revoked)) => "the certificate was revoked".to_owned(),
        Some(Error::InvalidCertificate(_)) => "the certificate is not valid".to_owned(),
        Some(Error::InvalidMessage(_)) => "the server does not speak TLS here".to_owned(),
        Some(Error::AlertReceived(_) | Error::PeerIncompatible(_)) => "the server refused TLS".to_owned(),
        _ => "the connection broke off during the handshake".to_owned(),
    }
}

/// Greets, asks for STARTTLS and has the server's consent.
async fn starttls(tcp: TcpStream, hello: &ClientId, stage: &mut Stage) -> Result<TcpStream, Failure> {
    let mut reader = BufReader::new(tcp);
    answer(&mut reader, Stage::Greeting).await?;
    say(&mut reader, &format!("EHLO {hello}\r\n")).await?;
    let offered = answer(&mut reader, Stage::Greeting).await?;
    *stage = Stage::Tls;
    if !offered.iter().any(|line| line.eq_ignore_ascii_case("STARTTLS")) {
        return Err(Failure { stage: Stage::Tls, cause: Cause::Tls("the server does not offer STARTTLS".to_owned()) });
    }
    say(&mut reader, "STARTTLS\r\n").await?;
    answer(&mut reader, Stage::Tls).await?;
    if !reader.buffer().is_empty() {
        let why = "someone put words behind the server's consent to STARTTLS".to_owned();
        return Err(Failure { stage: Stage::Tls, cause: Cause::Tls(why) });
    }
    Ok(reader.into_inner())
}

async fn say(to: &mut BufReader<TcpStream>, words: &str) -> Result<(), Failure> {
    to.write_all(words.as_bytes()).await.map_err(|_| Failure { stage: Stage::Greeting, cause: Cause::Network })
}

/// The texts of a positive answer, line by line.
async fn answer(from: &mut BufReader<TcpStream>, stage: Stage) -> Result<Vec<String>, Failure> {
    let garbled = || Failure { stage, cause: Cause::Garbled };
    let mut texts = Vec::new();
    while texts.len() < LINES_MAX {
        let mut line = Vec::new();
        let read = from.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await;
        read.map_err(|_| Failure { stage, cause: Cause::Network })?;
        let line = String::from_utf8_lossy(&line);
        let line = line.strip_suffix('\n').ok_or_else(garbled)?.trim_end_matches('\r');
        let code: u16 = line.get(..3).and_then(|code| code.parse().ok()).ok_or_else(garbled)?;
        texts.push(line.get(4..).unwrap_or_default().to_owned());
        match line.as_bytes().get(3) {
            Some(b'-') => {}
            Some(b' ') | None if (200..400).contains(&code) => return Ok(texts),
            Some(b' ') | None => return Err(Failure { stage, cause: Cause::Answer { code, words: texts.join(" ") } }),
            Some(_) => return Err(garbled()),
        }
    }
    Err(garbled())
}
