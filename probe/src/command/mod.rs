//! What each command does, and with which exit code it ends. The syntax is `cli`'s.

mod doctor;
mod live;
mod outlet;
mod output;
mod replay;
mod run;

use std::{
    fmt,
    io::{self, Write},
};

use crate::{
    cli::{Cli, Command, HookChoice},
    collector::CollectError,
    record::RecordingError,
    sink::terminal::escape,
    source::{SetupError, kernel, own},
};

/// How a command ends, when it does not end well.
#[derive(Debug)]
pub enum Failure {
    /// Not permitted or not supported: exit code 3.
    Setup(SetupError),
    /// Anything else: exit code 1.
    Other(String),
    /// Whoever read our output has left: a normal end.
    BrokenPipe,
}

impl Failure {
    /// What failed, on what, why.
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

impl From<CollectError> for Failure {
    fn from(error: CollectError) -> Self {
        match error {
            CollectError::Setup(error) => Self::Setup(error),
            CollectError::Observer(error) => Self::writing("standard output", &error),
        }
    }
}

/// Runs the command; its exit code.
pub fn execute(cli: Cli) -> Result<u8, Failure> {
    own::give_large_pieces_back();
    let options = kernel::KernelOptions {
        btf: cli.global.btf,
        hooks: match cli.global.hooks {
            HookChoice::Auto => kernel::HookChoice::Auto,
            HookChoice::Fentry => kernel::HookChoice::Fentry,
            HookChoice::Kprobe => kernel::HookChoice::Kprobe,
            HookChoice::Tracepoint => kernel::HookChoice::Tracepoint,
        },
        ring_bytes: cli.global.ring_size,
        lives: cli.global.max_unreaped,
        parents: cli.global.max_parents,
        log_programs: cli.global.log_programs,
        stats: cli.global.stats,
        asked: kernel::Asked::Everything,
    };
    match cli.command {
        // Until the live table exists.
        None => {
            let text = Cli::help_text();
            output::standard(text.as_bytes())?;
            Ok(0)
        }
        Some(Command::Run(args)) => block_on(run::run(options, args)),
        Some(Command::Trace(args)) => block_on(live::trace(options, args)),
        Some(Command::Watch(args)) => block_on(live::watch(options, args)),
        Some(Command::Record(args)) => block_on(run::record(options, args)),
        Some(Command::Replay(args)) => replay::replay(&args),
        Some(Command::Doctor(args)) => doctor::doctor(&options, &args),
    }
}

fn block_on(work: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other(format!("cannot start the event loop: {error}")))?
        .block_on(work)
}

/// To standard error: what failed, and what to do about it. File names and other texts from outside may be in it. A closed
/// standard error must not turn a message into a panic.
pub fn complain(what: &str, remedy: Option<&str>) {
    let mut out = io::stderr().lock();
    let _ = writeln!(out, "reapwatch: {}", escape(what));
    if let Some(remedy) = remedy {
        let _ = writeln!(out, "  to do: {}", escape(remedy));
    }
}

/// A recording that cannot be used.
fn unreadable(path: &std::path::Path, error: &RecordingError) -> Failure {
    Failure::other(format!("cannot replay {}: {error}", path.display()))
}
