//! What everybody may read of a process: its stat, status and cgroup files. Reading them never blocks.
//!
//! Must not judge, and must not read the memory or the files of a process.

use procfs::process::Process;

use crate::{
    model::{ASLEEP_MAX, Asleep, Comm, Identity, Resident, WAIT_CHANNEL_MAX},
    source::host::{
        cgroup::{self, Viewpoint},
        evidence::wait_channel,
        process_directory::{field, number_field, part, stat},
        workload,
    },
};

/// How much of a status file is read: a long list of groups stands before the switches.
const STATUS_MAX: usize = 64 * 1_024;
/// Longest cgroup file read: a line for each hierarchy, whose path the kernel keeps under 4 KiB.
pub const CGROUP_MAX: usize = 64 * 1_024;
/// Longest stat file read: some fifty numbers and a name.
const STAT_MAX: usize = 2_048;
/// Most threads of a process that are looked at.
const THREADS_MAX: usize = 256;
/// Longest name of a service that is kept.
const SERVICE_MAX: usize = 255;
/// Flags of a task (include/linux/sched.h): PF_EXITING and PF_KTHREAD.
const EXITING: u64 = 0x4;
const KERNEL_THREAD: u64 = 0x0020_0000;

/// Reads it; `None` once it has gone.
pub fn read(process: &Process, tick_ns: u64, seen_from: &Viewpoint) -> Option<Resident> {
    let mut found = of_stat(&stat(process)?, tick_ns)?;
    if found.is_kernel_thread {
        return Some(found);
    }
    of_status(&part(process, "status", STATUS_MAX), &mut found);
    let cgroup = part(process, "cgroup", CGROUP_MAX);
    found.workload = workload::workload(&cgroup, seen_from);
    found.user_service = user_service(&cgroup, seen_from);
    if found.is_exiting {
        found.wait_channel = wait_channel(&part(process, "wchan", WAIT_CHANNEL_MAX + 1));
    }
    found.asleep = asleep(process, &found, tick_ns);
    Some(found)
}

/// The threads that sleep uninterruptibly; the main one is read already.
fn asleep(process: &Process, main: &Resident, tick_ns: u64) -> Vec<Asleep> {
    let threads: Vec<u32> = match (main.threads, main.state) {
        (0..=1, b'D') => vec![main.identity.tgid],
        (0..=1, _) => return Vec::new(),
        _ => {
            let threads = process.tasks().into_iter().flatten().flatten().take(THREADS_MAX);
            threads.map(|thread| thread.tid.unsigned_abs()).collect()
        }
    };
    let read = |thread: u32| {
        let file = |name: &str, most| part(process, format!("task/{thread}/{name}"), most);
        let mut found = of_stat(&file("stat", STAT_MAX), tick_ns).filter(|found| found.state == b'D')?;
        of_status(&file("status", STATUS_MAX), &mut found);
        Some(Asleep {
            thread,
            cpu_ticks: found.cpu_ticks,
            switches: found.switches,
            wait_channel: wait_channel(&file("wchan", WAIT_CHANNEL_MAX + 1)),
        })
    };
    threads.into_iter().filter_map(read).take(ASLEEP_MAX).collect()
}

/// What a stat file says.
pub fn of_stat(stat: &[u8], tick_ns: u64) -> Option<Resident> {
    let number = |place| number_field(stat, place);
    let pid = |place| u32::try_from(number(place)?).ok();
    // Of processes whose group or session is led from outside of our PID namespace, the kernel says 0 or -1.
    let pid_or_none = |place| pid(place).unwrap_or(0);
    let open = stat.iter().position(|byte| *byte == b'(')?;
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let flags = number(9)?;
    let start_ticks = number(22)?;
    Some(Resident {
        identity: Identity {
            tgid: std::str::from_utf8(stat.get(..open)?).ok()?.trim().parse().ok()?,
            start_boottime_ns: start_ticks.saturating_mul(tick_ns),
        },
        comm: Comm::from(stat.get(open + 1..close)?),
        state: *field(stat, 3)?.first()?,
        is_kernel_thread: flags & KERNEL_THREAD != 0,
        is_exiting: flags & EXITING != 0,
        threads: number(20)?,
        parent: pid(4)?,
        group: pid_or_none(5),
        session: pid_or_none(6),
        terminal: pid_or_none(7),
        cpu_ticks: number(14)?.saturating_add(number(15)?),
        ..Resident::default()
    })
}

/// What a status file says beside it.
pub fn of_status(status: &[u8], found: &mut Resident) {
    // A name cannot pretend to be a line: the kernel escapes newlines in it.
    for line in status.split(|byte| *byte == b'\n') {
        let Some(place) = line.iter().position(|byte| *byte == b':') else { continue };
        let value = String::from_utf8_lossy(&line[place + 1..]);
        let mut words = value.split_ascii_whitespace();
        match &line[..place] {
            b"Uid" => found.user = words.next().and_then(|user| user.parse().ok()),
            b"TracerPid" => found.tracer = words.next().and_then(|pid| pid.parse().ok()).unwrap_or(0),
            b"NSpid" => found.is_namespace_init = words.skip(1).last() == Some("1"),
            b"voluntary_ctxt_switches" | b"nonvoluntary_ctxt_switches" => {
                let switches = words.next().and_then(|count| count.parse().ok()).unwrap_or(0);
                found.switches = found.switches.saturating_add(switches);
            }
            _ => {}
        }
    }
}

