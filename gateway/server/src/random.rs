//! Random bytes for keys and passwords.

use aws_lc_rs::rand;

/// Bytes from the system's random number generator.
///
/// # Errors
/// One line when the generator fails.
pub fn bytes<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| "the system's random number generator failed".to_owned())?;
    Ok(bytes)
}
