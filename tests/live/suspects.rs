//! A suspect is looked at closer: what a recording has of it is what it does by its own word, and what the kernel says. Part
//! of the live tests.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command},
};

use probe::{
    model::{Blocked, Call, Evidence, Input, PipeRead, SignalMasks, Tracer, Wait, WaitTarget},
    recording::Reader,
};
use serde_json::Value;

use super::support::{GRACE, Telling, is_emulated, reapwatch, replayed, require_root, until, workload};

const SIGCHLD: u64 = 1 << (libc::SIGCHLD - 1);

/// A suspect, and what it said.
struct Suspect {
    telling: Telling,
    truth: Value,
}

impl Suspect {
    fn start(scenario: &[&str]) -> Self {
        Self::told(Telling::start(scenario))
    }

    fn told(mut telling: Telling) -> Self {
        let truth = telling.truth();
        Self { telling, truth }
    }

    fn pid(&self) -> u32 {
        self.telling.child.id()
    }

    fn number(&self, name: &str) -> u32 {
        self.truth[name].as_u64().and_then(|number| number.try_into().ok()).expect("a number")
    }

    /// All that a recording has of it, in order.
    fn evidence<'a>(&self, recorded: &'a [(u32, Evidence)]) -> Vec<&'a Evidence> {
        recorded.iter().filter(|(pid, _)| *pid == self.pid()).map(|(_, evidence)| evidence).collect()
    }

    /// The last that a recording has of it.
    fn last<'a>(&self, recorded: &'a [(u32, Evidence)]) -> &'a Evidence {
        self.evidence(recorded).last().copied().unwrap_or_else(|| panic!("no evidence of {}", self.truth))
    }
}

/// Records the host for so long; all the evidence of it.
fn recorded(duration: &str) -> Vec<(u32, Evidence)> {
    let directory = tempfile::tempdir().expect("a directory");
    let recording = directory.path().join("f.rec");
    let output = reapwatch()
        .args(["record", "--grace", GRACE, "--duration", duration, "--output"])
        .arg(&recording)
        .output()
        .expect("reapwatch");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = replayed(&recording);
    assert_eq!(report["complete"], true, "{report:#}");
    evidence_in(&recording)
}

fn evidence_in(recording: &Path) -> Vec<(u32, Evidence)> {
    Reader::open(fs::File::open(recording).expect("a recording"))
        .expect("a recording")
        .filter_map(|input| match input {
            Input::Evidence { identity, evidence, .. } => Some((identity.tgid, *evidence)),
            _ => None,
        })
        .collect()
}

/// A leaker, started with SIGCHLD blocked.
fn blocking_leaker() -> Telling {
    let mut command = Command::new(workload());
    command.args(["leak-all", "--count", "3", "--hold-ms", "120000", "--tell-first", "1"]);
    let block = || {
        // SAFETY: a set of signals may be zeroes, and these calls are allowed between fork and exec.
        let done = unsafe {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGCHLD);
            libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut())
        };
        if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: as above.
    unsafe { command.pre_exec(block) };
    Telling::start_command(command)
}

fn plain_leaker() -> Suspect {
    Suspect::start(&["leak-all", "--count", "3", "--hold-ms", "120000", "--tell-first", "1"])
}

/// What the kernel says of it now.
fn masks(child: &Child) -> SignalMasks {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it lives");
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a mask");
        u64::from_str_radix(line.trim(), 16).expect("hexadecimal")
    };
    SignalMasks { blocked: mask("SigBlk:"), ignored: mask("SigIgn:"), caught: mask("SigCgt:") }
}

