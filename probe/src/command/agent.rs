//! `agent`: the whole host all the time. Every reading of the counters goes into metrics, and what is worth a person's attention
//! into alerts, until a signal.
//!
//! Must not judge, and must not know how a metric or an alert is written.

use std::{fs::File, io::ErrorKind, sync::Arc, time::Duration};

use super::{
    Failure, block_on,
    live::{self, Use, for_a_while},
    orphan_file, output,
    service_manager::ServiceManager,
    signals::{self, Signals},
    sinks::{self, PreparedSinks, Sinks},
};
use crate::{
    agent::{Agent, Observed},
    analysis::{audit::FirstParents, profile},
    cli::{AgentArgs, Global, nanoseconds},
    config::{Config, ConfigError},
    engine::Engine,
    model::{Identity, Session},
    pipeline::Subscriber,
    report::{metrics::Metrics, origin::Origin, words},
    sink::Delivery,
    source::{
        SetupError,
        bpf::options::{ForkStacks, Kills, Subscription},
        host::{name, self_usage},
    },
};

/// Half of the time between two readings.
const HALF_A_READING_NS: u64 = 500_000_000;

/// Metrics are out of date when so many looks were missed,
const LOOKS_MISSED: u32 = 3;
/// and so much more time has passed: a busy host has other things to do.
const LATE: Duration = Duration::from_secs(10);

/// `reapwatch agent`.
pub fn agent(global: &Global, args: &AgentArgs) -> Result<u8, Failure> {
    let config = Config::load(args).map_err(wrong)?;
    if args.print_config {
        output::standard(config.to_toml().as_bytes())?;
        return Ok(0);
    }
    if args.check_config {
        sinks::check_directories(&config)?;
        output::standard(b"the configuration is good\n")?;
        return Ok(0);
    }
    block_on(async |signals| run(global, args, config, signals).await)
}

async fn run(global: &Global, args: &AgentArgs, config: Config, signals: Signals) -> Result<u8, Failure> {
    let sinks = PreparedSinks::prepare(&config, origin())?;
    let subscription = Subscription::counters(nanoseconds(config.grace))
        .with_kills(Kills::OfSuspects)
        .with(ForkStacks::OfTargets)
        .with_cgroups();
    let watching = live::attach(global, subscription, config.grace, None)?.open(None, Use::Workloads);
    signals::hangup_asks_for_reload().map_err(|error| SetupError {
        what: format!("cannot have HUP ask for a reload: {error}"),
        remedy: "allow rt_sigaction where a filter refuses system calls".into(),
    })?;
    let mut running = Running {
        session: watching.session().clone(),
        args,
        agent: Agent::new(config.limits(), config.rules()),
        sinks: sinks.start()?,
        config,
        service_manager: ServiceManager::from_environment(),
        next_ns: 0,
        next_profile_ns: None,
        orphans: FirstParents::new(watching.session().clone()),
        is_ready: false,
    };
    running.remember_orphans();
    let ended = watching.until(for_a_while(None, &signals), &mut running).await;
    running.service_manager.stopping();
    running.sinks.close().await;
    ended?.finish()?;
    Ok(0)
}

/// Who sends what the sinks send.
fn origin() -> Origin {
    Origin { host_name: name::host_name(), machine_id: name::machine_id(), pid: std::process::id() }
}

/// A fault in the configuration is wrong usage.
fn wrong(error: ConfigError) -> Failure {
    Failure::Usage(SetupError {
        what: error.to_string(),
        remedy: "docs/agent.md describes every key; `reapwatch agent --print-config` prints those that work"
            .into(),
    })
}

/// The agent between two readings.
struct Running<'a> {
    session: Session,
    args: &'a AgentArgs,
    config: Config,
    agent: Agent,
    sinks: Sinks,
    service_manager: ServiceManager,
    /// When metrics and alerts are next brought up to date.
    next_ns: u64,
    /// When the next profile is due; `None` before the first reading.
    next_profile_ns: Option<u64>,
    orphans: FirstParents,
    is_ready: bool,
}

