//! The command line: names, defaults, help texts and what counts as a usage error.
//!
//! Owns every option and its validation. Must not know any other module of the project: `xtask` includes this file
//! to make the man page and the shell completions from the same definitions. What is refused here exits with 2.

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint, error::ErrorKind};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Kernel BTF, where the kernel itself offers it.
pub const DEFAULT_BTF: &str = "/sys/kernel/btf/vmlinux";

const EXIT_CODES: &str = "\
Exit codes:
  0  done (also when the reader of the output goes away)
  1  failure: input unreadable, output unwritable, command not started
  2  usage: unknown or invalid option, missing argument
  3  not permitted or not supported; the message says why and what to do
'run' exits with the status of its command instead (128 + signal when it was
killed), or with N of --error-exitcode N when a parent in it leaks.

Examples:
  reapwatch doctor                     what works on this host, and why not more
  reapwatch run -- ./supervisor        which parent in it leaves dead children
  reapwatch watch --duration 30s       the same question, for the whole host";

const RUN_EXAMPLES: &str = "\
Examples:
  reapwatch run -- python3 worker_manager.py
  reapwatch run --format json --output report.json -- ./supervisor --fast
  reapwatch run --error-exitcode 99 --grace 2s -- make test    # a check for CI";

const TRACE_EXAMPLES: &str = "\
Examples:
  reapwatch trace
  reapwatch trace --pid 4242 --duration 10s
  reapwatch trace --format json | jq 'select(.event == \"reap\")'";

const WATCH_EXAMPLES: &str = "\
Examples:
  reapwatch watch --duration 30s
  reapwatch watch --duration 2m --format json --output report.json
  reapwatch watch --duration 5m --record evidence.rec";

const RECORD_EXAMPLES: &str = "\
Examples:
  reapwatch record --duration 1m --output host.rec
  reapwatch record --output build.rec -- make -j8";

const REPLAY_EXAMPLES: &str = "\
Examples:
  reapwatch replay host.rec
  reapwatch replay host.rec --format json --output report.json
  reapwatch replay host.rec --as trace
  reapwatch replay host.rec --grace 30s    # the same events, judged more mildly";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  sudo reapwatch doctor
  reapwatch doctor --format json
  reapwatch doctor --btf /boot/vmlinux-6.1.btf";

/// Find the processes that do not reap their dead children, and why
///
/// reapwatch watches every process end its life, measures how long each parent leaves its dead children (zombies)
/// unreaped, and says which parent leaks, why, and what to do about it.
#[derive(Clone, Debug, Parser)]
#[command(name = "reapwatch", version, max_term_width = 100, after_long_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// How to reach the kernel; the same for every command that does.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// BTF file that describes the running kernel
    ///
    /// Needed only for a kernel that does not offer its own BTF (built without CONFIG_DEBUG_INFO_BTF): give a file
    /// made for exactly this kernel, for instance from BTFHub.
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::FilePath, default_value = DEFAULT_BTF)]
    pub btf: PathBuf,

    /// Kind of kernel hooks to use
    #[arg(long, global = true, value_enum, value_name = "KIND", default_value_t = HookChoice::Auto)]
    pub hooks: HookChoice,

    /// Size of the ring buffer for events: bytes, or with suffix K or M
    ///
    /// A power of two, from 4K to 1024M; 4M by default, 512K for `watch` without a recording, which is told little. When
    /// it overflows, counts stay exact but detail is lost; the report says so. Memory: twice that.
    #[arg(long, global = true, value_name = "SIZE", value_parser = ring_size)]
    pub ring_size: Option<u32>,

    /// Most dead children followed at once between their exit and their reap
    ///
    /// What is beyond is still counted, but not timed, and the report says so. Kernel memory: 208 bytes each, and 90
    /// more in PID namespaces.
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4_194_304), default_value = "32768")]
    pub max_unreaped: u32,

    /// Most parents counted at once
    ///
    /// What is beyond is reported as far as events tell, and the report says so. Kernel memory: 2.3 kB each.
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_048_576), default_value = "8192")]
    pub max_parents: u32,

    /// Say what watching cost: run time of each program, fill of each map, own CPU time and memory
    ///
    /// To standard error at the end; reports in JSON always hold it. Has the kernel count the run time of all BPF
    /// programs meanwhile, which costs some 50 ns a run.
    #[arg(long, global = true)]
    pub stats: bool,

    /// Have the programs in the kernel log what they decide, to standard error
    ///
    /// For debugging reapwatch itself. Slow when on; when off nothing of it is left in the programs.
    #[arg(long, global = true)]
    pub log_programs: bool,
}

