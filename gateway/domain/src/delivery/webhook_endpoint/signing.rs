//! The signing keys of an endpoint, and their rotation.

use billwire_schemas::{
    clock::Timestamp,
    refusal::Code,
    signing_secret::{self, Key},
};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::{Secrets, WebhookEndpoint, next, updated};
use crate::{
    change::Change,
    rejected::{Rejected, Violation},
};

/// Maximum number of active keys; each adds a signature to the header of each call.
const ACTIVE_MAX: usize = 10;

/// The public part of a signing key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SigningKey {
    /// Key id.
    pub id: String,
    /// `hmac` or `ed25519`.
    pub algorithm: String,
    /// For `ed25519`, the public key for verification, `whpk_…`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub public_key: Option<String>,
    /// Start of use, by the system clock, because receivers use real time.
    pub created_at: Timestamp,
    /// End of use, if another key has replaced this one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<Timestamp>,
}

impl SigningKey {
    /// Whether calls are signed with this key at `now`.
    pub fn active(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| now < at)
    }
}

/// A new signing secret.
#[derive(Clone)]
pub struct NewSecret {
    /// Key id.
    pub id: String,
    /// The encoded secret.
    pub text: String,
}

impl NewSecret {
    /// Decodes the secret into its key.
    pub(super) fn read(&self, now: Timestamp) -> Result<SigningKey, Violation> {
        let key = signing_secret::decode(&self.text)
            .map_err(|unfit| Violation::new("/secret", Code::SecretInvalid, format!("This is not a valid signing secret: {unfit}.")))?;
        let algorithm = match key {
            Key::Shared(_) => "hmac",
            Key::Pair { .. } => "ed25519",
        };
        let (id, algorithm) = (self.id.clone(), algorithm.to_owned());
        Ok(SigningKey { id, algorithm, public_key: signing_secret::public(&key), created_at: now, expires_at: None })
    }
}

/// `rotateWebhookSecret`.
#[derive(Clone)]
pub struct Rotate {
    /// The new signing secret.
    pub secret: NewSecret,
    /// How long, in seconds, calls are also signed with the previous keys.
    pub overlap: u32,
}

/// Decides `rotateWebhookSecret`. `now` is the system time.
///
/// # Errors
/// `secret_invalid`, `secret_in_use`, `secrets_too_many`.
pub fn rotate(
    last: WebhookEndpoint,
    mut secrets: Secrets,
    command: Rotate,
    now: Timestamp,
) -> Result<(Change<WebhookEndpoint>, Secrets), Rejected> {
    let key = command.secret.read(now).map_err(|broken| Rejected::violation("/secret", broken.code, broken.message))?;
    let mut after = next(&last);
    let until = now + TimeDelta::seconds(i64::from(command.overlap));
    for old in &mut after.signing {
        old.expires_at = Some(old.expires_at.map_or(until, |at| at.min(until)));
    }
    after.signing.retain(|old| old.active(now));
    secrets.signing.retain(|id, _| after.signing.iter().any(|old| old.id == *id));
    if secrets.signing.values().any(|text| *text == command.secret.text) {
        return Err(Rejected::violation("/secret", Code::SecretInUse, "This secret is already in use."));
    }
    if after.signing.len() >= ACTIVE_MAX {
        let message = format!("There are already {ACTIVE_MAX} active secrets; wait until one expires, or rotate without overlap.");
        return Err(Rejected::conflict(Code::SecretsTooMany, message));
    }
    secrets.signing.insert(key.id.clone(), command.secret.text);
    after.signing.insert(0, key);
    Ok((updated(last, after), secrets))
}
