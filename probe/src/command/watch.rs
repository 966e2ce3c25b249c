//! `watch` and `trace`: the whole host for a given time.
//!
//! Must not judge, and must not know how a line or a report is written.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use super::{
    Failure,
    lines::{Lines, lines_width},
    live::{self, Use, for_a_while},
    output::{self, Target},
    page::PageNotes,
    processes,
    signals::Signals,
};
use crate::{
    cli::{Global, TraceArgs, WatchArgs, nanoseconds},
    model::DEFAULT_GRACE_NS,
    source::{
        bpf::options::{ForkStacks, Kills, Subscription},
        host::name,
    },
};

/// `reapwatch watch`.
pub async fn watch(global: &Global, args: WatchArgs, signals: Signals) -> Result<u8, Failure> {
    let target = Target::open(args.output.as_deref(), Target::StandardOutput)?;
    let recording = target.and_recording(args.record.as_deref())?;
    let grace = args.grace.grace;
    // A recording must hold the events for every view. A report alone needs only the counters and the slow reaps.
    let subscription = match recording {
        Some(_) => Subscription::default().with_kills(Kills::OfAll),
        None => Subscription::counters(nanoseconds(grace)).with_kills(Kills::OfSuspects),
    };
    let watching = live::attach(global, subscription.with(ForkStacks::OfTargets), grace, recording)?
        .open(None, Use::Report);
    let command_lines = output::command_lines(args.command_lines.command_lines);
    let subject = format!("host {}", name::host_name_or_localhost());
    let mut notes = PageNotes::new(args.format, subject, args.record.as_deref(), command_lines);
    let watched = watching.noting_until(for_a_while(Some(args.duration), &signals), true, &mut notes).await?;
    let report = command_lines.of_report(watched.report());
    notes.write(target, (&watched.view(), watched.session()), &report, args.format)?;
    watched.finish_with(&report.tracer)?;
    Ok(0)
}

/// `reapwatch trace`.
pub async fn trace(global: &Global, args: TraceArgs, signals: Signals) -> Result<u8, Failure> {
    processes::require(&args.pid)?;
    let recording = Target::StandardOutput.and_recording(args.record.as_deref())?;
    let subscription = Subscription::events(args.pid, nanoseconds(args.min_latency));
    let attached = live::attach(global, subscription, Duration::from_nanos(DEFAULT_GRACE_NS), recording)?;
    let watching = attached.open(None, Use::Lines { for_a_person: io::stdout().is_terminal() });
    let out = output::standard_output()?;
    let command_lines = output::command_lines(args.command_lines.command_lines);
    let form = (args.format, lines_width(args.wide));
    let mut lines = Lines::new(out, watching.session().clone(), form, command_lines, false)?;
    let watched = watching.until(for_a_while(args.duration, &signals), &mut lines).await?;
    lines.finish()?;
    watched.finish()?;
    Ok(0)
}
