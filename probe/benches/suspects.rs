//! What looking at suspects costs, on this host's /proc. `cargo bench --package probe --bench suspects`.
//!
//! Owns what is looked at: this process, and a child of its. docs/suspects.md has the figures. Must not load eBPF
//! programs.

use std::{
    fs,
    hint::black_box,
    process::{Command, Stdio},
    thread,
};

use criterion::{Criterion, criterion_group, criterion_main};
use probe::{
    model::{Blocked, Identity, Task},
    source::host::evidence::Reader,
};
use procfs::process::Process;

/// A process of ours, as an event would name it.
fn task(pid: u32) -> Task {
    let stat = Process::new(pid as i32).and_then(|process| process.stat()).expect("it lives");
    let start_boottime_ns = stat.starttime * (1_000_000_000 / procfs::ticks_per_second());
    Task { identity: Identity { tgid: pid, start_boottime_ns }, ns_pid: pid, ..Task::default() }
}

fn looks(criterion: &mut Criterion) {
    let reader = Reader::open();
    let mut plain = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("cat");
    let of_plain = task(plain.id());
    criterion.bench_function("one thread", |bencher| {
        bencher.iter(|| black_box(reader.look(&of_plain)).expect("it lives"));
    });
    let pipe = loop {
        if let Blocked::PipeRead(read) = reader.look(&of_plain).expect("it lives").blocked {
            break read.pipe;
        }
    };
    let number = |path: std::path::PathBuf| fs::read_dir(path).map_or(0, Iterator::count);
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let of_each: Vec<usize> =
        processes.map(|process| number(process.path().join("fd"))).filter(|count| *count > 0).collect();
    println!("{} processes have {} descriptors", of_each.len(), of_each.iter().sum::<usize>());
    criterion.bench_function("the writers of a pipe", |bencher| {
        bencher.iter(|| black_box(reader.pipe_writers(&[pipe], &[])));
    });
    let threads: Vec<_> = (0..100).map(|_| thread::spawn(thread::park)).collect();
    let own = task(std::process::id());
    criterion.bench_function("64 of 101 threads", |bencher| {
        bencher.iter(|| black_box(reader.look(&own)).expect("we are here"));
    });
    threads.iter().for_each(|thread| thread.thread().unpark());
    plain.kill().and_then(|()| plain.wait()).expect("our own child");
}

criterion_group!(benches, looks);
criterion_main!(benches);
