//! How a webhook signing secret is written: `whsec_` and the base64 of 24 to 64 bytes (Standard Webhooks 1.0).
//!
//! Only the notation. Who needs a fresh secret brings the random bytes; who signs turns the bytes into a key.

use base64::{Engine, engine::general_purpose::STANDARD};

/// What every secret starts with.
pub const PREFIX: &str = "whsec_";
/// Fewest bytes of a key.
pub const KEY_BYTES_MIN: usize = 24;
/// Most bytes of a key.
pub const KEY_BYTES_MAX: usize = 64;

/// A text that is no signing secret. Says the rule and nothing about the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing secret is \"whsec_\" and the base64 of 24 to 64 bytes")]
pub struct NotASecret;

/// The key bytes of a written secret.
///
/// # Errors
/// [`NotASecret`].
pub fn decode(text: &str) -> Result<Vec<u8>, NotASecret> {
    let encoded = text.strip_prefix(PREFIX).ok_or(NotASecret)?;
    let key = STANDARD.decode(encoded).map_err(|_| NotASecret)?;
    fits(&key)?;
    Ok(key)
}

/// Writes key bytes as a secret.
///
/// # Errors
/// [`NotASecret`] when the key is too short or too long.
pub fn encode(key: &[u8]) -> Result<String, NotASecret> {
    fits(key)?;
    Ok(format!("{PREFIX}{}", STANDARD.encode(key)))
}

fn fits(key: &[u8]) -> Result<(), NotASecret> {
    if (KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&key.len()) { Ok(()) } else { Err(NotASecret) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        for length in [KEY_BYTES_MIN, 25, 32, KEY_BYTES_MAX] {
            let key = vec![7; length];
            assert_eq!(decode(&encode(&key).unwrap()), Ok(key));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let short = format!("{PREFIX}{}", STANDARD.encode([1; KEY_BYTES_MIN - 1]));
        let long = format!("{PREFIX}{}", STANDARD.encode([1; KEY_BYTES_MAX + 1]));
        let bare = STANDARD.encode([1; 32]);
        for text in ["", PREFIX, "whsec_ not base64", "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &short, &long, &bare] {
            assert_eq!(decode(text), Err(NotASecret), "{text}");
        }
        assert_eq!(encode(&[0; 23]), Err(NotASecret));
    }
}