/// Which rung of the ladder of hooks to stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HookChoice {
    /// The best that this kernel and these privileges allow
    Auto,
    /// fentry and fexit: exact, cheapest
    Fentry,
    /// kprobe and kretprobe: exact
    Kprobe,
    /// Tracepoints only: works everywhere, reap times up to 32 ms late
    Tracepoint,
}

/// For whom the output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One JSON object a line, see schemas/
    Json,
}

/// What to make of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReplayView {
    /// The report of 'run' and 'watch'
    Report,
    /// The event lines of 'trace'
    Trace,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run a command and report who in it leaves dead children
    ///
    /// Watches the command and everything descended from it, setsid and double forks included. Ends when the command
    /// ends, and exits with its status. The command keeps its own standard input, output and error.
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),

    /// Show every fork, exec, exit, zombie and reap as it happens
    #[command(after_help = TRACE_EXAMPLES)]
    Trace(TraceArgs),

    /// Watch the whole host for a while, then report
    #[command(after_help = WATCH_EXAMPLES)]
    Watch(WatchArgs),

    /// Write what is seen to a file, for 'replay'
    ///
    /// Records until the command ends, the duration is over, or it is interrupted, whichever comes first.
    #[command(after_help = RECORD_EXAMPLES)]
    Record(RecordArgs),

    /// Give the report or trace of a recording, as it was live
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay(ReplayArgs),

    /// Say what works on this kernel with these privileges, and what to do about the rest
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorArgs),
}

/// When a zombie counts against its parent.
#[derive(Clone, Copy, Debug, Args)]
pub struct Grace {
    /// A child left unreaped for longer than this counts against its parent
    #[arg(long, value_name = "DUR", value_parser = duration, default_value = "5s")]
    pub grace: Duration,
}

#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// Write the report to FILE [default: standard error]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    pub grace: Grace,

    /// Exit with N (1 to 255) when the report finds a leak
    ///
    /// A leak is a parent whose verdict is 'leaking' or 'never_reaps': it left a dead child unreaped for longer than the
    /// grace, whether it still lives or died meanwhile. What does not make N: reaps that came late, zombies that a
    /// tracer holds, processes left running, and what is 'undecided', such as a parent that died over a child that had
    /// just died. In JSON: "finding": "leak".
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    pub error_exitcode: Option<u8>,

    /// Also record what was seen to FILE
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub record: Option<PathBuf>,

    /// Show on the terminal how far it is
    ///
    /// Off: the command has the terminal to itself. On: a line of standard error that is written over and over.
    #[arg(long)]
    pub progress: bool,

    /// The command and its arguments
    // Without `allow_hyphen_values`: everything after the first word belongs to the command all the same, but an
    // unknown option before it is a usage error and not a program called `--frmat`.
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD", value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

#[derive(Clone, Debug, Args)]
pub struct TraceArgs {
    /// Only this process and its children; may be given more than once
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Vec<u32>,

    /// Only reaps that came at least this long after their zombie
    #[arg(long, value_name = "DUR", value_parser = duration, default_value = "0s")]
    pub min_latency: Duration,

    /// Stop after this long [default: when interrupted]
    #[arg(long, value_name = "DUR", value_parser = positive_duration)]
    pub duration: Option<Duration>,

