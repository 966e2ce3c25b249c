//! Metrics and alerts to a receiver of OTLP, over HTTP or gRPC.
//!
//! Owns which answers mean that something may be sent again, by OTLP's specification. Of metrics only the last count, so that
//! none queue up. Must not know what a request says.

mod settings;

use std::{sync::Arc, time::Duration};

use hyper::StatusCode;

use super::{
    Closing, Delivery, Sink, SinkStatus, Wants,
    forwarder::{Carrier, Failed, Forwarder},
    outgoing::{Answer, Destination, HttpUrl},
};
use crate::{
    render::otlp,
    report::{alert::Alert, metrics::Metrics, origin::Origin},
};

pub use settings::{Compression, Settings, Transport};

/// Alerts of one request at most.
const AT_ONCE: usize = 64;
/// What a gRPC message has before it: whether it is compressed, and its length.
const GRPC_PREFIX: usize = 5;
/// Longest reason of a refusal that is shown, in characters.
const REASON_MAX: usize = 200;

/// The sink: metrics and logs go their own ways, so that neither holds up the other.
pub struct Otlp {
    name: String,
    metrics: Option<Forwarder<Arc<Metrics>>>,
    logs: Option<Forwarder<Arc<Alert>>>,
}

impl Otlp {
    /// Starts it, within the runtime. `destination`: the receiver of the settings.
    pub fn start(settings: &Settings, destination: &Destination, origin: &Origin) -> Self {
        let name = format!("otlp {}", destination.url().shown());
        let receiver = |signal| Receiver::new(settings, destination, signal, origin.clone());
        let metrics = settings
            .metrics
            .then(|| Forwarder::start(format!("{name} metrics"), MetricsTo(receiver(Signal::Metrics)), true));
        let logs = settings
            .logs
            .then(|| Forwarder::start(format!("{name} logs"), LogsTo(receiver(Signal::Logs)), false));
        Self { name, metrics, logs }
    }
}

impl Sink for Otlp {
    fn name(&self) -> &str {
        &self.name
    }

    fn wants(&self) -> Wants {
        Wants { metrics: self.metrics.is_some(), alerts: self.logs.is_some(), ..Wants::default() }
    }

    fn offer(&mut self, what: &Delivery) {
        match (what, &mut self.metrics, &mut self.logs) {
            (Delivery::Metrics(metrics), Some(forwarder), _) => {
                forwarder.offer_in_place_of_all(Arc::clone(metrics))
            }
            (Delivery::Alert(alert), _, Some(forwarder)) => forwarder.offer_alert(alert),
            _ => {}
        }
    }

    fn status(&self) -> SinkStatus {
        let metrics = self.metrics.as_ref().map(Forwarder::status).unwrap_or_default();
        let logs = self.logs.as_ref().map(Forwarder::status).unwrap_or_default();
        sum(metrics, logs)
    }

    fn reopen(&mut self) {
        self.metrics.as_mut().into_iter().for_each(Forwarder::reopen);
        self.logs.as_mut().into_iter().for_each(Forwarder::reopen);
    }

    fn close(self: Box<Self>, within: Duration) -> Closing {
        let Self { metrics, logs, .. } = *self;
        Box::pin(async move {
            let (metrics, logs) = tokio::join!(close(metrics, within), close(logs, within));
            sum(metrics, logs)
        })
    }
}

async fn close<T: Send + Sync + 'static>(forwarder: Option<Forwarder<T>>, within: Duration) -> SinkStatus {
    match forwarder {
        Some(forwarder) => forwarder.close(within).await,
        None => SinkStatus::default(),
    }
}

fn sum(one: SinkStatus, other: SinkStatus) -> SinkStatus {
    let mut dropped = one.dropped;
    dropped += other.dropped;
    SinkStatus {
        queued: one.queued + other.queued,
        delivered: one.delivered + other.delivered,
        dropped,
        last_error: one.last_error.or(other.last_error),
    }
}

struct MetricsTo(Receiver);

impl Carrier for MetricsTo {
    type Item = Arc<Metrics>;

    fn reopen(&mut self) -> Result<(), String> {
        self.0.destination.reopen()
    }

    async fn deliver(&mut self, items: &[Arc<Metrics>]) -> Result<u64, Failed> {
        for metrics in items {
            // A part of the metrics is not all of them, so it counts as a refusal.
            if let Some((points, why)) = self.0.send(otlp::metrics(metrics, &self.0.origin)).await? {
                return Err(Failed::ForGood(format!("it has refused {points} data points: {why}")));
            }
        }
        Ok(0)
    }
}

