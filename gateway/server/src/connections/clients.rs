//! The client of a request: the connected peer, or, if that is a trusted proxy, the client that the proxy reports.

use std::net::IpAddr;

use ipnet::IpNet;
use poem::http::{HeaderMap, HeaderName, header};

/// The header of proxies that do not support `Forwarded` (RFC 7239). Most others send it too.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies that are trusted to report a client's address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Parses addresses and networks, separated by commas.
    ///
    /// # Errors
    /// The part that is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let read = |part: &str| part.parse::<IpNet>().or_else(|_| part.parse::<IpAddr>().map(IpNet::from)).map_err(|_| part.to_owned());
        parts.map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether `address` is a trusted proxy.
    pub fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|net| net.contains(&address))
    }

    /// The client of a trusted proxy's request: the right-most address that is not a trusted proxy itself, because anyone may have written
    /// what is left of it. `None` if the proxy reports no address, or none that can be parsed.
    ///
    /// `X-Forwarded-For` takes precedence over `Forwarded`: most proxies write only the former, and pass on a client's own `Forwarded`.
    pub fn client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let name = if headers.contains_key(X_FORWARDED_FOR) { X_FORWARDED_FOR } else { header::FORWARDED };
        let values: Vec<&str> = headers.get_all(&name).iter().map(|value| value.to_str().unwrap_or_default()).collect();
        for hop in values.iter().rev().flat_map(|value| value.rsplit(',')) {
            let text = if name == X_FORWARDED_FOR { hop } else { forwarded_for(hop)? };
            let address = address(text)?;
            if !self.contain(address) {
                return Some(address);
            }
        }
        None
    }
}

/// The `for` of one element of `Forwarded`.
fn forwarded_for(element: &str) -> Option<&str> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for")).map(|(_, value)| value)
}

/// An address with or without quotes, brackets and port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None if text.matches(':').count() == 1 => text.split_once(':')?.0,
        None => text,
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &str, headers: &[(&'static str, &str)]) -> Option<String> {
        let map: HeaderMap = headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a value"))).collect();
        TrustedProxies::parse(trusted).expect("networks").client(&map).map(|address| address.to_string())
    }

    #[test]
    fn the_right_most_address_that_is_no_proxy_is_the_client() {
        let trusted = "10.0.0.0/8, 192.0.2.1,fd00::/8";
        for (headers, expected) in [
            (vec![("x-forwarded-for", "198.51.100.7")], Some("198.51.100.7")),
            (vec![("x-forwarded-for", "1.2.3.4, 198.51.100.7, 10.1.1.1,192.0.2.1")], Some("198.51.100.7")),
            (vec![("x-forwarded-for", "1.2.3.4"), ("x-forwarded-for", "198.51.100.7, 10.0.0.3")], Some("198.51.100.7")),
            (vec![("x-forwarded-for", "198.51.100.7:4711")], Some("198.51.100.7")),
            (vec![("x-forwarded-for", "::ffff:198.51.100.7")], Some("198.51.100.7")),
            (vec![("x-forwarded-for", "2001:db8::1")], Some("2001:db8::1")),
            (vec![("forwarded", "for=192.0.2.43;proto=http, For=\"[2001:db8:cafe::17]:4711\"; by=10.0.0.2")], Some("2001:db8:cafe::17")),
            (vec![("forwarded", "for=1.2.3.4"), ("x-forwarded-for", "198.51.100.7")], Some("198.51.100.7")),
            (vec![("forwarded", "for=1.2.3.4, for=unknown")], None),
            (vec![("forwarded", "for=1.2.3.4, proto=https")], None),
            (vec![("x-forwarded-for", "1.2.3.4, nonsense")], None),
            (vec![("x-forwarded-for", "10.0.0.9")], None),
            (vec![], None),
        ] {
            assert_eq!(client(trusted, &headers).as_deref(), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_network_that_cannot_be_read_is_named() {
        assert_eq!(TrustedProxies::parse("10.0.0.0/8, 10.0.0.0/40"), Err("10.0.0.0/40".to_owned()));
        assert_eq!(TrustedProxies::parse(" "), Ok(TrustedProxies::default()));
    }
}
