//! The receiver's certificate: one certificate authority for this data directory, and one leaf certificate.
//!
//! The authority's key is dropped after it has signed the leaf. Whoever trusts `ca.pem` therefore trusts no other certificate.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use crate::files;

/// Certificate and key of the receiver.
#[derive(Debug)]
pub struct Identity {
    /// The file with the authority's certificate, PEM. The gateway trusts it.
    pub authority: PathBuf,
    /// The leaf's key followed by its certificate, PEM.
    pub leaf: String,
}

/// Loads the certificate for `host`, or creates one.
///
/// # Errors
/// One line that says what is wrong.
pub fn load_or_create(folder: &Path, host: &str) -> Result<Identity, String> {
    let authority = folder.join("ca.pem");
    // The file name contains the host: a version with another host name does not load the wrong leaf.
    let path = folder.join(format!("{host}.pem"));
    if let Some(leaf) = files::read(&path)?
        && authority.exists()
    {
        return Ok(Identity { authority, leaf });
    }
    let (ca, leaf) = make(host).map_err(|e| format!("cannot create the local receiver's certificate: {e}"))?;
    // The leaf is written last: if it exists, its authority exists too.
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
