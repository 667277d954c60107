//! The receiver's side of Standard Webhooks 1.0: whether a call is signed with our secret, and lately.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use billwire_schemas::clock::Timestamp;

/// How far a call's timestamp may lie from now, either way: what the specification's own libraries use.
const TOLERANCE_S: i64 = 5 * 60;

/// Why a call is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// One of the three headers is not there.
    #[error("a webhook-… header is missing")]
    Missing,
    /// Not a number of seconds.
    #[error("the timestamp is no number of seconds")]
    NotATimestamp,
    /// Replayed, or a clock is wrong.
    #[error("the timestamp lies more than five minutes from now")]
    TooFar,
    /// No signature of this version fits.
    #[error("no signature fits")]
    NoMatch,
}

/// The three headers of a call.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// `webhook-id`.
    pub id: Option<&'a str>,
    /// `webhook-timestamp`.
    pub timestamp: Option<&'a str>,
    /// `webhook-signature`: one or more, parted by spaces.
    pub signature: Option<&'a str>,
}

/// Checks a call against `key`.
///
/// # Errors
/// [`Refused`].
pub fn verify(key: &hmac::Key, signed: Signed<'_>, body: &[u8], now: Timestamp) -> Result<(), Refused> {
    let (Some(id), Some(timestamp), Some(signature)) = (signed.id, signed.timestamp, signed.signature) else {
        return Err(Refused::Missing);
    };
    let seconds: i64 = timestamp.parse().map_err(|_| Refused::NotATimestamp)?;
    if now.timestamp().abs_diff(seconds) > TOLERANCE_S.unsigned_abs() {
        return Err(Refused::TooFar);
    }
    let mut content = format!("{id}.{timestamp}.").into_bytes();
    content.extend_from_slice(body);
    let fits = |one: &str| {
        let tag = one.strip_prefix("v1,").and_then(|encoded| STANDARD.decode(encoded).ok());
        tag.is_some_and(|tag| hmac::verify(key, &content, &tag).is_ok())
    };
    if signature.split(' ').any(fits) { Ok(()) } else { Err(Refused::NoMatch) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use billwire_schemas::signing_secret::{self, Key};

    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn verdict(timestamp: &str, signature: &str, body: &[u8], now: i64) -> Result<(), Refused> {
        let Ok(Key::Shared(key)) = signing_secret::decode("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") else { panic!("no shared secret") };
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signed = Signed { id: Some("msg_p5jXN8AQM9LWM0D4loKWxJek"), timestamp: Some(timestamp), signature: Some(signature) };
        verify(&key, signed, body, Timestamp::from_timestamp(now, 0).unwrap())
    }

    #[test]
    fn the_vector_of_the_specification_is_accepted_beside_other_signatures() {
        assert_eq!(verdict("1614265330", SIGNATURE, BODY, 1_614_265_330), Ok(()));
        let many = format!("v1a,xyz v1,AAAA {SIGNATURE}");
        assert_eq!(verdict("1614265330", &many, BODY, 1_614_265_330 + 300), Ok(()));
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        let now = 1_614_265_330;
        assert_eq!(verdict("1614265330", SIGNATURE, b"{}", now), Err(Refused::NoMatch));
        assert_eq!(verdict("1614265331", SIGNATURE, BODY, now), Err(Refused::NoMatch));
        assert_eq!(verdict("1614265330", &SIGNATURE[3..], BODY, now), Err(Refused::NoMatch));
        assert_eq!(verdict("1614265330", SIGNATURE, BODY, now + 301), Err(Refused::TooFar));
        assert_eq!(verdict("1614265330", SIGNATURE, BODY, now - 301), Err(Refused::TooFar));
        assert_eq!(verdict("soon", SIGNATURE, BODY, now), Err(Refused::NotATimestamp));
    }
}
