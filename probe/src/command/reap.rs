//! `reap`: looks twice at the zombies of a parent, says what it will do, asks, does it, and looks again.
//!
//! Owns the question and the order. What is done to the parent is `intervention`'s. Must not touch a process itself.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    thread,
    time::{Duration, Instant},
};

use super::{Failure, output};
use crate::{
    analysis::time::rfc3339,
    cli::{Format, ReapArgs},
    intervention::{
        calls, libuv, nudge,
        process::{Process, Stat},
        reap::{self, Left, Outcome, Signals},
        safety, threads,
        zombies::{self, Zombie},
    },
    model::Session,
    render::{self, terminal::View},
    report::{
        ExitDetail,
        reap::{FailedChild, HeldChild, ReapChild, ReapParent, ReapReport, Refused, SCHEMA, ThreadStop, Way},
    },
    source::{SetupError, host::clock},
};

/// Children that the plan names.
const NAMED_MAX: usize = 5;
/// A handler gets this long to reap after SIGCHLD.
const NUDGE_WORKS_WITHIN: Duration = Duration::from_secs(2);
/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A shorter wait is not worth a line.
const WAIT_WORTH_SAYING: Duration = Duration::from_secs(1);

/// `reapwatch reap`.
pub fn reap(args: ReapArgs) -> Result<u8, Failure> {
    let prepared = Prepared::check(args)?;
    let may_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
    if !(args.yes || args.dry_run || may_ask) {
        return Err(Failure::Usage(SetupError {
            what: "there is no terminal to ask on whether the zombies may be reaped".into(),
            remedy: "look with --dry-run, then run it with --yes".into(),
        }));
    }
    prepared.wait_for_the_grace();
    let plan = prepared.plan()?;
    let mut text = Vec::new();
    plan.write(&mut text, output::view(io::stderr().is_terminal())).map_err(cannot_render)?;
    let _ = io::stderr().write_all(&text);
    if args.dry_run || plan.is_empty() {
        return publish(&plan.report, args.format).map(|()| 0);
    }
    if !args.yes && !is_confirmed()? {
        output::say("nothing was done");
        return Ok(1);
    }
    // Signals end us when all is said, and not while a thread is stopped.
    let signals = Signals::keep();
    let report = plan.carry_out(&signals)?;
    publish(&report, args.format)?;
    drop(signals);
    if let Some(Refused { why, remedy }) = report.refused {
        return Err(SetupError { what: why, remedy }.into());
    }
    Ok(u8::from(!report.failed.is_empty()))
}

/// A parent to which something may be done, and the zombies that it has.
pub struct Prepared {
    args: ReapArgs,
    parent: Process,
    stat: Stat,
    earlier: Vec<Zombie>,
}

impl Prepared {
    /// Fails where nothing may be done, and says why.
    pub fn check(args: ReapArgs) -> Result<Self, Failure> {
        let parent = Process::open(args.pid).map_err(|error| no_process(args.pid, &error))?;
        let stat = parent.stat().ok_or_else(|| no_process(args.pid, &io::ErrorKind::NotFound.into()))?;
        safety::check(&parent, &stat)?;
        if args.nudge {
            nudge::check(&parent)?;
        } else {
            safety::check_calls(&parent)?;
        }
        Ok(Self { args, parent, stat, earlier: zombies::of(args.pid) })
    }

    /// When the parent started, in clock ticks since boot.
    pub fn start_ticks(&self) -> u64 {
        self.parent.start_ticks
    }

    /// How many zombies it has.
    pub fn zombies(&self) -> usize {
        self.earlier.len()
    }

    fn wait_for_the_grace(&self) {
        let grace = self.args.grace;
        if self.earlier.is_empty() {
            return;
        }
        if grace >= WAIT_WORTH_SAYING {
            output::say(&format!(
                "{} zombies now; waiting for the grace ({}) to see which of them stay",
                self.zombies(),
                humantime::format_duration(grace)
            ));
        }
        thread::sleep(grace);
    }

    /// Once the grace is over: what is to be done about the zombies that were there before it too.
    pub fn plan(self) -> Result<Plan, Failure> {
        let Self { args, parent, stat, earlier } = self;
        let later = zombies::of(args.pid);
        let there = later.len() as u64;
        let past_grace = zombies::in_both(&earlier, later);
        let report = begin(args, &parent, stat, there, &past_grace)?;
        Ok(Plan { parent, past_grace, report })
    }
}

/// What is to be done.
pub struct Plan {
    parent: Process,
    past_grace: Vec<Zombie>,
    report: ReapReport,
}

impl Plan {
    /// Nothing is.
    pub fn is_empty(&self) -> bool {
        self.past_grace.is_empty()
    }

    /// Writes it, for people.
    pub fn write(&self, out: &mut impl Write, view: View) -> io::Result<()> {
        render::reap_text::plan(out, &self.report, view)
    }

    /// Does it.
    pub fn carry_out(self, signals: &Signals) -> Result<ReapReport, Failure> {
        let Self { parent, past_grace, mut report } = self;
        let pid = parent.pid;
        match report.way {
            Way::Sigchld => {
                let before = past_grace.len() as u64;
                nudge::send(&parent).map_err(|error| not_nudged(pid, &error))?;
                report.reaped = before - left_after_nudge(pid, &past_grace, signals);
            }
            Way::Wait4 => fill(&mut report, reap::reap(&parent, past_grace, signals)),
        }
        report.zombies_after = zombies::of(pid).len() as u64;
        Ok(report)
    }
}

