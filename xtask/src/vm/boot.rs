//! One boot under QEMU's emulation, and what its lines tell.
//!
//! Must not know how the initramfs is made.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::kernels::{Arch, Image};
use crate::shell;

/// No boot takes longer unless it hangs.
const DEADLINE: Duration = Duration::from_secs(40 * 60);

/// What costs an emulated CPU a seventh of its time and no test depends on: safeguards against the faults of real CPUs, and
/// zeroing of memory. So does a fifth level of page tables.
const CHEAPER: &str = "mitigations=off init_on_alloc=0";

/// What a rung gave.
#[derive(Clone, Debug)]
pub enum Rung {
    /// Why it cannot be had.
    Refused(String),
    /// Result by scenario.
    Ran(BTreeMap<String, Outcome>),
}

/// How a scenario ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    /// Failed beside others, passed alone.
    PassedAlone,
    Failed,
}

/// How time passes in the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// As on the host.
    Host,
    /// One ns an instruction, on one CPU: what the guest measures is the same in every boot.
    Instructions,
}

/// What the guest's kernel counted of a program beside a load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub runs: u64,
    /// The kernel's two readings of its clock a run included.
    pub instructions: u64,
}

/// A load, and what each program came to beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    pub lives: u64,
    pub programs: BTreeMap<String, Counted>,
}

impl Load {
    /// Instructions of all programs.
    fn per_life(&self) -> f64 {
        let all: u64 = self.programs.values().map(|counted| counted.instructions).sum();
        all as f64 / self.lives.max(1) as f64
    }
}

/// By rung, mode and load; of a load that was made several times, the least.
pub type Costs = BTreeMap<String, BTreeMap<String, BTreeMap<String, Load>>>;

/// How long attaching and closing took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub attach_ns: u64,
    pub close_ns: u64,
}

/// By rung and mode.
pub type Spans = BTreeMap<String, BTreeMap<String, Span>>;

/// What a boot gave.
#[derive(Debug, Default)]
pub struct Booted {
    pub release: String,
    pub rungs: BTreeMap<String, Rung>,
    /// What tests that failed beside others said, by rung and test.
    pub first_failures: BTreeMap<(String, String), Vec<String>>,
    /// Instructions verified, by rung and program.
    pub verified: BTreeMap<String, BTreeMap<String, u64>>,
    /// The kernel's BTF, cut down.
    pub btf: Vec<u8>,
    /// What the tests recorded, by rung and name.
    pub recordings: BTreeMap<(String, String), Vec<u8>>,
    pub costs: Costs,
    pub spans: Spans,
    /// Lines that are no results: output of failed tests, the kernel's own.
    pub noise: Vec<String>,
    pub ended: bool,
    pub took: Duration,
}

