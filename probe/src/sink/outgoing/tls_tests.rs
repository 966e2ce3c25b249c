//! Receivers that speak TLS, with certificates good and bad.

use std::{path::PathBuf, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer, server::WebPkiClientVerifier},
};

use super::*;

/// A certificate authority, and a directory with what is made by it.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut of = CertificateParams::new(Vec::new()).expect("no names");
        of.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer =
            CertifiedIssuer::self_signed(of, KeyPair::generate().expect("a key")).expect("a certificate");
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("ca.pem"), issuer.pem()).expect("written");
        Self { issuer, directory }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A certificate for this name that ends in so many days, and its key: as files, and as they are.
    fn issue(&self, file: &str, name: &str, days: i64) -> (Vec<u8>, Vec<u8>) {
        let mut of = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let now = time::OffsetDateTime::now_utc();
        (of.not_before, of.not_after) = (now - time::Duration::days(30), now + time::Duration::days(days));
        let key = KeyPair::generate().expect("a key");
        let certificate = of.signed_by(&key, &self.issuer).expect("a certificate");
        std::fs::write(self.file(&format!("{file}.crt")), certificate.pem()).expect("written");
        std::fs::write(self.file(&format!("{file}.key")), key.serialize_pem()).expect("written");
        (certificate.der().to_vec(), key.serialize_der())
    }
}

/// How a receiver speaks TLS; `clients`: who must have signed a client's certificate.
fn server((certificate, key): (Vec<u8>, Vec<u8>), clients: Option<&Authority>) -> TlsAcceptor {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = tokio_rustls::rustls::RootCertStore::empty();
            roots.add(authority.issuer.der().clone()).expect("a root");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        }
    };
    let key = PrivateKeyDer::try_from(key).expect("a key");
    let mut config = builder.with_single_cert(vec![certificate.into()], key).expect("a certificate");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// What a request is answered by a receiver; `None`: one that speaks no TLS. What the receiver was sent, if anything.
fn posted(acceptor: Option<TlsAcceptor>, tls: TlsFiles) -> (Result<Answer, String>, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let receiver = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let Some(acceptor) = acceptor else {
                let _ = stream.write_all(b"220 mail.example.com ESMTP\r\n").await;
                return String::new();
            };
            let Ok(mut stream) = acceptor.accept(stream).await else { return String::new() };
            let mut sent = vec![0; 4_096];
            let length = stream.read(&mut sent).await.unwrap_or(0);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            let _ = stream.shutdown().await;
            String::from_utf8_lossy(&sent[..length]).into_owned()
        });
        let url: HttpUrl = format!("https://localhost:{port}/secret").parse().expect("a URL");
        let mut headers = Headers::default();
        headers.add("Authorization", "Bearer s3cr3t").expect("a header");
        let to = Receiver { url: url.clone(), tls, headers, headers_file: None };
        let answer = match Destination::open(to, Protocol::Http1) {
            Ok(destination) => destination.post(&url, "text/plain", &[], b"hello".to_vec()).await,
            Err(why) => return (Err(why), String::new()),
        };
        (answer, receiver.await.expect("no panic"))
    })
}

fn trusting(authority: &Authority) -> TlsFiles {
    TlsFiles { ca_file: Some(authority.file("ca.pem")), identity: None }
}

#[test]
fn who_is_signed_by_a_trusted_authority_for_its_name_gets_the_request_with_its_headers() {
    let authority = Authority::new();
    let server = server(authority.issue("server", "localhost", 30), None);
    let (answer, sent) = posted(Some(server), trusting(&authority));
    let answer = answer.expect("an answer");
    assert_eq!((answer.status.as_u16(), &*answer.body), (200, &b"ok"[..]));
    assert!(sent.starts_with("POST /secret HTTP/1.1\r\n"), "{sent}");
    assert!(sent.contains("authorization: Bearer s3cr3t\r\n") && sent.ends_with("hello"), "{sent}");
}

