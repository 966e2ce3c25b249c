//! Certificates and keys in files in PEM format, for who serves TLS and for who connects with it.
//!
//! Owns how large such a file may be. Must not know what they are for. Errors say what is wrong, and not with which file.

use std::{fs, io::Read, path::Path};

use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

/// Longest file that is read.
const FILE_MAX: u64 = 1 << 20;

/// All certificates of a file: one at least.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = text(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err("it has no certificate in PEM format".into()),
        Err(error) => Err(format!("it is no certificate in PEM format: {error}")),
    }
}

/// The first private key of a file.
pub fn key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(text(path)?.as_bytes())
        .map_err(|error| format!("it has no private key in PEM format: {error}"))
}

/// What a file says, if it is no longer than such files are.
pub fn text(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    fs::File::open(path)
        .and_then(|file| file.take(FILE_MAX + 1).read_to_string(&mut text))
        .map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() as u64 > FILE_MAX {
        return Err(format!("cannot be read: it is larger than {FILE_MAX} bytes"));
    }
    Ok(text)
}