/// Its CPUs on one host thread: with a thread each, one CPU now and then still executes the breakpoint that the other
/// has already patched away (attaching a program patches kernel code), and the kernel dies of it.
fn qemu(image: &Image, initramfs: &Path, command_line: &str, clock: Clock) -> Command {
    let mut command = match image.arch {
        Arch::X86_64 => {
            let mut command = Command::new("qemu-system-x86_64");
            command.args(["-machine", "q35", "-accel", "tcg,thread=single", "-cpu", "max,la57=off"]);
            command
        }
        Arch::Arm64 => {
            let mut command = Command::new("qemu-system-aarch64");
            command.args(["-machine", "virt", "-accel", "tcg,thread=single", "-cpu", "cortex-a72"]);
            command
        }
    };
    let console = match image.arch {
        Arch::X86_64 => "ttyS0",
        Arch::Arm64 => "ttyAMA0",
    };
    match clock {
        Clock::Host => command.args(["-smp", "2"]),
        Clock::Instructions => command.args(["-smp", "1", "-icount", "shift=0,sleep=off"]),
    };
    command
        .args(["-m", "1536", "-nodefaults", "-no-user-config", "-nic", "none"])
        .args(["-display", "none", "-no-reboot", "-serial", "stdio", "-kernel"])
        .arg(&image.path)
        .arg("-initrd")
        .arg(initramfs)
        .arg("-append")
        .arg(format!("console={console} loglevel=3 panic=-1 {CHEAPER} {command_line}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    command
}

/// Boots it and waits for its end. QEMU's exit status says nothing of what the guest did: its lines do.
///
/// `log` gets all it prints, with the seconds since the start.
pub fn boot(
    image: &Image,
    initramfs: &Path,
    command_line: &str,
    clock: Clock,
    log: &Path,
) -> shell::Outcome<Booted> {
    let began = Instant::now();
    let mut child = qemu(image, initramfs, command_line, clock)
        .spawn()
        .map_err(|error| format!("cannot start QEMU: {error}"))?;
    let output = child.stdout.take().ok_or("QEMU has no output")?;
    let (lines, receive) = mpsc::channel();
    let reader = thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    let mut booted = Booted::default();
    let mut log = File::create(log).map_err(|error| format!("cannot write {}: {error}", log.display()))?;
    while let Ok(line) = receive.recv_timeout(DEADLINE.saturating_sub(began.elapsed())) {
        let _ = writeln!(log, "{:7.1} {line}", began.elapsed().as_secs_f64());
        booted.take(&line);
        if booted.ended {
            break;
        }
    }
    booted.took = began.elapsed();
    // It powers off by itself after its last line; a hung one does not.
    let _ = child.kill();
    let _ = child.wait();
    drop(receive);
    let _ = reader.join();
    Ok(booted)
}

impl Booted {
    fn take(&mut self, line: &str) {
        // The firmware and the kernel may leave something before the first of our characters.
        let Some((_, line)) =
            line.split_once("@ ").filter(|(before, _)| before.len() < 12 || before.contains('\x1b'))
        else {
            self.noise.push(line.to_owned());
            return;
        };
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("kernel"), Some(release), ..) => self.release = release.to_owned(),
            (Some("rung"), Some(rung), ..) => {
                self.rungs.insert(rung.to_owned(), Rung::Ran(BTreeMap::new()));
            }
            (Some("refused"), Some(rung), why, more) => {
                let why = [why.unwrap_or_default(), more.unwrap_or_default()].join(" ");
                self.rungs.insert(rung.to_owned(), Rung::Refused(why));
            }
            (Some("test"), Some(rung), Some(name), Some(result)) => {
                if let Some(Rung::Ran(results)) = self.rungs.get_mut(rung) {
                    let outcome = match result {
                        "ok" => Outcome::Passed,
                        "again" => Outcome::PassedAlone,
                        _ => Outcome::Failed,
                    };
                    results.insert(name.to_owned(), outcome);
                }
            }
            (Some("first"), Some(rung), Some(name), Some(said)) => {
                let all = self.first_failures.entry((rung.to_owned(), name.to_owned())).or_default();
                all.push(said.to_owned());
            }
            (Some("verified"), Some(rung), Some(program), Some(number)) => {
                if let number @ 1.. = number.parse().unwrap_or(0) {
                    self.verified.entry(rung.to_owned()).or_default().insert(program.to_owned(), number);
                }
            }
            (Some("btf"), Some(digits), ..) => self.btf.extend(bytes(digits)),
            (Some("recording"), Some(rung), Some(name), Some(digits)) => {
                let key = (rung.to_owned(), name.to_owned());
                self.recordings.entry(key).or_default().extend(bytes(digits));
            }
            (Some("cost"), Some(rung), Some(mode), Some(load)) => {
                let loads =
                    self.costs.entry(rung.to_owned()).or_default().entry(mode.to_owned()).or_default();
                if let Some((name, load)) = load_of(load)
                    && loads.get(&name).is_none_or(|known| load.per_life() < known.per_life())
                {
                    loads.insert(name, load);
                }
            }
            (Some("took"), Some(rung), Some(mode), Some(took)) => {
                if let Some((attach, close)) = took.split_once(' ')
                    && let (Ok(attach_ns), Ok(close_ns)) = (attach.parse(), close.parse())
                {
                    let spans = self.spans.entry(rung.to_owned()).or_default();
                    spans.insert(mode.to_owned(), Span { attach_ns, close_ns });
                }
            }
            (Some("boot"), ..) => {}
            (Some("end"), ..) => self.ended = true,
            _ => self.noise.push(line.to_owned()),
        }
    }
}

/// `LOAD LIVES PROGRAM=RUNS:INSTRUCTIONS …`
fn load_of(line: &str) -> Option<(String, Load)> {
    let mut words = line.split(' ');
    let (name, lives) = (words.next()?, words.next()?.parse().ok()?);
    let program = |word: &str| {
        let (name, counted) = word.split_once('=')?;
        let (runs, instructions) = counted.split_once(':')?;
        let counted = Counted { runs: runs.parse().ok()?, instructions: instructions.parse().ok()? };
        Some((name.to_owned(), counted))
    };
    Some((name.to_owned(), Load { lives, programs: words.map(program).collect::<Option<_>>()? }))
}

/// The bytes that hexadecimal digits stand for.
fn bytes(digits: &str) -> impl Iterator<Item = u8> {
    (0..digits.len() / 2).filter_map(|at| u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok())
}