struct LogsTo(Receiver);

impl Carrier for LogsTo {
    type Item = Arc<Alert>;

    fn reopen(&mut self) -> Result<(), String> {
        self.0.destination.reopen()
    }

    fn most_at_once(&self) -> usize {
        AT_ONCE
    }

    async fn deliver(&mut self, items: &[Arc<Alert>]) -> Result<u64, Failed> {
        let refused = self.0.send(otlp::logs(items, &self.0.origin)).await?;
        Ok(refused.map_or(0, |(records, _)| records))
    }
}

/// What is sent to a receiver.
#[derive(Clone, Copy)]
enum Signal {
    Metrics,
    Logs,
}

impl Signal {
    /// Where it is sent to, below the endpoint.
    fn path(self, transport: Transport) -> &'static str {
        match (self, transport) {
            (Self::Metrics, Transport::Http) => "/v1/metrics",
            (Self::Logs, Transport::Http) => "/v1/logs",
            (Self::Metrics, Transport::Grpc) => {
                "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
            }
            (Self::Logs, Transport::Grpc) => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        }
    }
}

struct Receiver {
    destination: Destination,
    /// The endpoint, with the path of the signal.
    url: HttpUrl,
    transport: Transport,
    compression: Compression,
    origin: Origin,
}

impl Receiver {
    fn new(settings: &Settings, destination: &Destination, signal: Signal, origin: Origin) -> Self {
        let &Settings { transport, compression, .. } = settings;
        let url = destination.url().below(signal.path(transport));
        Self { destination: destination.clone(), url, transport, compression, origin }
    }

    /// Sends a request. Returns how much of it was refused, and why.
    async fn send(&self, request: Vec<u8>) -> Result<Option<(u64, String)>, Failed> {
        let is_packed = self.compression == Compression::Gzip;
        let request = self.compression.packed(request).map_err(|error| Failed::ForGood(error.to_string()))?;
        let post = |content_type, more, body| async move {
            self.destination.post(&self.url, content_type, more, body).await.map_err(Failed::Now)
        };
        let message = match self.transport {
            Transport::Http => {
                let more: &[_] = if is_packed { &[("content-encoding", "gzip")] } else { &[] };
                of_http(post("application/x-protobuf", more, request).await?)?
            }
            Transport::Grpc => {
                let mut framed = Vec::with_capacity(GRPC_PREFIX + request.len());
                framed.push(u8::from(is_packed));
                framed.extend_from_slice(&(request.len() as u32).to_be_bytes());
                framed.extend_from_slice(&request);
                let more = [("te", "trailers"), ("grpc-timeout", "10S"), ("grpc-encoding", "gzip")];
                let more = if is_packed { &more[..] } else { &more[..2] };
                of_grpc(post("application/grpc", more, framed).await?)?
            }
        };
        otlp::refused(&message).map_err(Failed::Now)
    }
}

/// The message of an answer over HTTP.
fn of_http(answer: Answer) -> Result<Vec<u8>, Failed> {
    let why = || format!("it answers {}", answer.status);
    match answer.status {
        StatusCode::OK => Ok(answer.body.to_vec()),
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Err(Failed::Now(why())),
        _ => Err(Failed::ForGood(why())),
    }
}

/// The message of an answer over gRPC.
fn of_grpc(answer: Answer) -> Result<Vec<u8>, Failed> {
    let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
    let Some(status) = header("grpc-status").and_then(|status| status.parse::<u32>().ok()) else {
        return Err(Failed::Now(format!(
            "it answers {} and no status of gRPC: where it takes OTLP over HTTP, set otlp.transport = \"http\"",
            answer.status
        )));
    };
    if status == 0 {
        // Another message than one that is not compressed was not asked for.
        return match answer.body.split_at_checked(GRPC_PREFIX) {
            Some(([0, ..], message)) => Ok(message.to_vec()),
            _ => Err(Failed::Now("its answer is no message of gRPC".into())),
        };
    }
    let reason: String = header("grpc-message").unwrap_or_default().chars().take(REASON_MAX).collect();
    let why = format!("it answers with status {status} of gRPC: {reason}");
    Err(if may_be_sent_again(status) { Failed::Now(why) } else { Failed::ForGood(why) })
}

/// CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS.
fn may_be_sent_again(status: u32) -> bool {
    matches!(status, 1 | 4 | 8 | 10 | 11 | 14 | 15)
}

#[cfg(test)]
#[path = "otlp_tests.rs"]
mod tests;
