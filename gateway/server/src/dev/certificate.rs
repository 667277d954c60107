//! The receiver's certificate: an authority made for this data directory alone, and one leaf.
//!
//! The authority's key is dropped as soon as it has signed, so a `ca.pem` that someone trusts can vouch for nothing else.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::files;

/// Certificate and key of the receiver.
#[derive(Debug)]
pub struct Identity {
    /// The authority's certificate, PEM: what the gateway is told to trust.
    pub authority: PathBuf,
    /// The leaf's key followed by its certificate, PEM.
    pub leaf: String,
}

/// The kept certificate for `host`, or a new one.
///
/// # Errors
/// One line that says what is wrong.
pub fn of(folder: &Path, host: &str) -> Result<Identity, String> {
    let authority = folder.join("ca.pem");
    // The host stands in the name, so that a version that uses another one does not meet the wrong leaf.
    let path = folder.join(format!("{host}.pem"));
    if let Some(leaf) = files::read(&path)?
        && authority.exists()
    {
        return Ok(Identity { authority, leaf });
    }
    let (ca, leaf) = make(host).map_err(|e| format!("cannot make the local receiver's certificate: {e}"))?;
    // The leaf last: where it stands, the authority that signed it stands too.
    files::write(&authority, ca.as_bytes(), files::PUBLIC)?;
    files::write(&path, leaf.as_bytes(), files::PRIVATE)?;
    Ok(Identity { authority, leaf })
}

fn make(host: &str) -> Result<(String, String), rcgen::Error> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    authority.distinguished_name.push(DnType::CommonName, "billwire dev, this data directory only");
    let authority_key = KeyPair::generate()?;
    let ca = authority.self_signed(&authority_key)?;
    let issuer = Issuer::new(authority, authority_key);
    let mut leaf = CertificateParams::new(vec![host.to_owned()])?;
    leaf.distinguished_name.push(DnType::CommonName, host);
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let signed = leaf.signed_by(&key, &issuer)?;
    Ok((ca.pem(), format!("{}{}", key.serialize_pem(), signed.pem())))
}
