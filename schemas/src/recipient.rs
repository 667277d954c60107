//! Recipients of notifications: an address, a system user, or an address in a parameter of the event.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use url::Host;

use crate::ids::SystemUserId;

/// A recipient as text: an e-mail address, the id of a system user, or the name of a parameter that contains an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Recipient {
    /// A fixed address.
    Address(String),
    /// A system user, addressed in their own language and time zone.
    User(SystemUserId),
    /// The address in this parameter of the event.
    Parameter(String),
}

/// Maximum length of an address in bytes, RFC 5321 section 4.5.3.1.3 without the angle brackets.
pub const ADDRESS_BYTES_MAX: usize = 254;
/// Maximum length of a local part in bytes, RFC 5321 section 4.5.3.1.1.
const LOCAL_BYTES_MAX: usize = 64;
/// Maximum length of a label of a domain in bytes.
const LABEL_BYTES_MAX: usize = 63;

/// Whether a text is exactly one address: a dot-string and a domain name (RFC 5321 section 4.1.2), in any script (RFC 6531). This is the
/// rule for every address that enters the gateway. Quoted local parts and addresses in brackets are refused: no mailbox should need them
/// (RFC 5321 section 4.1.2), and they make lists ambiguous.
pub fn is_address(text: &str) -> bool {
    with_ascii_domain(text).is_some()
}

/// An address with its domain in ASCII (RFC 5890), which every mail server understands; `None` if the text is no address. Only a local
/// part in another script then still requires SMTPUTF8.
pub fn with_ascii_domain(text: &str) -> Option<String> {
    let (local, domain) = text.rsplit_once('@')?;
    let atom = |c: char| if c.is_ascii() { c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) } else { is_written(c) };
    let dot_string = local.len() <= LOCAL_BYTES_MAX && local.split('.').all(|word| !word.is_empty() && word.chars().all(atom));
    let label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let ascii = if domain.is_ascii() {
        domain.to_owned()
    } else {
        // A percent sign is not part of a name, but the parser would decode it.
        let Host::Domain(ascii) = Host::parse(domain).ok().filter(|_| !domain.contains('%'))? else { return None };
        ascii
    };
    let fits = text.len() <= ADDRESS_BYTES_MAX && local.len() + 1 + ascii.len() <= ADDRESS_BYTES_MAX;
    (dot_string && fits && ascii.split('.').all(label)).then(|| format!("{local}@{ascii}"))
}

/// Whether a character beyond ASCII is part of a word: no space, no control character, and nothing that changes how the text around it is
/// read.
fn is_written(c: char) -> bool {
    let unreadable = matches!(c, '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}' | '\u{e000}'..='\u{f8ff}');
    !c.is_control() && !c.is_whitespace() && !unreadable
}

impl Recipient {
    /// Parses a text; `None` if it is none of the three kinds.
    pub fn parse(text: &str) -> Option<Self> {
        if text.contains('@') {
            return is_address(text).then(|| Self::Address(text.to_owned()));
        }
        if let Ok(id) = text.parse() {
            return Some(Self::User(SystemUserId(id)));
        }
        let word = |word: &str| word.starts_with(|c: char| c.is_ascii_lowercase()) && word.chars().all(|c| c.is_ascii_alphanumeric());
        (text.contains('.') && text.len() <= 128 && text.split('.').all(word)).then(|| Self::Parameter(text.to_owned()))
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => f.write_str(address),
            Self::User(id) => id.fmt(f),
            Self::Parameter(name) => f.write_str(name),
        }
    }
}

impl Serialize for Recipient {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Recipient {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("must be an e-mail address, the id of a system user or the name of a parameter"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::fresh;

    #[test]
    fn the_three_kinds_are_told_apart_and_read_back() {
        let user = SystemUserId(fresh());
        for recipient in [Recipient::Address("ann@example.org".into()), Recipient::User(user), Recipient::Parameter("contact.email".into())]
        {
            assert_eq!(Recipient::parse(&recipient.to_string()), Some(recipient));
        }
    }

    #[test]
    fn an_address_is_what_rfc_5321_and_rfc_6531_say() {
        let local = "a".repeat(LOCAL_BYTES_MAX);
        let label = "b".repeat(LABEL_BYTES_MAX);
        for (address, sent) in [
            ("o'brien@example.org", "o'brien@example.org"),
            ("!#$%&'*+-/=?^_`{|}~@example.org", "!#$%&'*+-/=?^_`{|}~@example.org"),
            ("a.b-c_d+e@Example.ORG", "a.b-c_d+e@Example.ORG"),
            ("ann@localhost", "ann@localhost"),
            ("ann@1und1.example", "ann@1und1.example"),
            ("ann@bücher.example", "ann@xn--bcher-kva.example"),
            ("ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
            ("ann@xn--bcher-kva.example", "ann@xn--bcher-kva.example"),
            ("dörte@bücher.example", "dörte@xn--bcher-kva.example"),
            ("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v"),
            ("हिन्दी@example.org", "हिन्दी@example.org"),
            ("θσερ@εχαμπλε.ψομ", "θσερ@xn--mxahbxey0c.xn--xxaf0a"),
            ("🦀@example.org", "🦀@example.org"),
            (&format!("{local}@{label}.example"), &format!("{local}@{label}.example")),
        ] {
            assert_eq!(with_ascii_domain(address).as_deref(), Some(sent), "{address}");
            assert_eq!(Recipient::parse(address), Some(Recipient::Address(address.to_owned())), "{address}");
        }
        for bad in [
            format!("{local}a@example.org"),
            format!("{}@example.org", "ü".repeat(33)),
            format!("ann@{label}b.example"),
            format!("ann@{}.example", "ü".repeat(60)),
            format!("ann@{}", [label.as_str(); 4].join(".")),
            "a\u{a0}b@example.org".to_owned(),
            "a\u{202e}b@example.org".to_owned(),
            "a\u{200b}b@example.org".to_owned(),
            "a\u{85}b@example.org".to_owned(),
            "a(b)@example.org".to_owned(),
            "a;b@example.org".to_owned(),
            "a\\b@example.org".to_owned(),
            "a.@example.org".to_owned(),
            "ann@exa_mple.org".to_owned(),
            "ann@exa\u{a0}mple.org".to_owned(),
            "ann@b%C3%BCcher.example".to_owned(),
            "ann@ü%61.example".to_owned(),
            "ann@example.org.".to_owned(),
            "ann@ü..example".to_owned(),
            "ann@１２７.0.0.1".to_owned(),
        ] {
            assert_eq!(with_ascii_domain(&bad), None, "{bad}");
        }
    }

    #[test]
    fn what_could_be_more_than_one_address_is_none() {
        for evil in [
            "",
            "ann",
            "@",
            "ann@",
            "@example.org",
            "a@b@example.org",
            "ann@example.org, bob@example.org",
            "ann@example.org\r\nBcc: all@example.org",
            "Ann <ann@example.org>",
            "<ann@example.org>",
            "ann@example.org>",
            "\"ann\"@example.org",
            "ann@[127.0.0.1]",
            "ann@exa mple.org",
            ".ann@example.org",
            "a..b@example.org",
            "ann@-example.org",
            "ann@example..org",
            "contact",
            "contact.e mail",
            "{{contact.email}}",
        ] {
            assert_eq!(Recipient::parse(evil), None, "{evil:?}");
        }
    }
}
