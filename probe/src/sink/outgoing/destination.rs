//! A receiver as a user describes it, and requests to it.
//!
//! Owns the files with keys and secrets: they are read at the start, and anew when the agent is told to. Must not know what is sent,
//! or when it is tried again.

use std::path::PathBuf;

use tokio_rustls::TlsConnector;

use super::{
    Answer, Headers, HttpUrl, Protocol, TlsFiles, connect,
    http::{Request, exchange},
    tls,
};

/// How a receiver is described. As long as this stays the same, a sink stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    pub url: HttpUrl,
    pub tls: TlsFiles,
    pub headers: Headers,
    /// A file with more headers.
    pub headers_file: Option<PathBuf>,
}

/// A receiver with what its files hold.
#[derive(Clone)]
pub struct Destination {
    receiver: Receiver,
    protocol: Protocol,
    headers: Headers,
    tls: Option<TlsConnector>,
}

impl Destination {
    /// Reads the files. The receiver may be away.
    pub fn open(receiver: Receiver, protocol: Protocol) -> Result<Self, String> {
        let mut destination = Self { headers: Headers::default(), tls: None, receiver, protocol };
        destination.reopen()?;
        Ok(destination)
    }

    /// Reads the files anew. After an error everything is as it was.
    pub fn reopen(&mut self) -> Result<(), String> {
        let Receiver { url, tls, headers, headers_file } = &self.receiver;
        let connector = if url.is_tls {
            Some(tls::connector(tls, self.protocol)?)
        } else if *tls == TlsFiles::default() {
            None
        } else {
            return Err(format!("TLS is configured, and the URL is {}: write https://", url.shown()));
        };
        let headers = match headers_file {
            None => headers.clone(),
            Some(path) => Headers::read(path)
                .and_then(|of_file| headers.with(&of_file))
                .map_err(|why| format!("{}: {why}", path.display()))?,
        };
        (self.headers, self.tls) = (headers, connector);
        Ok(())
    }

    pub fn url(&self) -> &HttpUrl {
        &self.receiver.url
    }

    /// Posts it to this URL of the receiver, with more headers. An error says why there is no answer. Whoever calls this limits the
    /// time.
    pub async fn post(
        &self,
        url: &HttpUrl,
        content_type: &'static str,
        more: &[(&'static str, &'static str)],
        body: Vec<u8>,
    ) -> Result<Answer, String> {
        let request =
            Request { protocol: self.protocol, url, content_type, more, secret: &self.headers, body };
        let stream = connect(&url.address).await?;
        match &self.tls {
            None => exchange(request, stream).await,
            Some(connector) => {
                exchange(request, tls::handshake(connector, &url.address.host, stream).await?).await
            }
        }
    }
}
