//! `replay`: a recording through the same engine, analysis and sinks as the live commands.

use std::fs::File;

use super::{Failure, complain, live::Lines, output::Target, unreadable};
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
    let mut reader = Reader::open(file).map_err(|error| unreadable(&args.file, &error))?;
    let mut session = reader.session().clone();
    if let Some(grace) = args.grace {
        session.grace_ns = u64::try_from(grace.as_nanos()).unwrap_or(u64::MAX);
    }
    let mut engine = Engine::new(Bounds::new(session.grace_ns));
    let mut observations = Vec::new();
    let mut inputs = 0u64;
    let mut lines = match args.view {
        ReplayView::Trace => Some(Lines::new(session.clone(), args.format, true)),
        ReplayView::Report => None,
    };
    for input in reader.by_ref() {
        inputs += u64::from(!matches!(input, Input::Losses { .. }));
        engine.apply(input, &mut observations);
        for observation in observations.drain(..) {
            if let Some(lines) = &mut lines {
                lines.take(&observation).map_err(|error| Failure::writing("standard output", &error))?;
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
        let (_, time_ns) = engine.window();
        engine.apply(Input::End { time_ns }, &mut observations);
    }
    if damage != crate::record::Damage::default() {
        complain(&format!("{}: {damage}", args.file.display()), None);
    }
    match lines {
        Some(lines) => lines.finish()?,
        None => {
            let target = Target::open(args.output.as_deref(), Target::StandardOutput)?;
            target.write(&analysis::report(&engine, &session), args.format)?;
        }
    }
    Ok(0)
}
