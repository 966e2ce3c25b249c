//! In which namespaces we are. Events name processes by the pids of the initial PID namespace; from another one, only what
//! is in it is seen, and under other pids.
//!
//! Must not know what is asked for.

use std::{fs, io, path::Path, process};

use crate::{
    model::{Task, TaskEntry},
    source::SetupError,
};

/// The inode of the initial namespace of each kind (include/uapi/linux/nsfs.h, the same since Linux 3.8).
const INITIAL: [(&str, u64); 3] = [("time", 0xEFFF_FFFA), ("cgroup", 0xEFFF_FFFB), ("pid", 0xEFFF_FFFC)];

/// Whether ours of this kind is the initial one. A kernel without such namespaces has no other.
pub fn is_initial(kind: &str) -> io::Result<bool> {
    Ok(own(kind)?.is_none_or(|inode| INITIAL.contains(&(kind, inode))))
}

/// The inode of our namespace of this kind; `None` where the kernel has no such kind.
fn own(kind: &str) -> io::Result<Option<u64>> {
    let directory = Path::new("/proc/self/ns");
    match fs::read_link(directory.join(kind)) {
        Ok(link) => parse(kind, &link.to_string_lossy())
            .map(Some)
            .ok_or_else(|| io::Error::other(format!("it reads {}", link.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound && directory.is_dir() => Ok(None),
        Err(error) => Err(error),
    }
}

/// `pid:[4026531836]`.
fn parse(kind: &str, link: &str) -> Option<u64> {
    link.strip_prefix(kind)?.strip_prefix(":[")?.strip_suffix(']')?.parse().ok()
}

/// Fails where it cannot be told which PID namespace we are in.
pub fn require_known_pid() -> Result<(), SetupError> {
    is_initial("pid").map(|_| ()).map_err(|error| SetupError {
        what: format!("cannot tell which PID namespace this is: /proc/self/ns/pid: {error}"),
        remedy: "mount the proc file system of this PID namespace (mount -t proc proc /proc)".into(),
    })
}

/// Fails in a PID namespace other than the initial one: events name processes by the host's pids, but the task list and
/// /proc show only those of this namespace, under other pids. Zombies would be taken for reaped, the living for dead.
pub fn require_initial_pid() -> Result<(), SetupError> {
    require_known_pid()?;
    if is_initial("pid").unwrap_or(false) {
        return Ok(());
    }
    Err(SetupError {
        what: "reapwatch runs in a PID namespace of its own (a container, or unshare --pid), where it cannot see the \
               host's other processes"
            .into(),
        remedy: "run it on the host, or start the container with the host's PID namespace (docker and podman run \
                 --pid=host; in a pod, hostPID: true). `reapwatch run` and `reapwatch record -- CMD` work here: they \
                 watch a command and its descendants"
            .into(),
    })
}

/// Fails in a time namespace whose clock since boot is not the host's: events carry the host's, while our own readings and
/// the start times in /proc are shifted. Ages, and who is who, would be wrong.
pub fn require_host_clock() -> Result<(), SetupError> {
    if is_initial("time").unwrap_or(true) {
        return Ok(());
    }
    let offsets = fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default();
    if boottime_offset_s(&offsets) == Some(0) {
        return Ok(());
    }
    Err(SetupError {
        what: "reapwatch runs in a time namespace of its own (unshare --time), whose clock since boot is not the host's"
            .into(),
        remedy: "run it outside: nsenter --time=/proc/1/ns/time reapwatch …".into(),
    })
}

/// The line `boottime SECONDS NANOSECONDS`; `None` where it is not there or any part of a second is shifted.
fn boottime_offset_s(offsets: &str) -> Option<i64> {
    let words = offsets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    words.into_iter().find_map(|words| match words.as_slice() {
        ["boottime", seconds, "0"] => seconds.parse().ok(),
        _ => None,
    })
}

/// Who we are by the kernel's own names: one of the tasks of a walk.
pub fn own_process(tasks: &[TaskEntry]) -> Result<Task, SetupError> {
    let initial = is_initial("pid").unwrap_or(true);
    let start_ticks = procfs::process::Process::myself().and_then(|own| own.stat()).map(|own| own.starttime);
    find_own(tasks, process::id(), initial, start_ticks.ok(), procfs::ticks_per_second()).ok_or_else(|| {
        SetupError {
            what: "cannot tell which process of the kernel's task list this one is".into(),
            remedy: "run it on the host".into(),
        }
    })
}

/// In another than the initial namespace, `pid` is the one in that: namespaces within it give out the same ones.
fn find_own(
    tasks: &[TaskEntry],
    pid: u32,
    initial: bool,
    start_ticks: Option<u64>,
    ticks_per_second: u64,
) -> Option<Task> {
    if initial {
        return tasks.iter().map(|seen| seen.process).find(|task| task.identity.tgid == pid);
    }
    let tick_ns = 1_000_000_000 / ticks_per_second.max(1);
    let mut found = tasks.iter().map(|seen| seen.process).filter(|task| {
        task.ns_pid == pid
            && start_ticks
                .is_none_or(|start| (task.identity.start_boottime_ns / tick_ns).abs_diff(start) <= 1)
    });
    found.next().filter(|_| found.next().is_none())
}

/// Under which number our /proc has a process: that of the namespace for which it is mounted, ours or the initial one.
pub fn number_in_proc() -> fn(&Task) -> u32 {
    // In a container, /proc may be the host's all the same.
    let is_ours = fs::read_link("/proc/self").is_ok_and(|own| own == Path::new(&process::id().to_string()));
    if is_ours && !is_initial("pid").unwrap_or(true) {
        return |task| task.ns_pid;
    }
    |task| task.identity.tgid
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Identity, TaskState};

    #[test]
    fn a_namespace_is_read_from_its_link() {
        assert_eq!(parse("pid", "pid:[4026531836]"), Some(0xEFFF_FFFC));
        assert_eq!(parse("cgroup", "cgroup:[4026531835]"), Some(0xEFFF_FFFB));
        for damaged in ["", "pid", "pid:[", "pid:[]", "pid:[x]", "net:[1]", "pid:[1", "pid:[-1]"] {
            assert_eq!(parse("pid", damaged), None, "{damaged}");
        }
    }

    #[test]
    fn the_offset_of_the_clock_since_boot_is_read_from_its_line() {
        assert_eq!(
            boottime_offset_s("monotonic           0         0\nboottime        86400         0\n"),
            Some(86_400)
        );
        assert_eq!(boottime_offset_s("monotonic  1 0\nboottime  0 0\n"), Some(0));
        assert_eq!(boottime_offset_s("monotonic  0 0\nboottime  0 500\n"), None);
        assert_eq!(boottime_offset_s(""), None);
    }

    #[test]
    fn in_another_namespace_we_are_who_has_our_pid_there_and_our_start() {
        let seen = |tgid, ns_pid, start_boottime_ns| TaskEntry {
            time_ns: 0,
            process: Task { identity: Identity { tgid, start_boottime_ns }, ns_pid, ..Task::default() },
            parent: Task::default(),
            state: TaskState::Running,
            traits: crate::model::TaskTraits::default(),
            tracer: None,
            since_ns: 0,
        };
        // 701 is the init of a namespace within ours, 1 a process of the host.
        let tasks =
            [seen(1, 1, 5_000_000), seen(700, 1, 900_000_000), seen(701, 1, 950_000_000), seen(702, 7, 1)];
        let found =
            |pid, initial, ticks| find_own(&tasks, pid, initial, ticks, 100).map(|task| task.identity.tgid);
        assert_eq!(found(1, false, Some(90)), Some(700));
        assert_eq!(found(7, false, None), Some(702));
        assert_eq!(found(1, false, None), None, "rather nobody than another");
        assert_eq!(found(9, false, Some(90)), None);
        assert_eq!(found(702, true, None), Some(702));
        assert_eq!(found(7, true, None), None);
    }

    #[test]
    fn a_kind_that_the_kernel_does_not_have_is_no_other_namespace() {
        assert!(own("pid").is_ok_and(|inode| inode.is_some()));
        assert!(own("no-such-kind").is_ok_and(|inode| inode.is_none()));
        assert!(is_initial("no-such-kind").is_ok_and(|initial| initial));
    }
}