impl Subscriber for Running<'_> {
    fn reading(&mut self, engine: &Engine) -> std::io::Result<()> {
        self.agent.read(engine);
        self.service_manager.alive();
        if signals::take_reload() {
            self.reload();
        }
        // Readings come about once a second: the nearest one.
        let now_ns = engine.ended_ns();
        if now_ns.saturating_add(HALF_A_READING_NS) >= self.next_ns {
            self.next_ns = now_ns.saturating_add(nanoseconds(self.config.interval));
            self.observe(engine);
        }
        self.profile(engine, now_ns);
        Ok(())
    }

    fn done_with(&self, engine: &Engine) -> Vec<Identity> {
        Agent::done_with(engine)
    }
}

impl Running<'_> {
    /// Goes on with the orphans that the agent before kept: who started them is not known from anywhere else.
    fn remember_orphans(&mut self) {
        let Some(path) = &self.config.orphans.file else { return };
        let kept = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            opened => opened.and_then(orphan_file::read),
        };
        match kept {
            Ok(kept) => {
                let now_ns = self.session.anchor.realtime_minus_boottime_ns;
                if orphan_file::is_same_boot(kept.realtime_minus_boottime_ns, now_ns) {
                    self.orphans.remember(kept);
                }
            }
            Err(error) => output::say(&format!(
                "{} does not tell where older orphans come from: {error}; it is written anew",
                path.display()
            )),
        }
    }

    /// Makes a profile if it is time, and somebody wants one.
    fn profile(&mut self, engine: &Engine, now_ns: u64) {
        let profiles = &self.config.profiles;
        let every_ns = nanoseconds(profiles.every);
        let next_ns = *self.next_profile_ns.get_or_insert(now_ns.saturating_add(every_ns));
        if profiles.are_wanted() && now_ns.saturating_add(HALF_A_READING_NS) >= next_ns {
            self.next_profile_ns = Some(now_ns.saturating_add(every_ns));
            let profile = profile::profile(&engine.view(), &self.session);
            self.sinks.offer(&Delivery::Profile(Arc::new(profile)));
        }
    }

    fn observe(&mut self, engine: &Engine) {
        let Observed { mut metrics, alerts } = self.agent.observe(engine, &self.session, self_usage::cost());
        for alert in alerts {
            self.sinks.offer(&Delivery::Alert(Arc::new(alert)));
        }
        metrics.sinks = self.sinks.dropped();
        metrics.stale_after_ns = nanoseconds(LOOKS_MISSED * self.config.interval + LATE);
        if self.config.orphans.file.is_some() {
            self.orphans.look(&engine.view());
            let history = self.orphans.history(self.config.command_lines);
            self.sinks.offer(&Delivery::Orphans(Arc::new(history)));
        }
        let status = status(&metrics);
        self.sinks.offer(&Delivery::Metrics(Arc::new(metrics)));
        if std::mem::replace(&mut self.is_ready, true) {
            self.service_manager.status(&status);
        } else {
            self.service_manager.ready(&status);
        }
    }

    /// Goes on with the configuration as it is now; with the one before, if there is something wrong with it. The counts stay.
    fn reload(&mut self) {
        self.service_manager.reloading();
        match Config::load(self.args) {
            Err(error) => {
                output::say(&format!("the configuration stays as it was: {error}"));
                // Their files may have been rotated all the same.
                self.sinks.reload(&self.config);
            }
            Ok(config) => {
                if config.grace != self.config.grace {
                    output::say("the grace stays as it was until the agent is started again");
                }
                self.config = Config { grace: self.config.grace, ..config };
                self.agent.reconfigure(self.config.limits(), self.config.rules());
                self.sinks.reload(&self.config);
                self.next_ns = 0;
                self.next_profile_ns = None;
                output::say("the configuration was read again and taken over");
            }
        }
        // The next observation says how things are.
        self.service_manager.ready("configuration read");
    }
}

/// For `systemctl status`.
fn status(metrics: &Metrics) -> String {
    let unreaped: u64 = metrics.workloads.iter().map(|one| one.unreaped).sum();
    let unhealthy = metrics.parents.len() as u64 + metrics.parents_beyond_limit;
    [
        words::counted(metrics.workloads.len() as u64, "workload", "workloads"),
        words::counted(unhealthy, "parent not healthy", "parents not healthy"),
        words::counted(unreaped, "dead child unreaped", "dead children unreaped"),
    ]
    .join(", ")
}
