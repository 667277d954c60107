//! The keys an endpoint's calls are signed with, and their rotation.

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

/// Most keys active at once: each costs a signature in each call's header.
const ACTIVE_MAX: usize = 10;

/// A key that calls are signed with: what may be shown of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SigningKey {
    /// Its id.
    pub id: String,
    /// `hmac` or `ed25519`.
    pub algorithm: String,
    /// Of `ed25519`: what receivers check with, `whpk_…`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub public_key: Option<String>,
    /// Since when calls are signed with it, by the machine's clock: receivers live by theirs.
    pub created_at: Timestamp,
    /// Until when, where another has taken its place.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<Timestamp>,
}

impl SigningKey {
    /// Whether calls are signed with it at `now`.
    pub fn active(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| now < at)
    }
}

/// A secret to sign with.
#[derive(Clone)]
pub struct NewSecret {
    /// The id it gets.
    pub id: String,
    /// As it is written.
    pub text: String,
}

impl NewSecret {
    /// The key it is.
    pub(super) fn read(&self, now: Timestamp) -> Result<SigningKey, Violation> {
        let key = signing_secret::decode(&self.text)
            .map_err(|unfit| Violation::new("/secret", Code::SecretInvalid, format!("This is no signing secret: {unfit}.")))?;
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
    /// What calls are signed with from now on.
    pub secret: NewSecret,
    /// How long, in seconds, they are signed with the present ones besides.
    pub overlap: u32,
}

/// Decides `rotateWebhookSecret`. `now` is the machine's time.
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
        return Err(Rejected::violation("/secret", Code::SecretInUse, "Calls are signed with this secret already."));
    }
    if after.signing.len() >= ACTIVE_MAX {
        let message = format!("{ACTIVE_MAX} secrets are active already; wait until one expires, or rotate without overlap.");
        return Err(Rejected::conflict(Code::SecretsTooMany, message));
    }
    secrets.signing.insert(key.id.clone(), command.secret.text);
    after.signing.insert(0, key);
    Ok((updated(last, after), secrets))
}
