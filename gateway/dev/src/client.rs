//! A client of the gateway's public HTTP API: plain HTTP to this machine, one connection per call.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use billwire_schemas::ids::fresh;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

/// Timeout of a call.
const CALL_MAX: Duration = Duration::from_secs(30);
/// Largest response body.
const BODY_BYTES_MAX: usize = 4 << 20;
/// How often a call that was answered with 503 is repeated.
const RETRIES_MAX: u32 = 20;

/// The API of a gateway.
#[derive(Debug, Clone)]
pub struct Api {
    address: SocketAddr,
    key: String,
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; null if it is not JSON.
    pub body: Value,
}

impl Answer {
    /// The body of a successful response.
    ///
    /// # Errors
    /// One line with the status, the code and every violation.
    pub fn success(self, operation: &str) -> Result<Value, String> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        let text = |of: &Value, name: &str| of[name].as_str().unwrap_or_default().to_owned();
        let violations: Vec<String> = self.body["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|error| format!("{} {}", text(error, "pointer"), text(error, "message")))
            .collect();
        let detail = [text(&self.body, "code"), text(&self.body, "detail"), violations.join("; ")];
        let detail: Vec<String> = detail.into_iter().filter(|part| !part.is_empty()).collect();
        Err(format!("{operation} was refused with status {}: {}", self.status, detail.join(": ")))
    }
}

impl Api {
    /// The API at `address`, called with `key`.
    pub fn new(address: SocketAddr, key: String) -> Self {
        // A listener on all addresses is reached on the loopback address.
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Self { address: SocketAddr::new(ip, address.port()), key }
    }

    /// `http://host:port`.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// GET.
    ///
    /// # Errors
    /// When there is no response.
    pub async fn get(&self, path: &str) -> Result<Answer, String> {
        self.call(Method::GET, path, None).await
    }

    /// POST.
    ///
    /// # Errors
    /// When there is no response.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer, String> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// PATCH.
    ///
    /// # Errors
    /// When there is no response.
    pub async fn patch(&self, path: &str, body: &Value) -> Result<Answer, String> {
        self.call(Method::PATCH, path, Some(body)).await
    }

    /// Repeats a call that is answered with 503: a dependency is down, and nothing was changed. All attempts have the same idempotency
    /// key, so that the operation is performed once at most.
    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, String> {
        let key = fresh().to_string();
        let mut attempts = 0;
        loop {
            let asked = timeout(CALL_MAX, self.once(&method, path, body, &key)).await;
            let answer = match asked {
                Ok(Ok(answer)) => answer,
                Ok(Err(error)) => return Err(format!("{method} {path}: {error}")),
                Err(_) => return Err(format!("{method} {path}: no response within {} s", CALL_MAX.as_secs())),
            };
            attempts += 1;
            if answer.status != 503 || attempts > RETRIES_MAX {
                return Ok(answer);
            }
            sleep(Duration::from_millis(250)).await;
        }
    }

    async fn once(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        key: &str,
    ) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/v1{path}"))
            .header(header::HOST, self.address.to_string())
            .header(header::CONNECTION, "close")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key));
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Bytes::from(serde_json::to_vec(body)?)
            }
            None => Bytes::new(),
        };
        if *method != Method::GET {
            request = request.header("idempotency-key", key);
        }
        let request = request.body(Full::new(body))?;
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let exchange = async move {
            let response = sender.send_request(request).await?;
            let status = response.status().as_u16();
            let bytes = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await?.to_bytes();
            Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() })
        };
        // The connection makes progress only while it is polled. It ends when the exchange drops its sender.
        let (answer, _) = tokio::join!(exchange, connection);
        answer
    }
}
