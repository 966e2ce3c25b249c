//! The command line: names, defaults, help texts and what counts as a usage error.
//!
//! Owns every option and its validation; the arguments of each command have a file. Must not know any other module of the
//! crate. `xtask` makes the man page and the shell completions from these definitions. What is refused here exits with 2.

mod agent;
mod audit;
mod check;
mod doctor;
mod explain;
mod global;
mod help;
mod profile;
mod reap;
mod record;
mod replay;
mod run;
mod table;
mod trace;
mod value;
mod watch;

#[cfg(test)]
mod tests;

pub use agent::AgentArgs;
pub use audit::AuditArgs;
pub use check::{CheckArgs, LeftRunning};
pub use doctor::DoctorArgs;
pub use explain::ExplainArgs;
pub use global::{DEFAULT_BTF, Global, HookChoice};
pub use help::HelpArgs;
pub use profile::{ProfileArgs, ProfileFormat, ProfileSample};
pub use reap::ReapArgs;
pub use record::RecordArgs;
pub use replay::{ReplayArgs, ReplayView};
pub use run::RunArgs;
pub use table::{TableArgs, Theme};
pub use trace::TraceArgs;
pub use value::{
    CommandLines, CommandLinesOf, Format, Grace, LinesTo, Listen, ReportFormat, duration, interval,
    nanoseconds,
};
pub use watch::WatchArgs;

use std::path::Path;

use clap::{
    CommandFactory, Parser, Subcommand,
    error::{ContextKind, ContextValue, ErrorKind},
};

use global::{MEANINGLESS_FOR_DOCTOR, MEANINGLESS_FOR_REPLAY, unlisted};

const EXIT_CODES: &str = "\
Exit codes:
  0  done (also when the reader of the output goes away)
  1  failure: cannot read the input, write the output or start the command
  2  usage: unknown or invalid option, missing argument
  3  not permitted or not supported; the message says why and what to do
'run' exits with the status of its command instead (128 + signal if it was
killed by a signal). With --error-exitcode N, it exits with N if the check fails;
'audit' does if it finds anything.

Examples:
  reapwatch                            a live table of the host's parents
  reapwatch doctor                     what works on this host, what does not, why
  reapwatch run -- ./supervisor        which of its processes leave dead children
  reapwatch watch --duration 30s       the same for the whole host
  reapwatch explain PID                why this process does not reap, and what to do
  reapwatch help never_waits           what a cause in a report means, and what to do";

