//! Secrets at rest: envelope encryption (OWASP Cryptographic Storage). Each secret has a data key of its own, wrapped by the
//! master key; the row's identity is associated data, so a sealed value moved to another row does not open.

use std::collections::HashMap;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    digest, rand,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};

use crate::Error;

/// Seals and opens. Holds the current master key and any older ones still needed to open.
pub struct Sealer {
    current: String,
    keys: HashMap<String, RandomizedNonceKey>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer").field("current", &self.current).finish_non_exhaustive()
    }
}

const FORMAT: &str = "v1";

/// Hexadecimal digits, in lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn failed(what: &str) -> Error {
    Error::Corrupt { table: "secrets", detail: what.to_owned() }
}

impl Sealer {
    /// A sealer for master keys in base64 (32 bytes each); the first seals, all open.
    ///
    /// # Errors
    /// When a key is not 32 bytes of base64, or there is none.
    pub fn new<'a>(master_keys: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let mut sealer = Self { current: String::new(), keys: HashMap::new() };
        for text in master_keys {
            let raw = base64::engine::general_purpose::STANDARD
                .decode(text.trim())
                .ok()
                .filter(|raw| raw.len() == 32)
                .ok_or_else(|| Error::Other("a master key is 32 random bytes in base64, as `openssl rand -base64 32` prints".into()))?;
            let id = hex(&digest::digest(&digest::SHA256, &raw).as_ref()[..4]);
            let key = RandomizedNonceKey::new(&AES_256_GCM, &raw).map_err(|_| failed("the master key was refused"))?;
            if sealer.current.is_empty() {
                sealer.current.clone_from(&id);
            }
            sealer.keys.insert(id, key);
        }
        if sealer.current.is_empty() { Err(Error::Other("there is no master key".into())) } else { Ok(sealer) }
    }

    /// Fresh master key, in base64.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn fresh_master_key() -> Result<String, Error> {
        let mut raw = [0u8; 32];
        rand::fill(&mut raw).map_err(|_| failed("no randomness"))?;
        Ok(base64::engine::general_purpose::STANDARD.encode(raw))
    }

    /// The id of the master key that seals.
    pub fn current_key(&self) -> &str {
        &self.current
    }

    /// The id of the master key that sealed a value, where it is one.
    pub fn key_of(sealed: &str) -> Option<&str> {
        let mut parts = sealed.split('.');
        (parts.next() == Some(FORMAT)).then(|| parts.next()).flatten()
    }

    /// Whether the master key that sealed a value is configured.
    pub fn knows(&self, sealed: &str) -> bool {
        Self::key_of(sealed).is_some_and(|id| self.keys.contains_key(id))
    }

    /// Seals `secret` for the row named by `aad`.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn seal(&self, secret: &str, aad: &str) -> Result<String, Error> {
        let mut data_key = [0u8; 32];
        rand::fill(&mut data_key).map_err(|_| failed("no randomness"))?;
        let master = self.keys.get(&self.current).ok_or_else(|| failed("no master key"))?;
        let wrapped = encrypt(master, &data_key, aad)?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, &data_key).map_err(|_| failed("no data key"))?;
        let sealed = encrypt(&key, secret.as_bytes(), aad)?;
        Ok(format!("{FORMAT}.{}.{}.{}", self.current, B64.encode(wrapped), B64.encode(sealed)))
    }

    /// Whether `sealed` needs the first master key alone, none of the older ones.
    pub fn is_current(&self, sealed: &str) -> bool {
        Self::key_of(sealed) == Some(self.current.as_str())
    }

    /// Opens what [`Sealer::seal`] made for the same row.
    ///
    /// # Errors
    /// When the master key is unknown, the value was changed, or it belongs to another row.
    pub fn open(&self, sealed: &str, aad: &str) -> Result<String, Error> {
        let parts: Vec<&str> = sealed.split('.').collect();
        let [FORMAT, id, wrapped, sealed] = parts.as_slice() else { return Err(failed("not a sealed value")) };
        let master = self.keys.get(*id).ok_or_else(|| failed("sealed with a master key that is not configured"))?;
        let decode = |text: &str| B64.decode(text).map_err(|_| failed("not base64"));
        let data_key = decrypt(master, decode(wrapped)?, aad)?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, &data_key).map_err(|_| failed("no data key"))?;
        String::from_utf8(decrypt(&key, decode(sealed)?, aad)?).map_err(|_| failed("not text"))
    }
}

/// Length of the nonce before each ciphertext (AES-GCM, NIST SP 800-38D).
const NONCE: usize = 12;

fn encrypt(key: &RandomizedNonceKey, plain: &[u8], aad: &str) -> Result<Vec<u8>, Error> {
    let mut body = plain.to_vec();
    let nonce = key.seal_in_place_append_tag(Aad::from(aad.as_bytes()), &mut body).map_err(|_| failed("could not seal"))?;
    let mut out = nonce.as_ref().to_vec();
    out.append(&mut body);
    Ok(out)
}

fn decrypt(key: &RandomizedNonceKey, mut sealed: Vec<u8>, aad: &str) -> Result<Vec<u8>, Error> {
    if sealed.len() < NONCE {
        return Err(failed("too short"));
    }
    let mut body = sealed.split_off(NONCE);
    let nonce = Nonce::try_assume_unique_for_key(&sealed).map_err(|_| failed("no nonce"))?;
    let plain = key.open_in_place(nonce, Aad::from(aad.as_bytes()), &mut body).map_err(|_| failed("changed, or of another row"))?;
    Ok(plain.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_for_its_own_row_and_untouched() {
        let sealer = Sealer::new([Sealer::fresh_master_key().expect("key").as_str()]).expect("sealer");
        let sealed = sealer.seal("whsec_hello", "row 1").expect("sealed");
        assert!(!sealed.contains("hello"));
        assert_eq!(sealer.open(&sealed, "row 1").expect("opened"), "whsec_hello");
        assert!(sealer.open(&sealed, "row 2").is_err());
        let mut touched = sealed.clone();
        touched.pop();
        assert!(sealer.open(&touched, "row 1").is_err());
    }

    #[test]
    fn an_older_master_key_still_opens_after_rotation() {
        let (old, new) = (Sealer::fresh_master_key().expect("key"), Sealer::fresh_master_key().expect("key"));
        let sealed = Sealer::new([old.as_str()]).expect("sealer").seal("s", "r").expect("sealed");
        assert_eq!(Sealer::new([new.as_str(), old.as_str()]).expect("sealer").open(&sealed, "r").expect("opened"), "s");
        assert!(Sealer::new([new.as_str()]).expect("sealer").open(&sealed, "r").is_err());
        assert!(!Sealer::new([new.as_str(), old.as_str()]).expect("sealer").is_current(&sealed));
        assert!(Sealer::new([old.as_str(), new.as_str()]).expect("sealer").is_current(&sealed));
    }
}
