//! `test`: what a newcomer runs, and with `--all` everything that must hold before a change lands, in one order, each step
//! with its time.
//!
//! Must not know what a test asserts.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Instant,
};

use crate::{
    book, build_ebpf, docs, instructions, setup,
    shell::{Outcome, as_root, cargo, cargo_bin, output, run},
    unit,
    vm::{self, VmArgs},
};

#[derive(clap::Args)]
pub struct TestArgs {
    /// Everything that must hold before a change lands: also faults, real programs, the eBPF object, lints, licences, and
    /// the live tests on other kernels in QEMU
    #[arg(long)]
    all: bool,
    /// Only tests whose name contains this, of all that run on this host
    #[arg(long, conflicts_with = "all")]
    filter: Option<String>,
}

/// Tests that need no root, and the quicker ones that do.
const NEWCOMERS: &[&str] = &[
    "--lib",
    "--bins",
    "--test=architecture",
    "--test=compatibility",
    "--test=corpus",
    "--test=errors",
    "--test=frozen_btf",
    "--test=golden",
    "--test=live",
];

const LEFT_OUT: &str = "Left out: faults (tests/faults), real programs that leak (tests/cases), agent, audit, live table and \
                        what a CI uses beside real programs, format and lints, the eBPF object, licences, documentation, and the live tests on other \
                        kernels. `cargo xtask test --all` runs these too: it installs what they need and takes about an hour.";

/// Runs what is asked for; stops at the first step that fails.
pub fn test(args: &TestArgs) -> Outcome {
    if args.all {
        return all();
    }
    step("what is needed", setup::setup_live_tests)?;
    step("build", build)?;
    if let Some(filter) = &args.filter {
        return step("tests", || tests(&["--no-fail-fast", "--", filter]));
    }
    step("tests, the live ones included", || tests(NEWCOMERS))?;
    println!("\n{LEFT_OUT}");
    Ok(())
}

/// Runs all steps.
fn all() -> Outcome {
    step("what is needed", setup::setup)?;
    step("format", || {
        run(cargo().args(["fmt", "--all", "--check"]))?;
        run(cargo().args(["fmt", "--check", "--manifest-path", "probe-ebpf/Cargo.toml"]))?;
        run(cargo().args(["fmt", "--check", "--manifest-path", "fuzz/Cargo.toml"]))
    })?;
    step("clippy", || {
        let what = ["clippy", "--quiet", "--workspace", "--all-targets", "--features", LIVE, "--locked"];
        run(cargo().args(what).args(["--", "-D", "warnings"]))
    })?;
    step("the eBPF object", || build_ebpf::build_ebpf(true))?;
    step("licences, bans, sources", || run(deny()?.args(["check", "licenses", "bans", "sources"])))?;
    let mut unchecked = None;
    step("known vulnerabilities of dependencies", || advisories(&mut unchecked))?;
    step("man pages, completions and the reference", || docs::docs(true, true))?;
    step("the book, its links and its commands", book::book)?;
    step("release build, stable Rust alone", || {
        let what = ["build", "--quiet", "--release", "--locked", "--package", "probe", "--bin", "reapwatch"];
        run(cargo().args(what))
    })?;
    step("instructions of the collector", || instructions::instructions(false))?;
    step("systemd unit", unit::unit)?;
    step("build of all targets", build)?;
    step("tests, the live ones included", || tests(&[]))?;
    step("the live tests on other kernels, in QEMU", || vm::vm(&VmArgs::default()))?;
    step("instructions of the programs, in QEMU", || vm::vm(&VmArgs::of_cost()))?;
    // Again, where it is not scrolled away.
    if let Some(unchecked) = unchecked {
        println!("\n{unchecked}");
    }
    Ok(())
}

/// The feature that has cargo build the tests that need root.
const LIVE: &str = "probe/live";

/// Builds all targets: the live tests start the workload, which `cargo test --test live` alone would not build anew.
fn build() -> Outcome {
    run(cargo().args(["build", "--quiet", "--workspace", "--all-targets", "--features", LIVE, "--locked"]))
}

fn deny() -> Outcome<Command> {
    let mut deny = Command::new(cargo_bin("cargo-deny").ok_or("cargo-deny is missing")?);
    deny.current_dir(crate::shell::root());
    Ok(deny)
}

/// Where the database of advisories cannot be had that is no failure; `unchecked` says so.
fn advisories(unchecked: &mut Option<String>) -> Outcome {
    // A host that does not answer is given up.
    let low_speed = [("GIT_HTTP_LOW_SPEED_LIMIT", "1000"), ("GIT_HTTP_LOW_SPEED_TIME", "20")];
    let fetched = output(deny()?.envs(low_speed).env("GIT_TERMINAL_PROMPT", "0").args(["fetch", "db"]));
    if let Err(error) = fetched {
        let why = error.lines().rfind(|line| !line.is_empty()).unwrap_or_default();
        let said = format!(
            "!!! NOT CHECKED: whether what this is built from has known vulnerabilities. The database of advisories cannot be \
             had here ({why}). Run `cargo deny check advisories` where github.com can be reached."
        );
        println!("{said}");
        *unchecked = Some(said);
        return Ok(());
    }
    run(deny()?.args(["check", "advisories"]))
}

fn step(name: &str, work: impl FnOnce() -> Outcome) -> Outcome {
    println!("\n==> {name}");
    let began = Instant::now();
    work().map_err(|error| format!("{name}: {error}"))?;
    println!("    {name}: good, {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// `cargo test` as root; fails also where a test was skipped.
fn tests(which: &[&str]) -> Outcome {
    let program = cargo().get_program().to_owned();
    let mut child = as_root(program)
        .current_dir(crate::shell::root())
        .args(["test", "--workspace", "--features", LIVE, "--locked"])
        .args(which)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start cargo test: {error}"))?;
    let output = child.stdout.take().ok_or("cargo test has no output")?;
    let (mut passed, mut failed, mut ignored) = (0, 0, 0);
    for line in BufReader::new(output).lines() {
        let line = line.map_err(|error| error.to_string())?;
        println!("{line}");
        if let Some(result) = line.strip_prefix("test result: ") {
            passed += number_before(result, " passed");
            failed += number_before(result, " failed");
            ignored += number_before(result, " ignored");
        }
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    println!("\n{passed} passed, {failed} failed, {ignored} skipped");
    if !status.success() {
        return Err(format!("cargo test: {status}"));
    }
    if ignored > 0 {
        return Err(format!("{ignored} tests were skipped; here every test must run"));
    }
    Ok(())
}

fn number_before(text: &str, word: &str) -> u64 {
    text.split_once(word)
        .and_then(|(before, _)| before.rsplit(|one: char| !one.is_ascii_digit()).next()?.parse().ok())
        .unwrap_or(0)
}
