//! What stands between the agent and its receivers in these tests: TLS, with certificates of an authority of our own. Behind it is the
//! real receiver, without TLS.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig, crypto::ring, pki_types::PrivateKeyDer, server::WebPkiClientVerifier,
    },
};

use super::running::free_port;

/// A certificate authority, and a directory with its certificate and with those that it has issued.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: tempfile::TempDir,
}

impl Authority {
    pub fn new() -> Self {
        let mut of = CertificateParams::new(Vec::new()).expect("no names");
        of.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(of, key).expect("a certificate");
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("ca.pem"), issuer.pem()).expect("written");
        Self { issuer, directory }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a certificate for the agent, and its key: `client.crt` and `client.key`.
    pub fn issue_for_the_agent(&self) {
        let key = KeyPair::generate().expect("a key");
        let of = CertificateParams::new(vec!["agent".to_owned()]).expect("a name");
        let certificate = of.signed_by(&key, &self.issuer).expect("a certificate");
        std::fs::write(self.file("client.crt"), certificate.pem()).expect("written");
        std::fs::write(self.file("client.key"), key.serialize_pem()).expect("written");
    }

    /// What a receiver speaks TLS by: a certificate for 127.0.0.1 that ends in so many days; `asks`: clients must show one of ours.
    fn server(&self, days: i64, asks: bool) -> TlsAcceptor {
        let mut of = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        let now = time::OffsetDateTime::now_utc();
        (of.not_before, of.not_after) = (now - time::Duration::days(30), now + time::Duration::days(days));
        let key = KeyPair::generate().expect("a key");
        let certificate = of.signed_by(&key, &self.issuer).expect("a certificate");
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = if asks {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).expect("a root");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let mut config =
            builder.with_single_cert(vec![certificate.der().clone()], key).expect("a certificate");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A port on which TLS is spoken, and who is behind it gets what is said.
pub struct Secured {
    pub port: u16,
    acceptor: Arc<Mutex<TlsAcceptor>>,
}

impl Secured {
    /// In a thread that lasts as long as the test.
    pub fn before(port_behind: u16, authority: &Authority, days: i64, asks: bool) -> Self {
        let port = free_port();
        let acceptor = Arc::new(Mutex::new(authority.server(days, asks)));
        let of_connections = Arc::clone(&acceptor);
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("a port");
                tell.send(()).expect("the test waits");
                while let Ok((stream, _)) = listener.accept().await {
                    let acceptor = of_connections.lock().expect("no panic").clone();
                    tokio::spawn(async move {
                        let Ok(mut secured) = acceptor.accept(stream).await else { return };
                        let behind = tokio::net::TcpStream::connect(("127.0.0.1", port_behind)).await;
                        let Ok(mut behind) = behind else { return };
                        let _ = tokio::io::copy_bidirectional(&mut secured, &mut behind).await;
                    });
                }
            });
        });
        told.recv().expect("it listens");
        Self { port, acceptor }
    }

    /// From now on with a certificate that ends in so many days.
    pub fn renew(&self, authority: &Authority, days: i64) {
        *self.acceptor.lock().expect("no panic") = authority.server(days, false);
    }
}
