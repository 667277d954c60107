//! The seal of a message: it proves that the gateway published the message, not somebody else who can write to the stream.
//!
//! A seal is `v1.<key id>.<HMAC-SHA256 in base64url>` in the header `Billwire-Seal`. Verifying it needs only the keys, no look-up.

use std::collections::HashMap;

use async_nats::{HeaderMap, header::NATS_MESSAGE_ID};
use aws_lc_rs::{constant_time, digest, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};

use crate::{Error, POSITION, SEAL, SEQUENCE};

/// Bytes of a seal key.
pub const SEAL_KEY_BYTES: usize = 32;
const FORMAT: &str = "v1";
/// The prefix of every keyed hash, so that the same key never vouches for a text of another kind.
const PURPOSE: &[u8] = b"billwire-seal-v1";
/// Separates an event's id from a mark in `Nats-Msg-Id`; a mark is added when a forged message has the bare id.
pub(crate) const MARK: char = '.';

/// The keys of an installation: the first one seals, all of them verify.
pub struct SealKeys {
    current: String,
    keys: HashMap<String, hmac::Key>,
}

/// Names no key.
impl std::fmt::Debug for SealKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealKeys").field("current", &self.current).finish_non_exhaustive()
    }
}

/// What a seal vouches for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Content<'a> {
    /// Its last token is the ordering key.
    pub subject: &'a str,
    /// The event's id.
    pub id: &'a str,
    /// Position in the outbox.
    pub position: i64,
    /// Sequence within the ordering key.
    pub sequence: i64,
    /// The CloudEvents JSON object.
    pub body: &'a [u8],
}

/// Whether the gateway published a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authenticity {
    /// Yes: its seal is valid, or SQL has exactly the same message.
    Genuine,
    /// Unknown: it has no seal, or one of a key that this process does not have. SQL decides.
    Unsealed,
    /// No: its seal is invalid.
    Forged,
}

/// What the headers of a message claim, and whether that can be trusted.
#[derive(Debug)]
pub(crate) struct Claim {
    pub id: String,
    pub position: i64,
    pub sequence: i64,
    pub authenticity: Authenticity,
}

impl SealKeys {
    /// The keys; the first one seals.
    ///
    /// # Errors
    /// When there is no key.
    pub fn new(keys: &[[u8; SEAL_KEY_BYTES]]) -> Result<Self, Error> {
        let first = keys.first().ok_or_else(|| Error::Unsuitable("there is no seal key".to_owned()))?;
        let made = |key: &[u8; SEAL_KEY_BYTES]| (key_id(key), hmac::Key::new(hmac::HMAC_SHA256, key));
        Ok(Self { current: key_id(first), keys: keys.iter().map(made).collect() })
    }

    /// The seal of a message.
    pub(crate) fn seal(&self, content: &Content<'_>) -> String {
        let tag = self.keys.get(&self.current).map(|key| keyed_hash(key, content));
        format!("{FORMAT}.{}.{}", self.current, B64.encode(tag.as_ref().map_or(&[][..], AsRef::as_ref)))
    }

    /// Verifies `seal` for this message. The comparison takes constant time.
    fn judge(&self, seal: &str, content: &Content<'_>) -> Authenticity {
        let mut parts = seal.split('.');
        let (Some(FORMAT), Some(id), Some(tag), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Authenticity::Forged;
        };
        let Some(key) = self.keys.get(id) else { return Authenticity::Unsealed };
        let tag = B64.decode(tag).unwrap_or_default();
        match constant_time::verify_slices_are_equal(keyed_hash(key, content).as_ref(), &tag) {
            Ok(()) => Authenticity::Genuine,
            Err(_) => Authenticity::Forged,
        }
    }

    /// Reads a message's headers and verifies its seal.
    pub(crate) fn read(&self, subject: &str, headers: Option<&HeaderMap>, body: &[u8]) -> Claim {
        let text = |name: &str| headers.and_then(|headers| headers.get(name)).map(|value| value.as_str());
        let number = |name: &str| text(name).and_then(|value| value.parse::<i64>().ok());
        let id = headers.and_then(|headers| headers.get(NATS_MESSAGE_ID)).map(|value| value.as_str());
        let id = id.map(|id| id.split_once(MARK).map_or(id, |(id, _)| id));
        let authenticity = match (id, number(POSITION), number(SEQUENCE), text(SEAL)) {
            (Some(_), Some(_), Some(_), None) => Authenticity::Unsealed,
            (Some(id), Some(position), Some(sequence), Some(seal)) => self.judge(seal, &Content { subject, id, position, sequence, body }),
            _ => Authenticity::Forged,
        };
        let (position, sequence) = (number(POSITION).unwrap_or_default(), number(SEQUENCE).unwrap_or_default());
        Claim { id: id.unwrap_or_default().to_owned(), position, sequence, authenticity }
    }
}

