//! What is done with outside input, target by target: the fuzz targets and `tests/corpus.rs` run the same.
//!
//! Each body has to come to an end without a panic; what must hold of the outcome is asserted here.
#![allow(dead_code, reason = "each target uses one")]

use std::io::Write;

use probe::{
    analysis,
    engine::Engine,
    model::{
        COMMAND_LINE_MAX, Input, Invocation, NAME_MAX, Session, USED_PATH_MAX, WAIT_CHANNEL_MAX, Workload,
    },
    recording::Reader,
    render::{
        event_text::{self, Width},
        json, report_text, stats_text,
        terminal::{View, is_hidden, width},
    },
    source::{
        bpf::{attach_btf::attach_types, btf::Types, decode, offsets},
        host::{
            census,
            cgroup::{self, Viewpoint},
            evidence,
            fork_site::{mappings, perf_map::PerfMap, python_lines},
            process_directory, process_info,
            tracefs::offset_in,
            workload,
        },
    },
};
use probe_common::wire;

/// Of the terminal that reports are for.
const COLUMNS: usize = 80;

/// What was printed, of which no character but the newline may be hidden.
#[derive(Default)]
struct Printed(Vec<u8>);

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Printed {
    fn check(&mut self) {
        let text = std::str::from_utf8(&self.0).expect("UTF-8");
        let hidden = text.chars().find(|one| *one != '\n' && is_hidden(*one));
        assert_eq!(hidden, None, "in {text:?}");
        self.0.clear();
    }
}

/// A recording, from its bytes to reports and event lines: as it is, and as if it had been written so.
pub fn recording(bytes: &[u8]) {
    replay(bytes);
    replay(&repaired(bytes));
}

/// The same with lengths and checksums that are right: each frame goes to the next marker. No change at random would hit
/// upon a checksum, so nothing behind it would be reached.
fn repaired(bytes: &[u8]) -> Vec<u8> {
    const MARKER: &[u8] = b"\xf7RW\n";
    const HEAD_LEN: usize = 9;
    const SUM_LEN: usize = 4;
    let mut bytes = bytes.to_vec();
    let mut starts: Vec<usize> =
        (0..bytes.len()).filter(|place| bytes[*place..].starts_with(MARKER)).collect();
    starts.push(bytes.len());
    for pair in starts.windows(2) {
        let frame = &mut bytes[pair[0]..pair[1]];
        let Some(len) = frame.len().checked_sub(HEAD_LEN + SUM_LEN) else { continue };
        frame[MARKER.len() + 1..HEAD_LEN].copy_from_slice(&(len as u32).to_le_bytes());
        let (hashed, sum) = frame.split_at_mut(HEAD_LEN + len);
        sum.copy_from_slice(&crc32fast::hash(&hashed[MARKER.len()..]).to_le_bytes());
    }
    bytes
}

fn replay(bytes: &[u8]) {
    let Ok(mut reader) = Reader::open(bytes) else { return };
    let session = reader.session().clone();
    let mut engine = Engine::default();
    for input in reader.by_ref() {
        apply(&mut engine, &session, input);
    }
    let damage = reader.damage();
    let _ = damage.to_string();
    if damage.no_end {
        let time_ns = engine.ended_ns();
        apply(&mut engine, &session, Input::End { time_ns });
    }
    let printed = report(&engine, &session);
    // The pids of what the kernel programs write are not bounded there.
    let wide = printed.lines().find(|line| width(line) > COLUMNS);
    assert_eq!(wide, None, "more than {COLUMNS} columns");
    assert!(damage.bytes_lost <= bytes.len() as u64);
}

fn apply(engine: &mut Engine, session: &Session, input: Input) {
    let mut enriched = Vec::new();
    engine.apply(input, &mut enriched);
    let mut printed = Printed::default();
    for line in enriched.iter().filter_map(|enriched_event| analysis::event_line(enriched_event, session)) {
        let view = View { width: COLUMNS, colour: false };
        for width in [Width::Narrow, Width::Wide] {
            event_text::line(&mut printed, &line, view, width).expect("it takes everything");
        }
        json::line(&mut printed, &line).expect("it takes everything");
    }
    printed.check();
}

/// Renders it in every form; the text.
fn report(engine: &Engine, session: &Session) -> String {
    let report = analysis::report(&engine.view(), session);
    let mut printed = Printed::default();
    json::line(&mut printed, &report).expect("it takes everything");
    serde_json::from_slice::<serde_json::Value>(&printed.0).expect("JSON");
    printed.check();
    stats_text::stats(&mut printed, &report.tracer).expect("it takes everything");
    report_text::report(&mut printed, &report, View { width: 2 * COLUMNS, colour: false })
        .expect("it takes everything");
    printed.check();
    report_text::report(&mut printed, &report, View { width: COLUMNS, colour: false })
        .expect("it takes everything");
    let text = String::from_utf8_lossy(&printed.0).into_owned();
    printed.check();
    text
}

