//! The file that says how the metrics are protected, in the format that Prometheus and its exporters have for it
//! (`web.config.file`): certificate and key, and users with the bcrypt of their passwords.
//!
//! Owns which of its keys are understood; others are refused by name and line, because a key that is read over would be a protection
//! that is not there. Must not know connections.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::super::pem;

/// Most users.
const USERS_MAX: usize = 256;

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebConfig {
    #[serde(default)]
    pub tls_server_config: Option<TlsServerConfig>,
    /// Name, and bcrypt of the password.
    #[serde(default)]
    pub basic_auth_users: BTreeMap<String, String>,
}

/// The certificate. Relative paths begin at the directory of the file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsServerConfig {
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
    #[serde(default)]
    pub min_version: MinVersion,
}

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum MinVersion {
    #[default]
    #[serde(rename = "TLS12")]
    Tls12,
    #[serde(rename = "TLS13")]
    Tls13,
}

/// Why metrics cannot be protected as the file says: what is wrong, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebConfigError(String);

impl WebConfigError {
    pub(super) fn of(path: &Path, why: impl fmt::Display) -> Self {
        Self(format!("{}: {why}", path.display()))
    }
}

impl fmt::Display for WebConfigError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

impl WebConfig {
    /// Reads a file. An empty one protects nothing.
    pub fn read(path: &Path) -> Result<Self, WebConfigError> {
        let text = pem::text(path).map_err(|why| WebConfigError::of(path, why))?;
        let mut config = Self::parse(&text).map_err(|why| WebConfigError::of(path, why))?;
        if let (Some(tls), Some(directory)) = (&mut config.tls_server_config, path.parent()) {
            for file in [&mut tls.cert_file, &mut tls.key_file] {
                *file = directory.join(&*file);
            }
        }
        Ok(config)
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Self::default());
        }
        let config: Self = serde_saphyr::from_str(text).map_err(|error| {
            let said = error.to_string();
            said.lines().next().unwrap_or_default().replace("unknown field", "unknown key")
        })?;
        if config.basic_auth_users.len() > USERS_MAX {
            return Err(format!("there are more than {USERS_MAX} users"));
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_as_exporters_have_it_is_understood() {
        let config = WebConfig::parse(
            "tls_server_config:\n  cert_file: server.crt\n  key_file: /keys/server.key\n  min_version: TLS13\n\
             basic_auth_users:\n  alice: $2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze\n  bob: x\n",
        );
        let config = config.expect("valid");
        let tls = config.tls_server_config.expect("TLS");
        assert_eq!((tls.cert_file, tls.min_version), ("server.crt".into(), MinVersion::Tls13));
        assert_eq!(config.basic_auth_users.keys().collect::<Vec<_>>(), ["alice", "bob"]);
        assert_eq!(WebConfig::parse("# nothing\n\n"), Ok(WebConfig::default()));
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for (text, expected) in [
            ("tls_server_config:\n  cert_file: a\n  key_file: b\n  client_ca_file: c\n", "client_ca_file"),
            ("http_server_config:\n  http2: true\n", "http_server_config"),
            ("tls_server_config:\n  cert_file: a\n", "key_file"),
            ("tls_server_config:\n  cert_file: a\n  key_file: b\n  min_version: TLS10\n", "TLS10"),
            ("basic_auth_users: [a]\n", ""),
            ("{{{\n", ""),
        ] {
            let said = WebConfig::parse(text).expect_err(text);
            assert!(said.contains(expected) && !said.contains('\n') && !said.is_empty(), "{text:?}: {said}");
        }
    }

    #[test]
    fn relative_paths_begin_at_the_file_and_one_that_cannot_be_read_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("web.yml");
        fs::write(&path, "tls_server_config: {cert_file: a.crt, key_file: /b.key}\n").expect("written");
        let tls = WebConfig::read(&path).expect("valid").tls_server_config.expect("TLS");
        assert_eq!((tls.cert_file, tls.key_file), (directory.path().join("a.crt"), "/b.key".into()));
        let said = WebConfig::read(Path::new("/nonexistent")).expect_err("no such file").to_string();
        assert!(said.starts_with("/nonexistent: cannot be read: No such file"), "{said}");
    }
}
