//! Opens connections: name, TCP, TLS, the greeting.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use billwire_schemas::destination;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, lookup_host},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    Security, SmtpAccount,
    reply::{Cause, Failure, Stage},
    session::Session,
};

/// A connection, encrypted or not.
#[derive(Debug)]
pub(crate) enum Wire {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Clear(tcp) => Pin::new(tcp).poll_read(context, into),
            Self::Tls(tls) => Pin::new(tls).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Clear(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Clear(tcp) => Pin::new(tcp).poll_flush(context),
            Self::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Clear(tcp) => Pin::new(tcp).poll_shutdown(context),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }
}

/// A connection to the account's server on which the greeting and EHLO are done, encrypted as the account says.
///
/// `public_only`: if one address of the server is not public, none is connected to. `stage` is set to what is being done.
///
/// # Errors
/// [`Failure`].
pub(crate) async fn connect(
    account: &SmtpAccount,
    public_only: bool,
    tls: &Arc<ClientConfig>,
    hello: &str,
    stage: &mut Stage,
) -> Result<Session<Wire>, Failure> {
    *stage = Stage::Resolve;
    let addresses = addresses(account, public_only).await.ok_or(Cause::Network.at(Stage::Resolve))?;
    *stage = Stage::Connect;
    let tcp = TcpStream::connect(addresses.as_slice()).await.map_err(|_| Cause::Network.at(Stage::Connect))?;
    // A message ends with a small write behind a large one: without this each would wait for a delayed acknowledgement.
    tcp.set_nodelay(true).map_err(|_| Cause::Network.at(Stage::Connect))?;
    let mut session = match account.security {
        Security::None => Session::new(Wire::Clear(tcp)),
        Security::Tls => {
            *stage = Stage::Tls;
            Session::new(Wire::Tls(Box::new(encrypted(tcp, account, tls).await?)))
        }
        Security::Starttls => {
            let tcp = starttls(tcp, hello, stage).await?;
            let mut session = Session::new(Wire::Tls(Box::new(encrypted(tcp, account, tls).await?)));
            // What the server offered in clear does not count, and it gives no second greeting (RFC 3207 section 4.2).
            *stage = Stage::Greeting;
            session.hello(hello).await.map_err(|cause| cause.at(Stage::Greeting))?;
            return Ok(session);
        }
    };
    *stage = Stage::Greeting;
    session.greeted().await.map_err(|cause| cause.at(Stage::Greeting))?;
    session.hello(hello).await.map_err(|cause| cause.at(Stage::Greeting))?;
    Ok(session)
}

/// The addresses of the account's server; `None`: it has none that may be used. The tenant is not told why, or they could find out which
/// names and addresses the private network has; the operator is.
async fn addresses(account: &SmtpAccount, public_only: bool) -> Option<Vec<SocketAddr>> {
    let found: Vec<SocketAddr> = lookup_host((account.server.as_str(), account.port)).await.ok()?.collect();
    if let Some(private) = found.iter().find(|address| public_only && !destination::is_public(address.ip())) {
        let (server, address) = (&account.server, private.ip());
        tracing::warn!(server, %address, "SMTP server not used: its address is not public; BILLWIRE_SMTP_PUBLIC_ONLY=false allows it");
        return None;
    }
    Some(found)
}

async fn encrypted(tcp: TcpStream, account: &SmtpAccount, tls: &Arc<ClientConfig>) -> Result<TlsStream<TcpStream>, Failure> {
    let failed = |why: String| Cause::Tls(why).at(Stage::Tls);
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

/// Greets in clear and has the server change to TLS.
async fn starttls(tcp: TcpStream, hello: &str, stage: &mut Stage) -> Result<TcpStream, Failure> {
    *stage = Stage::Greeting;
    let mut session = Session::new(tcp);
    session.greeted().await.map_err(|cause| cause.at(Stage::Greeting))?;
    session.hello(hello).await.map_err(|cause| cause.at(Stage::Greeting))?;
    *stage = Stage::Tls;
    let failed = |why: &str| Cause::Tls(why.to_owned()).at(Stage::Tls);
    if !session.offers("STARTTLS") {
        return Err(failed("the server does not offer STARTTLS"));
    }
    session.command("STARTTLS", 2).await.map_err(|cause| cause.at(Stage::Tls))?;
    session.into_stream().ok_or_else(|| failed("someone put words behind the server's consent to STARTTLS"))
}
