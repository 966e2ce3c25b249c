//! Where nothing is done to a process, why, and what to do instead.
//!
//! Owns every refusal. Must not touch the process.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nix::{errno::Errno, libc};

use super::{
    candidate::Objection,
    memory,
    process::{Process, Stat, is_dead},
    threads::NoThread,
};
use crate::source::{SetupError, host::namespace};

/// The class of an ELF file is its fifth byte: 1 for programs of 32 bits.
const ELF_CLASS_32: &[u8] = b"\x7fELF\x01";

fn refusal(what: String, remedy: &str) -> SetupError {
    SetupError { what, remedy: remedy.into() }
}

/// Fails where nothing may be done to this process at all.
pub fn check(process: &Process, stat: &Stat) -> Result<(), SetupError> {
    let pid = process.pid;
    if pid == std::process::id() {
        return Err(refusal(format!("process {pid} is reapwatch itself"), "name another process"));
    }
    if pid == 1 && namespace::is_initial("pid").unwrap_or(true) {
        return Err(refusal(
            "process 1 is the init of this host, and the host goes down with it".into(),
            "have it re-execute itself (systemctl daemon-reexec), or restart the host when that is possible",
        ));
    }
    if stat.is_kernel_thread {
        return Err(refusal(
            format!("process {pid} is a kernel thread and makes no system calls"),
            "name a process of user space",
        ));
    }
    if is_dead(stat) {
        return Err(refusal(
            format!("process {pid} is dead itself, a zombie of process {}", stat.parent),
            "reap it by its parent: reapwatch reap with the parent's pid",
        ));
    }
    Ok(())
}

/// Fails where its threads cannot be made to call wait4.
pub fn check_calls(process: &Process) -> Result<(), SetupError> {
    let pid = process.pid;
    let threads = process.threads();
    if threads
        .iter()
        .any(|thread| process.read(&format!("task/{thread}/exe"), ELF_CLASS_32.len()) == ELF_CLASS_32)
    {
        return Err(refusal(
            format!("process {pid} runs a program of 32 bits, whose calls reapwatch does not make"),
            "restart its service: the new parent, or init, reaps the zombies",
        ));
    }
    call_instruction(pid, &threads)?;
    if is_frozen(process) {
        return Err(refusal(
            format!(
                "process {pid} is frozen (its cgroup's cgroup.freeze), and a frozen thread makes no calls"
            ),
            "thaw it first: write 0 to cgroup.freeze, or systemctl thaw UNIT",
        ));
    }
    Ok(())
}

/// The address of an instruction by which its threads can make calls. Fails where they cannot, or where its memory may not
/// be read: then it may not be traced either.
pub fn call_instruction(pid: u32, threads: &[u32]) -> Result<u64, SetupError> {
    match memory::call_instruction(pid, threads) {
        Ok(Some(address)) => Ok(address),
        Ok(None) => Err(refusal(
            format!("process {pid} has no vDSO, whose instructions make the calls"),
            "restart its service: the new parent, or init, reaps the zombies",
        )),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Err(no_thread(pid, &NoThread::Gone)),
        Err(error) => {
            let errno = error.raw_os_error().map_or(Errno::EPERM, Errno::from_raw);
            Err(refused_by_kernel(pid, pid, errno, false))
        }
    }
}

/// By the freezer of the second version of cgroups. The first one puts threads into state D.
fn is_frozen(process: &Process) -> bool {
    let cgroups = String::from_utf8_lossy(&process.read("cgroup", 64 * 1_024)).into_owned();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let Some(directory) = cgroup_directory(&cgroups, &mounts) else { return false };
    fs::read_to_string(directory.join("cgroup.events")).is_ok_and(|events| says_frozen(&events))
}

fn says_frozen(events: &str) -> bool {
    events.lines().any(|line| line == "frozen 1")
}

/// Where the unified hierarchy shows the cgroup of a process.
fn cgroup_directory(cgroups: &str, mounts: &str) -> Option<PathBuf> {
    let path = cgroups.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let fields: Vec<&str> = before.split(' ').collect();
        let (root, mounted_at) = (fields.get(3)?, fields.get(4)?);
        let below = Path::new(path).strip_prefix(root).ok()?;
        (after.split(' ').next()? == "cgroup2").then(|| Path::new(mounted_at).join(below))
    })
}

/// Why no thread of it can be asked.
pub fn no_thread(pid: u32, why: &NoThread) -> SetupError {
    match why {
        NoThread::Traced { by } => refusal(
            format!("process {pid} is traced by process {by}, and only one tracer is possible"),
            "end the tracer (a debugger, strace), or reap with it: gdb -p PID, print (int)waitpid(-1, 0, 1)",
        ),
        NoThread::Unfit(objections) => refusal(unfit(pid, objections), unfit_remedy(objections)),
        NoThread::Gone => {
            refusal(format!("process {pid} has ended"), "nothing: its zombies went to the next reaper")
        }
    }
}

/// Threads that a refusal speaks of.
const NAMED_MAX: usize = 4;