fn no_process(pid: u32, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound => Failure::other(format!(
            "there is no process {pid}: give the pid of the parent, which `ps -o ppid= -p ZOMBIE` names"
        )),
        _ => Failure::other(format!("cannot read /proc/{pid}: {error}: run it as root")),
    }
}

fn not_nudged(pid: u32, error: &io::Error) -> Failure {
    let what = format!("cannot send SIGCHLD to process {pid}: {error}");
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            SetupError { what, remedy: "run it as root, as the same user, or with CAP_KILL".into() }.into()
        }
        _ => Failure::other(what),
    }
}

fn begin(
    args: ReapArgs,
    parent: &Process,
    stat: Stat,
    there: u64,
    past_grace: &[Zombie],
) -> Result<ReapReport, Failure> {
    let thread = if args.nudge || past_grace.is_empty() {
        None
    } else {
        let candidates = threads::candidates(parent).map_err(|why| safety::no_thread(args.pid, &why))?;
        candidates.first().map(|one| one.thread)
    };
    let session = Session { anchor: clock::anchor(), ..Session::default() };
    let tick_ns = 1_000_000_000 / procfs::ticks_per_second().max(1);
    let oldest = past_grace.iter().take(NAMED_MAX).map(|zombie| ReapChild {
        pid: zombie.pid,
        comm: zombie.comm.clone(),
        exit: exit_detail(zombie.exit_status),
    });
    Ok(ReapReport {
        schema: SCHEMA,
        way: if args.nudge { Way::Sigchld } else { Way::Wait4 },
        dry_run: args.dry_run,
        parent: ReapParent {
            pid: args.pid,
            start_time: rfc3339(&session, parent.start_ticks.saturating_mul(tick_ns)),
            comm: stat.comm,
            command_line: parent.command_line(),
            is_built_on_libuv: libuv::is_in(parent),
        },
        grace_ns: args.grace.as_nanos() as u64,
        zombies_before: there,
        past_grace: past_grace.len() as u64,
        oldest: oldest.collect(),
        thread,
        stop_estimate_ns: thread.map(|_| reap::stopped_about(past_grace.len()).as_nanos() as u64),
        reaped: 0,
        reaped_by_itself: 0,
        held: Vec::new(),
        failed: Vec::new(),
        untried: 0,
        refused: None,
        zombies_after: there,
        stops: Vec::new(),
    })
}

/// The kernel shows 0 also to those who may not read it.
fn exit_detail(status: i32) -> Option<ExitDetail> {
    let may_read = || caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_SYS_PTRACE);
    if status == 0 && !may_read().unwrap_or(false) {
        return None;
    }
    let (signal, code) = (status as u32 & 0x7f, status as u32 >> 8 & 0xff);
    Some(ExitDetail {
        code: (signal == 0).then_some(code),
        signal: (signal != 0).then_some(signal),
        core_dumped: status & 0x80 != 0,
    })
}

fn is_confirmed() -> Result<bool, Failure> {
    let _ = io::stderr().write_all(b"Go ahead? [y/N] ");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| Failure::other(format!("cannot read the answer from the terminal: {error}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// How many of them the parent has not reaped in time.
fn left_after_nudge(parent: u32, zombies: &[Zombie], signals: &Signals) -> u64 {
    let deadline = Instant::now() + NUDGE_WORKS_WITHIN;
    loop {
        let left = zombies.iter().filter(|zombie| zombie.is_still_of(parent)).count() as u64;
        if left == 0 || Instant::now() > deadline || signals.ask_for_the_end() {
            return left;
        }
        thread::sleep(LOOK_EVERY);
    }
}

fn fill(report: &mut ReapReport, outcome: Outcome) {
    report.reaped = outcome.reaped;
    report.untried = outcome.untried;
    report.refused = outcome.refused.map(|error| Refused { why: error.what, remedy: error.remedy });
    report.stops = outcome
        .stops
        .iter()
        .map(|stop| ThreadStop {
            thread: stop.thread,
            duration_ns: stop.duration.as_nanos() as u64,
            reaped: stop.reaped,
            disturbed: stop.disturbed.map(calls::name),
        })
        .collect();
    for (Zombie { pid, comm, .. }, left) in outcome.left {
        match left {
            Left::Gone => report.reaped_by_itself += 1,
            Left::NotReady { tracer } => report.held.push(HeldChild { pid, comm, tracer }),
            Left::Failed(errno) => {
                report.failed.push(FailedChild { pid, comm, errno: errno as i32, error: errno.desc().into() })
            }
        }
    }
}

fn publish(report: &ReapReport, format: Format) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    match format {
        Format::Json => render::json::line(&mut bytes, report),
        Format::Text => {
            render::reap_text::result(&mut bytes, report, output::view(io::stdout().is_terminal()))
        }
    }
    .map_err(cannot_render)?;
    output::standard(&bytes)
}

fn cannot_render(error: io::Error) -> Failure {
    Failure::other(format!("cannot render the result: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_as_wait4_gives_them() {
        let detail = |code, signal, core_dumped| Some(ExitDetail { code, signal, core_dumped });
        assert_eq!(exit_detail(7 << 8), detail(Some(7), None, false));
        assert_eq!(exit_detail(9), detail(None, Some(9), false));
        assert_eq!(exit_detail(0x80 | 11), detail(None, Some(11), true));
    }
}
