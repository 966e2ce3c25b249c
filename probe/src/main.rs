//! The binary: arguments in, exit code out. Everything else is the library's.
//!
//! Must not know what a command does.

use std::{io::IsTerminal, process::ExitCode};

use probe::{
    cli::Cli,
    command::{self, Failure},
};
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

fn main() -> ExitCode {
    // clap ends the process with 2 on bad usage and with 0 after --help.
    // Diagnostics of reapwatch itself, never reports: off unless asked for, and warnings always.
    let cli = Cli::parse_checked();
    let default = if cli.global.log_programs { "warn,probe_ebpf=debug" } else { "warn" };
    let asked = std::env::var("REAPWATCH_LOG").ok().and_then(|asked| asked.parse::<Targets>().ok());
    let filter = asked.unwrap_or_else(|| default.parse().unwrap_or_default());
    // A terminal that has gone is not to end a measurement.
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .log_internal_errors(false);
    tracing_subscriber::registry().with(lines).with(filter).init();
    match command::execute(cli) {
        Ok(code) => ExitCode::from(code),
        Err(Failure::BrokenPipe) => ExitCode::SUCCESS,
        Err(Failure::Setup(error)) => {
            command::complain(&error.what, Some(&error.remedy));
            ExitCode::from(3)
        }
        Err(Failure::Usage(error)) => {
            command::complain(&error.what, Some(&error.remedy));
            ExitCode::from(2)
        }
        Err(Failure::Other(what)) => {
            command::say(&what);
            ExitCode::from(1)
        }
    }
}
