//! What is accepted, what is refused, and the help.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{CommandFactory, Parser, error::ErrorKind};

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
fn global_options_that_a_command_ignores_are_accepted_and_not_listed() {
    let all =
        "--btf b --hooks kprobe --ring-size 64K --max-unreaped 9 --max-parents 8 --stats --log-programs";
    for name in ["replay f.rec", "doctor"] {
        for line in [format!("{all} {name}"), format!("{name} {all}")] {
            let global = parse(&line).expect(&line).global;
            assert_eq!((global.btf, global.hooks), (PathBuf::from("b"), HookChoice::Kprobe), "{line}");
            assert_eq!(
                (global.ring_size, global.max_unreaped, global.max_parents),
                (Some(64 << 10), 9, 8),
                "{line}"
            );
            assert!(global.stats && global.log_programs, "{line}");
        }
    }
    let help = |name: &str| parse(&format!("{name} --help")).expect_err("help").to_string();
    assert!(!help("replay").contains("--hooks") && !help("replay").contains("Global options"));
    assert!(help("doctor").contains("--hooks") && !help("doctor").contains("--stats"));
    assert!(help("watch").contains("--stats"));
}

#[test]
fn run_keeps_the_command_whole() {
    for line in ["run --grace 250ms ls -la --format json", "run --grace 250ms -- ls -la --format json"] {
        let Some(Command::Run(args)) = parse(line).expect(line).command else { panic!("{line}") };
        assert_eq!(args.command, ["ls", "-la", "--format", "json"]);
        assert_eq!(args.format, ReportFormat::Text);
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
fn a_check_is_consistent() {
    let Some(Command::Run(args)) =
        parse("run --gen-suppressions --left-running kill --kill-after 1s ls").expect("valid").command
    else {
        panic!()
    };
    assert_eq!(args.check.gen_suppressions, Some(PathBuf::from("-")));
    assert_eq!(args.check.left_running, LeftRunning::Kill);
    assert_eq!((args.kill_after, &args.command[..]), (Duration::from_secs(1), &["ls".into()][..]));
    assert!(refused("run --left-running fail ls").contains("--error-exitcode"));
    assert!(parse("replay f.rec --left-running fail --error-exitcode 9").is_ok());
    for (line, one, other) in [
        ("run --junit a --output a ls", "--junit", "--output"),
        ("run --gen-suppressions=a --suppressions a ls", "--gen-suppressions", "--suppressions"),
        ("run --output a --record a ls", "--record", "--output"),
        ("replay a --junit a", "--junit", "the recording"),
    ] {
        let refused = Cli::try_parse_from(std::iter::once("reapwatch").chain(line.split_whitespace()))
            .expect(line)
            .checked()
            .expect_err(line)
            .to_string();
        assert!(refused.contains(one) && refused.contains(other), "{refused}");
    }
    let kill = parse("replay f.rec --left-running kill").expect("syntax").checked();
    assert!(kill.expect_err("nobody to end").to_string().contains("nobody to end"));
    let page = parse("replay f.rec --as trace --format html").expect("syntax").checked();
    assert!(page.expect_err("no page").to_string().contains("event lines"));
    let null = "run --junit /dev/null --output /dev/null ls";
    assert!(parse(null).expect("valid").checked().is_ok());
}

#[test]
fn replay_and_record() {
    let Some(Command::Replay(args)) = parse("replay f.rec --as trace --format json").expect("valid").command
    else {
        panic!()
    };
    assert_eq!((args.view, args.format, args.grace), (ReplayView::Trace, ReportFormat::Json, None));
    let Some(Command::Record(args)) = parse("record --output f.rec").expect("valid").command else {
        panic!()
    };
    assert_eq!((args.duration, args.command.len()), (None, 0));
    assert_eq!(args.grace.grace, Duration::from_secs(5));
}

#[test]
fn the_agent_needs_no_option() {
    let Some(Command::Agent(args)) = parse("agent").expect("valid").command else { panic!() };
    assert!(args.config.is_none() && args.interval.is_none() && !args.check_config && !args.print_config);
    assert!(refused("agent --check-config --print-config").contains("--print-config"));
    assert!(refused("agent --interval 10ms").contains("from 1s to 1h"));
    assert!(refused("agent --listen 9779").contains("127.0.0.1:9779"));
    let Some(Command::Agent(args)) = parse("agent --listen [::1]:9 --alerts -").expect("valid").command
    else {
        panic!()
    };
    assert_eq!(args.listen, Some(Listen::At("[::1]:9".parse().expect("an address"))));
    assert_eq!(args.alerts, Some(LinesTo::StandardOutput));
    assert!(refused("agent --duration 5s").contains("--duration"));
}

#[test]
fn reap_asks_unless_told() {
    let Some(Command::Reap(args)) = parse("reap --grace 100ms 7").expect("valid").command else { panic!() };
    assert_eq!((args.pid, args.grace), (7, Duration::from_millis(100)));
    assert!(!args.yes && !args.dry_run && !args.nudge);
    assert!(refused("reap").contains("PID"));
    assert!(refused("reap 0").contains("PID"));
    assert!(refused("reap --yes --dry-run 7").contains("--dry-run"));
}

#[test]
fn an_audit_needs_no_option() {
    let Some(Command::Audit(args)) = parse("audit").expect("valid").command else { panic!() };
    assert_eq!((args.format, args.since, args.error_exitcode), (Format::Text, None, None));
    assert!(args.output.is_none() && args.suppressions.is_none() && args.gen_suppressions.is_none());
    assert!(refused("audit --error-exitcode 0").contains("--error-exitcode"));
    let checked = |line: &str| parse(line).and_then(Cli::checked).map_err(|error| error.to_string());
    assert!(checked("audit --gen-suppressions --format json").is_err_and(|why| why.contains("--format")));
    assert!(checked("audit --gen-suppressions=a --format json").is_ok());
    assert!(
        checked("audit --gen-suppressions=a --suppressions a").is_err_and(|why| why.contains("same file"))
    );
    assert!(refused("audit --since 7").contains("250ms, 5s, 2m"));
    assert!(
        parse("--hooks kprobe audit --since 7d").is_ok(),
        "scripts may give global options to every command"
    );
}

#[test]
fn explain_watches_for_a_moment_or_reads_a_recording() {
    let Some(Command::Explain(args)) = parse("explain 7").expect("valid").command else { panic!() };
    assert_eq!((args.pid, args.duration, args.grace), (7, Duration::from_millis(2_500), None));
    assert!(parse("explain --from f.rec --grace 5s --format json 7").is_ok());
    assert!(refused("explain").contains("PID"));
    assert!(refused("explain 0").contains("PID"));
    assert!(refused("explain 7 --from f.rec --duration 1s").contains("--from"));
}

#[test]
fn help_fits_and_shows_examples_and_exit_codes() {
    let mut cli = Cli::command().term_width(80);
    let long = cli.render_long_help().to_string();
    assert!(long.contains("not permitted or not supported"), "{long}");
    assert!(long.contains("kernel that does not offer its own BTF"), "{long}");
    for name in ["run", "trace", "watch", "agent", "audit", "record", "replay", "doctor", "explain", "reap"] {
        let error = parse(&format!("{name} --help")).expect_err("help");
        assert_eq!(error.kind(), ErrorKind::DisplayHelp);
        assert_eq!(error.exit_code(), 0);
        assert!(error.to_string().contains("Examples:"), "{name}");
    }
}

#[test]
fn the_table_has_options_of_its_own_and_no_command_has_them() {
    let table = parse("--once --grace 300ms --theme light").expect("valid").checked().expect("valid").table;
    assert!(table.once && table.grace == Some(Duration::from_millis(300)));
    assert_eq!((table.theme, table.given()), (Some(Theme::Light), Some("--once")));
    assert!(parse("watch --duration 5s --grace 1s").expect("valid").checked().is_ok());
    for line in ["--once doctor", "--grace 1s watch --duration 5s", "--theme dark replay f.rec"] {
        let error = parse(line).expect("two halves that are valid").checked().expect_err(line);
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("an option of the live table"), "{error}");
    }
    assert!(parse("replay f.rec --as table --theme light").expect("valid").checked().is_ok());
    for line in [
        "replay f.rec --as table --format json",
        "replay f.rec --as table --format html",
        "replay f.rec --as table --output t.txt",
        "replay f.rec --as table --error-exitcode 9",
        "replay f.rec --as trace --suppressions s.toml",
        "replay f.rec --as trace --junit j.xml",
        "replay f.rec --as trace --github",
    ] {
        assert_eq!(parse(line).expect("valid").checked().expect_err(line).exit_code(), 2);
    }
}
