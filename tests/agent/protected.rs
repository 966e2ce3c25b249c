//! Metrics behind TLS and a password, asked for by a real Prometheus.

use std::{fs, path::Path, time::Instant};

use super::{
    prometheus::Prometheus,
    running::{Agent, get},
    support::{check_refused, reapwatch, require_root, signal, until},
};

/// The bcrypt of `open sesame`, of the cost 6, so that the tests take no longer than they must.
fn hash() -> String {
    bcrypt::hash("open sesame", 6).expect("a hash")
}

/// A certificate of 127.0.0.1 that ends in so many days, and its key, in this directory; signed by itself.
fn certificate(directory: &Path, days: i64) {
    let mut of = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    let now = time::OffsetDateTime::now_utc();
    (of.not_before, of.not_after) = (now - time::Duration::days(30), now + time::Duration::days(days));
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = of.self_signed(&key).expect("a certificate");
    fs::write(directory.join("server.crt"), certificate.pem()).expect("written");
    fs::write(directory.join("server.key"), key.serialize_pem()).expect("written");
}

const TLS: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

/// A directory with a certificate that is valid for so many days, and a web configuration.
fn web(days: i64, config: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    certificate(directory.path(), days);
    fs::write(directory.path().join("web.yml"), config).expect("written");
    directory
}

/// How Prometheus is told to ask.
fn asking(web: &Path, password: &str) -> String {
    format!(
        "  scheme: https\n  tls_config: {{ca_file: {:?}}}\n  basic_auth: {{username: ali, password: {password:?}}}\n",
        web.join("server.crt")
    )
}

#[test]
fn prometheus_asks_over_tls_with_a_password_and_without_either_gets_nothing() {
    let web = web(30, &format!("{TLS}basic_auth_users:\n  ali: {}\n", hash()));
    let agent = Agent::start_protected(&web.path().join("web.yml"));
    let right = Prometheus::scraping_with(agent.port, &asking(web.path(), "open sesame"));
    let wrong = Prometheus::scraping_with(agent.port, &asking(web.path(), "open barley"));
    right.until("up", 1.0);
    let (_, ours) = right.only("reapwatch_build_info");
    assert_eq!(ours, 1.0);
    until("the wrong password is refused", || {
        let said = wrong.last_error();
        (said.contains("401") || said.contains("429")).then_some(())
    });
    wrong.until("up", 0.0);
    // Who is wrong time and again is not compared with any more, and does not keep out who was right.
    until("it is wrong too often", || wrong.last_error().contains("429").then_some(()));
    right.until("up", 1.0);
    assert_eq!(get(agent.port, "/metrics", "*/*"), None, "no TLS, no answer");
    assert!(agent.said().is_empty(), "{}", agent.said());
}

#[test]
fn a_new_certificate_and_other_users_count_from_a_reload_on_and_bad_ones_change_nothing() {
    let web = web(30, &format!("{TLS}basic_auth_users:\n  ali: {}\n", hash()));
    let config = web.path().join("web.yml");
    let agent = Agent::start_protected(&config);
    let prometheus = Prometheus::scraping_with(agent.port, &asking(web.path(), "open sesame"));
    prometheus.until("up", 1.0);
    fs::write(&config, "basic_auth_users: {ali: x}\n").expect("written");
    signal(&agent.child, libc::SIGHUP);
    until("it says why", || agent.said().contains("no bcrypt hash").then_some(()));
    prometheus.until("up", 1.0);
    // Prometheus still trusts the one before only.
    fs::write(&config, TLS).expect("written");
    certificate(web.path(), 30);
    signal(&agent.child, libc::SIGHUP);
    let renewed = Prometheus::scraping_with(agent.port, &asking(web.path(), "nobody asks"));
    renewed.until("up", 1.0);
}

#[test]
fn an_expired_certificate_is_told_of_and_prometheus_refuses_it() {
    let web = web(-1, TLS);
    let agent = Agent::start_protected(&web.path().join("web.yml"));
    let said = agent.said();
    assert!(said.contains("server.crt has expired: clients will refuse it"), "{said}");
    let prometheus = Prometheus::scraping_with(agent.port, &asking(web.path(), "x"));
    until("Prometheus refuses it", || prometheus.last_error().contains("expired").then_some(()));
    prometheus.until("up", 0.0);
}

#[test]
fn what_cannot_protect_is_refused_before_anything_is_attached() {
    require_root();
    let web = web(30, TLS);
    let path = web.path().join("web.yml");
    for (config, expected) in [
        ("tls_server_config: {cert_file: none.crt, key_file: server.key}\n", "none.crt: cannot be read"),
        (
            "tls_server_config: {cert_file: server.key, key_file: server.key}\n",
            "no certificate in PEM format",
        ),
        (
            "tls_server_config: {cert_file: server.crt, key_file: server.crt}\n",
            "no private key in PEM format",
        ),
        (
            "tls_server_config: {cert_file: server.crt, key_file: server.key, client_ca_file: x}\n",
            "client_ca_file",
        ),
        ("basic_auth_users: {ali: open sesame}\n", "ali: no bcrypt hash"),
    ] {
        fs::write(&path, config).expect("written");
        let agent = web.path().join("agent.toml");
        let text = format!(
            "prometheus.web_config = {:?}\nprometheus.listen = \"127.0.0.1:0\"\n",
            path.display().to_string()
        );
        fs::write(&agent, text).expect("written");
        let began = Instant::now();
        let output = reapwatch().arg("agent").arg("--config").arg(&agent).output().expect("reapwatch");
        check_refused(&output, 1, expected);
        assert!(began.elapsed().as_secs() < 30);
    }
}
