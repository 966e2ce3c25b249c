//! What is answered to a request.
//!
//! Must not know connections.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
};

use super::Current;
use crate::render::metrics_text::MetricsFormat;

const PLAIN: &str = "text/plain; charset=utf-8";
const INDEX: &str = "reapwatch\n\n/metrics  for Prometheus\n/healthz  200 while metrics are up to date\n/readyz   200 \
                     once there are metrics\n";

/// The answer to this request. hyper leaves out the body of an answer to HEAD.
pub fn answer<B>(request: &Request<B>, current: &Current) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered\n");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match request.uri().path() {
        "/metrics" => {
            let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
            let format = MetricsFormat::accepted(accept.unwrap_or_default());
            match current.page(format) {
                Some(page) => respond(StatusCode::OK, format.content_type(), page),
                None => {
                    plain(StatusCode::SERVICE_UNAVAILABLE, "nothing is counted yet: ask again in a moment\n")
                }
            }
        }
        "/healthz" if current.is_fresh() => plain(StatusCode::OK, "ok\n"),
        "/healthz" => plain(StatusCode::SERVICE_UNAVAILABLE, "metrics are out of date\n"),
        "/readyz" if current.pages().is_some() => plain(StatusCode::OK, "ok\n"),
        "/readyz" => plain(StatusCode::SERVICE_UNAVAILABLE, "nothing is counted yet\n"),
        "/" => plain(StatusCode::OK, INDEX),
        _ => plain(StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n"),
    }
}

pub(super) fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    respond(status, PLAIN, Bytes::from_static(text.as_bytes()))
}

fn respond(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
