//! Rules for webhook destinations: the URL, the addresses its host resolves to, and the custom headers of a tenant.
//!
//! Validation and call use the same parser. The `url` crate normalizes every disguised address (`127.1`, `0x7f.1`, full-width digits,
//! percent-encoding), so the address checked here is the address called later.

use crate::refusal::Code;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use url::{Host, Url};

/// Maximum length of a URL, in characters.
pub const URL_CHARS_MAX: usize = 2048;
/// Maximum length of a host, in bytes: the DNS limit for names.
pub const HOST_BYTES_MAX: usize = 253;

/// A violated rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Stable code of the rule.
    pub code: Code,
    /// The rule as human-readable text. Never reveals what is behind a refused host, which would map the internal network.
    pub message: String,
}

/// All rules that a URL violates; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub Vec<Broken>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, broken) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("; ")?;
            }
            f.write_str(&broken.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

fn broken(code: Code, message: impl Into<String>) -> Broken {
    Broken { code, message: message.into() }
}

fn verdict(found: Vec<Broken>) -> Result<(), Refused> {
    if found.is_empty() { Ok(()) } else { Err(Refused(found)) }
}

/// Parses and checks the base URL of a webhook endpoint.
///
/// # Errors
/// All rules that the URL violates.
pub fn parse(base_url: &str) -> Result<Url, Refused> {
    let mut found = Vec::new();
    if base_url.chars().count() > URL_CHARS_MAX {
        found.push(broken(Code::UrlTooLong, format!("the URL must not be longer than {URL_CHARS_MAX} characters")));
    }
    // `url` silently removes or replaces these characters, so the stored URL would differ from the submitted one.
    if base_url.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        found.push(broken(Code::UrlUnparsable, "the URL must not contain spaces, backslashes or control characters"));
    }
    match Url::parse(base_url) {
        Ok(url) => {
            found.extend(judge(&url));
            verdict(found).map(|()| url)
        }
        Err(error) => {
            if !found.iter().any(|known| known.code == Code::UrlUnparsable) {
                found.push(broken(Code::UrlUnparsable, format!("this is not an absolute URL: {error}")));
            }
            Err(Refused(found))
        }
    }
}

/// What is wrong with a path below a base URL, if anything. `{name}` stands for a parameter, whose value is checked when it is filled in.
pub fn path_fault(path: &str) -> Option<&'static str> {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    if path.contains('\\') {
        return Some("the path must not contain backslashes");
    }
    let dots = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    path.split('/').any(dots).then_some("the path must not have '.' or '..' as a segment, also not percent-encoded")
}

/// Checks a parsed URL; repeated before every attempt.
///
/// # Errors
/// All rules that the URL violates.
pub fn check(url: &Url) -> Result<(), Refused> {
    verdict(judge(url))
}

fn judge(url: &Url) -> Vec<Broken> {
    let mut found = Vec::new();
    if url.scheme() != "https" {
        found.push(broken(Code::UrlNotHttps, "the URL must start with https://"));
    }
    if url.port().is_some() {
        found.push(broken(Code::UrlHasPort, "the URL must not name a port; calls go to port 443"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        found.push(broken(Code::UrlHasUserInfo, "the URL must not carry a user name or password"));
    }
    if url.fragment().is_some() {
        found.push(broken(Code::UrlHasFragment, "the URL must not have a fragment (#…)"));
    }
    if let Some(message) = host_fault(url.host()) {
        found.push(broken(Code::UrlHostForbidden, message));
    }
    found
}

fn host_fault(host: Option<Host<&str>>) -> Option<String> {
    let name = match host {
        None => return Some("the URL must name a host".to_owned()),
        Some(Host::Ipv4(ip)) => return not_public(ip.into()),
        Some(Host::Ipv6(ip)) => return not_public(ip.into()),
        Some(Host::Domain(name)) => name,
    };
    if name.len() > HOST_BYTES_MAX {
        return Some(format!("the host must not be longer than {HOST_BYTES_MAX} bytes"));
    }
    // `url` parses addresses only for schemes it knows; with any other scheme, an address arrives here as a name.
    if let Ok(ip) = name.parse::<IpAddr>() {
        return not_public(ip);
    }
    let name = name.to_ascii_lowercase();
    // To DNS a trailing dot makes no difference, but to TLS, connection pools and exception lists it is another host.
    let private = name.rsplit('.').next().is_some_and(|zone| PRIVATE_ZONES.contains(&zone));
    if name.ends_with('.') || !name.contains('.') || private { Some(PUBLIC_ONLY.to_owned()) } else { None }
}

/// Zones that the public DNS does not have: reserved by IANA for special use (RFC 6761, 6762, 7686, 8375, 9476) or by ICANN for private
/// networks, or withheld because private networks use them. `.test` and `.example` are for tests and documents, and stay allowed.
const PRIVATE_ZONES: [&str; 14] = [
    "alt",
    "arpa", // also home.arpa
    "corp",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "mail",
    "onion",
    "private",
];

const PUBLIC_ONLY: &str = "the host must be a fully qualified public name or a public address";

fn not_public(ip: IpAddr) -> Option<String> {
    (!is_public(ip)).then(|| PUBLIC_ONLY.to_owned())
}

/// Whether an address is on the public internet. IPv6 uses an allow-list: `2000::/3` except its special ranges. This excludes every
/// form that embeds an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo).
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !SPECIAL_V4.iter().any(|(net, bits)| same_prefix(ip.to_bits(), net.to_bits(), *bits)),
        IpAddr::V6(ip) => {
            let within = |(net, bits): &(Ipv6Addr, u32)| (ip.to_bits() ^ net.to_bits()) >> (128 - bits) == 0;
            within(&(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3)) && !SPECIAL_V6.iter().any(within)
        }
    }
}

