//! Connections: how many, how long, and how large their requests may be.
//!
//! Must not know what is answered.

use std::{collections::VecDeque, convert::Infallible, net::IpAddr, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};

use super::{Current, answer::answer, protection::Protection};

/// Most connections at once. One more ends the eldest: who only holds a connection open keeps nobody else from being answered.
pub const CONNECTIONS_MAX: usize = 32;
/// A request must have come within this time,
pub const REQUEST_WITHIN: Duration = Duration::from_secs(5);
/// and the answer must have been taken within this.
pub const ANSWERED_WITHIN: Duration = Duration::from_secs(20);
/// Longest request, headers included: the least that hyper can be told.
pub const REQUEST_MAX: usize = 8 * 1024;
/// After a failure to accept, such as too many open files, so long is waited.
const AFTER_FAILURE: Duration = Duration::from_millis(200);

/// Answers until it is aborted.
pub(super) async fn serve(listener: TcpListener, current: Arc<Current>) {
    let mut connections = JoinSet::new();
    let mut eldest_first: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    eldest_first.retain(|connection| !connection.is_finished());
                    if eldest_first.len() >= CONNECTIONS_MAX && let Some(eldest) = eldest_first.pop_front() {
                        eldest.abort();
                    }
                    let connection = connections.spawn(connection(stream, peer.ip(), Arc::clone(&current)));
                    eldest_first.push_back(connection);
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection to the metrics");
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One request and its answer. Each request takes a connection of its own, so that none lives long.
async fn connection(stream: TcpStream, address: IpAddr, current: Arc<Current>) {
    let protection = current.protection();
    let Some(tls) = &protection.tls else {
        return answering(stream, address, current, protection).await;
    };
    match tokio::time::timeout(REQUEST_WITHIN, tls.accept(stream)).await {
        Ok(Ok(stream)) => answering(stream, address, current, Arc::clone(&protection)).await,
        Ok(Err(error)) => tracing::debug!(%error, "who asked for metrics does not speak TLS as we do"),
        Err(_) => tracing::debug!("who asked for metrics took too long to begin TLS"),
    }
}

async fn answering(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    address: IpAddr,
    current: Arc<Current>,
    protection: Arc<Protection>,
) {
    let answering = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_WITHIN)
        .max_buf_size(REQUEST_MAX)
        .keep_alive(false)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(|request| {
                let (current, protection) = (Arc::clone(&current), Arc::clone(&protection));
                async move {
                    let refused = protection.refusal(request.headers(), address).await;
                    Ok::<_, Infallible>(refused.unwrap_or_else(|| answer(&request, &current)))
                }
            }),
        );
    match tokio::time::timeout(ANSWERED_WITHIN, answering).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a request for metrics failed"),
        Err(_) => tracing::debug!("who asked for metrics took the answer too slowly"),
    }
}
