//! What every event costs the collector, alone: its decoding, the engine, its line; and what a report costs.
//!
//! `cargo bench --package probe --bench hot_path` measures times; `hot_path --count PART TIMES` does one part so often and
//! no more, for `cargo xtask instructions`, which counts the instructions. Owns a realistic life, as the kernel programs would
//! send it. Must not touch the kernel.

use std::{hint::black_box, process::ExitCode, slice};

use criterion::{BatchSize, Criterion, Throughput, criterion_group};
use probe::{
    analysis::{self, event_line},
    engine::{Engine, EnrichedEvent},
    model::{Begin, Input, Session},
    render::json,
    source::bpf::decode,
};
use probe_common::wire::{
    ARGS_LEN, Account, EXECUTABLE_LEN, Event, ExecEvent, ExitEvent, TTY_LEN, TaskRef, kind,
};

const STAGES: u64 = 5;

fn task(tgid: u32, start_boottime_ns: u64) -> TaskRef {
    TaskRef { start_boottime_ns, tgid, ns_pid: tgid, comm: *b"worker\0\0\0\0\0\0\0\0\0\0" }
}

/// A stage of the n-th life, 10 µs after the one before.
fn event(kind: u32, n: u64) -> Event {
    let born_ns = 1_000_000_000 + n * 100_000;
    let parent = task(7, 1);
    Event {
        time_ns: born_ns + u64::from(kind) * 10_000,
        kind,
        process: task(1_000 + (n % 30_000) as u32, born_ns),
        parent,
        other: parent,
        exit_ns: born_ns + 20_000,
        zombie_ns: born_ns + 30_000,
        ..Event::default()
    }
}

fn exec(n: u64) -> ExecEvent {
    let mut exec = ExecEvent {
        event: event(kind::EXEC, n),
        executable: [0; EXECUTABLE_LEN],
        args: [0; ARGS_LEN],
        args_len: 0,
        args_cut: 0,
    };
    let (path, args) = (b"/usr/bin/python3", b"python3\0-m\0worker\0--queue\0default\0");
    exec.executable[..path.len()].copy_from_slice(path);
    exec.args[..args.len()].copy_from_slice(args);
    exec.args_len = args.len() as u32;
    exec
}

fn exit(n: u64) -> ExitEvent {
    let account = Account {
        cgroup_id: 4_711,
        cpu_ns: 3_000_000,
        peak_rss_pages: 2_500,
        uid: 1_000,
        session: 77,
        tty: [0; TTY_LEN],
    };
    ExitEvent { event: event(kind::EXIT, n), account }
}

fn bytes<T: Copy>(wire: &T) -> Vec<u8> {
    // SAFETY: T is one of the three wire types above, plain integers and bytes without padding, and alive.
    unsafe { slice::from_raw_parts(std::ptr::from_ref(wire).cast::<u8>(), size_of::<T>()) }.to_vec()
}

/// fork, exec, exit, zombie, reap, as the ring buffer has them.
fn life(n: u64) -> [Vec<u8>; STAGES as usize] {
    [
        bytes(&event(kind::FORK, n)),
        bytes(&exec(n)),
        bytes(&exit(n)),
        bytes(&event(kind::ZOMBIE, n)),
        bytes(&event(kind::REAP, n)),
    ]
}

fn inputs(n: u64) -> Vec<Input> {
    life(n).iter().filter_map(|record| decode::event(record)).map(Input::Lifecycle).collect()
}

fn decoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(1));
    let reparent = bytes(&event(kind::REPARENT, 1));
    let [fork, exec, exit, zombie, reap] = life(1);
    for (name, record) in [
        ("fork", fork),
        ("exec", exec),
        ("exit", exit),
        ("zombie", zombie),
        ("reparent", reparent),
        ("reap", reap),
    ] {
        assert!(decode::event(&record).is_some(), "{name} is refused");
        group.bench_function(name, |bench| bench.iter(|| decode::event(black_box(&record))));
    }
    group.finish();
}

fn engine(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine");
    group.throughput(Throughput::Elements(1));
    group.bench_function("a life: fork, exec, exit, zombie, reap", |bench| {
        let (mut engine, mut enriched, mut n) = (Engine::default(), Vec::new(), 0);
        engine.apply(Input::Begin(Begin { time_ns: 1, ..Begin::default() }), &mut enriched);
        bench.iter_batched(
            || {
                n += 1;
                inputs(n)
            },
            |life| {
                enriched.clear();
                for input in life {
                    engine.apply(input, &mut enriched);
                }
                enriched.len()
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn lines(criterion: &mut Criterion) {
    let (mut engine, mut enriched) = (Engine::default(), Vec::<EnrichedEvent>::new());
    for input in inputs(1) {
        engine.apply(input, &mut enriched);
    }
    assert_eq!(enriched.len() as u64, STAGES);
    let session = Session::default();
    let mut out = Vec::new();
    let mut group = criterion.benchmark_group("JSON lines");
    group.throughput(Throughput::Elements(STAGES));
    group.bench_function("a life: fork, exec, exit, zombie, reap", |bench| {
        bench.iter(|| {
            out.clear();
            for enriched_event in black_box(&enriched) {
                if let Some(line) = event_line(enriched_event, &session) {
                    let _ = json::line(&mut out, &line);
                }
            }
            out.len()
        });
    });
    group.finish();
}

criterion_group!(hot_path, decoding, engine, lines);

/// The engine sees the n-th life.
fn live(engine: &mut Engine, n: u64, enriched: &mut Vec<EnrichedEvent>) {
    inputs(n).into_iter().for_each(|input| engine.apply(input, enriched));
}

/// Does one part `times` times. The names are those that `cargo xtask instructions` counts.
fn repeat(part: &str, times: u64) -> Option<()> {
    let (mut engine, mut enriched, mut out) = (Engine::default(), Vec::new(), Vec::new());
    engine.apply(Input::Begin(Begin { time_ns: 1, ..Begin::default() }), &mut enriched);
    let session = Session::default();
    let records = life(1);
    match part {
        "decode" => (0..times).for_each(|_| {
            records.iter().for_each(|record| drop(black_box(decode::event(black_box(record)))));
        }),
        "decode+engine" => (0..times).for_each(|n| {
            enriched.clear();
            live(&mut engine, n, &mut enriched);
        }),
        "decode+engine+JSON line" => (0..times).for_each(|n| {
            enriched.clear();
            live(&mut engine, n, &mut enriched);
            out.clear();
            enriched.iter().filter_map(|event| event_line(event, &session)).for_each(|line| {
                let _ = json::line(&mut out, &line);
            });
        }),
        "report+JSON" => {
            (0..REPORTED).for_each(|n| {
                live(&mut engine, n, &mut enriched);
            });
            (0..times).for_each(|_| {
                out.clear();
                let _ = json::line(&mut out, &analysis::report(&engine.view(), &session));
            });
        }
        _ => return None,
    }
    black_box(out.len() + enriched.len());
    Some(())
}

/// Lives before the report that is made.
const REPORTED: u64 = 1_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [count, part, times] = arguments.as_slice()
        && count == "--count"
    {
        let done = times.parse().ok().and_then(|times| repeat(part, times));
        return if done.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    hot_path();
    Criterion::default().configure_from_args().final_summary();
    ExitCode::SUCCESS
}
