//! Encoding of webhook signing secrets (Standard Webhooks 1.0): `whsec_` and the base64 of 24 to 64 bytes for HMAC-SHA256, or `whsk_`
//! and the base64 of an ed25519 key pair, seed before public key. Receivers get the public key as `whpk_` and base64.
//!
//! This module only encodes and decodes. Callers generate random bytes and create signatures.

use base64::{Engine, engine::general_purpose::STANDARD};

const SHARED: &str = "whsec_";
const PRIVATE: &str = "whsk_";
const PUBLIC: &str = "whpk_";
/// Minimum number of bytes of a shared key.
pub const KEY_BYTES_MIN: usize = 24;
/// Maximum number of bytes of a shared key.
pub const KEY_BYTES_MAX: usize = 64;
/// Number of bytes of an ed25519 seed, and of a public key (RFC 8032).
pub const ED25519_BYTES: usize = 32;

/// A text that is not a signing secret. The message states the rule and does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a signing secret is \"whsec_\" and the base64 of 24 to 64 bytes, or \"whsk_\" and the base64 of an ed25519 seed and its public key"
)]
pub struct NotASecret;

/// The key of a decoded secret. Deliberately without `Debug` and `Display`.
#[derive(Clone, PartialEq, Eq)]
pub enum Key {
    /// Key shared with the receiver: HMAC-SHA256, signatures `v1,…`.
    Shared(Vec<u8>),
    /// Private key pair: ed25519, signatures `v1a,…`.
    Pair {
        /// Private seed that creates signatures.
        seed: [u8; ED25519_BYTES],
        /// Public key that verifies signatures.
        public: [u8; ED25519_BYTES],
    },
}

/// Decodes a secret. Does not check that the halves of a pair match.
///
/// # Errors
/// [`NotASecret`].
pub fn decode(text: &str) -> Result<Key, NotASecret> {
    if let Some(encoded) = text.strip_prefix(SHARED) {
        let key = STANDARD.decode(encoded).map_err(|_| NotASecret)?;
        return fits(&key).map(|()| Key::Shared(key));
    }
    let encoded = text.strip_prefix(PRIVATE).ok_or(NotASecret)?;
    let pair = STANDARD.decode(encoded).map_err(|_| NotASecret)?;
    let (seed, public) = pair.split_at_checked(ED25519_BYTES).ok_or(NotASecret)?;
    let half = |half: &[u8]| half.try_into().map_err(|_| NotASecret);
    Ok(Key::Pair { seed: half(seed)?, public: half(public)? })
}

/// Encodes a key as a secret.
///
/// # Errors
/// [`NotASecret`] if a shared key is too short or too long.
pub fn encode(key: &Key) -> Result<String, NotASecret> {
    match key {
        Key::Shared(key) => fits(key).map(|()| format!("{SHARED}{}", STANDARD.encode(key))),
        Key::Pair { seed, public } => Ok(format!("{PRIVATE}{}", STANDARD.encode([*seed, *public].concat()))),
    }
}

/// The encoded public key of a pair; `None` for a shared key.
pub fn public(key: &Key) -> Option<String> {
    match key {
        Key::Shared(_) => None,
        Key::Pair { public, .. } => Some(format!("{PUBLIC}{}", STANDARD.encode(public))),
    }
}

fn fits(key: &[u8]) -> Result<(), NotASecret> {
    if (KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&key.len()) { Ok(()) } else { Err(NotASecret) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let shared = [KEY_BYTES_MIN, 25, 32, KEY_BYTES_MAX].map(|length| Key::Shared(vec![7; length]));
        for key in shared.into_iter().chain([Key::Pair { seed: [1; 32], public: [2; 32] }]) {
            assert!(decode(&encode(&key).unwrap()) == Ok(key));
        }
    }

    #[test]
    fn only_the_public_half_of_a_pair_is_told() {
        let told = public(&Key::Pair { seed: [1; 32], public: [2; 32] }).unwrap();
        assert_eq!(told, format!("whpk_{}", STANDARD.encode([2; 32])));
        assert_eq!(public(&Key::Shared(vec![7; 32])), None);
    }

    #[test]
    fn other_texts_are_refused() {
        let short = format!("{SHARED}{}", STANDARD.encode([1; KEY_BYTES_MIN - 1]));
        let long = format!("{SHARED}{}", STANDARD.encode([1; KEY_BYTES_MAX + 1]));
        let bare = STANDARD.encode([1; 32]);
        let half = format!("{PRIVATE}{}", STANDARD.encode([1; 32]));
        let more = format!("{PRIVATE}{}", STANDARD.encode([1; 65]));
        for text in ["", SHARED, PRIVATE, "whsec_ not base64", "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &short, &long, &bare, &half, &more]
        {
            assert!(decode(text).is_err(), "{text}");
        }
        assert!(encode(&Key::Shared(vec![0; 23])).is_err());
    }
}
