//! The local webhook receiver: real TLS, a real signature check, and a memory of what came.

use std::sync::Arc;

use aws_lc_rs::hmac;
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    signing_secret::{self, Key},
};
use futures::{StreamExt, stream};
use poem::{
    Body, EndpointExt, IntoEndpoint, Request, Route, Server, handler,
    http::{HeaderMap, StatusCode},
    listener::{AcceptorExt, RustlsCertificate, RustlsConfig, TcpAcceptor},
    post,
    web::Data,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    certificate::Identity,
    ring_buffer::RingBuffer,
    signature::{self, Refused, Signed},
};

/// The name in the receiver's certificate and URL. `.test` never exists on the internet (RFC 6761).
pub const HOST: &str = "receiver.billwire.test";
/// The URL its endpoint is made with.
pub const URL: &str = "https://receiver.billwire.test";
/// Where it takes calls.
pub const PATH: &str = "/hooks";
/// Largest body taken: as large as a message on the stream may be.
const BODY_BYTES_MAX: usize = 1 << 20;

/// One call as it came.
#[derive(Debug)]
pub struct Call {
    /// When its body was there.
    pub received_at: Timestamp,
    /// `webhook-id`: the event's id.
    pub id: String,
    /// The event's type.
    pub kind: String,
    /// What the signature check said.
    pub verdict: Result<(), Refused>,
    /// All headers.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

impl Call {
    fn read(headers: &HeaderMap, body: &[u8], key: &hmac::Key, now: Timestamp) -> Self {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let signed = Signed { id: header("webhook-id"), timestamp: header("webhook-timestamp"), signature: header("webhook-signature") };
        let message: Value = serde_json::from_slice(body).unwrap_or_default();
        Self {
            received_at: now,
            id: signed.id.unwrap_or_default().to_owned(),
            kind: message["type"].as_str().unwrap_or("(no event)").to_owned(),
            verdict: signature::verify(key, signed, body, now),
            headers: headers.iter().map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned())).collect(),
            body: String::from_utf8_lossy(body).into_owned(),
        }
    }

    /// As `/webhooks.json` shows it.
    pub fn json(&self) -> Value {
        let headers: Vec<Value> = self.headers.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        let signature = self.verdict.map_or_else(|refused| refused.to_string(), |()| "valid".to_owned());
        json!({ "receivedAt": self.received_at, "id": self.id, "type": self.kind, "signature": signature, "headers": headers, "body": self.body })
    }
}

/// Serves on `listener` until `tasks` end. What came is in `calls`.
///
/// # Errors
/// One line that says what is wrong.
pub fn start(
    tasks: &mut JoinSet<()>,
    listener: std::net::TcpListener,
    identity: Identity,
    secret: &str,
    calls: RingBuffer<Call>,
) -> Result<(), String> {
    let Ok(Key::Shared(key)) = signing_secret::decode(secret) else {
        return Err("the local receiver's secret is no shared signing secret".to_owned());
    };
    let key = Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &key));
    let certificate = RustlsCertificate::new().key(identity.leaf.clone()).cert(identity.leaf);
    let config = RustlsConfig::new().fallback(certificate);
    let acceptor = TcpAcceptor::from_std(listener).map_err(|e| format!("the local receiver: {e}"))?;
    // The stream of configurations must never end; there is one and no other.
    let acceptor = acceptor.rustls(stream::once(async { config }).chain(stream::pending()).boxed());
    let service = Route::new().at(PATH, post(answer)).data(key).data(calls).into_endpoint();
    tasks.spawn(async move {
        if let Err(error) = Server::new_with_acceptor(acceptor).run(service).await {
            tracing::error!(%error, "the local webhook receiver ended");
        }
    });
    Ok(())
}

/// Keeps the call whatever it is, and answers as a careful receiver would: 401 to what is not signed.
#[handler]
async fn answer(request: &Request, body: Body, key: Data<&Arc<hmac::Key>>, calls: Data<&RingBuffer<Call>>) -> StatusCode {
    let Ok(body) = body.into_bytes_limit(BODY_BYTES_MAX).await else { return StatusCode::PAYLOAD_TOO_LARGE };
    let call = Call::read(request.headers(), &body, &key, SystemClock.now());
    let status = if call.verdict.is_ok() { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED };
    let headers: usize = call.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    calls.push(call, body.len() + headers);
    status
}