fn same_prefix(left: u32, right: u32, bits: u32) -> bool {
    (left ^ right) >> (32 - bits) == 0
}

/// The complete IANA IPv4 special-purpose registry (including its few routed entries, where no receiver runs), multicast, and Azure's
/// platform address, which is not public although its range is.
const SPECIAL_V4: [(Ipv4Addr, u32); 19] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10), // also Alibaba's metadata, 100.100.100.200
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(168, 63, 129, 16), 32), // Azure
    (Ipv4Addr::new(169, 254, 0, 0), 16),   // also the metadata of most clouds, 169.254.169.254
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24), // also Oracle's metadata, 192.0.0.192
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 52, 193, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(192, 175, 48, 0), 24),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// The special ranges within `2000::/3`.
const SPECIAL_V6: [(Ipv6Addr, u32); 5] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments: Teredo, ORCHID, benchmarks
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Whether custom headers must not use this name because the client itself sets it: routing, framing and signature. Allowing one would
/// enable request smuggling or forged signatures.
pub fn header_is_reserved(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let owned = [
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    ];
    owned.contains(&name.as_str()) || ["webhook-", "proxy-", "x-forwarded-"].iter().any(|family| name.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(url: &str) -> Vec<&'static str> {
        parse(url).err().map(|refused| refused.0.iter().map(|broken| broken.code.as_str()).collect()).unwrap_or_default()
    }

    #[test]
    fn urls_of_public_receivers_are_accepted() {
        for url in [
            "https://hooks.example.com",
            "https://hooks.example.com/",
            "https://hooks.example.com:443/in",
            "https://hooks.example.com/in?tenant=7&kind=a%20b",
            "HTTPS://Hooks.Example.COM/In",
            "https://bücher.example/hook",
            "https://my_receiver.example.com/a/b",
            "https://localhost.example.com/",
            "https://internal.example.com/",
            "https://local.example.com/",
            "https://lan.example.com/",
            "https://onion.example/",
            "https://hooks.test/",
            "https://8.8.8.8/hook",
            "https://[2606:4700:4700::1111]/hook",
        ] {
            assert_eq!(codes(url), [""; 0], "{url}");
        }
        assert_eq!(parse("HTTPS://Hooks.Example.COM:443").unwrap().as_str(), "https://hooks.example.com/");
    }

    #[test]
    fn every_broken_rule_is_named() {
        for (url, expected) in [
            ("http://hooks.example.com/", vec!["url_not_https"]),
            ("ftp://hooks.example.com/", vec!["url_not_https"]),
            ("mailto:a@example.com", vec!["url_not_https", "url_host_forbidden"]),
            ("foo://127.0.0.1/", vec!["url_not_https", "url_host_forbidden"]),
            ("https://hooks.example.com:8443/", vec!["url_has_port"]),
            ("https://hooks.example.com:0/", vec!["url_has_port"]),
            ("https://user@hooks.example.com/", vec!["url_has_user_info"]),
            ("https://:pass@hooks.example.com/", vec!["url_has_user_info"]),
            ("https://hooks.example.com/#top", vec!["url_has_fragment"]),
            ("https://hooks.example.com/#", vec!["url_has_fragment"]),
            ("hooks.example.com/in", vec!["url_unparsable"]),
            ("/in", vec!["url_unparsable"]),
            ("", vec!["url_unparsable"]),
            ("https://", vec!["url_unparsable"]),
            ("https://[fe80::1%25eth0]/", vec!["url_unparsable"]),
            ("https://hooks.example.com:99999/", vec!["url_unparsable"]),
            (" https://hooks.example.com/", vec!["url_unparsable"]),
            ("https://hooks.exa\nmple.com/", vec!["url_unparsable"]),
            ("https:\\\\hooks.example.com\\in", vec!["url_unparsable"]),
            ("https://hooks.example.com/in\\..\\x", vec!["url_unparsable"]),
            ("https://hooks.example.com/in?a=\\", vec!["url_unparsable"]),
            ("http://u:p@127.0.0.1:80/", vec!["url_not_https", "url_has_user_info", "url_host_forbidden"]),
            (
                "http://u:p@127.0.0.1:8080/#x",
                vec!["url_not_https", "url_has_port", "url_has_user_info", "url_has_fragment", "url_host_forbidden"],
            ),
        ] {
            assert_eq!(codes(url), expected, "{url:?}");
        }
    }

    #[test]
    fn hosts_that_are_not_public_are_refused_in_every_disguise() {
        let disguises = "localhost|LOCALHOST|localhost.|a.localhost|a.localhost.|printer.local|printer.local.|vault.internal|metadata.google.internal|\
             intranet|intranet.|example.com.|127.0.0.1|127.1|0x7f.1|2130706433|0177.0.0.1|127.0.0.1.|%31%32%37.0.0.1|１２７.0.0.1|127。0。0。1|0|\
             169.254.169.254|10.0.0.1|172.16.0.1|192.168.1.1|100.100.100.200|168.63.129.16|[::1]|[::]|[::ffff:127.0.0.1]|[::127.0.0.1]|[64:ff9b::a00:1]|\
             [2002:7f00:1::]|[2001::1]|[fd00:ec2::254]|[fe80::1]|[fec0::1]|nas.lan|NAS.LAN|crm.corp|router.home.arpa|1.0.0.127.in-addr.arpa|\
             host.localdomain|host.home|host.intranet|host.private|smtp.mail|abcdefghijklmnop.onion|name.alt|nothing.invalid";
        for host in disguises.split('|') {
            assert_eq!(codes(&format!("https://{host}/")), ["url_host_forbidden"], "{host}");
        }
        assert_eq!(codes("https:169.254.169.254"), ["url_host_forbidden"]);
    }

    #[test]
    fn a_path_has_no_dot_segments_and_no_backslashes() {
        for path in ["/", "/a/b", "/a.b/..c/...", "/a?b=../..&c=\\", "/{account.id}/x", "a", "", "/%2e%2e%2e"] {
            assert_eq!(path_fault(path), None, "{path}");
        }
        for path in ["/..", "/../../x", "/%2e%2e/x", "/.%2E/x", "/a/./b", "/a/%2e", "..", "/a/..?b", "/a\\..\\b", "\\\\evil.example.com"] {
            assert!(path_fault(path).is_some(), "{path}");
        }
    }

    #[test]
    fn lengths_have_limits() {
        let host = format!("{}.example.com", vec!["a".repeat(60); 4].join("."));
        assert_eq!(codes(&format!("https://{host}/")), ["url_host_forbidden"]);
        let base = "https://hooks.example.com/";
        assert!(parse(&format!("{base}{}", "x".repeat(URL_CHARS_MAX - base.len()))).is_ok());
        assert_eq!(codes(&format!("{base}{}", "x".repeat(URL_CHARS_MAX - base.len() + 1))), ["url_too_long"]);
    }

    #[test]
    fn addresses_are_public_or_not() {
        for public in ["1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for public in ["172.15.255.255", "172.32.0.0", "192.0.1.1", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for public in ["2001:200::1", "2001:4860:4860::8888", "2003::1", "2620:4f:8001::1", "3ffe:ffff::1", "2a00:1450::1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for special in ["0.0.0.0", "0.1.2.3", "10.255.255.255", "100.64.0.1", "127.255.255.255", "169.254.0.1", "172.31.255.255"] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
        for special in ["192.0.0.192", "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.255.255", "192.175.48.1"] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
        for special in ["198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
        for special in ["::", "::1", "::ffff:8.8.8.8", "::8.8.8.8", "::ffff:0:8.8.8.8", "64:ff9b::808:808", "64:ff9b:1::1", "100::1"] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
        for special in ["2001::1", "2001:2::1", "2001:20::1", "2001:1ff::1", "2001:db8::1", "2002:808:808::1", "2620:4f:8000::1", "3fff::1"]
        {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
        for special in ["4000::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1"] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
    }

    #[test]
    fn headers_the_call_owns_are_reserved() {
        for name in
            ["Host", "Content-Length", "Transfer-Encoding", "webhook-id", "Webhook-Signature", "Proxy-Authorization", "X-Forwarded-For"]
        {
            assert!(header_is_reserved(name), "{name}");
        }
        for name in ["Authorization", "X-Api-Key", "X-Tenant", "Hostess"] {
            assert!(!header_is_reserved(name), "{name}");
        }
    }

    /// URLs that webhooks must not call, each with a description.
    fn forbidden() -> Vec<(&'static str, &'static str)> {
        let lines = include_str!("../../tests/vectors/forbidden-urls.tsv").lines();
        lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t')).collect()
    }

    #[test]
    fn no_disguise_of_a_forbidden_destination_is_accepted() {
        let vectors = forbidden();
        assert!(vectors.len() >= 150, "{}", vectors.len());
        let taken: Vec<_> = vectors.iter().filter(|(url, _)| parse(url).is_ok()).collect();
        assert!(taken.is_empty(), "{taken:?}");
    }
}
