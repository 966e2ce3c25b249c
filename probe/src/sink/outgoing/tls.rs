//! TLS towards a receiver: whom we trust, who we are, and what is said when the receiver is not who it should be.
//!
//! Owns that the certificate of a receiver is always checked, with its name. Must not know what is sent.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        CertificateError, ClientConfig, Error, RootCertStore,
        crypto::ring,
        pki_types::ServerName,
        version::{TLS12, TLS13},
    },
};

use super::{super::pem, Protocol};

/// The files that TLS is made from. Without any, the certificate authorities of the system are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate authorities that are trusted in place of those of the system.
    pub ca_file: Option<PathBuf>,
    /// Certificate by which we are known, with its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// What makes TLS of connections.
pub fn connector(files: &TlsFiles, protocol: Protocol) -> Result<TlsConnector, String> {
    let of = |path: &Path, why: String| format!("{}: {why}", path.display());
    let roots = match &files.ca_file {
        Some(path) => roots_of(path).map_err(|why| of(path, why))?,
        None => roots_of_system()?,
    };
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS12, &TLS13])
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let mut client = match &files.identity {
        None => client.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = pem::certificates(certificate).map_err(|why| of(certificate, why))?;
            let secret = pem::key(key).map_err(|why| of(key, why))?;
            client.with_client_auth_cert(chain, secret).map_err(|error| of(certificate, error.to_string()))?
        }
    };
    client.alpn_protocols = match protocol {
        Protocol::Http1 => vec![b"http/1.1".to_vec()],
        Protocol::Http2 => vec![b"h2".to_vec()],
    };
    Ok(TlsConnector::from(Arc::new(client)))
}

fn roots_of(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in pem::certificates(path)? {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(roots)
}

/// Some of them may be older than what can be read; the others count.
fn roots_of_system() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map_or_else(|| "there is none".to_owned(), ToString::to_string);
        return Err(format!(
            "no certificate authority of the system can be read ({why}): install ca-certificates, or name a file with `ca_file`"
        ));
    }
    Ok(roots)
}

/// TLS with a host, which must prove that it has this name.
pub async fn handshake(
    connector: &TlsConnector,
    host: &str,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, String> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("{host} is no name of a host"))?;
    connector.connect(name, stream).await.map_err(|error| {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        let why = inner.map_or_else(|| error.to_string(), |inner| told(inner, host));
        format!("no TLS with {host}: {why}")
    })
}

/// What is wrong, for a person.
fn told(error: &Error, host: &str) -> String {
    let Error::InvalidCertificate(certificate) = error else {
        return match error {
            Error::InvalidMessage(_) => format!("it does not speak TLS ({error})"),
            other => other.to_string(),
        };
    };
    match certificate {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired, or the clock of this host is wrong".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet, or the clock of this host is wrong".into()
        }
        // Its authority may have the name of one that is trusted, and another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is signed by nobody whom this agent trusts: name its certificate authority with `ca_file`".into()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("its certificate is not for the name {host}: give the name that is in the certificate")
        }
        other => format!("its certificate is refused: {other}"),
    }
}
