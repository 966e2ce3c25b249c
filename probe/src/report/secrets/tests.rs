//! Command lines as people have them, and what may leave of each.

use proptest::prelude::*;

use super::*;

fn of(arguments: &[&str]) -> Vec<String> {
    redacted(&arguments.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>())
}

/// Each ends with a secret of which nothing may be left, marked by `S3`; and what must stay.
const SECRETS: &[(&[&str], &[&str])] = &[
    // Options.
    (&["app", "--password", "S3cret"], &["app", "--password", "[redacted]"]),
    (&["app", "--password=S3cret,a;b", "run"], &["app", "--password=[redacted]", "run"]),
    (&["app", "-password", "S3cret"], &["app", "-password", "[redacted]"]),
    (&["app", "--db-password", "-S3cret"], &["app", "--db-password", "[redacted]"]),
    (&["app", "--dbPassword=S3cret"], &["app", "--dbPassword=[redacted]"]),
    (&["app", "--api-key", "S3"], &["app", "--api-key", "[redacted]"]),
    (&["app", "--apikey=S3"], &["app", "--apikey=[redacted]"]),
    (&["app", "--auth-token", "S3", "-v"], &["app", "--auth-token", "[redacted]", "-v"]),
    (&["vault", "login", "-token=S3"], &["vault", "login", "-token=[redacted]"]),
    (&["app", "--client-secret", "S3"], &["app", "--client-secret", "[redacted]"]),
    (&["app", "--pass", "S3"], &["app", "--pass", "[redacted]"]),
    (&["gpg", "--passphrase", "S3 c3ret"], &["gpg", "--passphrase", "[redacted]"]),
    (&["redis-server", "--requirepass", "S3"], &["redis-server", "--requirepass", "[redacted]"]),
    (&["openssl", "enc", "-passin", "pass:S3"], &["openssl", "enc", "-passin", "[redacted]"]),
    (&["x.exe", "/password:S3"], &["x.exe", "/password:[redacted]"]),
    (&["app", "--key=S3"], &["app", "--key=[redacted]"]),
    (&["app", "--cookie", "sid=S3"], &["app", "--cookie", "[redacted]"]),
    // Variables.
    (&["env", "PASSWORD=S3", "app"], &["env", "PASSWORD=[redacted]", "app"]),
    (&["env", "PGPASSWORD=S3", "psql"], &["env", "PGPASSWORD=[redacted]", "psql"]),
    (&["env", "MYSQL_PWD=S3", "app"], &["env", "MYSQL_PWD=[redacted]", "app"]),
    (&["env", "AWS_SECRET_ACCESS_KEY=S3"], &["env", "AWS_SECRET_ACCESS_KEY=[redacted]"]),
    (&["env", "GITHUB_TOKEN=S3"], &["env", "GITHUB_TOKEN=[redacted]"]),
    (&["docker", "run", "-e", "DB_PASS=S3", "img"], &["docker", "run", "-e", "DB_PASS=[redacted]", "img"]),
    (&["docker", "run", "--env=DB_PASS=S3"], &["docker", "run", "--env=DB_PASS=[redacted]"]),
    (&["java", "-Ddb.password=S3", "Main"], &["java", "-Ddb.password=[redacted]", "Main"]),
    (
        &["java", "-Djavax.net.ssl.keyStorePassword=S3"],
        &["java", "-Djavax.net.ssl.keyStorePassword=[redacted]"],
    ),
    (&["make", "token=S3"], &["make", "token=[redacted]"]),
    // Flags of known programs.
    (&["mysql", "-uroot", "-pS3", "db"], &["mysql", "-uroot", "-p[redacted]", "db"]),
    (&["/usr/bin/mysqldump", "-pS3"], &["/usr/bin/mysqldump", "-p[redacted]"]),
    (&["sudo", "mariadb", "-pS3"], &["sudo", "mariadb", "-p[redacted]"]),
    (
        &["kubectl", "exec", "db-0", "--", "mysql", "-pS3"],
        &["kubectl", "exec", "db-0", "--", "mysql", "-p[redacted]"],
    ),
    (&["sshpass", "-p", "S3", "ssh", "h"], &["sshpass", "-p", "[redacted]", "ssh", "h"]),
    (&["sshpass", "-pS3", "ssh", "h"], &["sshpass", "-p[redacted]", "ssh", "h"]),
    (&["redis-cli", "-a", "S3", "ping"], &["redis-cli", "-a", "[redacted]", "ping"]),
    (&["mongodump", "-p", "S3"], &["mongodump", "-p", "[redacted]"]),
    (&["docker", "login", "-u", "me", "-p", "S3"], &["docker", "login", "-u", "me", "-p", "[redacted]"]),
    (&["ldapsearch", "-x", "-w", "S3"], &["ldapsearch", "-x", "-w", "[redacted]"]),
    (&["curl", "-u", "me:S3", "https://h"], &["curl", "-u", "me:[redacted]", "https://h"]),
    (&["curl", "-ume:S3", "https://h"], &["curl", "-ume:[redacted]", "https://h"]),
    (&["curl", "--user", "me:S3"], &["curl", "--user", "me:[redacted]"]),
    (&["curl", "--user=me:S3"], &["curl", "--user=me:[redacted]"]),
    (&["smbclient", "-U", "me%S3", "//h/x"], &["smbclient", "-U", "me%[redacted]", "//h/x"]),
    (&["snmpwalk", "-v2c", "-c", "S3", "h"], &["snmpwalk", "-v2c", "-c", "[redacted]", "h"]),
    (&["xfreerdp", "/u:me", "/p:S3", "/v:h"], &["xfreerdp", "/u:me", "/p:[redacted]", "/v:h"]),
    (&["7z", "a", "-pS3", "x.7z"], &["7z", "a", "-p[redacted]", "x.7z"]),
    (&["zip", "-P", "S3", "x.zip", "y"], &["zip", "-P", "[redacted]", "x.zip", "y"]),
    (&["sqlplus", "me/S3@db"], &["sqlplus", "me/[redacted]"]),
    (&["htpasswd", "-bc", "f", "me", "S3"], &["htpasswd", "-bc", "f", "me", "[redacted]"]),
    (&["wpa_passphrase", "ssid", "S3cretly"], &["wpa_passphrase", "ssid", "[redacted]"]),
    // URLs.
    (&["git", "clone", "https://me:S3@h/x.git"], &["git", "clone", "https://[redacted]@h/x.git"]),
    (&["git", "clone", "https://S3@h/x.git"], &["git", "clone", "https://[redacted]@h/x.git"]),
    (&["app", "postgres://u:S3/x@h:5432/db"], &["app", "postgres://[redacted]@h:5432/db"]),
    (&["app", "--db=amqp://u:S3@h//v"], &["app", "--db=amqp://[redacted]@h//v"]),
    (&["app", "--proxy", "http://u:S3@p:3128"], &["app", "--proxy", "http://[redacted]@p:3128"]),
    (&["curl", "https://h/x?a=1&token=S3&b=2"], &["curl", "https://h/x?a=1&token=[redacted]&b=2"]),
    (&["curl", "https://h/x?X-Amz-Signature=S3"], &["curl", "https://h/x?X-Amz-Signature=[redacted]"]),
    (&["app", "jdbc:x://h/db?user=u&password=S3"], &["app", "jdbc:x://h/db?user=u&password=[redacted]"]),
    // Headers.
    (&["curl", "-H", "Authorization: Bearer S3"], &["curl", "-H", "Authorization: [redacted]"]),
    (&["curl", "-H", "Authorization: Basic S3=="], &["curl", "-H", "Authorization: [redacted]"]),
    (&["curl", "-H", "X-Api-Key: S3"], &["curl", "-H", "X-Api-Key: [redacted]"]),
    (&["curl", "-H", "X-Api-Key:S3"], &["curl", "-H", "X-Api-Key:[redacted]"]),
    (&["curl", "-HCookie: sid=S3; a=S3"], &["curl", "-HCookie: [redacted]"]),
    (&["http", "h", "Bearer", "S3"], &["http", "h", "Bearer", "[redacted]"]),
    // Connection strings, JSON.
    (&["app", "Server=h;Password=S3;Timeout=3"], &["app", "Server=h;Password=[redacted];Timeout=3"]),
    (&["app", "AccountName=x;AccountKey=S3=="], &["app", "AccountName=x;AccountKey=[redacted]"]),
    (
        &["app", r#"{"user":"u","password":"S3","n":1}"#],
        &["app", r#"{"user":"u","password":"[redacted]","n":1}"#],
    ),
    // Command lines within an argument.
    (&["sh", "-c", "mysql -pS3 db"], &["sh", "-c", "mysql -p[redacted] db"]),
    (&["sh", "-c", "PASSWORD=S3 app --x"], &["sh", "-c", "PASSWORD=[redacted]"]),
    (&["sh", "-c", "app --password 'S3 S3' -v"], &["sh", "-c", "app --password '[redacted]' -v"]),
    (&["sh", "-c", "app --password=\"S3 S3\" -v"], &["sh", "-c", "app --password=[redacted] -v"]),
    (
        &["bash", "-c", "curl -H 'Authorization: Bearer S3' h"],
        &["bash", "-c", "curl -H 'Authorization: [redacted]' h"],
    ),
    (&["ssh", "h", "sh -c \"mysql -pS3\""], &["ssh", "h", "sh -c \"mysql -p[redacted]\""]),
    (&["postgres: worker password=S3"], &["postgres: worker password=[redacted]"]),
    // Forms.
    (&["app", "ghp_S3aaaaaaaaaaaaaaaaaaaaaaaa"], &["app", "[redacted]"]),
    (&["app", "AKIAS3AAAAAAAAAAAAAA"], &["app", "[redacted]"]),
    (&["app", "x=sk-S3aaaaaaaaaaaaaaaaaaaaa"], &["app", "x=[redacted]"]),
    (&["app", "xoxb-S312-34-ab"], &["app", "[redacted]"]),
    (&["app", "eyJhbGciOiJI.eyJzdWIiOiIx.S3lKxwRJSMeKKF2"], &["app", "[redacted]"]),
    (&["app", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYS3KEY"], &["app", "[redacted]"]),
    (&["app", "S30c8f3a9b1d2e4f5a6b7c8d9e0f1a2b3c"], &["app", "[redacted]"]),
    (&["app", "--x", "S3f47ac1-58cc-4372-a567-0e02b2c3d479"], &["app", "--x", "[redacted]"]),
];

/// Command lines that say nothing secret, and stay as they are.
const ORDINARY: &[&[&str]] = &[
    &["python3", "worker_manager.py", "--workers", "4", "--verbose"],
    &["/usr/bin/java", "-Xmx512m", "-jar", "/opt/app/app-1.2.3-SNAPSHOT.jar"],
    &["nginx: worker process"],
    &["postgres: checkpointer"],
    &["/usr/sbin/sshd", "-D", "-o", "Port=2222"],
    &["sh", "-c", "sleep 1; echo done && exec /usr/bin/env python3 'my file.py'"],
    &["mysql", "-uroot", "-p", "db"],
    &["docker", "run", "-p", "8080:80", "--name", "web", "nginx:1.25"],
    &["psql", "-p", "5432", "-h", "db.example.com"],
    &["app", "--password-file", "/run/secrets/db"],
    &["app", "--token-path=/var/run/token"],
    &["docker", "login", "--password-stdin"],
    &["app", "--no-password", "x"],
    &["curl", "-sS", "https://example.com:8443/a/b?page=2&sort=name"],
    &["git", "clone", "git@github.com:a/b.git"],
    &["npm", "install", "https://registry.npmjs.org/@scope/pkg"],
    &["kubectl", "get", "pods", "--namespace=kube-system", "-o", "wide"],
    &["/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "--list"],
    &["rsync", "-a", "2026-11-27T12-30-00-backup/", "/srv/backup"],
    &["gcc", "-O2", "-march=x86-64-v3", "-DVERSION=1.2.3", "main.c"],
    &["app", "--keyboard", "de", "--monkey", "x", "--passenger=3", "--author=me", "--compass"],
    &["app", ""],
    &[],
];

#[test]
fn what_is_a_secret_is_gone_and_the_rest_stays() {
    let wrong: Vec<_> = SECRETS
        .iter()
        .map(|(given, expected)| (of(given), *expected))
        .filter(|(left, expected)| left != expected || left.concat().contains("S3"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_no_secret_stays_as_it_is() {
    let wrong: Vec<_> =
        ORDINARY.iter().map(|given| (of(given), *given)).filter(|(left, given)| left != given).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

proptest! {
    /// Whatever it looks like, a secret after an option for one is gone, and as many arguments are left as there were.
    #[test]
    fn no_secret_stays_whatever_it_looks_like(
        secret in "[ -~äß漢]{1,40}",
        before in prop::collection::vec("[ -~é]{0,20}", 0..4),
        form in 0..5usize,
    ) {
        let secret = format!("S3{secret}S3");
        let mut arguments: Vec<String> = vec!["app".into()];
        arguments.push("x".into());
        let hidden = match form {
            0 => vec!["--password".into(), secret.clone()],
            1 => vec![format!("--password={secret}")],
            2 => vec![format!("DB_PASSWORD={secret}")],
            3 => vec!["--api-key".into(), secret.clone()],
            _ => vec![format!("-Dapp.secret={secret}")],
        };
        arguments.extend(hidden);
        let left = redacted(&arguments);
        prop_assert_eq!(left.len(), arguments.len());
        prop_assert!(!left.concat().contains("S3"), "{:?}", left);
        // Anything is taken, and nothing takes for ever.
        prop_assert_eq!(redacted(&before).len(), before.len());
    }
}
