//! Where reports and recordings go: a file, standard error, standard output. A report is written whole or not at all.
//!
//! Must not know what a report or a recording says.

use std::{
    fs::File,
    io::{self, IsTerminal, Write},
    os::fd::{AsFd, BorrowedFd},
    path::Path,
};

use super::{
    Failure,
    file::{FileIdentity, Kind, Name, OutputFile},
    signals::{self, was_closed},
};
use crate::{
    cli::{CommandLinesOf, Format},
    model::Session,
    recording::RecordingFile,
    render::{
        self,
        terminal::{View, escape},
    },
    report::{CommandLines, Report, Tracer},
    sink::paced::Paced,
};

/// Where a report will go. A file is opened before the measurement, so that a bad path is reported at once.
pub enum Target {
    File(OutputFile),
    StandardError,
    StandardOutput,
}

/// Where a recording will go. It is opened before the measurement too.
pub struct RecordingTarget(OutputFile);

/// A recording that is being written and has no name yet. If it is dropped, it leaves no file behind.
pub struct Recording {
    file: RecordingFile,
    name: Name,
}

impl Target {
    /// Opens `path`, or takes the given target if there is no path. The path `-` is standard output.
    pub fn open(path: Option<&Path>, otherwise: Self) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(otherwise) };
        if is_standard_output(path) {
            return Ok(Self::StandardOutput);
        }
        OutputFile::open(path, Kind::Report).map(Self::File).map_err(|error| {
            Failure::other(format!("cannot open {} for the report: {error}", path.display()))
        })
    }

    /// Fails if it is a terminal, where bytes that are no text would be shown.
    pub fn takes_bytes(self) -> Result<Self, Failure> {
        let is_terminal = matches!(self, Self::StandardOutput) && io::stdout().is_terminal();
        if is_terminal { Err(no_text()) } else { Ok(self) }
    }

    /// Whether it is this file.
    fn is(&self, identity: &FileIdentity) -> bool {
        let ours = match self {
            Self::File(file) => return file.identity().is(identity),
            Self::StandardError => FileIdentity::of(io::stderr().as_fd()),
            Self::StandardOutput => FileIdentity::of(io::stdout().as_fd()),
        };
        ours.is_some_and(|ours| ours.is(identity))
    }

    /// Fails if it is the file that is read.
    pub fn is_not(&self, input: &Path) -> Result<(), Failure> {
        match FileIdentity::at(input) {
            Some(identity) if self.is(&identity) => Err(Failure::other(format!(
                "{} is the recording itself: write to another file",
                input.display()
            ))),
            _ => Ok(()),
        }
    }

    /// The file to write output to as it comes, and the name that the file gets when it is complete.
    pub fn begin(self) -> Result<(File, Option<Name>), Failure> {
        match self {
            Self::File(file) => {
                let path = file.path().to_owned();
                let (out, name) =
                    file.begin().map_err(|error| Failure::writing(&path.display().to_string(), &error))?;
                Ok((out, Some(name)))
            }
            Self::StandardError | Self::StandardOutput => Ok((standard_output()?, None)),
        }
    }

    /// Opens the target of a recording, if one is asked for. Fails if it is the same file.
    pub fn and_recording(&self, path: Option<&Path>) -> Result<Option<RecordingTarget>, Failure> {
        let Some(path) = path else { return Ok(None) };
        let recording = RecordingTarget::open(path)?;
        if self.is(recording.0.identity()) {
            let (what, name) = match self {
                Self::File(file) => ("the report", file.path().display().to_string()),
                Self::StandardError => ("the report", "standard error".to_owned()),
                Self::StandardOutput => ("the output", "standard output".to_owned()),
            };
            return Err(Failure::other(format!(
                "{what} ({name}) and the recording ({}) would go to the same file: give each its own",
                path.display()
            )));
        }
        Ok(Some(recording))
    }

    /// Writes the report in one piece.
    pub fn write(self, report: &Report, format: Format) -> Result<(), Failure> {
        let terminal = match &self {
            Self::File(_) => false,
            Self::StandardError => io::stderr().is_terminal(),
            Self::StandardOutput => io::stdout().is_terminal(),
        };
        let mut bytes = Vec::new();
        if terminal && matches!(self, Self::StandardError) {
            // The command may have left the cursor in the middle of a line.
            bytes.push(b'\n');
        }
        match format {
            Format::Json => render::json::line(&mut bytes, report),
            Format::Text => render::report_text::report(&mut bytes, report, view(terminal)),
        }
        .map_err(|error| Failure::other(format!("cannot render the report: {error}")))?;
        self.write_bytes(&bytes)
    }

    /// Writes all bytes in one piece.
    pub fn write_bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Self::File(file) => {
                let path = file.path().display().to_string();
                file.write_whole(bytes).map_err(|error| Failure::writing(&path, &error))
            }
            Self::StandardError => stream("standard error", io::stderr().as_fd(), bytes),
            Self::StandardOutput => standard(bytes),
        }
    }
}