    /// Form of the event lines
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// Also record what was seen to FILE
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub record: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub struct WatchArgs {
    /// How long to watch
    #[arg(long, value_name = "DUR", value_parser = positive_duration)]
    pub duration: Duration,

    #[command(flatten)]
    pub grace: Grace,

    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// Write the report to FILE [default: standard output]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// Also record what was seen to FILE
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub record: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub struct RecordArgs {
    /// Stop after this long [default: when the command ends, or when interrupted]
    #[arg(long, value_name = "DUR", value_parser = positive_duration)]
    pub duration: Option<Duration>,

    /// The file to write
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,

    #[command(flatten)]
    pub grace: Grace,

    /// Show on the terminal how far it is
    ///
    /// Without a command it is shown in any case. With one, the command has the terminal to itself unless this is given: a line of standard error that is written over and over.
    #[arg(long)]
    pub progress: bool,

    /// Record this command and its descendants only [default: the whole host]
    #[arg(trailing_var_arg = true, value_name = "CMD", value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// A recording made by 'record' or --record
    #[arg(value_name = "RECORDING", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,

    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// What to show
    // `as` is a keyword of Rust.
    #[arg(long = "as", value_enum, value_name = "VIEW", default_value_t = ReplayView::Report)]
    pub view: ReplayView,

    /// Write to FILE [default: standard output]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// Judge by this grace [default: the one it was recorded with]
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub grace: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Args)]
pub struct DoctorArgs {
    /// Form of the findings
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

impl Cli {
    /// The command line of this process, or the end of it with a message.
    pub fn parse_checked() -> Self {
        Self::parse().checked().unwrap_or_else(|error| error.exit())
    }

    /// One file cannot serve two purposes. Whether two names are one file is found out when they are opened.
    fn checked(self) -> Result<Self, clap::Error> {
        let named = match &self.command {
            Some(Command::Run(args)) => [("--output", &args.output), ("--record", &args.record)]
                .map(|(name, path)| (name, path.as_deref())),
            Some(Command::Watch(args)) => [("--output", &args.output), ("--record", &args.record)]
                .map(|(name, path)| (name, path.as_deref())),
            Some(Command::Replay(args)) => {
                [("the recording", Some(args.file.as_path())), ("--output", args.output.as_deref())]
            }
            _ => return Ok(self),
        };
        let [(one, Some(path)), (other, Some(same))] = named else { return Ok(self) };
        // A device takes both and keeps neither.
        if path != same || path == std::path::Path::new("/dev/null") {
            return Ok(self);
        }
        let message = format!("{one} and {other} are the same file: {}", path.display());
        Err(Self::command().error(ErrorKind::ArgumentConflict, message))
    }