/// A BTF: its types, the offsets found in it, what programs attach to.
pub fn btf(bytes: &[u8]) {
    let Ok(types) = Types::read(bytes.to_vec()) else { return };
    if let Err(error) = offsets::find(&types) {
        let _ = error.to_string();
    }
    let _ = attach_types(&types, &["sched_process_exit", "sched_process_free"], &["release_task"]);
}

/// A tracepoint's format file.
pub fn tracefs(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for field in ["upid", "which", "ret", "infop"] {
        let _ = offset_in(text, field);
    }
}

/// What /proc says of a process: stat, cmdline, cgroup, status, syscall, wchan, fdinfo, mountinfo.
pub fn proc(bytes: &[u8]) {
    let _ = process_directory::start_ticks(bytes);
    for whole in [true, false] {
        let args = process_info::split_args(bytes, whole);
        assert!(args.iter().map(|arg| arg.len() + 1).sum::<usize>() <= bytes.len() + 1);
    }
    let kept = process_info::arguments(bytes);
    assert!(kept.iter().map(|arg| arg.len() + 1).sum::<usize>() <= COMMAND_LINE_MAX + 1);
    if let Some(status) = evidence::Status::parse(bytes) {
        assert!(status.state.is_ascii_alphabetic());
    }
    let code = mappings::code(bytes);
    for mapping in &code {
        assert_ne!(mappings::at(&code, mapping.range.start), None);
    }
    let names = PerfMap::parse(bytes.to_vec());
    assert!(names.name(0x1000).is_none_or(|name| name.len() <= NAME_MAX));
    for instruction in [0, 7, u32::MAX] {
        python_lines::of_3_9(bytes, 1, instruction);
        python_lines::of_3_10(bytes, 1, instruction);
        python_lines::of_3_11(bytes, 1, instruction.into());
    }
    census(bytes);
    let _ = evidence::tgid_and_ns_pid(bytes);
    let _ = evidence::in_call(bytes);
    let _ = evidence::pipe_in(bytes);
    let _ = evidence::Descriptor::parse(bytes);
    assert!(evidence::wait_channel(bytes).len() <= WAIT_CHANNEL_MAX);
    // Where nothing is mounted, no file is read.
    let _ = evidence::Freezers::default().is_frozen(bytes);
    let _ = evidence::Freezers::parse(bytes);
    // The same text as that of PID 1 where the paths begin below the root.
    for seen_from in [Viewpoint::Root, Viewpoint::Below { init: bytes.to_vec() }] {
        let unit = cgroup::unit(bytes, &seen_from);
        assert!(unit.is_empty() || bytes.windows(unit.len()).any(|window| window == unit));
        if let Some(Workload::Unit(name)) = workload::workload(bytes, &seen_from) {
            assert_eq!(name.as_bytes(), unit, "one word on the unit");
        }
    }
}

/// What a census reads, and files that users write: the log and the index of a checkout.
fn census(bytes: &[u8]) {
    let mut resident = census::process::of_stat(bytes, u64::MAX).unwrap_or_default();
    census::process::of_status(bytes, &mut resident);
    let words = process_info::arguments(bytes);
    let invocation = Invocation::parse(bytes, &words);
    assert!(invocation.arguments.len() <= words.len());
    let origin = census::surroundings::parse(bytes);
    assert!(origin.variables.iter().all(|name| name.len() < 64));
    let _ = census::descriptors::stream(bytes);
    let _ = census::checkout::keeps(bytes, b"a\0");
    for line in bytes.split(|byte| *byte == b'\n') {
        let _ = census::checkout::parse(line);
        let _ = census::ports::parse(&String::from_utf8_lossy(line));
        if let Some(mapping) = census::program::Mapping::parse(line) {
            assert!(mapping.path.starts_with(b"/") && mapping.path.len() <= USED_PATH_MAX);
        }
    }
}

/// What the kernel programs write, and the engine on a stream of it.
pub fn wire(bytes: &[u8]) {
    let _ = decode::seen_task(bytes);
    let _ = decode::death(bytes);
    let _ = decode::slot_death(bytes);
    let _ = decode::fork_stack(bytes);
    if let Some(record) = decode::parent_record(bytes) {
        let _ = decode::counters(1, &record);
    }
    let session = Session::default();
    let mut engine = Engine::default();
    // Of an exec the rest follows; it is read as events too.
    for start in (0..bytes.len()).step_by(size_of::<wire::Event>()) {
        if let Some(event) = decode::event(&bytes[start..]) {
            apply(&mut engine, &session, Input::Lifecycle(event));
        }
    }
    report(&engine, &session);
}