impl RecordingTarget {
    /// Opens `path`. The path `-` is standard output.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let mut opened = path;
        if is_standard_output(path) {
            require_open("standard output", io::stdout().as_fd())?;
            if io::stdout().is_terminal() {
                return Err(no_text());
            }
            opened = Path::new("/proc/self/fd/1");
        }
        OutputFile::open(opened, Kind::Recording).map(Self).map_err(|error| cannot_record(path, &error))
    }

    /// Begins the recording. It gets its name later, when everything else has begun.
    pub fn begin(self, session: &Session) -> Result<Recording, Failure> {
        let path = self.0.path().to_owned();
        let begun = self.0.begin().and_then(|(out, name)| {
            let file = RecordingFile::begin(
                Box::new(Paced::new(out, signals::time_to_write)),
                name.path(),
                session,
            )?;
            Ok(Recording { file, name })
        });
        begun.map_err(|error| cannot_record(&path, &error))
    }
}

/// How much of command lines is told.
pub fn command_lines(asked: CommandLinesOf) -> CommandLines {
    match asked {
        CommandLinesOf::Full => CommandLines::Full,
        CommandLinesOf::Redacted => CommandLines::Redacted,
        CommandLinesOf::Name => CommandLines::Name,
    }
}

/// As other programs have it; a file of this name is `./-`.
pub fn is_standard_output(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn no_text() -> Failure {
    Failure::other("standard output is a terminal, and this is no text: name a file, or use a pipe")
}

fn cannot_record(path: &Path, error: &io::Error) -> Failure {
    Failure::other(format!("cannot record to {}: {error}", path.display()))
}

impl Recording {
    /// Gives the recording its name. An older one is kept, and it is said where. From then on, a killed recorder leaves
    /// behind what it recorded.
    pub fn take_name(self) -> RecordingFile {
        let Self { mut file, name } = self;
        let path = name.path().to_owned();
        match name.take() {
            Ok(false) => {}
            Ok(true) => say(&format!("what was in {0} is in {0}.old now", path.display())),
            Err((at, why)) => file.is_misplaced(at, why),
        }
        file
    }
}

/// Prints what watching cost to standard error, if asked for. A closed standard error is not a failure.
pub fn stats(asked: bool, tracer: &Tracer) {
    if asked {
        let _ = render::stats_text::stats(&mut io::stderr().lock(), tracer);
    }
}

/// Prints a message to standard error. A closed standard error is not a failure.
pub fn say(what: &str) {
    complain(what, None);
}

/// Prints what failed and what to do about it. Both may contain file names and other texts from outside.
pub fn complain(what: &str, remedy: Option<&str>) {
    let remedy = remedy.map_or_else(String::new, |remedy| format!("  to do: {}\n", escape(remedy)));
    let text = format!("reapwatch: {}\n{remedy}", escape(what));
    let _ = stream("standard error", io::stderr().as_fd(), text.as_bytes());
}

/// Standard output as a file. `Stdout` would search for line ends in batches that already consist of whole lines.
pub fn standard_output() -> Result<File, Failure> {
    require_open("standard output", io::stdout().as_fd())?;
    let fd = io::stdout().as_fd().try_clone_to_owned();
    Ok(File::from(fd.map_err(|error| Failure::writing("standard output", &error))?))
}

/// Writes all bytes to standard output.
pub fn standard(bytes: &[u8]) -> Result<(), Failure> {
    stream("standard output", io::stdout().as_fd(), bytes)
}

fn stream(name: &str, fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<(), Failure> {
    require_open(name, fd)?;
    fd.try_clone_to_owned()
        .and_then(|fd| Paced::new(File::from(fd), signals::time_to_write).write_all(bytes))
        .map_err(|error| Failure::writing(name, &error))
}

/// A stream that was closed at the start now leads to /dev/null.
fn require_open(name: &str, fd: BorrowedFd<'_>) -> Result<(), Failure> {
    if was_closed(fd) {
        return Err(Failure::other(format!("{name} is closed: name a file with --output, or leave it open")));
    }
    Ok(())
}

/// Width and colour for a terminal, or for something else.
pub fn view(terminal: bool) -> View {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let width = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
    View { width: if terminal { width } else { 80 }, colour: terminal && !no_colour }
}
