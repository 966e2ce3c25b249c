//! What the programs cost beside lives of each kind, as the kernel counts it (`bpf_stats`).
//!
//! The host boots with a clock that advances by one ns an instruction, so that the times are counts of instructions, the
//! same in every boot. Must not judge: whoever reads the lines does.

use std::{
    error::Error,
    fmt::Write,
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use aya::{
    Btf, Ebpf,
    programs::{BtfTracePoint, FEntry, FExit, KProbe, Program, TracePoint},
};
use probe::{
    model::ProgramStats,
    source::{
        bpf::{
            options::{ForkStacks, Kills, Subscription, TracerOptions},
            stats::program_upkeep,
            tracer::Tracer,
        },
        host::{namespace, tracefs},
    },
};

use crate::hook_choice;

/// The object of programs that do nothing.
const EMPTY: &str = "/empty.bpf.o";

/// Lives of each kind, by the name that the host gives it, and how the workload is told.
const LOADS: [(&str, &[&str]); 5] = [
    ("fork", &["--count", "200"]),
    ("fork+exec", &["--exec", "1", "--count", "60"]),
    ("vfork", &["--vfork", "1", "--count", "200"]),
    ("short-parents", &["--parents", "1", "--count", "100"]),
    ("four-threads", &["--threads", "4", "--count", "50"]),
];

/// Each load is made so often, and the host takes the least: an interrupt in the middle of a program counts as the program's.
const TIMES: usize = 3;

/// Longer than the kernel takes to free the last process after a grace period.
const FREED: Duration = Duration::from_millis(100);

/// A reap that takes a second is late, as `watch` has it.
const SLOW_NS: u64 = 1_000_000_000;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// One kind of watching on one rung, or `empty` programs, or `script`: two hooks that do what a bpftrace script does.
pub fn cost(rung: &str, mode: &str) {
    let counted = fs::write("/proc/sys/kernel/bpf_stats_enabled", "1").map_err(Into::into);
    let done = counted.and_then(|()| match mode {
        "empty" => empty(rung),
        "script" => script(rung),
        _ => watched(rung, mode),
    });
    if let Err(error) = done {
        println!("@ failed cost {rung} {mode}: {error}");
    }
}

fn watched(rung: &str, mode: &str) -> Outcome {
    let subscription = match mode {
        "watch" => Subscription::counters(SLOW_NS).with(ForkStacks::OfTargets).with_kills(Kills::OfSuspects),
        "trace" => Subscription::events(Vec::new(), 0),
        "run" => Subscription::tree().with(ForkStacks::OfTargets).with_kills(Kills::OfAll),
        _ => return Err("there is no such mode".into()),
    };
    let began = Instant::now();
    let mut tracer = Tracer::attach(&TracerOptions {
        stats: false,
        lives: 32_768,
        parents: 8_192,
        subscription,
        btf: "/sys/kernel/btf/vmlinux".into(),
        hooks: hook_choice(rung),
        ring_bytes: None,
        log_programs: false,
    })?;
    let attached = began.elapsed();
    if mode == "run" {
        let own = namespace::own_process(&tracer.snapshot(0)?.tasks)?.identity;
        tracer.follow_descendants(own)?;
    }
    for (load, arguments) in LOADS.into_iter().flat_map(|load| [load; TIMES]) {
        let before = tracer.tracer_stats().0;
        let lives = live(arguments)?;
        let after = tracer.tracer_stats().0;
        tracer.drain(usize::MAX, |_| {});
        print(rung, mode, load, lives, &before, &after);
    }
    print_spans(rung, mode, attached, tracer);
    Ok(())
}

/// `@ took RUNG MODE ATTACH_NS CLOSE_NS`; closes it.
fn print_spans<T>(rung: &str, mode: &str, attached: Duration, opened: T) {
    let began = Instant::now();
    drop(opened);
    println!("@ took {rung} {mode} {} {}", attached.as_nanos(), began.elapsed().as_nanos());
}

/// One program of each kind that this rung uses; what each merely costs to be called.
fn empty(rung: &str) -> Outcome {
    let kinds: &[&str] = match rung {
        "fentry" => &["sched_process_fork", "release_fentry", "notify_fexit"],
        "kprobe" => &["sched_process_fork", "release_kprobe", "notify_kretprobe"],
        _ => &["sched_process_fork", "sys_exit_wait4"],
    };
    counted(rung, "empty", kinds, &LOADS[..1])
}

fn script(rung: &str) -> Outcome {
    counted(rung, "script", &["script_exit", "script_free"], &LOADS)
}

/// Attaches programs of the object [`EMPTY`] and counts their runs beside the loads.
fn counted(rung: &str, mode: &str, names: &[&str], loads: &[(&str, &[&str])]) -> Outcome {
    let began = Instant::now();
    let mut ebpf = Ebpf::load_file(EMPTY)?;
    let btf = Btf::from_sys_fs()?;
    for name in names {
        let program = ebpf.program_mut(name).ok_or("a program is missing")?;
        match program {
            Program::BtfTracePoint(_) => {
                let program: &mut BtfTracePoint = program.try_into()?;
                let hook = match *name {
                    "script_exit" => "sched_process_exit",
                    "script_free" => "sched_process_free",
                    name => name,
                };
                program.load(hook, &btf)?;
                program.attach()?;
            }
            Program::FEntry(_) => {
                let program: &mut FEntry = program.try_into()?;
                program.load("release_task", &btf)?;
                program.attach()?;
            }
            Program::FExit(_) => {
                let program: &mut FExit = program.try_into()?;
                program.load("do_notify_parent", &btf)?;
                program.attach()?;
            }
            Program::KProbe(_) => {
                let program: &mut KProbe = program.try_into()?;
                program.load()?;
                let of = if *name == "release_kprobe" { "release_task" } else { "do_notify_parent" };
                program.attach(of, 0)?;
            }
            _ => {
                let program: &mut TracePoint = program.try_into()?;
                program.load()?;
                tracefs::with(|| program.attach("syscalls", name).map(drop))??;
            }
        }
    }
    let attached = began.elapsed();
    for (load, arguments) in loads.iter().flat_map(|load| [load; TIMES]) {
        let before = program_upkeep(&ebpf);
        let lives = live(arguments)?;
        print(rung, mode, load, lives, &before, &program_upkeep(&ebpf));
    }
    print_spans(rung, mode, attached, ebpf);
    Ok(())
}

/// Has the workload make a load; how many lives it made.
fn live(arguments: &[&str]) -> Outcome<u64> {
    let output = Command::new("/bin/examples/workload").arg("load").args(arguments).output()?;
    let made: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    thread::sleep(FREED);
    made["lives"].as_u64().ok_or_else(|| "the workload did not say how many lives it made".into())
}

/// `@ cost RUNG MODE LOAD LIVES PROGRAM=RUNS:NS …`
fn print(rung: &str, mode: &str, load: &str, lives: u64, before: &[ProgramStats], after: &[ProgramStats]) {
    let mut line = format!("@ cost {rung} {mode} {load} {lives}");
    for (before, after) in before.iter().zip(after) {
        let (runs, run_time_ns) = (after.runs - before.runs, after.run_time_ns - before.run_time_ns);
        if runs > 0 {
            let _ = write!(line, " {}={runs}:{run_time_ns}", after.name);
        }
    }
    println!("{line}");
}
