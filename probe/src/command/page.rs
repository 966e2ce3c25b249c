//! A report as a page for a browser: what happens is noted while the window is open, and the page is made at the end.
//!
//! Must not judge, and must not know how the page is written.

use std::{io, path::Path};

use super::{Failure, output::Target};
use crate::{
    analysis::{self, History},
    cli::{Format, ReportFormat},
    engine::{Engine, EnrichedEvent, View},
    model::Session,
    pipeline::Subscriber,
    render,
    report::{CommandLines, Report},
};

/// Takes notes for a page, if one is asked for.
pub struct PageNotes {
    history: Option<History>,
    subject: String,
    recording: Option<String>,
    command_lines: CommandLines,
}

impl PageNotes {
    /// `subject`: what is watched; `recording`: where the events are; `command_lines`: what of them is told.
    pub fn new(
        format: ReportFormat,
        subject: String,
        recording: Option<&Path>,
        command_lines: CommandLines,
    ) -> Self {
        Self {
            history: (format == ReportFormat::Html).then(History::default),
            subject,
            recording: recording.map(|path| path.display().to_string()),
            command_lines,
        }
    }

    /// Writes the report in the form that is asked for.
    pub fn write(
        self,
        target: Target,
        (view, session): (&View<'_>, &Session),
        report: &Report,
        format: ReportFormat,
    ) -> Result<(), Failure> {
        let format = match (format, self.history) {
            (ReportFormat::Html, history) => {
                let history = history.unwrap_or_default();
                let page = analysis::page::page(
                    view,
                    session,
                    &history,
                    report.clone(),
                    self.subject,
                    self.recording,
                );
                let page = self.command_lines.of_page(page);
                let mut bytes = Vec::new();
                render::html::page(&mut bytes, &page)
                    .map_err(|error| Failure::other(format!("cannot render the page: {error}")))?;
                return target.write_bytes(&bytes);
            }
            (ReportFormat::Text, _) => Format::Text,
            (ReportFormat::Json, _) => Format::Json,
        };
        target.write(report, format)
    }
}

impl Subscriber for PageNotes {
    fn event(&mut self, observation: &EnrichedEvent) -> io::Result<()> {
        if let Some(history) = &mut self.history {
            history.take(observation);
        }
        Ok(())
    }
}

/// Two subscribers as one.
pub struct Both<'a>(pub &'a mut dyn Subscriber, pub &'a mut dyn Subscriber);

impl Subscriber for Both<'_> {
    fn event(&mut self, observation: &EnrichedEvent) -> io::Result<()> {
        self.0.event(observation)?;
        self.1.event(observation)
    }

    fn batch(&mut self) -> io::Result<()> {
        self.0.batch()?;
        self.1.batch()
    }

    fn reading(&mut self, engine: &Engine) -> io::Result<()> {
        self.0.reading(engine)?;
        self.1.reading(engine)
    }
}
