//! Where reports go: a file, standard error, standard output. Whole or not at all.

use std::{
    fs::{File, OpenOptions},
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use super::Failure;
use crate::{
    cli::Format,
    report::{Report, Tracer},
    sink::{self, terminal::View},
};

/// Where a report will go. A file is opened before the measurement, so that a bad path is told of at once.
pub enum Target {
    File { file: File, path: PathBuf },
    StandardError,
    StandardOutput,
}

impl Target {
    /// Opens `path`, or else takes what is given.
    pub fn open(path: Option<&Path>, otherwise: Self) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(otherwise) };
        let file =
            OpenOptions::new().write(true).create(true).truncate(true).open(path).map_err(|error| {
                Failure::other(format!("cannot open {} for the report: {error}", path.display()))
            })?;
        Ok(Self::File { file, path: path.to_owned() })
    }

    /// Writes the report in one piece.
    pub fn write(self, report: &Report, format: Format) -> Result<(), Failure> {
        let terminal = match &self {
            Self::File { .. } => false,
            Self::StandardError => io::stderr().is_terminal(),
            Self::StandardOutput => io::stdout().is_terminal(),
        };
        let mut bytes = Vec::new();
        match format {
            Format::Json => sink::json::line(&mut bytes, report),
            Format::Text => sink::text::report(&mut bytes, report, view(terminal)),
        }
        .map_err(|error| Failure::other(format!("cannot render the report: {error}")))?;
        match self {
            Self::File { mut file, path } => {
                file.write_all(&bytes).and_then(|()| file.flush()).map_err(|error| {
                    // What of it found room is no report. A pipe or a device cannot be cut: nothing stays there.
                    let _ = file.set_len(0);
                    Failure::writing(&path.display().to_string(), &error)
                })
            }
            Self::StandardError => io::stderr()
                .lock()
                .write_all(&bytes)
                .map_err(|error| Failure::writing("standard error", &error)),
            Self::StandardOutput => standard(&bytes),
        }
    }
}

/// What watching cost, to standard error, where asked for. A closed one is no failure.
pub fn stats(asked: bool, tracer: &Tracer) {
    if asked {
        let _ = sink::stats_text::stats(&mut io::stderr().lock(), tracer);
    }
}

/// To standard output, whole.
pub fn standard(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|error| Failure::writing("standard output", &error))
}

/// Width and colour of a terminal, or of something that is none.
pub fn view(terminal: bool) -> View {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let width = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
    View { width: if terminal { width } else { 80 }, colour: terminal && !no_colour }
}
