//! The local webhook receiver: it checks TLS and signatures as a receiver in production does, and keeps the calls.

use std::sync::Arc;

use billwire_schemas::clock::{Clock, SystemClock, Timestamp};
use futures::{StreamExt, stream};
use poem::{
    Body, EndpointExt, IntoEndpoint, Request, Route, Server, handler,
    http::{HeaderMap, StatusCode},
    listener::{AcceptorExt, RustlsCertificate, RustlsConfig, TcpAcceptor},
    post,
    web::Data,
};
use serde_json::{Value, json};
use standardwebhooks::{HEADER_WEBHOOK_ID, Webhook, WebhookError};
use tokio::task::JoinSet;

use crate::{certificate::Identity, ring_buffer::RingBuffer};

/// The host in the receiver's certificate and URL. No `.test` name exists on the internet (RFC 6761).
pub const HOST: &str = "receiver.billwire.test";
/// The URL of the webhook endpoint.
pub const URL: &str = "https://receiver.billwire.test";
/// The path that takes calls.
pub const PATH: &str = "/hooks";
/// Where the sample tenant's CRM takes calls: whatever the path below and the signature, which a user may have changed.
const SAMPLE_PATH: &str = "/crm/*below";
/// Largest body accepted: the largest message of the stream.
const BODY_BYTES_MAX: usize = 1 << 20;

/// One call as it came.
#[derive(Debug)]
pub struct Call {
    /// When the body was complete.
    pub received_at: Timestamp,
    /// `webhook-id`: the event's id.
    pub id: String,
    /// The event's type.
    pub kind: String,
    /// The result of the signature check.
    pub verdict: Result<(), WebhookError>,
    /// All headers.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

impl Call {
    fn read(headers: &HeaderMap, body: &[u8], webhook: &Webhook, received_at: Timestamp) -> Self {
        let message: Value = serde_json::from_slice(body).unwrap_or_default();
        Self {
            received_at,
            id: headers.get(HEADER_WEBHOOK_ID).and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned(),
            kind: message["type"].as_str().unwrap_or("(no event)").to_owned(),
            verdict: webhook.verify(body, headers),
            headers: headers.iter().map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned())).collect(),
            body: String::from_utf8_lossy(body).into_owned(),
        }
    }

    /// The call in `/webhooks.json`.
    pub fn json(&self) -> Value {
        let headers: Vec<Value> = self.headers.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        let signature = self.verdict.as_ref().map_or_else(ToString::to_string, |()| "valid".to_owned());
        json!({ "receivedAt": self.received_at, "id": self.id, "type": self.kind, "signature": signature, "headers": headers, "body": self.body })
    }
}

/// Serves on `listener` until `tasks` end. Puts each call into `calls`.
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
    let webhook = Arc::new(Webhook::new(secret).map_err(|e| format!("the local receiver's secret: {e}"))?);
    let certificate = RustlsCertificate::new().key(identity.leaf.clone()).cert(identity.leaf);
    let config = RustlsConfig::new().fallback(certificate);
    let acceptor = TcpAcceptor::from_std(listener).map_err(|e| format!("the local receiver: {e}"))?;
    // The stream of configurations must not end. It has one element.
    let acceptor = acceptor.rustls(stream::once(async { config }).chain(stream::pending()).boxed());
    let service = Route::new().at(PATH, post(answer)).at(SAMPLE_PATH, post(taken)).data(webhook).data(calls).into_endpoint();
    tasks.spawn(async move {
        if let Err(error) = Server::new_with_acceptor(acceptor).run(service).await {
            tracing::error!(%error, "the local webhook receiver ended");
        }
    });
    Ok(())
}

/// Keeps every call. Answers 401 if the signature is not valid.
#[handler]
async fn answer(request: &Request, body: Body, webhook: Data<&Arc<Webhook>>, calls: Data<&RingBuffer<Call>>) -> StatusCode {
    let Ok(body) = body.into_bytes_limit(BODY_BYTES_MAX).await else { return StatusCode::PAYLOAD_TOO_LARGE };
    let call = Call::read(request.headers(), &body, &webhook, SystemClock.now());
    let status = if call.verdict.is_ok() { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED };
    let headers: usize = call.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    calls.push(call, body.len() + headers);
    status
}

/// Takes a call unseen.
#[handler]
async fn taken(body: Body) -> StatusCode {
    match body.into_bytes_limit(BODY_BYTES_MAX).await {
        Ok(_) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::PAYLOAD_TOO_LARGE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";

    fn webhook() -> Webhook {
        Webhook::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()
    }

    fn verdict(timestamp: &str, signature: &str, body: &[u8]) -> Result<(), String> {
        let headers = [("webhook-id", ID), ("webhook-timestamp", timestamp), ("webhook-signature", signature)];
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Call::read(&headers, body, &webhook(), Timestamp::UNIX_EPOCH).verdict.map_err(|refused| refused.to_string())
    }

    #[test]
    fn the_vector_of_the_specification_is_signed_alike() {
        assert_eq!(webhook().sign(ID, 1_614_265_330, BODY).unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_valid_signature_is_accepted_beside_others_and_anything_else_is_refused_with_its_reason() {
        let signed = |seconds: i64| {
            let timestamp = SystemClock.now().timestamp() + seconds;
            (timestamp.to_string(), webhook().sign(ID, timestamp, BODY).unwrap())
        };
        let (now, signature) = signed(0);
        assert_eq!(verdict(&now, &signature, BODY), Ok(()));
        assert_eq!(verdict(&now, &format!("v1a,xyz v1,AAAA {signature}"), BODY), Ok(()));
        for tolerated in [-290, 290] {
            let (timestamp, signature) = signed(tolerated);
            assert_eq!(verdict(&timestamp, &signature, BODY), Ok(()));
        }
        let refused = |timestamp: &str, signature: &str, body, reason: &str| {
            let verdict = verdict(timestamp, signature, body);
            assert!(verdict.as_ref().is_err_and(|refused| refused.contains(reason)), "{verdict:?}");
        };
        refused(&now, &signature, b"{}", "signature invalid");
        refused(&signed(1).0, &signature, BODY, "signature invalid");
        refused(&now, &signature[3..], BODY, "signature invalid");
        for (seconds, reason) in [(-310, "too old"), (310, "too far in future")] {
            let (timestamp, signature) = signed(seconds);
            refused(&timestamp, &signature, BODY, reason);
        }
        refused("soon", &signature, BODY, "timestamp");
    }
}
