//! What each command does, and with which exit code it ends. The syntax is `cli`'s.
//!
//! Must not know an option of any command.

mod agent;
mod audit;
mod check;
mod child;
mod doctor;
mod explain;
mod file;
mod help;
mod left_running;
mod lines;
mod live;
mod orphan_file;
mod output;
mod page;
mod processes;
mod profile;
mod reap;
mod replay;
mod run;
mod service_manager;
mod signals;
mod sinks;
mod status_line;
mod table;
mod watch;

pub use output::{complain, say};

use std::{fmt, io};

use crate::{
    cli::{Cli, Command},
    pipeline::PipelineError,
    recording::RecordingError,
    source::{SetupError, host::self_usage, shortage_of},
};

use signals::Signals;

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// Not permitted or not supported: exit code 3.
    Setup(SetupError),
    /// Anything else: exit code 1.
    Other(String),
    /// It cannot be done in the way it was asked for: exit code 2.
    Usage(SetupError),
    /// The reader of the output has gone, which is a normal end.
    BrokenPipe,
}

impl Failure {
    /// A failure with a message that says what failed, on what, and why.
    pub fn other(what: impl fmt::Display) -> Self {
        Self::Other(what.to_string())
    }

    /// A failure to write to `target`.
    pub fn writing(target: &str, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::BrokenPipe;
        }
        Self::Other(format!("cannot write to {target}: {error}"))
    }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        Self::Setup(error)
    }
}

impl From<PipelineError> for Failure {
    fn from(error: PipelineError) -> Self {
        match error {
            PipelineError::Source(error) => Self::Setup(error),
            PipelineError::Subscriber(error) => Self::writing("standard output", &error),
        }
    }
}

/// Runs the command and returns its exit code.
pub fn execute(cli: Cli) -> Result<u8, Failure> {
    self_usage::give_large_pieces_back();
    let global = &cli.global;
    match cli.command {
        None if cli.table.once || table::has_terminal() => {
            block_on(async |signals| table::table(global, cli.table, signals).await)
        }
        // There is nobody to look at a table.
        None => {
            say(
                "no terminal: the live table needs one as standard input and output; `reapwatch --once` prints one frame",
            );
            let text = Cli::help_text();
            output::standard(text.as_bytes())?;
            Ok(0)
        }
        Some(Command::Run(args)) => block_on(async |signals| run::run(global, args, signals).await),
        Some(Command::Trace(args)) => block_on(async |signals| watch::trace(global, args, signals).await),
        Some(Command::Watch(args)) => block_on(async |signals| watch::watch(global, args, signals).await),
        Some(Command::Agent(args)) => agent::agent(global, &args),
        Some(Command::Record(args)) => block_on(async |signals| run::record(global, args, signals).await),
        Some(Command::Replay(args)) => replay::replay(&args),
        Some(Command::Doctor(args)) => doctor::doctor(global, &args),
        Some(Command::Explain(args)) => match &args.from {
            Some(recording) => explain::recorded(recording, &args),
            None => block_on(async |signals| explain::live(global, args, signals).await),
        },
        Some(Command::Profile(args)) => match &args.from {
            Some(recording) => profile::recorded(recording, &args),
            None => block_on(async |signals| profile::live(global, args, signals).await),
        },
        Some(Command::Audit(args)) => audit::audit(&args),
        Some(Command::Reap(args)) => reap::reap(args),
        Some(Command::Help(args)) => help::help(&args),
    }
}

/// Runs `work` in an event loop. From here on, signals end the window, not the process.
fn block_on(work: impl AsyncFnOnce(Signals) -> Result<u8, Failure>) -> Result<u8, Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| SetupError {
            what: format!("cannot start the event loop: {error}"),
            remedy: shortage_of(&error)
                .unwrap_or("allow epoll and eventfd where a filter refuses system calls")
                .into(),
        })?;
    let outcome = runtime.block_on(async { work(Signals::hear()?).await });
    // A name that is still being looked up is not waited for.
    runtime.shutdown_background();
    outcome
}

/// A recording that cannot be used.
fn unreadable(path: &std::path::Path, error: &RecordingError) -> Failure {
    let why = match error {
        RecordingError::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            ": only its owner may read a recording (mode 0600): read it as its owner, or with sudo"
        }
        _ => "",
    };
    Failure::other(format!("cannot read the recording {}: {error}{why}", path.display()))
}