#[test]
fn what_a_suspect_does_with_signals_is_recorded_at_each_look() {
    require_root();
    let suspects = [Suspect::told(blocking_leaker()), plain_leaker()];
    let expected = [0, 1].map(|place: usize| masks(&suspects[place].telling.child));
    assert_eq!(expected.map(|masks| masks.blocked & SIGCHLD), [SIGCHLD, 0]);
    assert_eq!(expected.map(|masks| masks.ignored & SIGCHLD), [0, 0]);
    let recorded = recorded("7s");
    for (suspect, expected) in suspects.iter().zip(expected) {
        let of_it = suspect.evidence(&recorded);
        assert!((3..=8).contains(&of_it.len()), "once a second: {of_it:?}");
        for seen in of_it {
            assert_eq!((seen.signals, seen.blocked_by_all), (expected, Some(expected.blocked)));
            assert_eq!((seen.state, seen.threads), (b'S', 1));
            assert_eq!(seen.blocked, Blocked::Call(Call::Sleep));
            assert_eq!((seen.is_of_main, seen.tracer), (true, Tracer::None));
        }
    }
}

#[test]
fn a_window_shorter_than_a_second_has_the_evidence_of_its_end() {
    require_root();
    let suspect = plain_leaker();
    let recorded = recorded("800ms");
    assert_eq!(suspect.last(&recorded).blocked, Blocked::Call(Call::Sleep));
}

#[test]
fn what_suspects_do_meanwhile_is_what_they_said() {
    require_root();
    let start = |name: &str| Suspect::start(&[&format!("suspect-{name}")]);
    let stopped = start("stopped");
    let deaf = start("blocks-in-all-threads");
    let half_deaf = start("blocks-in-one-thread");
    let handles = start("has-handler");
    let waits_for_another = start("waits-for-another");
    let waits_for_any = start("waits-for-any");
    let waits_for_stopped = start("waits-for-stopped");
    let waits_in_thread = start("waits-in-thread");
    let reads = start("reads-pipe");
    let reads_own = start("reads-own-pipe");
    let reads_anothers = start("reads-pipe-of-another-user");
    let vforks = start("vfork");
    let traced = start("traced");
    let waits_for_signal = start("signal-wait");
    let many = start("many-threads");
    let recorded = recorded("4s");
    let last = |suspect: &Suspect| suspect.last(&recorded).clone();

    let evidence = last(&stopped);
    assert_eq!((evidence.state, evidence.blocked), (b'T', Blocked::Unknown));

    let evidence = last(&deaf);
    assert_eq!((evidence.threads, evidence.threads_read), (2, 2));
    assert_eq!(evidence.blocked_by_all.map(|by_all| by_all & SIGCHLD), Some(SIGCHLD));
    let evidence = last(&half_deaf);
    assert_eq!((evidence.threads, evidence.signals.blocked & SIGCHLD), (2, SIGCHLD));
    assert_eq!(evidence.blocked_by_all.map(|by_all| by_all & SIGCHLD), Some(0), "a thread is open");
    let evidence = last(&many);
    // Reading them may take 20 ms, and the walk for writers 50 ms: an emulated kernel may be too slow to read all by then.
    let is_slow = is_emulated();
    let least_read = if is_slow { 8 } else { 64 };
    assert!((least_read..=64).contains(&evidence.threads_read) && evidence.threads == 100, "{evidence:?}");
    assert_eq!(evidence.blocked_by_all, None, "the other threads may be open");

    let evidence = last(&handles);
    assert_eq!(evidence.signals.caught & SIGCHLD, SIGCHLD);
    assert_eq!((evidence.pending, evidence.blocked), (Some(0), Blocked::Call(Call::Sleep)));

    let wait = |target, flags| Blocked::Wait(Wait { target, flags });
    let evidence = last(&waits_for_another);
    let its_child = WaitTarget::Child(waits_for_another.number("child"));
    assert_eq!((evidence.blocked, evidence.threads_in_wait), (wait(its_child, Wait::EXITED), 1));
    assert_eq!(last(&waits_for_any).blocked, wait(WaitTarget::Any, Wait::EXITED));
    let evidence = last(&waits_for_stopped);
    assert_eq!(evidence.blocked, wait(WaitTarget::Any, 2));
    assert!(matches!(evidence.blocked, Blocked::Wait(wait) if !wait.reaps()));
    let evidence = last(&waits_in_thread);
    let its_child = WaitTarget::Child(waits_in_thread.number("child"));
    assert_eq!((evidence.blocked, evidence.is_of_main), (wait(its_child, Wait::EXITED), false));
    assert_eq!((evidence.threads_in_wait, evidence.threads), (1, 2));

    for suspect in [&reads, &reads_own] {
        let Blocked::PipeRead(PipeRead { fd, writers, is_cut, .. }) = last(suspect).blocked else {
            panic!("{:?}", last(suspect));
        };
        let pids: Vec<u32> = writers.iter().map(|writer| writer.identity.tgid).collect();
        assert_eq!(fd, suspect.number("fd"), "{}", suspect.truth);
        // Whoever is named does hold it; where the walk was cut short by its time, it may name nobody.
        let was_cut_short = is_cut && is_slow && pids.is_empty();
        assert!(was_cut_short || pids == [suspect.number("writer")], "{pids:?} {}", suspect.truth);
        assert!(writers.iter().all(|writer| writer.comm.bytes() == b"workload"), "{writers:?}");
        assert!(!is_cut || are_some_hidden() || is_slow, "{}", suspect.truth);
    }

    let anothers = reads_anothers.number("writer");
    // SAFETY: plain numbers; the suspect, which lives, has not reaped it.
    assert_eq!(unsafe { libc::kill(anothers as i32, libc::SIGKILL) }, 0);
    let Blocked::PipeRead(read) = last(&reads_anothers).blocked else {
        panic!("{:?}", last(&reads_anothers));
    };
    let pids: Vec<u32> = read.writers.iter().map(|writer| writer.identity.tgid).collect();
    // Since Linux 5.14 the kernel tells the inodes of other users' descriptors.
    let own = fs::read_to_string("/proc/self/fdinfo/0").expect("standard input");
    if own.contains("ino:") {
        assert!(pids == [anothers] || read.is_cut && is_slow && pids.is_empty(), "{pids:?}");
    } else {
        assert!(read.is_cut, "it must not seem that nobody holds it: {pids:?}");
    }

    let evidence = last(&vforks);
    assert_eq!((evidence.state, evidence.blocked), (b'D', Blocked::Vfork));
    let evidence = last(&waits_for_signal);
    assert_eq!(evidence.blocked, Blocked::Call(Call::SignalWait));
    assert_eq!(evidence.threads_in_signal_wait, 1);

    let tracer = |suspect| match last(suspect).tracer {
        Tracer::By(task) => Some(task.identity.tgid),
        Tracer::None => None,
        Tracer::Unknown => panic!("unknown"),
    };
    assert_eq!(tracer(&traced), Some(traced.number("tracer")));
    assert_eq!(tracer(&reads), None);
}

