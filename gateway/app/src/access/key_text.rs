//! The texts of API keys: `bw_<tenant>_<43 random characters>_<6 characters of checksum>`, all but the tenant in base62. People and secret
//! scanners recognise them, and a mistyped one is told without a look into the database.

use aws_lc_rs::{digest, rand};
use billwire_domain::access::api_key::text_prefix;
use billwire_schemas::ids::TenantId;
use billwire_store::Error;

/// Digits, then letters.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 62^43 is more than 2^256.
const RANDOM_CHARS: usize = 43;
/// 62^6 is more than 2^32.
const CHECKSUM_CHARS: usize = 6;
/// Characters of the random part that are shown later, to recognise a key.
const SHOWN_CHARS: usize = 4;

/// A new text.
///
/// # Errors
/// When the system's random generator fails.
pub(crate) fn fresh(tenant: &TenantId) -> Result<String, Error> {
    let mut text = text_prefix(tenant);
    let whole = text.len() + RANDOM_CHARS;
    while text.len() < whole {
        let mut bytes = [0u8; 64];
        rand::fill(&mut bytes).map_err(|_| Error::Other("the system's random generator failed".into()))?;
        // Bytes above the highest multiple of 62 would make some characters likelier.
        let fair = bytes.iter().filter(|byte| usize::from(**byte) < 4 * BASE62.len());
        text.extend(fair.map(|byte| char::from(BASE62[usize::from(*byte) % BASE62.len()])).take(whole - text.len()));
    }
    let sum = checksum(&text);
    Ok(format!("{text}_{sum}"))
}

/// How a text begins, with little of its random part.
pub(crate) fn beginning(text: &str, tenant: &TenantId) -> String {
    text.chars().take(text_prefix(tenant).len() + SHOWN_CHARS).collect()
}

/// Whether a text can be the text of a key: it is not of this form, as one that an operator chose, or its checksum is right.
pub(crate) fn is_possible(text: &str) -> bool {
    let mut parts = text.rsplitn(3, '_');
    let (Some(sum), Some(random), Some(whose)) = (parts.next(), parts.next(), parts.next()) else { return true };
    let of_this_form = whose.starts_with("bw_") && random.len() == RANDOM_CHARS && sum.len() == CHECKSUM_CHARS;
    !of_this_form || checksum(&format!("{whose}_{random}")) == sum
}

/// The first 32 bits of the SHA-256 of what comes before it.
fn checksum(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let mut rest = digest.as_ref().iter().take(4).fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
    let mut sum = [0u8; CHECKSUM_CHARS];
    for place in sum.iter_mut().rev() {
        *place = BASE62[rest % BASE62.len()];
        rest /= BASE62.len();
    }
    sum.iter().map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_names_the_tenant_and_is_checked_by_its_own_end() {
        let tenant: TenantId = "acme_telecom-1".parse().expect("a tenant");
        let text = fresh(&tenant).expect("a text");
        assert!(text.starts_with("bw_acme_telecom-1_") && text.len() == "bw_acme_telecom-1_".len() + 43 + 1 + 6, "{text}");
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)), "{text}");
        assert_eq!(beginning(&text, &tenant), text[..22]);
        assert!(is_possible(&text) && text != fresh(&tenant).expect("a text"));
    }

    #[test]
    fn one_wrong_character_is_told() {
        let text = fresh(&TenantId::default_tenant()).expect("a text");
        for place in 3..text.len() {
            let other = if text.as_bytes()[place] == b'x' { "y" } else { "x" };
            let wrong = format!("{}{other}{}", &text[..place], &text[place + 1..]);
            // Without an underscore it is another form, of which nothing is known.
            assert!(!is_possible(&wrong) || text.as_bytes()[place] == b'_', "{wrong}");
        }
    }

    #[test]
    fn texts_of_other_forms_are_possible() {
        let former = format!("bw_{}", "aB3_".repeat(11));
        assert!([former.as_str(), "a-key-that-an-operator-chose", "a_b_c_d", ""].into_iter().all(is_possible));
    }
}
