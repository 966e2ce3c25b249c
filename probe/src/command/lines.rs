//! Observations as lines, for `trace` and for the replay of one.
//!
//! Must not know where they come from.

use std::{
    fs::File,
    io::{self, IsTerminal},
};

use super::{Failure, output, signals};
use crate::{
    analysis,
    cli::Format,
    engine::EnrichedEvent,
    model::Session,
    pipeline::Subscriber,
    render::{self, event_text::Width},
    report::{CommandLines, EventLine},
    sink::stdout::{LineWriter, Patience},
};

/// Writes observations, one line each.
pub struct Lines {
    writer: LineWriter,
    session: Session,
    format: Format,
    width: Width,
    command_lines: CommandLines,
    view: render::terminal::View,
}

/// How wide lines are.
pub fn lines_width(is_wide: bool) -> Width {
    if is_wide { Width::Wide } else { Width::Narrow }
}

impl Lines {
    /// `patient`: wait for a slow reader without a limit.
    pub fn new(
        out: File,
        session: Session,
        (format, width): (Format, Width),
        command_lines: CommandLines,
        patient: bool,
    ) -> Result<Self, Failure> {
        let view = output::view(out.is_terminal());
        let patience = Patience { unlimited: patient, time_left: signals::time_to_write };
        let writer =
            LineWriter::new(out, patience).map_err(|error| Failure::writing("standard output", &error))?;
        Ok(Self { writer, session, format, width, command_lines, view })
    }

    /// Writes the rest. Fails with a message if a slow reader missed lines.
    pub fn finish(self) -> Result<(), Failure> {
        let lost = self.writer.finish().map_err(|error| Failure::writing("standard output", &error))?;
        match (lost.left_out, lost.not_taken) {
            (0, 0) => Ok(()),
            (lines, 0) => Err(Failure::other(format!(
                "the reader of standard output was too slow: {lines} lines were left out; write to a file, or ask for \
                 less (--pid, --min-latency)"
            ))),
            (lines, rest) => Err(Failure::other(format!(
                "the reader of standard output stands still or is too slow to wait for: {lines} lines were left out, \
                 and the last {rest} were not written, of which the first may be cut"
            ))),
        }
    }

    fn write(&mut self, line: &EventLine) -> io::Result<()> {
        let (format, view, width) = (self.format, self.view, self.width);
        self.writer.line(|out| match format {
            Format::Json => render::json::line(out, line),
            Format::Text => render::event_text::line(out, line, view, width),
        })
    }
}

impl Subscriber for Lines {
    /// Writes one observation, if it is asked for.
    fn event(&mut self, enriched_event: &EnrichedEvent) -> io::Result<()> {
        let Some(line) = analysis::event_line(enriched_event, &self.session) else { return Ok(()) };
        if let Some(lines) = self.writer.take_lost() {
            self.write(&EventLine::lines_lost(line.time, lines))?;
        }
        self.write(&self.command_lines.of_event(line))
    }

    /// Queues the lines, so that a reader that waits for one sees it soon.
    fn batch(&mut self) -> io::Result<()> {
        self.writer.hand_over()
    }
}
