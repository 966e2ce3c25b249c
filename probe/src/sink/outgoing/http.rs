//! One POST over HTTP, on a connection of its own, with or without TLS.
//!
//! Owns what a receiver may answer: how much, and that it must. Must not know what an answer means.

use std::io;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Method, Response, StatusCode,
    body::Incoming,
    client::conn::{http1, http2},
    header::{CONTENT_TYPE, HOST, USER_AGENT},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
};

use super::{Headers, HttpUrl};

/// Longest answer, in bytes. Who answers more is not believed.
const ANSWER_MAX: usize = 64 * 1024;
/// Longest headers of an answer, in bytes.
const HEADERS_MAX: u32 = 16 * 1024;
const AGENT: &str = concat!("reapwatch/", env!("CARGO_PKG_VERSION"));

/// The version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    /// As gRPC has it: without TLS with prior knowledge.
    Http2,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    /// Headers, and trailers where there are any.
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A POST.
pub struct Request<'a> {
    pub protocol: Protocol,
    pub url: &'a HttpUrl,
    pub content_type: &'static str,
    pub more: &'a [(&'static str, &'static str)],
    /// Those of the user, whose values are not shown.
    pub secret: &'a Headers,
    pub body: Vec<u8>,
}

/// Sends it on this connection. An error says why there is no answer. Whoever calls this limits the time.
pub async fn exchange(
    request: Request<'_>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Answer, String> {
    let (stream, protocol, url) = (TokioIo::new(stream), request.protocol, request.url);
    let request = made(request)?;
    // Ends with this call, however it ends.
    let mut driving = JoinSet::new();
    let broken = |error: hyper::Error| {
        let (url, why) = (url.shown(), whole(&error));
        if error.is_parse() {
            format!("what {url} answers is no HTTP ({why}): give the port of a receiver of HTTP")
        } else {
            format!("no answer from {url}: {why}")
        }
    };
    let response = match protocol {
        Protocol::Http1 => {
            let (mut sender, connection) =
                http1::Builder::new().max_buf_size(ANSWER_MAX).handshake(stream).await.map_err(broken)?;
            driving.spawn(connection);
            sender.send_request(request).await
        }
        Protocol::Http2 => {
            let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
                .max_header_list_size(HEADERS_MAX)
                .initial_stream_window_size(ANSWER_MAX as u32)
                .initial_connection_window_size(ANSWER_MAX as u32)
                .handshake(stream)
                .await
                .map_err(broken)?;
            driving.spawn(connection);
            sender.send_request(request).await
        }
    };
    answer(response.map_err(broken)?)
        .await
        .map_err(|error| format!("the answer of {} cannot be read: {error}", url.shown()))
}

fn made(request: Request<'_>) -> Result<hyper::Request<Full<Bytes>>, String> {
    let Request { protocol, url, content_type, more, secret, body } = request;
    let mut made = hyper::Request::builder()
        .method(Method::POST)
        .header(USER_AGENT, AGENT)
        .header(CONTENT_TYPE, content_type);
    made = match protocol {
        Protocol::Http1 => made.uri(&url.path).header(HOST, url.address.to_string()),
        Protocol::Http2 => made.uri(url.to_string()),
    };
    for (name, value) in more {
        made = made.header(*name, *value);
    }
    for (name, value) in secret.iter() {
        made = made.header(name, value);
    }
    made.body(Full::new(body.into()))
        .map_err(|error| format!("no request can be made for {}: {error}", url.shown()))
}

async fn answer(response: Response<Incoming>) -> Result<Answer, String> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, ANSWER_MAX).collect().await.map_err(|error| error.to_string())?;
    let mut headers = head.headers;
    if let Some(trailers) = body.trailers() {
        headers.extend(trailers.clone());
    }
    Ok(Answer { status: head.status, headers, body: body.to_bytes() })
}

/// The error with what it rests on.
fn whole(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        // The text of rustls is about how to write servers.
        let is_end = |inner: &io::Error| inner.kind() == io::ErrorKind::UnexpectedEof;
        if inner.downcast_ref::<io::Error>().is_some_and(is_end) {
            return "it closed the connection".into();
        }
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
