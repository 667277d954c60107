//! Receives webhooks of Billwire: verifies each call, takes each event once, and tells which events come late.
//!
//! `receiver PORT SECRET[,SECRET...]`; a secret is `whsec_...`, or the public key `whpk_...` of an ed25519 pair. Needs aws-lc-rs (any
//! HMAC-SHA256 and ed25519 will do), base64, bytes, http-body-util, hyper, hyper-util, serde_json and tokio. Listens on 127.0.0.1 without TLS,
//! because a proxy in front of it has the certificate.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    error::Error,
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    time::UNIX_EPOCH,
};

use aws_lc_rs::{hmac, signature};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{HeaderMap, Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// More than any event has, so that a stranger cannot fill the memory.
const BODY_MAX: usize = 4 * 1024 * 1024;

// [verify]
/// Whether one of the secrets has signed these bytes, at most five minutes away from now.
fn verify(secrets: &[String], headers: &HeaderMap, body: &[u8]) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let now = UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
    let fresh = timestamp.parse::<u64>().is_ok_and(|sent| now.abs_diff(sent) <= 5 * 60);
    if id.is_empty() || !fresh {
        return false;
    }
    let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    // During a rotation a call has several signatures. One that fits is enough.
    header("webhook-signature").split(' ').any(|one| secrets.iter().any(|secret| fits(secret, one, &signed).unwrap_or(false)))
}

fn fits(secret: &str, signature: &str, signed: &[u8]) -> Option<bool> {
    let (kind, key) = secret.split_once('_')?;
    let (version, given) = signature.split_once(',')?;
    let (key, given) = (STANDARD.decode(key).ok()?, STANDARD.decode(given).ok()?);
    match (kind, version) {
        // Unlike ==, it takes the same time wherever the first wrong byte is.
        ("whsec", "v1") => Some(hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed, &given).is_ok()),
        ("whpk", "v1a") => Some(signature::UnparsedPublicKey::new(&signature::ED25519, key).verify(signed, &given).is_ok()),
        _ => None, // a version or a kind of key that this program does not know
    }
}
// [/verify]

// [once]
#[derive(Default)]
struct Events {
    /// In production: a table whose primary key is the id.
    seen: HashSet<String>,
    /// The highest sequence of each key.
    last: HashMap<String, String>,
}

impl Events {
    /// Takes an event once. Whoever stores events does all of this in one transaction: the effect, the id and the sequence.
    fn take(&mut self, event: &Value) -> io::Result<()> {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let (id, key, sequence) = (text("id"), text("partitionkey"), text("sequence"));
        if self.seen.contains(&id) {
            return Ok(());
        }
        let last = self.last.entry(key.clone()).or_default();
        // Sequences have leading zeros, so they compare as texts. A late event must not replace newer state.
        let late = sequence < *last;
        writeln!(io::stdout(), "{}", json!({ "id": id, "type": text("type"), "key": key, "sequence": sequence, "late": late }))?;
        if !late {
            *last = sequence;
        }
        self.seen.insert(id);
        Ok(())
    }
}
// [/once]

type Shared = Arc<(Vec<String>, Mutex<Events>)>;

async fn answer(call: Request<Incoming>, shared: Shared) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (secrets, events) = &*shared;
    let (head, body) = call.into_parts();
    // The bytes as they came: JSON that was read and written again has other bytes, and the signature does not fit.
    let status = match Limited::new(body, BODY_MAX).collect().await.map(|body| body.to_bytes()) {
        Err(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Ok(body) if !verify(secrets, &head.headers, &body) => StatusCode::BAD_REQUEST,
        Ok(body) => {
            let mut events = events.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = serde_json::from_slice::<Value>(&body).map_err(io::Error::from).and_then(|event| events.take(&event));
            // After a 500 the call comes again.
            taken.map_or(StatusCode::INTERNAL_SERVER_ERROR, |()| StatusCode::NO_CONTENT)
        }
    };
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    Ok(response)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, secrets] = arguments.as_slice() else { return Err("usage: receiver PORT SECRET[,SECRET...]".into()) };
    let shared: Shared = Arc::new((secrets.split(',').map(str::to_owned).collect(), Mutex::default()));
    let listener = TcpListener::bind(("127.0.0.1", port.parse::<u16>()?)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let shared = shared.clone();
        let service = service_fn(move |call| answer(call, shared.clone()));
        tokio::spawn(async move { http1::Builder::new().serve_connection(TokioIo::new(stream), service).await });
    }
}
