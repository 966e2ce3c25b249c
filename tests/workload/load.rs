//! The load generator: lives of one kind, as fast as they go, for benchmarks and for what must hold under load.
//!
//! Owns how each kind of life is made and what it cost this process. Must not know who watches.

use std::{ffi::CStr, io::Read, mem::MaybeUninit, ptr, thread};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd,
};
use serde_json::{Value, json};

use crate::{Flags, process::*};

const OWN_PROGRAM: &CStr = c"/proc/self/exe";
/// Enough for a child that only returns.
const VFORK_STACK_BYTES: usize = 64 << 10;

/// What a life is.
#[derive(Clone, Copy)]
enum Kind {
    Fork,
    Exec,
    Vfork,
    Spawn,
    /// No process at all: a thread, born and joined.
    Thread,
    /// A fork, and of that another: the only child of a parent that lives as shortly.
    Parent,
    /// The same, but it leaves its dead child to us, the subreaper.
    Leaver,
}

impl Kind {
    fn asked(flags: &Flags) -> Self {
        let kinds = [
            ("exec", Self::Exec),
            ("vfork", Self::Vfork),
            ("spawn", Self::Spawn),
            ("storm-threads", Self::Thread),
            ("parents", Self::Parent),
            ("leavers", Self::Leaver),
        ];
        kinds.into_iter().find(|(name, _)| flags.get(name, 0) != 0).map_or(Self::Fork, |(_, kind)| kind)
    }

    fn lives(self) -> u64 {
        if matches!(self, Self::Parent | Self::Leaver) { 2 } else { 1 }
    }

    fn deaths(self) -> u64 {
        if matches!(self, Self::Thread) { 0 } else { self.lives() }
    }
}

/// `--exec 1`, `--vfork 1`, `--spawn 1`, `--storm-threads 1`, `--parents 1`, `--leavers 1`, or bare forks; `--count N` of them, or for
/// `--ms N`; `--threads N` callers at once, each with its own. `--one-cpu 1`: all on one CPU, wherever others run.
/// `--until-told 1`: tells, then stays until its input ends.
pub fn load(flags: &Flags) -> Value {
    let kind = Kind::asked(flags);
    let threads = flags.get("threads", 1);
    let ms = flags.get("ms", 0);
    let each = flags.get("count", if ms > 0 { u64::MAX } else { 2_000 });
    if flags.get("one-cpu", 0) != 0 {
        let mut first = CpuSet::new();
        first.set(0).expect("a CPU");
        sched_setaffinity(unistd::Pid::from_raw(0), &first).expect("CPU 0");
    }
    if matches!(kind, Kind::Leaver) {
        // SAFETY: plain numbers.
        assert_eq!(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }, 0);
    }
    let (began_ns, began_cpu_ns) = (now_ns(), cpu_ns());
    let end_ns = if ms > 0 { began_ns + ms * 1_000_000 } else { u64::MAX };
    let made: u64 = thread::scope(|scope| {
        let callers: Vec<_> = (0..threads).map(|_| scope.spawn(move || caller(kind, each, end_ns))).collect();
        callers.into_iter().map(|caller| caller.join().expect("thread")).sum()
    });
    let truth = json!({
        "pid": own_pid(), "lives": made * kind.lives(), "deaths": made * kind.deaths(),
        "took_ns": now_ns() - began_ns, "cpu_ns": cpu_ns() - began_cpu_ns,
    });
    if flags.get("until-told", 0) != 0 {
        println!("{truth}");
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
    }
    truth
}

/// One thread's lives; how many it made.
fn caller(kind: Kind, count: u64, end_ns: u64) -> u64 {
    let mut stack = vec![0u8; VFORK_STACK_BYTES];
    let mut made = 0;
    while made < count && now_ns() < end_ns {
        match kind {
            Kind::Fork => drop(wait(fork(|| 0))),
            Kind::Exec => drop(wait(fork(exec_now))),
            Kind::Vfork => drop(wait(vfork(&mut stack))),
            Kind::Spawn => drop(wait(spawn())),
            Kind::Thread => thread::spawn(|| {}).join().expect("thread"),
            Kind::Parent => drop(wait(fork(|| {
                wait(fork(|| 0));
                0
            }))),
            Kind::Leaver => {
                wait(fork(|| {
                    until_dead(fork(|| 0));
                    0
                }));
                wait(-1);
            }
        }
        made += 1;
    }
    made
}

/// `exit-now`, as execve wants it.
fn arguments() -> [*const libc::c_char; 3] {
    [c"workload".as_ptr(), c"exit-now".as_ptr(), ptr::null()]
}

fn exec_now() -> i32 {
    // SAFETY: the path and each argument end in NUL, and the array in a null; all outlive the call.
    unsafe { libc::execv(OWN_PROGRAM.as_ptr(), arguments().as_ptr()) };
    127
}

extern "C" fn leave(_: *mut libc::c_void) -> libc::c_int {
    0
}

/// A child in our memory, on a stack of its own: on ours it would overwrite the frame we return to.
fn vfork(stack: &mut [u8]) -> Pid {
    let end = stack.as_mut_ptr_range().end;
    // Both x86-64 and arm64 want it so aligned.
    let top = end.wrapping_sub(end.addr() % 16);
    // SAFETY: top is the end of memory nobody else uses until the child has left, for CLONE_VFORK holds us that long;
    // the child touches nothing of ours.
    let pid = unsafe {
        libc::clone(leave, top.cast(), libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD, ptr::null_mut())
    };
    assert!(pid > 0, "clone: {}", std::io::Error::last_os_error());
    pid
}

fn spawn() -> Pid {
    let mut pid = 0;
    let nothing: [*mut libc::c_char; 1] = [ptr::null_mut()];
    // SAFETY: pid is ours to write; path, arguments and environment end as they must and outlive the call, which writes
    // to none of them.
    let error = unsafe {
        libc::posix_spawn(
            &mut pid,
            OWN_PROGRAM.as_ptr(),
            ptr::null(),
            ptr::null(),
            arguments().as_ptr().cast(),
            nothing.as_ptr(),
        )
    };
    assert_eq!(error, 0, "posix_spawn");
    pid
}

/// CPU time of this process and of all it has waited for, in ns.
fn cpu_ns() -> u64 {
    [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN]
        .iter()
        .map(|who| {
            let mut usage = MaybeUninit::<libc::rusage>::zeroed();
            // SAFETY: usage is ours to write; all zero is a valid rusage.
            let usage = unsafe {
                assert_eq!(libc::getrusage(*who, usage.as_mut_ptr()), 0);
                usage.assume_init()
            };
            [usage.ru_utime, usage.ru_stime]
                .iter()
                .map(|time| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1_000)
                .sum::<u64>()
        })
        .sum()
}
