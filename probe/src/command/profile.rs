//! `profile`: the forks of the host, of some processes, of a command or of a recording, by their sites.
//!
//! Must not judge, and must not know how a profile is written.

use std::{fs::File, io, path::Path};

use super::{
    Failure,
    live::{self, Use, for_a_while},
    output::{self, Target, is_standard_output},
    processes, replay,
    run::for_a_command,
    signals::Signals,
    unreadable,
};
use crate::{
    analysis::profile::profile,
    cli::{Global, ProfileArgs, ProfileFormat, ProfileSample},
    engine::View,
    model::Session,
    recording::{Reader, RecordingError},
    render,
    source::bpf::options::{ForkStacks, Subscription},
};

/// `reapwatch profile`.
pub async fn live(global: &Global, args: ProfileArgs, signals: Signals) -> Result<u8, Failure> {
    processes::require(&args.pid)?;
    let target = target(&args)?;
    let recording = target.and_recording(args.record.as_deref())?;
    let grace = args.grace.grace;
    if args.command.is_empty() {
        let subscription = Subscription::events(args.pid.clone(), 0).with(ForkStacks::OfAll);
        let watching = live::attach(global, subscription, grace, recording)?.open(None, Use::Report);
        let watched = watching.quietly_until(for_a_while(args.duration, &signals), true).await?;
        publish(&watched.view(), watched.session(), target, &args)?;
        watched.finish()?;
        return Ok(0);
    }
    let attached = live::attach(global, Subscription::tree().with(ForkStacks::OfAll), grace, recording)?;
    for_a_command(attached, &args.command, args.duration, false, &signals, |watched| {
        publish(&watched.view(), watched.session(), target, &args)
    })
    .await
}

/// `reapwatch profile --from RECORDING`.
pub fn recorded(path: &Path, args: &ProfileArgs) -> Result<u8, Failure> {
    let file = File::open(path).map_err(|error| unreadable(path, &RecordingError::Io(error)))?;
    let target = target(args)?;
    target.is_not(path)?;
    let reader = Reader::open(file).map_err(|error| unreadable(path, &error))?;
    let session = reader.session().clone();
    let engine = replay::whole(path, reader, &session, &mut [])?;
    publish(&engine.view(), &session, target, args)?;
    Ok(0)
}

fn file_name(args: &ProfileArgs) -> Option<&Path> {
    let default = match args.format {
        ProfileFormat::Pprof => Some("profile.pb.gz"),
        ProfileFormat::Svg => Some("profile.svg"),
        ProfileFormat::Folded => None,
    };
    args.output.as_deref().or(default.map(Path::new))
}

/// Opened before the measurement.
fn target(args: &ProfileArgs) -> Result<Target, Failure> {
    let target = Target::open(file_name(args), Target::StandardOutput).map_err(|failure| match failure {
        // Nobody asked for this file.
        Failure::Other(what) if args.output.is_none() => {
            Failure::Other(format!("{what}: name another file with --output"))
        }
        failure => failure,
    })?;
    match args.format {
        ProfileFormat::Pprof => target.takes_bytes(),
        ProfileFormat::Folded | ProfileFormat::Svg => Ok(target),
    }
}

fn publish(view: &View<'_>, session: &Session, target: Target, args: &ProfileArgs) -> Result<(), Failure> {
    let profile = profile(view, session);
    let mut bytes = Vec::new();
    let value = args.sample.map_or_else(|| profile.usual(), number);
    match args.format {
        ProfileFormat::Pprof => render::pprof::pprof(&mut bytes, &profile),
        ProfileFormat::Folded => render::folded::folded(&mut bytes, &profile, value),
        ProfileFormat::Svg => render::folded::svg(&mut bytes, &profile, value),
    }
    .map_err(|error: io::Error| Failure::other(format!("cannot make the profile: {error}")))?;
    target.write_bytes(&bytes)?;
    let forks: u64 = profile.stacks.iter().map(|stack| stack.values[3]).sum();
    if let Some(name) = file_name(args).filter(|name| !is_standard_output(name)) {
        output::say(&format!("{}: {forks} forks, {} stacks", name.display(), profile.stacks.len()));
    }
    if profile.missed > 0 {
        output::say(&format!("{} forks are missing in it: no room for their stacks", profile.missed));
    }
    Ok(())
}

/// Its place among the values of a profile.
fn number(sample: ProfileSample) -> usize {
    match sample {
        ProfileSample::Unreaped => 0,
        ProfileSample::ZombieTime => 1,
        ProfileSample::ReapLatency => 2,
        ProfileSample::Forks => 3,
    }
}
