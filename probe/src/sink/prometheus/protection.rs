//! What stands between the metrics and who asks for them: TLS, and a name with a password.
//!
//! Owns that passwords are compared one at a time, and beside the loop that watches. Must not know what is answered to who may ask.

use std::{net::IpAddr, path::Path, sync::Arc, time::Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
};
use tokio::sync::{Mutex, oneshot};
use tokio_rustls::TlsAcceptor;

use super::{
    answer::plain,
    tls,
    users::{Checked, Credentials, Users},
    web_config::{WebConfig, WebConfigError},
};

/// How metrics are protected. Without anything, they are not.
#[derive(Default)]
pub struct Protection {
    pub(super) tls: Option<TlsAcceptor>,
    users: Option<Arc<Users>>,
    /// Held while a password is compared.
    comparing: Mutex<()>,
}

impl Protection {
    /// As a web configuration file says; and what is wrong with the time of the certificate, if anything.
    pub fn read(path: &Path) -> Result<(Self, Option<String>), WebConfigError> {
        let config = WebConfig::read(path)?;
        let tls = config.tls_server_config.as_ref().map(tls::acceptor).transpose()?;
        let untimely = config
            .tls_server_config
            .as_ref()
            .and_then(|tls| tls::untimely(tls, std::time::SystemTime::now()));
        let users = (!config.basic_auth_users.is_empty()).then(|| Users::new(config.basic_auth_users));
        let users = users.transpose().map_err(|why| WebConfigError::of(path, why))?;
        Ok((Self { tls, users: users.map(Arc::new), comparing: Mutex::new(()) }, untimely))
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// The answer to who may not ask; `None` to who may.
    pub(super) async fn refusal(
        &self,
        headers: &HeaderMap,
        address: IpAddr,
    ) -> Option<Response<Full<Bytes>>> {
        let users = self.users.as_ref()?;
        let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        match users.check(authorization, address, Instant::now()) {
            Checked::Right => None,
            Checked::Missing => Some(unauthorized()),
            Checked::TooOften(wait) => {
                let mut refused =
                    plain(StatusCode::TOO_MANY_REQUESTS, "wrong too often: try again in a moment\n");
                refused.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
                Some(refused)
            }
            Checked::Unknown(credentials) => {
                let _one_at_a_time = self.comparing.lock().await;
                match compared(Arc::clone(users), credentials, address).await {
                    Some(true) => None,
                    Some(false) => Some(unauthorized()),
                    None => Some(plain(StatusCode::SERVICE_UNAVAILABLE, "no thread is to be had\n")),
                }
            }
        }
    }
}

/// In a thread of its own, because it takes a good part of a second; `None` where there is none to be had.
async fn compared(users: Arc<Users>, credentials: Credentials, address: IpAddr) -> Option<bool> {
    let (tell, told) = oneshot::channel();
    let compare = move || {
        let _ = tell.send(users.are_right(&credentials, address));
    };
    std::thread::Builder::new().name("password".into()).spawn(compare).ok()?;
    told.await.ok()
}

fn unauthorized() -> Response<Full<Bytes>> {
    let mut refused = plain(StatusCode::UNAUTHORIZED, "a name and its password are asked for\n");
    refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"reapwatch\""));
    refused
}
