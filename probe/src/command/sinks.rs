//! The sinks of the agent: which the configuration asks for, and what becomes of them when it changes.
//!
//! Must not know what is delivered.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Failure, output, signals};
use crate::{
    cli::{LinesTo, Listen},
    config::Config,
    report::metrics::SinkDrops,
    sink::{
        Delivery, Sink,
        json_lines::JsonLines,
        prometheus::{Prometheus, Protection},
        stdout::Patience,
    },
};

/// At the end each sink gets this long to deliver what is queued.
const CLOSES_WITHIN: Duration = Duration::from_millis(400);

/// What a sink is made from. As long as this stays the same, the sink stays.
#[derive(Clone, Debug, PartialEq)]
enum Asked {
    Prometheus(SocketAddr, Option<PathBuf>),
    AlertsToStandardOutput,
    AlertsTo(PathBuf),
}

impl Asked {
    fn by(config: &Config) -> Vec<Self> {
        let metrics = match config.prometheus.listen {
            Listen::Nowhere => None,
            Listen::At(address) => Some(Self::Prometheus(address, config.prometheus.web_config.clone())),
        };
        let alerts = match &config.alerts.output {
            LinesTo::Nowhere => None,
            LinesTo::StandardOutput => Some(Self::AlertsToStandardOutput),
            LinesTo::File(path) => Some(Self::AlertsTo(path.clone())),
        };
        metrics.into_iter().chain(alerts).collect()
    }
}

/// A sink for which everything is there that may fail, before anything is attached.
enum Prepared {
    Listener(TcpListener, Box<Protection>, Option<PathBuf>),
    Sink(Box<dyn Sink>),
}

/// Sinks that can be started.
pub struct PreparedSinks(Vec<(Asked, Prepared)>);

/// The running sinks.
pub struct Sinks(Vec<(Asked, Box<dyn Sink>)>);

impl PreparedSinks {
    /// Takes ports and opens files: with the privileges that are there at the start.
    pub fn prepare(config: &Config) -> Result<Self, Failure> {
        let prepared = Asked::by(config).into_iter().map(|asked| {
            let prepared = prepare(&asked)?;
            Ok((asked, prepared))
        });
        Ok(Self(prepared.collect::<Result<_, Failure>>()?))
    }

    /// Starts them, within the runtime.
    pub fn start(self) -> Result<Sinks, Failure> {
        let started = self.0.into_iter().map(|(asked, prepared)| Ok((asked, start(prepared)?)));
        Ok(Sinks(started.collect::<Result<_, Failure>>()?))
    }
}

impl Sinks {
    /// Offers it to each sink that takes such.
    pub fn offer(&mut self, what: &Delivery) {
        for (_, sink) in &mut self.0 {
            let wants = sink.wants();
            let is_wanted = match what {
                Delivery::Metrics(_) => wants.metrics,
                Delivery::Alert(_) => wants.alerts,
                Delivery::Event(_) => wants.events,
            };
            if is_wanted {
                sink.offer(what);
            }
        }
    }

    /// What they have dropped so far.
    pub fn dropped(&self) -> Vec<SinkDrops> {
        let of = |(_, sink): &(Asked, Box<dyn Sink>)| {
            let dropped = sink.status().dropped;
            let failed = dropped.ended + dropped.not_written;
            SinkDrops { sink: sink.name().to_owned(), no_room: dropped.no_room, failed }
        };
        self.0.iter().map(of).collect()
    }

    /// Goes on with what this configuration asks for. Sinks that stay open their files anew; one that cannot be made is left
    /// out, said, and made by the next reload that can.
    pub fn reload(&mut self, config: &Config) {
        let asked = Asked::by(config);
        self.0.retain(|(of, _)| asked.contains(of));
        for (_, sink) in &mut self.0 {
            sink.reopen();
        }
        for asked in asked {
            if self.0.iter().any(|(of, _)| *of == asked) {
                continue;
            }
            match prepare(&asked).and_then(start) {
                Ok(sink) => self.0.push((asked, sink)),
                Err(failure) => output::say(&format!("left out until the next reload: {}", why(failure))),
            }
        }
    }

    /// Delivers what is queued, as far as there is time.
    pub async fn close(self) {
        for (_, sink) in self.0 {
            let name = sink.name().to_owned();
            let status = sink.close(CLOSES_WITHIN).await;
            if status.dropped.not_written > 0 {
                tracing::warn!(sink = %name, lines = status.dropped.not_written, "not written at the end");
            }
        }
    }
}

fn prepare(asked: &Asked) -> Result<Prepared, Failure> {
    let patience = Patience { unlimited: false, time_left: signals::time_to_write };
    match asked {
        Asked::Prometheus(address, web_config) => {
            let protection = web_config.as_deref().map(protection).transpose()?.unwrap_or_default();
            Prometheus::listen(*address)
                .map(|listener| Prepared::Listener(listener, Box::new(protection), web_config.clone()))
                .map_err(|error| cannot_listen(*address, &error))
        }
        Asked::AlertsToStandardOutput => {
            let out = output::standard_output()?;
            let sink = JsonLines::to_stream("standard output", out, patience);
            let sink = sink.map_err(|error| Failure::writing("standard output", &error))?;
            Ok(Prepared::Sink(Box::new(sink)))
        }
        Asked::AlertsTo(path) => {
            let sink = JsonLines::to_file(path, patience).map_err(|error| {
                Failure::other(format!("cannot open {} for alerts: {error}", path.display()))
            })?;
            Ok(Prepared::Sink(Box::new(sink)))
        }
    }
}

fn start(prepared: Prepared) -> Result<Box<dyn Sink>, Failure> {
    match prepared {
        Prepared::Sink(sink) => Ok(sink),
        Prepared::Listener(listener, protection, web_config) => {
            Prometheus::start(listener, *protection, web_config)
                .map(|sink| Box::new(sink) as Box<dyn Sink>)
                .map_err(|error| Failure::other(format!("cannot serve metrics: {error}")))
        }
    }
}

/// How metrics are protected. Of a certificate that is not valid now it is said; clients refuse it.
fn protection(web_config: &Path) -> Result<Protection, Failure> {
    let (protection, untimely) = Protection::read(web_config)
        .map_err(|error| Failure::other(format!("cannot protect the metrics: {error}")))?;
    if let Some(what) = untimely {
        output::say(&what);
    }
    Ok(protection)
}

fn why(failure: Failure) -> String {
    match failure {
        Failure::Other(what) => what,
        Failure::Setup(error) | Failure::Usage(error) => error.what,
        Failure::BrokenPipe => "the reader has left".into(),
    }
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> Failure {
    let remedy = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "another program has the port, perhaps another agent (`ss -ltnp` says which): give another one with --listen or \
             prometheus.listen"
        }
        std::io::ErrorKind::PermissionDenied => "give a port from 1024 on, or CAP_NET_BIND_SERVICE",
        _ => "give an address of this host with --listen or prometheus.listen, such as 127.0.0.1:9779",
    };
    Failure::other(format!("cannot listen on {address} for metrics: {error}: {remedy}"))
}
