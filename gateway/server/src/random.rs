//! Random bytes for keys, logins and whatever must not be guessed.

use aws_lc_rs::rand;

/// Bytes from the system's generator.
///
/// # Errors
/// One line when the system gives none.
pub fn bytes<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| "the system gives no randomness".to_owned())?;
    Ok(bytes)
}
