//! The address of the gateway for outsiders.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use url::Url;

use super::Settings;

/// The longest it may be, in bytes: it is in each event.
const LONGEST: usize = 512;

impl Settings {
    /// The URL of the gateway for outsiders, without a slash at its end. It is in each event, as the beginning of `dataschema`.
    ///
    /// # Errors
    /// When it is no URL that a path can be added to.
    pub fn public_url(&self, listening: SocketAddr) -> Result<String, String> {
        let Some(text) = self.public_url.as_deref().map(str::trim).filter(|text| !text.is_empty()) else {
            // Nobody can call an address that stands for all.
            let host = if listening.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { listening.ip() };
            return Ok(format!("http://{}", SocketAddr::new(host, listening.port())));
        };
        let wrong = |why: &str| format!("BILLWIRE_PUBLIC_URL: '{text}' {why}");
        let url = Url::parse(text).map_err(|e| wrong(&format!("is no URL: {e}")))?;
        match url.scheme() {
            "http" | "https" => {}
            _ => return Err(wrong("must begin with https:// or http://")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("must have no user name and no password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("must have no query and no fragment"));
        }
        let url = url.as_str().trim_end_matches('/').to_owned();
        if url.len() > LONGEST { Err(wrong(&format!("has more than {LONGEST} bytes"))) } else { Ok(url) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: Option<&str>, listening: &str) -> Result<String, String> {
        let settings = Settings { public_url: text.map(str::to_owned), ..Settings::default() };
        settings.public_url(listening.parse().expect("an address"))
    }

    #[test]
    fn it_is_the_address_listened_on_unless_it_is_set() {
        assert_eq!(of(None, "127.0.0.1:8080").as_deref(), Ok("http://127.0.0.1:8080"));
        assert_eq!(of(Some(""), "0.0.0.0:80").as_deref(), Ok("http://127.0.0.1:80"));
        assert_eq!(of(None, "[::1]:8080").as_deref(), Ok("http://[::1]:8080"));
        assert_eq!(of(Some("https://Billing.example.com/"), "[::]:8080").as_deref(), Ok("https://billing.example.com"));
        assert_eq!(of(Some("https://example.com/billing/"), "[::]:8080").as_deref(), Ok("https://example.com/billing"));
    }

    #[test]
    fn what_no_path_can_be_added_to_is_named() {
        let long = format!("https://example.com/{}", "a".repeat(500));
        for (text, why) in [
            ("billing.example.com", "is no URL"),
            ("ftp://example.com", "must begin with"),
            ("https://me:secret@example.com", "no user name"),
            ("https://example.com?x=1", "no query"),
            ("https://example.com/#top", "no fragment"),
            (long.as_str(), "more than 512 bytes"),
        ] {
            let refused = of(Some(text), "127.0.0.1:8080").expect_err(text);
            assert!(refused.starts_with("BILLWIRE_PUBLIC_URL") && refused.contains(why), "{refused}");
        }
    }
}