    /// What plain `reapwatch` prints, uncoloured, with its newline.
    pub fn help_text() -> String {
        Self::command().render_help().to_string()
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text).map_err(|_| {
        "not a duration: write a number with its unit, such as 250ms, 5s, 2m or 1h30m".to_owned()
    })?;
    // Times are ns in u64 everywhere; half of the range leaves room to add it to any clock reading.
    if parsed.as_nanos() > i64::MAX as u128 {
        return Err("too long: the most is 292 years".to_owned());
    }
    Ok(parsed)
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be longer than zero".to_owned()),
        parsed => Ok(parsed),
    }
}

fn ring_size(text: &str) -> Result<u32, String> {
    const HINT: &str = "write a power of two from 4K to 1024M, such as 512K, 8M or 65536";
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        _ => (text, 0),
    };
    let number = Some(digits)
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse::<u64>().ok())
        .ok_or_else(|| format!("not a size: {HINT}"))?;
    let bytes = number.saturating_mul(1 << shift);
    match u32::try_from(bytes) {
        Ok(bytes) if bytes.is_power_of_two() && (4 << 10..=1 << 30).contains(&bytes) => Ok(bytes),
        _ => Err(format!("not a possible size: {HINT}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("reapwatch").chain(line.split_whitespace()))
    }

    fn refused(line: &str) -> String {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
        error.to_string()
    }

    #[test]
    fn definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn plain_is_no_error() {
        let cli = parse("").expect("no command is allowed");
        assert!(cli.command.is_none());
        assert_eq!(cli.global.btf, PathBuf::from(DEFAULT_BTF));
        assert_eq!(cli.global.hooks, HookChoice::Auto);
        assert_eq!(cli.global.ring_size, None);
        assert!(Cli::help_text().contains("Usage: reapwatch"));
    }

    #[test]
    fn global_options_stand_before_and_after_the_command() {
        for line in ["--hooks kprobe --ring-size 64K doctor", "doctor --hooks kprobe --ring-size 64K"] {
            let cli = parse(line).expect(line);
            assert_eq!(cli.global.hooks, HookChoice::Kprobe);
            assert_eq!(cli.global.ring_size, Some(64 << 10));
        }
    }

    #[test]
    fn run_keeps_the_command_whole() {
        for line in ["run --grace 250ms ls -la --format json", "run --grace 250ms -- ls -la --format json"] {
            let Some(Command::Run(args)) = parse(line).expect(line).command else { panic!("{line}") };
            assert_eq!(args.command, ["ls", "-la", "--format", "json"]);
            assert_eq!(args.format, Format::Text);
            assert_eq!(args.grace.grace, Duration::from_millis(250));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_command_may_be_any_bytes() {
        use std::os::unix::ffi::OsStringExt;
        let odd = OsString::from_vec(vec![b'a', 0xff]);
        let words = ["reapwatch", "run", "--"].map(OsString::from);
        let cli = Cli::try_parse_from(words.into_iter().chain([odd.clone()])).expect("invalid UTF-8 is fine");
        let Some(Command::Run(args)) = cli.command else { panic!() };
        assert_eq!(args.command, [odd]);
    }

    #[test]
    fn usage_errors_exit_2() {
        assert!(refused("run --frmat json -- ls").contains("--frmat"));
        assert!(refused("run").contains("CMD"));
        assert!(refused("watch").contains("--duration"));
        assert!(refused("record --duration 5s").contains("--output"));
        assert!(refused("replay").contains("RECORDING"));
        assert!(refused("trace --pid 0").contains("--pid"));
        assert!(refused("run --error-exitcode 0 -- ls").contains("--error-exitcode"));
        assert!(refused("run --error-exitcode 256 -- ls").contains("--error-exitcode"));
        assert!(refused("replay x --as pprof").contains("pprof"));
        assert!(refused("wach").contains("watch"));
        assert!(refused("watch --duration 5").contains("250ms, 5s, 2m"));
        assert!(refused("watch --duration 0s").contains("longer than zero"));
        assert!(refused("watch --duration 9999y").contains("292 years"));
        assert!(refused("--ring-size 3M doctor").contains("power of two"));
    }

    #[test]
    fn replay_and_record() {
        let Some(Command::Replay(args)) =
            parse("replay f.rec --as trace --format json").expect("valid").command
        else {
            panic!()
        };
        assert_eq!((args.view, args.format, args.grace), (ReplayView::Trace, Format::Json, None));
        let Some(Command::Record(args)) = parse("record --output f.rec").expect("valid").command else {
            panic!()
        };
        assert_eq!((args.duration, args.command.len()), (None, 0));
        assert_eq!(args.grace.grace, Duration::from_secs(5));
    }

    #[test]
    fn durations() {
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for bad in ["", "5", "-5s", "5 parsecs"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ring_sizes() {
        assert_eq!(ring_size("4096"), Ok(4096));
        assert_eq!(ring_size("512k"), Ok(512 << 10));
        assert_eq!(ring_size("1024M"), Ok(1 << 30));
        for bad in ["", "K", "+4K", "2K", "2048M", "18446744073709551615M", "8MiB", "8µ", "5000"] {
            assert!(ring_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn help_fits_and_shows_examples_and_exit_codes() {
        let mut cli = Cli::command().term_width(80);
        let long = cli.render_long_help().to_string();
        assert!(long.contains("not permitted or not supported"), "{long}");
        assert!(long.contains("kernel that does not offer its own BTF"), "{long}");
        for name in ["run", "trace", "watch", "record", "replay", "doctor"] {
            let error = parse(&format!("{name} --help")).expect_err("help");
            assert_eq!(error.kind(), ErrorKind::DisplayHelp);
            assert_eq!(error.exit_code(), 0);
            assert!(error.to_string().contains("Examples:"), "{name}");
        }
    }
}
