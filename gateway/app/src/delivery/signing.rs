//! Generates signing secrets and validates given key pairs.

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

/// Size of a generated shared secret: the output size of HMAC-SHA256.
const SHARED_BYTES: usize = 32;

/// The secret to sign calls with.
#[derive(Clone)]
pub enum Signing {
    /// This secret.
    Given(String),
    /// A generated shared secret.
    Hmac,
    /// A generated key pair.
    Ed25519,
}

impl Signing {
    /// The given or generated secret.
    ///
    /// # Errors
    /// `secret_invalid` if seed and public key do not match; or the system's random generator fails.
    pub fn secret(self) -> Result<NewSecret, Failure> {
        let text = match self {
            Self::Given(text) => {
                if let Ok(Key::Pair { seed, public }) = signing_secret::decode(&text)
                    && Ed25519KeyPair::from_seed_and_public_key(&seed, &public).is_err()
                {
                    let message = "The public key in this secret does not match its seed.";
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
    Error::Other("generating a signing key failed".into()).into()
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES], Failure> {
    let mut bytes = [0; BYTES];
    rand::fill(&mut bytes).map_err(|_| no_key())?;
    Ok(bytes)
}

fn written(key: &Key) -> Result<String, Failure> {
    signing_secret::encode(key).map_err(|_| no_key())
}
