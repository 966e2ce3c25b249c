//! `replay`: a recording through the same engine, analysis and renderers as the live commands.
//!
//! Must not ask the kernel.

use std::{fs::File, io::Read, path::Path};

use super::{
    Failure,
    check::{self, Check},
    file::Name,
    lines::{Lines, lines_width},
    output::{self, Target},
    page::PageNotes,
    table, unreadable,
};
use crate::{
    analysis,
    cli::{Format, ReplayArgs, ReplayView, ReportFormat, nanoseconds},
    engine::Engine,
    model::Session,
    pipeline::{Details, Pipeline, PipelineError, Subscriber},
    recording::{Damage, Reader, RecordingError},
    source::replay::Replay,
};

/// `reapwatch replay`.
pub fn replay(args: &ReplayArgs) -> Result<u8, Failure> {
    if args.view == ReplayView::Table {
        return table::replay(args);
    }
    let file = File::open(&args.file).map_err(|error| unreadable(&args.file, &RecordingError::Io(error)))?;
    let target = Target::open(args.output.as_deref(), Target::StandardOutput)?;
    target.is_not(&args.file)?;
    let check = Check::open(&args.check, &target)?;
    let reader = Reader::open(file).map_err(|error| unreadable(&args.file, &error))?;
    let mut session = reader.session().clone();
    if let Some(grace) = args.grace {
        session.grace_ns = nanoseconds(grace);
    }
    let command_lines = output::command_lines(args.command_lines.command_lines);
    let mut view = match args.view {
        ReplayView::Trace => {
            let (out, name) = target.begin()?;
            let form = (lines_format(args.format), lines_width(args.wide));
            let lines = Lines::new(out, session.clone(), form, command_lines, true)?;
            View::Trace(Box::new(lines), name)
        }
        ReplayView::Report | ReplayView::Table => {
            let subject = format!("replay of {}", args.file.display());
            View::Report(
                target,
                Box::new(PageNotes::new(args.format, subject, Some(&args.file), command_lines)),
            )
        }
    };
    let subscriber: &mut dyn Subscriber = match &mut view {
        View::Trace(lines, _) => lines.as_mut(),
        View::Report(_, notes) => notes.as_mut(),
    };
    let engine = whole(&args.file, reader, &session, &mut [subscriber])?;
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
        View::Report(target, notes) => {
            let engine_view = engine.view();
            let mut report = analysis::report(&engine_view, &session);
            check.suppress(&mut report);
            check.conclude(&mut report);
            // Rules go by whole command lines, whatever is told of them.
            let report = command_lines.of_report(report);
            notes.write(target, (&engine_view, &session), &report, args.format)?;
            check.publish(&report, &args.file.display().to_string())?;
            return Ok(check::exit_code(&report).unwrap_or(0));
        }
    }
    Ok(0)
}

/// Has the engine take all of a recording, and says what of it could not be read.
pub fn whole<R: Read>(
    path: &Path,
    reader: Reader<R>,
    session: &Session,
    subscribers: &mut [&mut dyn Subscriber],
) -> Result<Engine, Failure> {
    let mut source = Replay::new(reader);
    let mut pipeline = Pipeline::new(session, None, Details::None);
    // A recording never makes the loop wait. The pipeline is async, so it needs a runtime in name only.
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(Failure::other)?;
    runtime.block_on(pipeline.run_to_end(&mut source, subscribers)).map_err(|error| match error {
        PipelineError::Source(error) => Failure::Setup(error),
        PipelineError::Subscriber(error) => Failure::writing("the output", &error),
    })?;
    let damage = source.damage();
    if source.is_empty() {
        return Err(Failure::other(format!(
            "{} holds nothing that can be replayed: {damage}",
            path.display()
        )));
    }
    if damage != Damage::default() {
        output::say(&format!("{}: {damage}", path.display()));
    }
    Ok(pipeline.into_engine())
}

/// The command line refuses lines as a page.
fn lines_format(format: ReportFormat) -> Format {
    match format {
        ReportFormat::Json => Format::Json,
        ReportFormat::Text | ReportFormat::Html => Format::Text,
    }
}

/// What to make from the recording.
enum View {
    Trace(Box<Lines>, Option<Name>),
    Report(Target, Box<PageNotes>),
}