fn unfit(pid: u32, objections: &[(u32, Objection)]) -> String {
    let named = objections.iter().take(NAMED_MAX);
    let mut reasons: Vec<String> =
        named.map(|(thread, objection)| format!("thread {thread} {}", objection.text())).collect();
    if let more @ 1.. = objections.len().saturating_sub(NAMED_MAX) {
        reasons.push(format!("and {more} more"));
    }
    format!("no thread of process {pid} can be stopped without disturbing it: {}", reasons.join("; "))
}

fn unfit_remedy(objections: &[(u32, Objection)]) -> &'static str {
    if objections.iter().all(|(_, objection)| *objection == Objection::Uninterruptible) {
        "see what it waits for (/proc/PID/stack, /proc/PID/wchan), and try again once it goes on"
    } else if objections.iter().all(|(_, objection)| *objection == Objection::Foreign) {
        "try again when it is in a call of 64 bits, or restart its service: the next reaper gets the zombies"
    } else {
        "try again when it sleeps or waits for something; where a handler of its reaps, use reapwatch reap --nudge; or \
         restart its service: the next reaper gets the zombies"
    }
}

/// Why the kernel does not let us have a thread.
pub fn refused_by_kernel(pid: u32, thread: u32, error: Errno, has_seccomp: bool) -> SetupError {
    let what =
        format!("the kernel does not let reapwatch trace thread {thread} of process {pid}: {}", error.desc());
    let may_trace = caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_SYS_PTRACE);
    let yama = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    let remedy = if has_seccomp && may_trace.unwrap_or(false) {
        "a seccomp filter may kill the process for a call that it does not expect; to suspend the filter reapwatch needs \
         CAP_SYS_ADMIN, no filter of its own, and a kernel with CONFIG_CHECKPOINT_RESTORE. Without them, restart the \
         service"
    } else if yama.trim() == "3" {
        "the sysctl kernel.yama.ptrace_scope is 3, which allows no tracing until the next boot; restart the service"
    } else {
        "run it as root, or with CAP_SYS_PTRACE; where a security module refuses (AppArmor, SELinux), its log says so"
    };
    refusal(what, remedy)
}

/// Why no thread that was tried makes the calls.
pub fn none_would(pid: u32, reasons: &[String]) -> SetupError {
    refusal(
        format!("no thread of process {pid} could be had: {}", reasons.join("; ")),
        "try again when it does something else, or restart its service",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_s_init_we_ourselves_and_the_kernel_s_threads_are_refused() {
        let own = Process::open(std::process::id()).expect("we are here");
        let stat = own.stat().expect("we are here");
        assert!(check(&own, &stat).is_err_and(|error| error.what.contains("itself")));
        let parent = Process::open(stat.parent).expect("it waits for us");
        let plain = parent.stat().expect("it waits for us");
        assert!(check(&parent, &plain).is_ok());
        let kernel = Stat { is_kernel_thread: true, ..plain.clone() };
        assert!(check(&parent, &kernel).is_err_and(|error| error.what.contains("kernel thread")));
        let dead = Stat { state: 'Z', threads: 1, ..plain.clone() };
        assert!(check(&parent, &dead).is_err_and(|error| error.what.contains("dead")));
        assert!(check(&parent, &Stat { state: 'Z', threads: 2, ..plain }).is_ok());
        assert!(check_calls(&own).is_ok(), "we are a program of 64 bits");
    }

    #[test]
    fn the_cgroup_is_found_and_its_freezer_read() {
        let mounts = "22 1 0:21 / /proc rw - proc proc rw\n30 22 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n";
        let found = cgroup_directory("12:pids:/x\n0::/a.slice/b.service\n", mounts);
        assert_eq!(found.as_deref(), Some(Path::new("/sys/fs/cgroup/a.slice/b.service")));
        let below = mounts.replace("0:26 / ", "0:26 /a.slice ");
        let found = cgroup_directory("0::/a.slice/b.service\n", &below);
        assert_eq!(found.as_deref(), Some(Path::new("/sys/fs/cgroup/b.service")));
        assert_eq!(cgroup_directory("0::/c.slice\n", &below), None);
        assert_eq!(cgroup_directory("1:freezer:/x\n", mounts), None);
        assert!(says_frozen("populated 1\nfrozen 1\n"));
        assert!(!says_frozen("populated 1\nfrozen 0\n"));
    }

    #[test]
    fn every_reason_has_a_remedy() {
        let unfit = |objection| NoThread::Unfit(vec![(7, objection); 6]);
        for why in [
            NoThread::Traced { by: 7 },
            unfit(Objection::Uninterruptible),
            unfit(Objection::Foreign),
            unfit(Objection::RunsInKernel),
            NoThread::Gone,
        ] {
            assert!(!no_thread(1, &why).remedy.is_empty());
        }
        let said = no_thread(9, &unfit(Objection::Foreign)).what;
        assert!(
            said.contains("thread 7 is in a call of 32 bits; thread 7") && said.ends_with("; and 2 more"),
            "{said}"
        );
        assert!(no_thread(9, &NoThread::Traced { by: 7 }).what.contains("process 7"));
        let denied = |has_seccomp| refused_by_kernel(1, 2, Errno::EPERM, has_seccomp).what;
        assert!(denied(true).contains("Operation not permitted"));
    }
}
