//! `replay`: a recording through the same engine, analysis and renderers as the live commands.

use std::fs::File;

use super::{
    Failure,
    file::Name,
    live::Lines,
    output::{self, Target},
    unreadable,
};
use crate::{
    analysis,
    cli::{ReplayArgs, ReplayView},
    collector::Observer,
    engine::{Bounds, Engine},
    model::Input,
    record::{Reader, RecordingError},
};

/// `reapwatch replay`.
pub fn replay(args: &ReplayArgs) -> Result<u8, Failure> {
    let file = File::open(&args.file).map_err(|error| unreadable(&args.file, &RecordingError::Io(error)))?;
    let target = Target::open(args.output.as_deref(), Target::StandardOutput)?;
    target.is_not(&args.file)?;
    let mut reader = Reader::open(file).map_err(|error| unreadable(&args.file, &error))?;
    let mut session = reader.session().clone();
    if let Some(grace) = args.grace {
        session.grace_ns = u64::try_from(grace.as_nanos()).unwrap_or(u64::MAX);
    }
    let mut view = match args.view {
        ReplayView::Trace => {
            let (out, name) = target.begin()?;
            View::Trace(Lines::new(out, session.clone(), args.format, true)?, name)
        }
        ReplayView::Report => View::Report(target),
    };
    let mut engine = Engine::new(Bounds::new(session.grace_ns));
    let mut observations = Vec::new();
    let mut inputs = 0u64;
    for input in reader.by_ref() {
        inputs += u64::from(!matches!(input, Input::Losses { .. }));
        engine.apply(input, &mut observations);
        for observation in observations.drain(..) {
            if let View::Trace(lines, _) = &mut view {
                lines.take(&observation).map_err(|error| Failure::writing("the output", &error))?;
            }
        }
    }
    let damage = reader.damage();
    if inputs == 0 {
        return Err(Failure::other(format!(
            "{} holds nothing that can be replayed: {damage}",
            args.file.display()
        )));
    }
    if damage.no_end {
        // Closes the books with what there is.
        let time_ns = engine.ended_ns();
        engine.apply(Input::End { time_ns }, &mut observations);
    }
    if damage != crate::record::Damage::default() {
        output::say(&format!("{}: {damage}", args.file.display()));
    }
    match view {
        View::Trace(lines, name) => {
            lines.finish()?;
            if let Some(Err((at, error))) = name.map(Name::take) {
                return Err(Failure::other(format!(
                    "the lines are in {}: the file cannot be moved to its place: {error}",
                    at.display()
                )));
            }
        }
        View::Report(target) => target.write(&analysis::report(&engine.view(), &session), args.format)?,
    }
    Ok(0)
}

/// What is made of the recording.
enum View {
    Trace(Lines, Option<Name>),
    Report(Target),
}
