//! `/init` of a virtual machine: runs the live tests on each rung the kernel offers and prints what came of it.
//!
//! The kernel's command line names the rungs (`reapwatch.rungs=fentry,kprobe,tracepoint`), the one of them on which every
//! test runs (`reapwatch.whole=fentry`; without it: all), where only some tests are wanted a part of their names
//! (`reapwatch.filter=…`), and where the host wants the tests' recordings (`reapwatch.keep=1`). With `reapwatch.cost=MODES`
//! no test runs: what the programs cost is counted in each of these modes. Every line for the host begins with `@`. Must not
//! judge: the tests do, and whoever reads the lines.

mod cost;
mod minimal_btf;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use nix::{
    mount::{MsFlags, mount},
    sys::{
        reboot::{RebootMode, reboot},
        wait::waitpid,
    },
};

use probe::source::bpf::{
    options::{ForkStacks, HookChoice, Kills, Subscription, TracerOptions},
    tracer::Tracer,
};

const REAPWATCH: &str = "/bin/reapwatch";

/// Process 1 only reaps, as an init should; its child does the work.
fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("session") => return session(),
        Some("btf") => return btf(),
        Some("verified") => return verified(&std::env::args().nth(2).unwrap_or_default()),
        Some("cost") => {
            let word = |at| std::env::args().nth(at).unwrap_or_default();
            return cost::cost(&word(2), &word(3));
        }
        _ => {}
    }
    let session = Command::new("/init").arg("session").spawn();
    match session {
        Ok(session) => {
            while waitpid(None, None)
                .is_ok_and(|ended| ended.pid().map(|pid| pid.as_raw()) != Some(session.id() as i32))
            {
            }
        }
        Err(error) => println!("@ failed init cannot start: {error}"),
    }
    println!("@ end");
    let _ = reboot(RebootMode::RB_AUTOBOOT);
}

fn session() {
    println!("@ boot");
    for (kind, target) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/tmp")] {
        let _ = fs::create_dir_all(target);
        if let Err(error) = mount(Some(kind), target, Some(kind), MsFlags::empty(), None::<&str>) {
            println!("@ note cannot mount {kind}: {error}");
        }
    }
    // Debian's kernels begin at 3, its own level, at which perf events ask for CAP_SYS_ADMIN.
    if let Err(error) = fs::write("/proc/sys/kernel/perf_event_paranoid", "2") {
        println!("@ note perf_event_paranoid stays as it is: {error}");
    }
    let command_line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    println!("@ kernel {}", release.trim());
    let option = |name: &str| command_line.split_whitespace().find_map(|word| word.strip_prefix(name));
    if option("reapwatch.keep=").is_some() {
        let _ = fs::create_dir_all(KEPT);
    }
    let rungs = option("reapwatch.rungs=").unwrap_or("fentry,kprobe,tracepoint");
    if let Some(modes) = option("reapwatch.cost=") {
        for rung in rungs.split(',') {
            println!("@ rung {rung}");
            for mode in modes.split(',') {
                // In a process of its own: what it attaches goes with it.
                let _ = Command::new("/init").args(["cost", rung, mode]).status();
            }
        }
        return;
    }
    let _ = Command::new("/init").arg("btf").status();
    for rung in rungs.split(',') {
        let doctor = Command::new(REAPWATCH).args(["--hooks", rung, "doctor"]).output();
        match doctor {
            Ok(output) if output.status.success() => {
                // In a process of its own: what it loads goes with it.
                let _ = Command::new("/init").args(["verified", rung]).status();
                let whole = option("reapwatch.whole=").is_none_or(|whole| whole == rung);
                live_tests(rung, option("reapwatch.filter="), whole);
                print_recordings(rung);
            }
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                println!("@ refused {rung} {}", said.split_whitespace().collect::<Vec<_>>().join(" "));
            }
            Err(error) => println!("@ refused {rung} cannot run reapwatch: {error}"),
        }
    }
}

/// Where the tests leave their recordings; it is there where the host wants them.
const KEPT: &str = "/tmp/kept";
/// Larger ones are not for a repository.
const RECORDING_MAX_BYTES: usize = 32 << 10;

