//! Metrics for whoever asks over HTTP: `/metrics`, and for the service that runs us `/healthz` and `/readyz`.
//!
//! Owns the last metrics, and the page made of them: it is made once, however often it is asked for. Must not know what a metric
//! says. `server` owns connections, `answer` what is answered.

mod answer;
mod server;

#[cfg(test)]
mod tests;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::{Closing, Delivery, Sink, SinkStatus, Wants};
use crate::{
    render::metrics_text::{self, MetricsFormat},
    report::metrics::Metrics,
};

/// The first metrics should have come within this time.
const FIRST_WITHIN: Duration = Duration::from_secs(60);

/// The sink, with its server.
pub struct Prometheus {
    name: String,
    address: SocketAddr,
    current: Arc<Current>,
    server: JoinHandle<()>,
    delivered: u64,
}

/// What is answered now.
#[derive(Debug)]
pub(super) struct Current {
    pages: Mutex<Option<Arc<Pages>>>,
    began: Instant,
}

/// The last metrics, in each format once somebody has asked for it.
#[derive(Debug)]
struct Pages {
    metrics: Arc<Metrics>,
    since: Instant,
    text: OnceLock<Bytes>,
    open_metrics: OnceLock<Bytes>,
}

impl Prometheus {
    /// Takes the port. Nobody is answered yet.
    pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Answers from now on, within the runtime that this is called in.
    pub fn start(listener: TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let current = Arc::new(Current { pages: Mutex::new(None), began: Instant::now() });
        let server = tokio::spawn(server::serve(listener, Arc::clone(&current)));
        let name = format!("http://{address}/metrics");
        Ok(Self { name, address, current, server, delivered: 0 })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Current {
    /// A poisoned lock is safe to use: only a pointer is behind it.
    fn pages(&self) -> Option<Arc<Pages>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The page, once there are metrics.
    fn page(&self, format: MetricsFormat) -> Option<Bytes> {
        let pages = self.pages()?;
        let kept = match format {
            MetricsFormat::Text => &pages.text,
            MetricsFormat::OpenMetrics => &pages.open_metrics,
        };
        let made = kept.get_or_init(|| metrics_text::page(&pages.metrics, format).unwrap_or_default().into());
        Some(made.clone())
    }

    /// Whether metrics have come when they should.
    fn is_fresh(&self) -> bool {
        match self.pages() {
            Some(pages) => pages.since.elapsed() <= Duration::from_nanos(pages.metrics.stale_after_ns),
            None => self.began.elapsed() <= FIRST_WITHIN,
        }
    }
}

impl Sink for Prometheus {
    fn name(&self) -> &str {
        &self.name
    }

    fn wants(&self) -> Wants {
        Wants { metrics: true, ..Wants::default() }
    }

    fn offer(&mut self, what: &Delivery) {
        let Delivery::Metrics(metrics) = what else { return };
        let pages = Pages {
            metrics: Arc::clone(metrics),
            since: Instant::now(),
            text: OnceLock::new(),
            open_metrics: OnceLock::new(),
        };
        *self.current.pages.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(pages));
        self.delivered += 1;
    }

    fn status(&self) -> SinkStatus {
        SinkStatus { delivered: self.delivered, ..SinkStatus::default() }
    }

    fn close(self: Box<Self>, _within: Duration) -> Closing {
        let status = self.status();
        // Its port is free when this sink is dropped.
        Box::pin(async move {
            self.server.abort();
            status
        })
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.server.abort();
    }
}
