//! TLS for the metrics, by a certificate and its key.
//!
//! Must not know who asks for metrics, or whether they may.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig, SupportedProtocolVersion,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
        version::{TLS12, TLS13},
    },
};

use super::web_config::{MinVersion, TlsServerConfig, WebConfigError, read};

/// What makes TLS of connections.
pub fn acceptor(config: &TlsServerConfig) -> Result<TlsAcceptor, WebConfigError> {
    let (certificates, key) = (certificates(&config.cert_file)?, key(&config.key_file)?);
    let versions: &[&SupportedProtocolVersion] = match config.min_version {
        MinVersion::Tls12 => &[&TLS12, &TLS13],
        MinVersion::Tls13 => &[&TLS13],
    };
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key));
    let mut server = server.map_err(|error| WebConfigError::of(&config.cert_file, error))?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(server)))
}

/// What is wrong with the time of the certificate, if anything: clients will refuse it, and the metrics are served all the same.
pub fn untimely(config: &TlsServerConfig, now: SystemTime) -> Option<String> {
    let certificates = certificates(&config.cert_file).ok()?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let leaf = webpki::EndEntityCert::try_from(certificates.first()?).ok()?;
    // The times are looked at before anybody who could have signed it is looked for.
    let checked = leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &[],
        &[],
        UnixTime::since_unix_epoch(now),
        webpki::KeyUsage::server_auth(),
        None,
        None,
    );
    let what = match checked.err()? {
        webpki::Error::CertExpired { .. } => "has expired",
        webpki::Error::CertNotValidYet { .. } => "is not valid yet",
        _ => return None,
    };
    Some(format!("the certificate {} {what}: clients will refuse it", config.cert_file.display()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, WebConfigError> {
    let text = file(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(WebConfigError::of(path, "it has no certificate in PEM format")),
        Err(error) => Err(WebConfigError::of(path, format!("it is no certificate in PEM format: {error}"))),
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, WebConfigError> {
    PrivateKeyDer::from_pem_slice(file(path)?.as_bytes())
        .map_err(|error| WebConfigError::of(path, format!("it has no private key in PEM format: {error}")))
}

fn file(path: &Path) -> Result<String, WebConfigError> {
    read(path).map_err(|error| WebConfigError::of(path, format!("cannot be read: {error}")))
}