/// The recordings that the tests left, as hexadecimal digits; none is left after it.
fn print_recordings(rung: &str) {
    for entry in fs::read_dir(KEPT).into_iter().flatten().flatten() {
        let bytes = fs::read(entry.path()).unwrap_or_default();
        let _ = fs::remove_file(entry.path());
        let name = entry.file_name().to_string_lossy().into_owned();
        if bytes.len() <= RECORDING_MAX_BYTES {
            for line in bytes.chunks(400) {
                println!("@ recording {rung} {name} {}", hexadecimal(line));
            }
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The kernel's BTF, cut down, as hexadecimal digits.
fn btf() {
    let cut = btf_rs::Btf::from_file("/sys/kernel/btf/vmlinux").ok().and_then(|btf| minimal_btf::cut(&btf));
    let Some(bytes) = cut else {
        println!("@ failed btf cannot be cut down");
        return;
    };
    for line in bytes.chunks(64) {
        println!("@ btf {}", hexadecimal(line));
    }
}

/// How much work each program is for the kernel's verifier.
fn verified(rung: &str) {
    let options = TracerOptions {
        stats: false,
        lives: 1_024,
        parents: 1_024,
        subscription: Subscription::default().with(ForkStacks::OfTargets).with_kills(Kills::OfAll),
        btf: "/sys/kernel/btf/vmlinux".into(),
        hooks: hook_choice(rung),
        ring_bytes: Some(1 << 20),
        log_programs: false,
    };
    match Tracer::attach(&options) {
        Ok(kernel) => {
            for (program, cost) in kernel.costs() {
                println!("@ verified {rung} {program} {}", cost.verified_instructions);
            }
        }
        Err(error) => println!("@ failed verified {rung}: {error}"),
    }
}

fn hook_choice(rung: &str) -> HookChoice {
    match rung {
        "fentry" => HookChoice::Fentry,
        "kprobe" => HookChoice::Kprobe,
        _ => HookChoice::Tracepoint,
    }
}

/// Tests that run on every rung of every kernel, a few of each that depends on which hooks told (who reaped and how, who got a
/// zombie, what was merged) or on the kernel's own ways with signals and ptrace. The others run on the whole rung only, because hooks differ in how they are called and in little else.
const ON_EVERY_RUNG: [&str; 16] = [
    "adopting::a_child_held_by_a_tracer",
    "adopting::a_subreaper",
    "adopting::an_init_two_namespaces_deep",
    "autoreaping::",
    "intervention::a_read_gets",
    "intervention::a_stopped_parent",
    "reaping::a_clone_parent_child",
    "reaping::a_dead_leader",
    "reaping::a_reused_pid",
    "reaping::an_exec_from_another_thread",
    "reaping::eight_threads",
    "reaping::reaping_by_wait4",
    "reaping::reaping_vforked",
    "readiness::",
    "wait_calls::",
    "watching::watching_zombies_handed_on",
];

/// Tests that run on the host alone. They need Python, bash or a compiler, or are about what user space judges and says on
/// every kernel alike, or start hundreds or thousands of processes: each takes a minute or more under emulation.
///
/// Of `reap`: what rests on how much CPU time a thread has in some ms, on a pseudo-terminal, or on the kernel's word that no other
/// process decides about a call, which 5.10 does not give there.
const ON_THE_HOST: [&str; 17] = [
    "a_computation_goes_on_with_the_same_numbers",
    "a_filter_that_kills_for_wait4",
    "a_terminal_with_a_timer",
    "commands::",
    "explain::",
    "filtered::",
    "hostile_two_hundred_execs",
    "judging::",
    "looking_dead::",
    "many_parents::",
    "naming::",
    "on_the_host",
    "read_before_it_was_settled",
    "the_seeds",
    "thousands_are_reaped",
    "watching_healthy_parents",
    "writes_between_short_sleeps",
];

/// The other live tests.
fn live_tests(rung: &str, filter: Option<&str>, whole: bool) {
    println!("@ rung {rung}");
    let mut command = live(rung);
    command
        .args(["--test-threads", "4"])
        .args(ON_THE_HOST.iter().flat_map(|name| ["--skip", name]))
        .args(filter)
        .stdout(Stdio::piped());
    if !whole && filter.is_none() {
        command.args(ON_EVERY_RUNG);
    }
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            println!("@ failed {rung} cannot run the tests: {error}");
            return;
        }
    };
    let mut failed: Vec<String> = Vec::new();
    // Whose panic the lines are of.
    let mut panicked = None;
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            match line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) {
                Some((name, "ok")) => println!("@ test {rung} {name} ok"),
                Some((name, _)) => failed.push(name.to_owned()),
                None => println!("{line}"),
            }
            if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----"))
            {
                panicked = failed.iter().find(|one| *one == name).map(|name| (name.clone(), Vec::new()));
            } else if let Some((name, said)) = &mut panicked
                && tells_why(&line, said)
            {
                println!("@ first {rung} {name} {}", line.trim());
                said.push(line);
            }
        }
    }
    let _ = child.wait();
    // Emulation is slow and four at once are in each other's way: another try, alone, is told apart, and the host counts
    // how many needed one.
    for name in failed {
        let alone = || live(rung).args(["--exact", &name]).status().is_ok_and(|status| status.success());
        let passed = alone() || alone();
        println!("@ test {rung} {name} {}", if passed { "again" } else { "FAILED" });
    }
}

/// Whether a line of a failed test says why it failed: where it panicked, what it said first, what it compared.
fn tells_why(line: &str, said: &[String]) -> bool {
    let place = said.iter().any(|line| line.contains("panicked at"));
    match said.len() {
        0 => line.contains("panicked at"),
        1 => place,
        2..6 => line.starts_with("  left: ") || line.starts_with(" right: "),
        _ => false,
    }
}

/// The test binary, for a rung.
fn live(rung: &str) -> Command {
    let mut command = Command::new("/bin/live");
    if Path::new(KEPT).is_dir() {
        command.env("REAPWATCH_KEEP", KEPT);
    }
    command
        .env("REAPWATCH_BINARY", REAPWATCH)
        .env("REAPWATCH_HOOKS", rung)
        .env("REAPWATCH_CYCLES", "200")
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null());
    command
}
