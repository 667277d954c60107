//! Fresh signing secrets, and whether a given key pair is one.

use aws_lc_rs::{
    rand,
    signature::{Ed25519KeyPair, KeyPair},
};
use billwire_domain::{Rejected, delivery::webhook_endpoint::NewSecret};
use billwire_schemas::{
    ids::fresh,
    refusal::Code,
    signing_secret::{self, ED25519_BYTES, Key},
};
use billwire_store::{Error, commit::Failure};

/// Bytes of a shared secret we make: as many as HMAC-SHA256 can make use of without hashing the key first.
const SHARED_BYTES: usize = 32;

/// What calls are to be signed with.
#[derive(Clone)]
pub enum Signing {
    /// With this secret.
    Given(String),
    /// With a fresh shared secret.
    Hmac,
    /// With a fresh key pair.
    Ed25519,
}

impl Signing {
    /// The secret, made now unless it was given.
    ///
    /// # Errors
    /// `secret_invalid` for the halves of a pair that do not belong together; or the system gives no randomness.
    pub fn secret(self) -> Result<NewSecret, Failure> {
        let text = match self {
            Self::Given(text) => {
                if let Ok(Key::Pair { seed, public }) = signing_secret::decode(&text)
                    && Ed25519KeyPair::from_seed_and_public_key(&seed, &public).is_err()
                {
                    let message = "The public key in this secret is not that of its seed.";
                    return Err(Rejected::violation("/secret", Code::SecretInvalid, message).into());
                }
                text
            }
            Self::Hmac => written(&Key::Shared(random::<SHARED_BYTES>()?.to_vec()))?,
            Self::Ed25519 => {
                let seed = random::<ED25519_BYTES>()?;
                let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| no_key())?;
                let public = pair.public_key().as_ref().try_into().map_err(|_| no_key())?;
                written(&Key::Pair { seed, public })?
            }
        };
        Ok(NewSecret { id: fresh().to_string(), text })
    }
}

fn no_key() -> Failure {
    Error::Other("the system gives no signing key".into()).into()
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES], Failure> {
    let mut bytes = [0; BYTES];
    rand::fill(&mut bytes).map_err(|_| no_key())?;
    Ok(bytes)
}

fn written(key: &Key) -> Result<String, Failure> {
    signing_secret::encode(key).map_err(|_| no_key())
}
