//! The limits of the service.

use std::time::Duration;

use crate::openapi::sign_in::SignIn;

/// Limits of the service.
#[derive(Debug, Clone)]
pub struct Options {
    /// Maximum size of a request body, in bytes. Default 1 MiB.
    pub body_limit: usize,
    /// Timeout for receiving a body. Default 30 s.
    pub body_timeout: Duration,
    /// Maximum size of the stored items of a page of a list, in bytes. Default 4 MiB.
    pub page_bytes: usize,
    /// Memory of all pages that are being read or sent, in bytes. Default 128 MiB.
    pub pages_bytes: usize,
    /// Longest a call waits for memory for its page. Default 20 s.
    pub pages_wait: Duration,
    /// Requests a second that an API key may send to this process; 0: any number. Default 1 000.
    pub requests_per_key: u32,
    /// The same of all keys of a tenant together, unless the tenant has a limit of its own. Default 5 000.
    pub requests_per_tenant: u32,
    /// Wrong credentials a minute that an address may send; 0: any number. Default 60.
    pub wrong_credentials_per_minute: u32,
    /// Tails of a tenant that wait for events in this process at the same time. Default 100.
    pub tails_per_tenant: usize,
    /// Where people sign in on the page of the API. Default: nowhere, they need a key.
    pub sign_in: Option<SignIn>,
}

impl Default for Options {
    fn default() -> Self {
        let [body_timeout, pages_wait] = [30, 20].map(Duration::from_secs);
        Self {
            body_limit: 1 << 20,
            body_timeout,
            page_bytes: 4 << 20,
            pages_bytes: 128 << 20,
            pages_wait,
            requests_per_key: 1_000,
            requests_per_tenant: 5_000,
            wrong_credentials_per_minute: 60,
            tails_per_tenant: 100,
            sign_in: None,
        }
    }
}
