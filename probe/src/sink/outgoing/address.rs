//! Hosts and URLs as they are written in a configuration.
//!
//! Must not connect.

use std::{fmt, str::FromStr};

use hyper::Uri;

/// Longest text that is an address or a URL.
const LENGTH_MAX: usize = 2_048;

/// A host, by its name or its number, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "not a host and port: write for instance log.example.com:514 or [::1]:514".to_owned();
        let authority: hyper::http::uri::Authority = Some(text)
            .filter(|text| text.len() <= LENGTH_MAX)
            .and_then(|text| text.parse().ok())
            .ok_or_else(wrong)?;
        if authority.as_str().contains('@') {
            return Err(wrong());
        }
        let port = authority.port_u16().filter(|port| *port > 0).ok_or_else(wrong)?;
        Self::of(authority.host(), port).ok_or_else(wrong)
    }
}

impl Address {
    /// A number of version 6 is in brackets in text alone.
    fn of(host: &str, port: u16) -> Option<Self> {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        (!host.is_empty()).then(|| Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(to, "[{}]:{}", self.host, self.port)
        } else {
            write!(to, "{}:{}", self.host, self.port)
        }
    }
}

/// Where something is posted to, over HTTP with or without TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    /// Whether it is `https`.
    pub is_tls: bool,
    pub address: Address,
    /// Path and query: at least `/`.
    pub path: String,
}

impl HttpUrl {
    /// The same host, with this at the end of the path.
    pub fn below(&self, path: &str) -> Self {
        Self { path: format!("{}{path}", self.path.trim_end_matches('/')), ..self.clone() }
    }

    /// The same, with this added to the query.
    pub fn with_query(&self, query: &str) -> Self {
        let joint = if self.path.contains('?') { '&' } else { '?' };
        Self { path: format!("{}{joint}{query}", self.path), ..self.clone() }
    }

    fn scheme(&self) -> &'static str {
        if self.is_tls { "https" } else { "http" }
    }

    /// Without the path, which may hold a secret.
    pub fn shown(&self) -> String {
        format!("{}://{}", self.scheme(), self.address)
    }
}

impl FromStr for HttpUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "not a URL: write for instance http://127.0.0.1:4318 or https://collector.example.com".to_owned()
        };
        let uri: Uri = Some(text)
            .filter(|text| text.len() <= LENGTH_MAX)
            .and_then(|text| text.parse().ok())
            .ok_or_else(wrong)?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().ok_or_else(wrong)?;
        if authority.as_str().contains('@') {
            return Err(
                "not possible: it must have no user name or password in it, give them as a header".to_owned()
            );
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let usual_port = if is_tls { 443 } else { 80 };
        let has_port = authority.as_str().len() > authority.host().len();
        let port = if has_port { authority.port_u16().filter(|port| *port > 0) } else { Some(usual_port) };
        let address = port.and_then(|port| Address::of(authority.host(), port)).ok_or_else(wrong)?;
        Ok(Self { is_tls, address, path: path.to_owned() })
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}://{}{}", self.scheme(), self.address, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for (text, host, port) in [
            ("log.example.com:514", "log.example.com", 514),
            ("127.0.0.1:1", "127.0.0.1", 1),
            ("[::1]:65535", "::1", 65_535),
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!((address.host.as_str(), address.port), (host, port));
            assert_eq!(address.to_string(), text);
        }
        for text in
            ["", "host", ":514", "host:", "host:0", "host:65536", "a@b:1", "a b:1", "host:1/x", "a\n:1"]
        {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn urls_are_read_as_they_are_written_and_a_secret_in_them_is_not_shown() {
        let url: HttpUrl = "http://h/services/T0?token=x".parse().expect("a URL");
        assert_eq!((url.address.port, url.path.as_str()), (80, "/services/T0?token=x"));
        assert_eq!(
            (url.shown().as_str(), url.to_string().as_str()),
            ("http://h:80", "http://h:80/services/T0?token=x")
        );
        let base: HttpUrl = "http://[::1]:4318".parse().expect("a URL");
        assert_eq!(base.below("/v1/logs").to_string(), "http://[::1]:4318/v1/logs");
        let base: HttpUrl = "http://h:1/otlp/".parse().expect("a URL");
        assert_eq!(base.below("/v1/logs").path, "/otlp/v1/logs");
        for text in [
            "",
            "h:1",
            "ftp://h",
            "http://",
            "http://u:p@h/",
            "http://h:99999/",
            "http://h:0/",
            "http://h/\r\nX: y",
        ] {
            assert!(text.parse::<HttpUrl>().is_err(), "{text:?}");
        }
        let secure: HttpUrl = "https://h/x?a=b".parse().expect("a URL");
        assert_eq!((secure.is_tls, secure.shown().as_str()), (true, "https://h:443"));
        assert_eq!(secure.with_query("c=d").to_string(), "https://h:443/x?a=b&c=d");
        assert_eq!(base.with_query("c=d").path, "/otlp/?c=d");
    }
}