#[test]
fn who_is_not_who_it_should_be_is_told_and_gets_nothing() {
    let (authority, other) = (Authority::new(), Authority::new());
    let expired = server(authority.issue("expired", "localhost", -1), None);
    let unknown = server(other.issue("unknown", "localhost", 30), None);
    let misnamed = server(authority.issue("misnamed", "example.com", 30), None);
    for (acceptor, expected) in [
        (Some(expired), "its certificate has expired"),
        (
            Some(unknown),
            "signed by nobody whom this agent trusts: name its certificate authority with `ca_file`",
        ),
        (Some(misnamed), "its certificate is not for the name localhost"),
        (None, "it does not speak TLS"),
    ] {
        let (answer, sent) = posted(acceptor, trusting(&authority));
        let said = answer.expect_err(expected);
        assert!(said.contains(expected) && said.starts_with("no TLS with localhost"), "{expected}: {said}");
        assert!(!said.contains("s3cr3t") && !said.contains("/secret"), "{said}");
        assert_eq!(sent, "", "{expected}");
    }
    // Those whom the system trusts have not signed it either.
    let (answer, _) = posted(Some(server(authority.issue("s", "localhost", 30), None)), TlsFiles::default());
    let said = answer.expect_err("not trusted");
    assert!(said.contains("nobody whom this agent trusts") || said.contains("ca-certificates"), "{said}");
}

#[test]
fn a_receiver_that_asks_who_we_are_is_shown_our_certificate() {
    let authority = Authority::new();
    authority.issue("client", "agent", 30);
    let asking = || Some(server(authority.issue("server", "localhost", 30), Some(&authority)));
    let identity = Some((authority.file("client.crt"), authority.file("client.key")));
    let (answer, sent) = posted(asking(), TlsFiles { identity, ..trusting(&authority) });
    assert_eq!(answer.expect("an answer").status.as_u16(), 200);
    assert!(sent.starts_with("POST"), "{sent}");
    let (answer, sent) = posted(asking(), trusting(&authority));
    let said = answer.expect_err("it asks for a certificate");
    assert!(said.to_lowercase().contains("certificaterequired"), "{said}");
    assert_eq!(sent, "");
}

#[test]
fn files_that_are_none_are_named_and_a_new_certificate_counts_once_it_is_read_anew() {
    let authority = Authority::new();
    authority.issue("client", "agent", 30);
    let to = |url: &str, tls: TlsFiles| Receiver {
        url: url.parse().expect("a URL"),
        tls,
        headers: Headers::default(),
        headers_file: None,
    };
    let refused = |url: &str, tls| Destination::open(to(url, tls), Protocol::Http1).err().expect("refused");
    let (crt, key) = (authority.file("client.crt"), authority.file("client.key"));
    let ca = |path: &PathBuf| TlsFiles { ca_file: Some(path.clone()), identity: None };
    assert!(refused("https://h", ca(&authority.file("none"))).contains("none: cannot be read: No such file"));
    assert!(refused("https://h", ca(&key)).contains("client.key: it has no certificate in PEM format"));
    let swapped = TlsFiles { identity: Some((crt.clone(), crt.clone())), ..ca(&crt) };
    assert!(refused("https://h", swapped).contains("client.crt: it has no private key in PEM format"));
    assert!(refused("http://h", ca(&crt)).contains("TLS is configured, and the URL is http://h:80"));
    let missing =
        Receiver { headers_file: Some(authority.file("no-headers")), ..to("http://h", TlsFiles::default()) };
    let said = Destination::open(missing, Protocol::Http1).err().expect("refused");
    assert!(said.contains("no-headers: cannot be read"), "{said}");
    let mut destination = Destination::open(to("https://h", ca(&authority.file("ca.pem"))), Protocol::Http2)
        .expect("good files");
    std::fs::write(authority.file("ca.pem"), "nothing").expect("written");
    assert!(destination.reopen().expect_err("bad").contains("ca.pem: it has no certificate"));
    std::fs::write(authority.file("ca.pem"), authority.issuer.pem()).expect("written");
    assert_eq!(destination.reopen(), Ok(()));
}