/// Find the processes that do not reap their dead children, and say why
///
/// Without a command, reapwatch shows a live table on the terminal: who leaks, how fast, why, and what to do.
///
/// reapwatch watches how every process ends, measures how long each parent leaves its dead children (zombies) unreaped,
/// and says which parent leaks, why, and what to do about it.
#[derive(Clone, Debug, Parser)]
#[command(name = "reapwatch", version, max_term_width = 100, disable_help_subcommand = true, after_long_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(flatten)]
    pub table: TableArgs,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run a command and report which of its processes leave dead children
    ///
    /// Watches the command and all its descendants, even those that leave its session or its process tree (setsid, double
    /// forks). Ends when the command ends, and exits with its status. The command keeps its own standard input, output and
    /// error.
    #[command(after_help = run::EXAMPLES)]
    Run(RunArgs),

    /// Show every fork, exec, exit, zombie and reap as it happens
    #[command(after_help = trace::EXAMPLES)]
    Trace(TraceArgs),

    /// Watch the whole host for a given time, then report
    #[command(after_help = watch::EXAMPLES)]
    Watch(WatchArgs),

    /// Watch the whole host all the time: metrics for Prometheus, alerts as JSON lines
    ///
    /// Counts children, reaps and latencies for each workload (systemd unit, container, pod, user session, else user and
    /// program) as long as it runs, and says once when a parent is found to leak, once when the cause is known, and once when
    /// it is over. Runs until a signal; SIGHUP has it read its configuration again and reopen its files, and loses no count.
    #[command(after_help = agent::EXAMPLES)]
    Agent(AgentArgs),

    /// Write a recording of the events, for 'replay'
    ///
    /// Records until the command ends, the duration is over, or a signal interrupts it, whichever comes first.
    #[command(after_help = record::EXAMPLES)]
    Record(RecordArgs),

    /// Show the report or trace of a recording, as the live run would have shown it
    #[command(after_help = replay::EXAMPLES, args = unlisted(MEANINGLESS_FOR_REPLAY))]
    Replay(ReplayArgs),

    /// Say what works on this kernel with these privileges, and what to do about the rest
    #[command(after_help = doctor::EXAMPLES, args = unlisted(MEANINGLESS_FOR_DOCTOR))]
    Doctor(DoctorArgs),

    /// Explain one process: its verdict, why, its unreaped children, and what to do
    ///
    /// Watches for a moment, or reads a recording, and judges the parent as 'watch' does. Of a zombie it says who must reap
    /// it and explains that parent; of a process that only looks dead, what it waits for and what it still holds.
    #[command(after_help = explain::EXAMPLES)]
    Explain(ExplainArgs),

    /// List the processes that should not be there: zombies, orphans, duplicates, stale code
    ///
    /// Looks at all processes in /proc, at once and without eBPF. Zombies are listed with the parent that has to reap them;
    /// processes that run on though what started them has ended; services that were started by hand beside the managed ones;
    /// processes whose code on disk is another by now; tests that never ended; processes that no signal reaches. Each comes
    /// with what it rests on, how sure it is, and the command that helps. Nothing is touched. Only where something was found,
    /// it looks again two seconds later (five, where a zombie or an uninterruptible sleep has to last) and drops what is over by
    /// then. Works for every user, and says what it then cannot see; root sees all.
    #[command(after_help = audit::EXAMPLES, args = unlisted(MEANINGLESS_FOR_REPLAY))]
    Audit(AuditArgs),

    /// Find out where programs fork, and what becomes of the children of each place
    ///
    /// Copies the stack of each fork and counts, for each place in a program: children forked, dead children that are not
    /// reaped, how long children were zombies, and how late they were reaped. For C, C++, Rust, Go and other native code
    /// that is the function, with file and line where there is debug information; for CPython the function and line.
    #[command(after_help = profile::EXAMPLES)]
    Profile(ProfileArgs),

    /// Free the process table of the zombies of a parent that lives and does not reap
    ///
    /// One thread of the parent is stopped for milliseconds and made to call wait4 for each of them; then it goes on with
    /// what it did. The parent itself can no longer read how these children ended. Children that become zombies later are
    /// not reaped: only a change of the program cures it. Only zombies that were there for all of the grace are reaped;
    /// /proc does not say when a process died, so reapwatch looks twice, and waits for the grace in between. Needs
    /// CAP_SYS_PTRACE (with --nudge: CAP_KILL for processes of others), no eBPF and no kernel BTF.
    #[command(after_help = reap::EXAMPLES)]
    Reap(ReapArgs),

    /// Print the help of a command, or what a cause means and what to do about it
    ///
    /// Reports name causes, such as never_waits. For each there is a page: what it means, how to confirm it by hand, what to do now,
    /// and how to change the program, by language and platform.
    #[command(after_help = help::EXAMPLES, args = unlisted(MEANINGLESS_FOR_REPLAY))]
    Help(HelpArgs),
}

/// Where a command may follow, an unknown option is proposed as that command, which nobody means.
fn without_misleading_tip(mut error: clap::Error) -> clap::Error {
    if error.kind() == ErrorKind::UnknownArgument {
        error.remove(ContextKind::Suggested);
        let is_record = matches!(error.get(ContextKind::Usage), Some(ContextValue::StyledStr(usage)) if usage.to_string().contains("reapwatch record"));
        let is_pid =
            matches!(error.get(ContextKind::InvalidArg), Some(ContextValue::String(arg)) if arg == "--pid");
        if is_record && is_pid {
            let tip = "'reapwatch trace --pid PID --record FILE' records one process";
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
        }
    }
    error
}

