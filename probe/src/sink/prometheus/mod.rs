//! Metrics for whoever asks over HTTP: `/metrics`, and for the service that runs us `/healthz` and `/readyz`.
//!
//! Owns the last metrics, and the page made of them: it is made once, however often it is asked for. Must not know what a metric
//! says. `server` owns connections, `answer` what is answered, `protection` who may ask (`web_config`, `tls`, `users`).

mod answer;
mod protection;
mod server;
mod tls;
mod users;
mod web_config;

#[cfg(test)]
mod tests;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::task::JoinHandle;

pub use protection::Protection;

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
    web_config: Option<PathBuf>,
    current: Arc<Current>,
    server: JoinHandle<()>,
    delivered: u64,
}

/// What is answered now.
pub(super) struct Current {
    pages: Mutex<Option<Arc<Pages>>>,
    protection: Mutex<Arc<Protection>>,
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

    /// Answers from now on, within the runtime that this is called in. `web_config`: the file that the protection was read from.
    pub fn start(
        listener: TcpListener,
        protection: Protection,
        web_config: Option<PathBuf>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let name = format!("{}://{address}/metrics", protection.scheme());
        let current = Arc::new(Current {
            pages: Mutex::new(None),
            protection: Mutex::new(Arc::new(protection)),
            began: Instant::now(),
        });
        let server = tokio::spawn(server::serve(listener, Arc::clone(&current)));
        Ok(Self { name, address, web_config, current, server, delivered: 0 })
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

    /// How connections that come now are protected.
    fn protection(&self) -> Arc<Protection> {
        Arc::clone(&self.protection.lock().unwrap_or_else(PoisonError::into_inner))
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

    /// Reads certificate, key and users anew. With those of before, if there is something wrong with them.
    fn reopen(&mut self) {
        let Some(path) = &self.web_config else { return };
        match Protection::read(path) {
            Ok((protection, untimely)) => {
                if let Some(what) = untimely {
                    tracing::error!("{what}");
                }
                self.name = format!("{}://{}/metrics", protection.scheme(), self.address);
                *self.current.protection.lock().unwrap_or_else(PoisonError::into_inner) =
                    Arc::new(protection);
            }
            Err(error) => tracing::error!(%error, "the metrics stay protected as they were"),
        }
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
