//! What issuers of tokens publish, through the guarded client: tenants name issuers, so the rules of destinations hold.

use std::time::Duration;

use async_trait::async_trait;
use billwire_app::IssuerClient;
use billwire_schemas::destination;
use billwire_webhook::Client;

/// Largest document of an issuer, in bytes. Real ones have a few KiB; a set of keys with their certificates some ten.
const BYTES_MAX: usize = 256 * 1024;
/// How long an issuer may take: a caller waits for it.
const TIME_MAX: Duration = Duration::from_secs(5);

/// The guarded client as the use cases see it.
pub struct Issuers(pub Client);

#[async_trait]
impl IssuerClient for Issuers {
    async fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        let url = destination::parse(url).map_err(|refused| refused.to_string())?;
        let answer = self.0.get(&url, BYTES_MAX, TIME_MAX).await.map_err(|failure| failure.to_string())?;
        if answer.status.as_u16() != 200 {
            return Err(format!("the answer has status {}", answer.status.as_u16()));
        }
        Ok(answer.body.into())
    }
}