/// The innermost service below a user's own service manager. That user names it.
fn user_service(cgroup: &[u8], seen_from: &Viewpoint) -> Option<String> {
    let is_service = |name: &&[u8]| name.ends_with(b".service");
    cgroup::paths_from_root(cgroup, seen_from).into_iter().filter(|path| path.is_systemds).find_map(|path| {
        let manager = path.names.iter().position(|name| name.starts_with(b"user@") && is_service(name))?;
        let service = path.names[manager + 1..].iter().rev().copied().find(is_service)?;
        (service.len() <= SERVICE_MAX).then(|| String::from_utf8_lossy(service).into_owned())
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_stat_file_is_read_whatever_the_name() {
        for name in ["sleep", ") R 1 (x)", ""] {
            let stat = format!(
                "42 ({name}) D 7 42 -1 34816 -1 4194308 1 2 3 4 50 6 7 8 20 0 3 0 1000 0 0 0 0 0 0 0 0 0 0 0\n"
            );
            let found = of_stat(stat.as_bytes(), 10_000_000).expect(name);
            assert_eq!(found.identity, Identity { tgid: 42, start_boottime_ns: 10_000_000_000 });
            assert_eq!((found.comm.bytes(), found.state), (name.as_bytes(), b'D'));
            assert_eq!((found.parent, found.group, found.session, found.terminal), (7, 42, 0, 34816));
            assert_eq!((found.cpu_ticks, found.threads), (56, 3));
            assert!(found.is_exiting && !found.is_kernel_thread);
        }
        assert_eq!(of_stat(b"42 (x) S 1", 1), None);
        assert_eq!(of_stat(b"", 1), None);
    }

    #[test]
    fn threads_that_sleep_uninterruptibly_are_read_and_others_are_not() {
        let proc = tempfile::tempdir().expect("a directory");
        let process = proc.path().join("42");
        let stat = |thread: u32, state: char| {
            format!(
                "{thread} (bot) {state} 7 42 42 0 -1 0 1 2 3 4 50 6 7 8 20 0 3 0 1000 0 0 0 0 0 0 0 0 0 0 0\n"
            )
        };
        for (thread, state) in [(42, 'S'), (43, 'D'), (44, 'S')] {
            let directory = process.join(format!("task/{thread}"));
            fs::create_dir_all(&directory).expect("directories");
            fs::write(directory.join("stat"), stat(thread, state)).expect("a file");
            fs::write(directory.join("status"), "voluntary_ctxt_switches:\t9\n").expect("a file");
            fs::write(directory.join("wchan"), "rpc_wait_bit_killable").expect("a file");
        }
        let opened = Process::new_with_root(process).expect("a directory");
        let main = |threads, state| Resident {
            threads,
            ..of_stat(stat(42, state).as_bytes(), 1).expect("a stat file")
        };
        let expected = Asleep {
            thread: 43,
            cpu_ticks: 56,
            switches: 9,
            wait_channel: b"rpc_wait_bit_killable".to_vec(),
        };
        assert_eq!(asleep(&opened, &main(3, 'S'), 1), [expected]);
        assert_eq!(asleep(&opened, &main(1, 'S'), 1), []);
        assert_eq!(asleep(&opened, &main(1, 'D'), 1), [], "it is awake again");
    }

    #[test]
    fn a_status_file_is_read_whatever_the_name() {
        let status = b"Name:\tUid:\\n7\nTracerPid:\t12\nUid:\t1000\t0\t0\t0\nNSpid:\t42\t1\n\
            voluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t6\n";
        let mut found = Resident::default();
        of_status(status, &mut found);
        assert_eq!((found.user, found.tracer, found.switches), (Some(1000), 12, 11));
        assert!(found.is_namespace_init);
        let mut init = Resident::default();
        of_status(b"NSpid:\t1\n", &mut init);
        assert!(!init.is_namespace_init, "that of our own namespace is known by its pid");
    }

    #[test]
    fn a_service_of_a_users_own_manager_is_the_innermost_below_it() {
        let of = |path: &str| user_service(format!("0::{path}\n").as_bytes(), &Viewpoint::Root);
        let manager = "/user.slice/user-1000.slice/user@1000.service";
        assert_eq!(of(&format!("{manager}/app.slice/bot.service")).as_deref(), Some("bot.service"));
        assert_eq!(of(&format!("{manager}/app.slice/a.service/b.service/x")).as_deref(), Some("b.service"));
        assert_eq!(of(&format!("{manager}/app.slice/app-firefox.scope")), None);
        assert_eq!(of("/system.slice/bot.service"), None);
        assert_eq!(of("/user.slice/user-1000.slice/session-3.scope"), None);
    }
}