impl Cli {
    /// The command line of this process. Prints help or an error and ends the process if there is none to use.
    pub fn parse_checked() -> Self {
        Self::try_parse()
            .map_err(without_misleading_tip)
            .and_then(Self::checked)
            .unwrap_or_else(|error| error.exit())
    }

    /// One file cannot serve two purposes. Two names of one file are found when the files are opened.
    fn checked(self) -> Result<Self, clap::Error> {
        fn of_check(args: &CheckArgs) -> [(&'static str, Option<&Path>); 3] {
            [
                ("--junit", args.junit.as_deref()),
                ("--gen-suppressions", args.gen_suppressions.as_deref()),
                ("--suppressions", args.suppressions.as_deref()),
            ]
        }
        let conflict = |message: &str| Self::command().error(ErrorKind::ArgumentConflict, message);
        if let (Some(_), Some(option)) = (&self.command, self.table.given()) {
            return Err(conflict(&format!(
                "{option} is an option of the live table, which is shown where no command is named: leave it out, or put it after the command where \
                 that has an option of this name"
            )));
        }
        let mut named: Vec<(&str, Option<&Path>)> = Vec::new();
        match &self.command {
            Some(Command::Run(args)) => {
                named.extend([("--output", args.output.as_deref()), ("--record", args.record.as_deref())]);
                named.extend(of_check(&args.check));
            }
            Some(Command::Watch(args)) => {
                named.extend([("--output", args.output.as_deref()), ("--record", args.record.as_deref())]);
            }
            Some(Command::Profile(args)) => {
                named.extend([("--output", args.output.as_deref()), ("--record", args.record.as_deref())]);
            }
            Some(Command::Replay(args)) => {
                if let Some(refusal) = args.refusal() {
                    return Err(conflict(refusal));
                }
                named.extend([
                    ("the recording", Some(args.file.as_path())),
                    ("--output", args.output.as_deref()),
                ]);
                named.extend(of_check(&args.check));
            }
            Some(Command::Audit(args)) => {
                let rules = args.gen_suppressions.as_deref();
                let replace_the_findings = rules == Some(Path::new("-"));
                if replace_the_findings && args.format != Format::Text {
                    return Err(conflict(
                        "--gen-suppressions prints rules in place of the findings, so --format has no meaning: write the rules to a file with --gen-suppressions=FILE",
                    ));
                }
                named.extend([
                    ("--output", args.output.as_deref()),
                    ("--gen-suppressions", rules.filter(|_| !replace_the_findings)),
                    ("--suppressions", args.suppressions.as_deref()),
                    ("--history", args.history.as_deref()),
                ]);
            }
            _ => {}
        }
        for (place, (one, path)) in named.iter().enumerate() {
            let same = named[..place].iter().find(|(_, other)| path.is_some() && other == path);
            // /dev/null may be given twice.
            if let (Some(path), Some((other, _))) = (path, same)
                && *path != Path::new("/dev/null")
            {
                let message = format!("{other} and {one} are the same file: {}", path.display());
                return Err(conflict(&message));
            }
        }
        Ok(self)
    }

    /// What plain `reapwatch` prints, uncoloured, with its newline.
    pub fn help_text() -> String {
        Self::command().render_help().to_string()
    }

    /// The long help of the command with this name, uncoloured; that of reapwatch itself for an empty name. As wide as given, else as
    /// the terminal.
    pub fn help_of(name: &str, columns: Option<usize>) -> Option<String> {
        let mut command = Self::command();
        if let Some(columns) = columns {
            command = command.term_width(columns);
        }
        command.build();
        if name.is_empty() {
            return Some(command.render_long_help().to_string());
        }
        command.find_subcommand_mut(name).map(|command| command.render_long_help().to_string())
    }

    /// The names of all commands.
    pub fn command_names() -> Vec<String> {
        Self::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
    }
}
