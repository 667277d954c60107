//! Certificates of test servers, as files.

use std::path::{Path, PathBuf};

/// A server's certificate, its key and the signing authority, in PEM.
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub authority: PathBuf,
}

/// Writes a certificate for `host` into a folder; if `expired`, one that was valid in 2020.
pub fn write(folder: &Path, host: &str, expired: bool) -> Files {
    let mut authority = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    // A unique name: an authority with the name of a trusted one would count as a forgery, not as unknown.
    authority.distinguished_name.push(rcgen::DnType::CommonName, folder.display().to_string());
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().expect("a key");
    let ca = authority.self_signed(&authority_key).expect("a certificate");
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut parameters = rcgen::CertificateParams::new(vec![host.to_owned()]).expect("parameters");
    if expired {
        parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2020, 12, 31);
    }
    let leaf = parameters.signed_by(&key, &issuer).expect("signed");
    std::fs::create_dir_all(folder).expect("a folder");
    let file = |name: &str, text: String| {
        let path = folder.join(format!("{host}-{expired}-{name}.pem"));
        std::fs::write(&path, text).expect("a file");
        path
    };
    Files { certificate: file("certificate", leaf.pem()), key: file("key", key.serialize_pem()), authority: file("authority", ca.pem()) }
}