/// The id of a key: the first bytes of its hash, which reveal nothing useful about its 32 random bytes.
fn key_id(key: &[u8]) -> String {
    digest::digest(&digest::SHA256, key).as_ref()[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Each member after its length, so that no byte can move from one member to the next.
fn keyed_hash(key: &hmac::Key, content: &Content<'_>) -> hmac::Tag {
    let ordering_key = content.subject.rsplit_once('.').map_or("", |(_, key)| key);
    let (position, sequence) = (content.position.to_be_bytes(), content.sequence.to_be_bytes());
    let members: [&[u8]; 7] =
        [PURPOSE, content.subject.as_bytes(), content.id.as_bytes(), ordering_key.as_bytes(), &sequence, &position, content.body];
    let mut hash = hmac::Context::with_key(key);
    for member in members {
        hash.update(&(member.len() as u64).to_be_bytes());
        hash.update(member);
    }
    hash.sign()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: &str = "billing.default.account.created.k";
    const TRUE: Content<'_> = Content { subject: SUBJECT, id: "e1", position: 12, sequence: 3, body: b"{}" };

    fn headers(content: &Content<'_>, seal: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, content.id);
        headers.insert(POSITION, content.position.to_string().as_str());
        headers.insert(SEQUENCE, content.sequence.to_string().as_str());
        if let Some(seal) = seal {
            headers.insert(SEAL, seal);
        }
        headers
    }

    fn judged(keys: &SealKeys, content: &Content<'_>, seal: Option<&str>) -> Authenticity {
        keys.read(content.subject, Some(&headers(content, seal)), content.body).authenticity
    }

    #[test]
    fn a_seal_holds_for_its_own_message_alone() {
        let keys = SealKeys::new(&[[7; 32]]).unwrap();
        let seal = keys.seal(&TRUE);
        assert_eq!(judged(&keys, &TRUE, Some(&seal)), Authenticity::Genuine);
        for other in [
            Content { subject: "billing.other.account.created.k", ..TRUE },
            Content { subject: "billing.default.account.created.l", ..TRUE },
            Content { id: "e2", ..TRUE },
            Content { position: 13, ..TRUE },
            Content { sequence: 4, ..TRUE },
            Content { position: 3, sequence: 12, ..TRUE },
            Content { body: b"{ }", ..TRUE },
            // What one member loses the next one gains.
            Content { id: "e", ..TRUE },
            Content { id: "e1\u{0}", ..TRUE },
        ] {
            assert_eq!(judged(&keys, &other, Some(&seal)), Authenticity::Forged, "{other:?}");
        }
    }

    #[test]
    fn a_seal_that_is_none_is_forged_and_none_at_all_is_for_sql_to_judge() {
        let keys = SealKeys::new(&[[7; 32]]).unwrap();
        let seal = keys.seal(&TRUE);
        let (cut, more, other_format) = (&seal[..seal.len() - 1], format!("{seal}.x"), seal.replace("v1.", "v2."));
        let no_tag = format!("{}.", seal.rsplit_once('.').unwrap().0);
        for wrong in ["", "v1", cut, &more, &other_format, &no_tag] {
            assert_eq!(judged(&keys, &TRUE, Some(wrong)), Authenticity::Forged, "{wrong:?}");
        }
        assert_eq!(judged(&keys, &TRUE, None), Authenticity::Unsealed);
        assert_eq!(keys.read(SUBJECT, None, b"{}").authenticity, Authenticity::Forged);
        let mut odd = headers(&TRUE, Some(&seal));
        odd.insert(SEQUENCE, "three");
        assert_eq!(keys.read(SUBJECT, Some(&odd), b"{}").authenticity, Authenticity::Forged);
    }

    #[test]
    fn an_older_key_still_checks_and_an_unknown_one_is_for_sql_to_judge() {
        let (old, new) = ([1; 32], [2; 32]);
        let seal = SealKeys::new(&[old]).unwrap().seal(&TRUE);
        assert_eq!(judged(&SealKeys::new(&[new, old]).unwrap(), &TRUE, Some(&seal)), Authenticity::Genuine);
        // Another process may know the key: SQL is asked.
        assert_eq!(judged(&SealKeys::new(&[new]).unwrap(), &TRUE, Some(&seal)), Authenticity::Unsealed);
        assert!(SealKeys::new(&[]).is_err());
    }

    #[test]
    fn a_mark_behind_the_id_does_not_change_whose_it_is() {
        let keys = SealKeys::new(&[[7; 32]]).unwrap();
        let mut marked = headers(&TRUE, Some(&keys.seal(&TRUE)));
        marked.insert(NATS_MESSAGE_ID, "e1.0190");
        let claim = keys.read(SUBJECT, Some(&marked), b"{}");
        assert_eq!((claim.id.as_str(), claim.authenticity), ("e1", Authenticity::Genuine));
    }
}
