//! The sinks of the agent: which the configuration asks for, and what becomes of them when it changes.
//!
//! Must not know what is delivered.

use std::{
    fs::File,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::task::JoinSet;

use super::{Failure, output, signals};
use crate::{
    cli::{LinesTo, Listen},
    config::Config,
    report::{metrics::SinkDrops, origin::Origin},
    sink::{
        Delivery, Sink, exec, journald,
        json_lines::JsonLines,
        orphans,
        otlp::{self, Otlp},
        outgoing::{Destination, Protocol, Receiver},
        profile_push, profiles,
        prometheus::{Prometheus, Protection},
        stdout::Patience,
        syslog, webhook,
    },
    source::SetupError,
};

/// At the end each sink gets this long to deliver what is queued.
const CLOSES_WITHIN: Duration = Duration::from_millis(400);

/// What a sink is made from. As long as this stays the same, the sink stays.
#[derive(Clone, Debug, PartialEq)]
enum Asked {
    Prometheus(SocketAddr, Option<PathBuf>),
    AlertsToStandardOutput,
    AlertsTo(PathBuf),
    Syslog(syslog::Receiver, u8),
    Journald(PathBuf),
    Otlp(otlp::Settings),
    Webhook(Receiver),
    Exec(exec::Settings),
    Profiles(profiles::Settings),
    ProfilePush(Receiver),
    Orphans(PathBuf),
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
        let Config { syslog, journald, otlp, webhook, exec, profiles, orphans, .. } = config;
        let syslog = syslog.to.clone().map(|receiver| Self::Syslog(receiver, syslog.facility as u8));
        let journald = journald.enabled.then(|| Self::Journald(journald.socket.clone()));
        let otlp = otlp.settings().map(Self::Otlp);
        let webhook = webhook.receiver().map(Self::Webhook);
        let exec = exec.settings().map(Self::Exec);
        let profile_push = profiles.receiver().map(Self::ProfilePush);
        let profiles = profiles.settings().map(Self::Profiles);
        let orphans = orphans.file.clone().map(Self::Orphans);
        let all = [metrics, alerts, syslog, journald, otlp, webhook, exec, profiles, profile_push, orphans];
        all.into_iter().flatten().collect()
    }
}

/// What may fail and needs the privileges that are there at the start: ports and files, those with keys among them. No thread is started for it, because
/// a thread would keep them.
enum Prepared {
    Listener(TcpListener, Box<Protection>),
    File(File),
    Destination(Box<Destination>),
    /// It needs none.
    Nothing,
}

/// Sinks that can be started.
pub struct PreparedSinks {
    prepared: Vec<(Asked, Prepared)>,
    origin: Origin,
}

/// The running sinks.
pub struct Sinks {
    running: Vec<(Asked, Box<dyn Sink>)>,
    origin: Origin,
}

impl PreparedSinks {
    /// Takes ports and opens files. `origin`: who sends what the sinks send.
    pub fn prepare(config: &Config, origin: Origin) -> Result<Self, Failure> {
        let prepared = Asked::by(config).into_iter().map(|asked| {
            let prepared = prepare(&asked)?;
            Ok((asked, prepared))
        });
        Ok(Self { prepared: prepared.collect::<Result<_, Failure>>()?, origin })
    }

    /// Starts them, within the runtime.
    pub fn start(self) -> Result<Sinks, Failure> {
        let Self { prepared, origin } = self;
        let started = prepared.into_iter().map(|(asked, prepared)| {
            let sink = start(&asked, prepared, &origin)?;
            Ok((asked, sink))
        });
        Ok(Sinks { running: started.collect::<Result<_, Failure>>()?, origin })
    }
}