#[test]
fn of_another_users_suspect_what_is_hidden_is_unknown_and_the_rest_is_read() {
    require_root();
    // Where that user may go.
    let directory = tempfile::tempdir().expect("a directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let copy = directory.path().join("workload");
    fs::copy(workload(), &copy).expect("a copy");
    let mut command = Command::new(copy);
    command.arg("suspect-blocks-in-all-threads").uid(65_534).gid(65_534);
    let suspect = Suspect::told(Telling::start_command(command));
    let recorded = recorded("2500ms");
    let evidence = suspect.last(&recorded);
    assert_eq!((evidence.state, evidence.signals), (b'S', masks(&suspect.telling.child)));
    assert_eq!(evidence.blocked_by_all.map(|by_all| by_all & SIGCHLD), Some(SIGCHLD));
    assert_eq!((evidence.threads_read, evidence.tracer), (2, Tracer::None));
    assert_eq!(evidence.blocked, Blocked::Unknown, "its syscall file is its owner's");
}

/// Whether there are processes whose descriptors are hidden even from root, as a sandbox hides its own.
fn are_some_hidden() -> bool {
    let is_hidden = |link: &Path| {
        fs::read_link(link).is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
    };
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let directories = processes.filter_map(|process| fs::read_dir(process.path().join("fd")).ok());
    directories.flat_map(Iterator::flatten).any(|entry| is_hidden(&entry.path()))
}

/// A cgroup of ours, emptied and removed in the end.
struct Cgroup {
    directory: PathBuf,
    /// The file, and what to write to it.
    thaws: (&'static str, &'static str),
}

impl Cgroup {
    fn with(child: &Child, mount_point: &Path, thaws: (&'static str, &'static str)) -> Self {
        let directory = mount_point.join(format!("reapwatch-test-{}", child.id()));
        fs::create_dir(&directory).expect("a cgroup of ours");
        fs::write(directory.join("cgroup.procs"), child.id().to_string()).expect("it is moved");
        Self { directory, thaws }
    }

    fn freeze(&self, file: &str, how: &str, state: &str, frozen: &str) {
        fs::write(self.directory.join(file), how).expect("it is frozen");
        until("it is frozen", || {
            let text = fs::read_to_string(self.directory.join(state)).expect("its state");
            text.lines().any(|line| line == frozen).then_some(())
        });
    }
}

impl Cgroup {
    fn thaw(&self) {
        let (file, how) = self.thaws;
        let _ = fs::write(self.directory.join(file), how);
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.thaw();
        for _ in 0..200 {
            if fs::remove_dir(&self.directory).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

/// Where such a hierarchy is mounted.
fn mounted(kind: &str, option: &str) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
    mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).find_map(|words| {
        let is_it = words.get(2) == Some(&kind) && words.get(3)?.split(',').any(|one| one == option);
        is_it.then(|| PathBuf::from(words[1]))
    })
}

/// The unified hierarchy, mounted here if nobody has.
struct Unified {
    mount_point: PathBuf,
    ours: Option<tempfile::TempDir>,
}

impl Unified {
    fn get() -> Self {
        if let Some(mount_point) = mounted("cgroup2", "rw") {
            return Self { mount_point, ours: None };
        }
        let ours = tempfile::tempdir().expect("a directory");
        nix::mount::mount(
            Some("cgroup2"),
            ours.path(),
            Some("cgroup2"),
            nix::mount::MsFlags::empty(),
            None::<&str>,
        )
        .expect("CGROUP V2 CANNOT BE MOUNTED: nothing is known of frozen suspects here");
        Self { mount_point: ours.path().to_owned(), ours: Some(ours) }
    }
}

impl Drop for Unified {
    fn drop(&mut self) {
        if self.ours.is_some() {
            let _ = nix::mount::umount(&self.mount_point);
        }
    }
}

#[test]
fn a_frozen_suspect_is_told_from_one_that_sleeps() {
    require_root();
    let unified = Unified::get();
    let (frozen, free, in_v1) = (plain_leaker(), plain_leaker(), plain_leaker());
    let cgroup = Cgroup::with(&frozen.telling.child, &unified.mount_point, ("cgroup.freeze", "0"));
    cgroup.freeze("cgroup.freeze", "1", "cgroup.events", "frozen 1");
    let thawed = Cgroup::with(&free.telling.child, &unified.mount_point, ("cgroup.freeze", "0"));
    let old = mounted("cgroup", "freezer");
    let old = old.as_deref().map(|mount_point| {
        let cgroup = Cgroup::with(&in_v1.telling.child, mount_point, ("freezer.state", "THAWED"));
        cgroup.freeze("freezer.state", "FROZEN", "freezer.state", "FROZEN");
        cgroup
    });
    let recorded = recorded("2500ms");
    let frozen_now = |suspect: &Suspect| suspect.last(&recorded).is_frozen;
    assert_eq!(frozen_now(&frozen), Some(true), "{:?}", frozen.last(&recorded));
    assert_eq!(frozen_now(&free), Some(false));
    // Kernels of today are mostly used without the old hierarchies.
    assert_eq!(frozen_now(&in_v1), Some(old.is_some()), "v1: {}", old.is_some());
    // A process frozen in the old hierarchy cannot be killed.
    old.iter().for_each(Cgroup::thaw);
    drop((frozen, free, in_v1));
    drop((cgroup, thawed, old));
}
