//! TLS for the metrics, by a certificate and its key.
//!
//! Must not know who asks for metrics, or whether they may.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig, SupportedProtocolVersion,
        crypto::ring,
        pki_types::UnixTime,
        version::{TLS12, TLS13},
    },
};

use super::{
    super::pem,
    web_config::{MinVersion, TlsServerConfig, WebConfigError},
};

/// What makes TLS of connections.
pub fn acceptor(config: &TlsServerConfig) -> Result<TlsAcceptor, WebConfigError> {
    let certificates =
        pem::certificates(&config.cert_file).map_err(|why| WebConfigError::of(&config.cert_file, why))?;
    let key = pem::key(&config.key_file).map_err(|why| WebConfigError::of(&config.key_file, why))?;
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
    let certificates = pem::certificates(&config.cert_file).ok()?;
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