impl Sinks {
    /// Offers it to each sink that takes such.
    pub fn offer(&mut self, what: &Delivery) {
        for (_, sink) in &mut self.running {
            let wants = sink.wants();
            let is_wanted = match what {
                Delivery::Metrics(_) => wants.metrics,
                Delivery::Alert(_) => wants.alerts,
                Delivery::Event(_) => wants.events,
                Delivery::Profile(_) => wants.profiles,
                Delivery::Orphans(_) => wants.orphans,
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
            SinkDrops {
                sink: sink.name().to_owned(),
                no_room: dropped.no_room,
                failed,
                refused: dropped.refused,
                outdated: dropped.outdated,
            }
        };
        self.running.iter().map(of).collect()
    }

    /// Goes on with what this configuration asks for. Sinks that stay open their files anew; one that cannot be made is left
    /// out, said, and made by the next reload that can.
    pub fn reload(&mut self, config: &Config) {
        let asked = Asked::by(config);
        self.running.retain(|(of, _)| asked.contains(of));
        for (_, sink) in &mut self.running {
            sink.reopen();
        }
        for asked in asked {
            if self.running.iter().any(|(of, _)| *of == asked) {
                continue;
            }
            let started = prepare(&asked).and_then(|prepared| start(&asked, prepared, &self.origin));
            match started {
                Ok(sink) => self.running.push((asked, sink)),
                Err(failure) => output::say(&format!("left out until the next reload: {}", why(failure))),
            }
        }
    }

    /// Delivers what is queued, as far as there is time: all sinks at once.
    pub async fn close(self) {
        let mut closing = JoinSet::new();
        for (_, sink) in self.running {
            closing.spawn(async move {
                let name = sink.name().to_owned();
                (name, sink.close(CLOSES_WITHIN).await)
            });
        }
        while let Some(closed) = closing.join_next().await {
            let Ok((name, status)) = closed else { continue };
            if status.dropped.not_written > 0 {
                tracing::warn!(sink = %name, left = status.dropped.not_written, "not delivered at the end");
            }
        }
    }
}

/// Warns if a directory is missing in which the agent would open or make files; fails where a file is asked for and a directory
/// is there. Opens nothing.
pub fn check_directories(config: &Config) -> Result<(), Failure> {
    for asked in Asked::by(config) {
        let (what, path, directory) = match &asked {
            Asked::AlertsTo(path) => ("open", path, path.parent()),
            Asked::Orphans(path) => ("write", path, path.parent()),
            Asked::Profiles(settings) => {
                ("write profiles to", &settings.directory, Some(settings.directory.as_path()))
            }
            _ => continue,
        };
        // A name alone is a file in the directory in which the agent is started.
        let directory = directory.filter(|directory| !directory.as_os_str().is_empty());
        if let Some(directory) = directory.filter(|directory| !directory.is_dir()) {
            // The configuration may be for another host.
            tracing::warn!(
                "an agent on this host could not {what} {}: {} is no directory; make it, or name one that exists",
                path.display(),
                directory.display()
            );
        }
        if matches!(asked, Asked::AlertsTo(_)) && path.is_dir() {
            return Err(Failure::Usage(SetupError {
                what: format!("cannot open {} for alerts: it is a directory", path.display()),
                remedy: "name a file in it".into(),
            }));
        }
    }
    Ok(())
}

fn prepare(asked: &Asked) -> Result<Prepared, Failure> {
    match asked {
        Asked::Prometheus(address, web_config) => {
            let protection = web_config.as_deref().map(protection).transpose()?.unwrap_or_default();
            Prometheus::listen(*address)
                .map(|listener| Prepared::Listener(listener, Box::new(protection)))
                .map_err(|error| cannot_listen(*address, &error))
        }
        Asked::AlertsToStandardOutput => output::standard_output().map(Prepared::File),
        Asked::AlertsTo(path) => JsonLines::open_file(path).map(Prepared::File).map_err(|error| {
            cannot_write(&format!("open {} for alerts", path.display()), &error, "alerts.output")
        }),
        Asked::Exec(settings) => {
            exec::check(&settings.program).map(|()| Prepared::Nothing).map_err(Failure::other)
        }
        Asked::Profiles(settings) => {
            let shown = settings.directory.display();
            profiles::check(&settings.directory).map(|()| Prepared::Nothing).map_err(|error| {
                let what = format!("write profiles to the directory {shown}");
                cannot_write(&what, &error, "profiles.directory")
            })
        }
        Asked::Orphans(path) => orphans::check(path).map(|()| Prepared::Nothing).map_err(|error| {
            cannot_write(&format!("write {} for orphans", path.display()), &error, "orphans.file")
        }),
        // Their receivers may be away when the agent starts; the files that are needed for them may not.
        Asked::Otlp(settings) => destination(&settings.receiver, settings.transport.protocol()),
        Asked::Webhook(receiver) | Asked::ProfilePush(receiver) => destination(receiver, Protocol::Http1),
        Asked::Syslog(..) | Asked::Journald(_) => Ok(Prepared::Nothing),
    }
}

fn destination(receiver: &Receiver, protocol: Protocol) -> Result<Prepared, Failure> {
    let opened = Destination::open(receiver.clone(), protocol);
    opened
        .map(|destination| Prepared::Destination(Box::new(destination)))
        .map_err(|why| Failure::other(format!("cannot send to {}: {why}", receiver.url.shown())))
}

fn start(asked: &Asked, prepared: Prepared, origin: &Origin) -> Result<Box<dyn Sink>, Failure> {
    let sink: Box<dyn Sink> = match (asked, prepared) {
        (Asked::Prometheus(_, web_config), Prepared::Listener(listener, protection)) => {
            let started = Prometheus::start(listener, *protection, web_config.clone());
            Box::new(started.map_err(|error| Failure::other(format!("cannot serve metrics: {error}")))?)
        }
        (asked, Prepared::File(file)) => lines_to(asked, file)?,
        (Asked::Syslog(receiver, facility), _) => {
            Box::new(syslog::start(receiver.clone(), *facility, origin.clone()))
        }
        (Asked::Journald(socket), _) => Box::new(journald::start(socket.clone())),
        (Asked::Otlp(settings), Prepared::Destination(to)) => Box::new(Otlp::start(settings, &to, origin)),
        (Asked::Webhook(_), Prepared::Destination(to)) => Box::new(webhook::start(*to)),
        (Asked::ProfilePush(_), Prepared::Destination(to)) => Box::new(profile_push::start(*to, origin)),
        (Asked::Exec(settings), _) => Box::new(exec::start(settings.clone())),
        (Asked::Profiles(settings), _) => Box::new(profiles::start(settings.clone())),
        (Asked::Orphans(path), _) => Box::new(orphans::start(path.clone())),
        _ => return Err(Failure::other("a sink was started that is not prepared")),
    };
    Ok(sink)
}

fn lines_to(asked: &Asked, file: File) -> Result<Box<dyn Sink>, Failure> {
    let patience = Patience { unlimited: false, time_left: signals::time_to_write };
    let started = match asked {
        Asked::AlertsTo(path) => JsonLines::to_file(path, file, patience),
        _ => JsonLines::to_stream("standard output", file, patience),
    };
    let sink = started.map_err(|error| Failure::other(format!("cannot start to write alerts: {error}")))?;
    Ok(Box::new(sink))
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

/// `key`: what names it in the configuration.
fn cannot_write(what: &str, error: &std::io::Error, key: &str) -> Failure {
    let remedy = match error.kind() {
        std::io::ErrorKind::NotFound => format!(": make the directory, or name another one in {key}"),
        std::io::ErrorKind::IsADirectory | std::io::ErrorKind::NotADirectory => {
            format!(": name another one in {key}")
        }
        std::io::ErrorKind::PermissionDenied => {
            format!(": have the user of the agent own the directory, or name another one in {key}")
        }
        _ => String::new(),
    };
    Failure::other(format!("cannot {what}: {error}{remedy}"))
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
