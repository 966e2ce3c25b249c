//! Very many parents that live: each has forked and reaped a child of its own, and sleeps.
//!
//! Must not know who watches.

use std::{fs, io::Read, path::PathBuf};

use serde_json::{Value, json};

use crate::{
    Flags,
    process::{Pid, close, exit, fork, kill, own_pid, pipe, receive, send, wait},
};

/// `--count N` of them, spread over `--cgroups N` new cgroups, none by default. Tells when all have reaped, and ends them when
/// its input ends.
pub fn parents(flags: &Flags) -> Value {
    let cgroups = make_cgroups(flags.get("cgroups", 0));
    let (read, write) = pipe();
    let ours = own_pid();
    let count = flags.get("count", 1_000);
    let parents: Vec<Pid> = (0..count as usize)
        .map(|n| {
            fork(|| {
                // SAFETY: plain numbers.
                unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
                // SAFETY: no arguments.
                if unsafe { libc::getppid() } != ours {
                    exit(1);
                }
                if !cgroups.is_empty() {
                    fs::write(cgroups[n % cgroups.len()].join("cgroup.procs"), "0").expect("a cgroup");
                }
                wait(fork(|| 0));
                send(write, 1);
                loop {
                    // SAFETY: no arguments.
                    unsafe { libc::pause() };
                }
            })
        })
        .collect();
    close(write);
    (0..count).for_each(|_| assert_eq!(receive(read), Some(1)));
    let truth = json!({"pid": ours, "parents": count, "forked": 2 * count});
    println!("{truth}");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    parents.iter().for_each(|pid| kill(*pid, libc::SIGKILL));
    for pid in parents {
        wait(pid);
    }
    cgroups.iter().for_each(|cgroup| fs::remove_dir(cgroup).expect("an empty cgroup"));
    if let Some(all) = cgroups.first().and_then(|cgroup| cgroup.parent()) {
        fs::remove_dir(all).expect("an empty cgroup");
    }
    truth
}

/// So many in one of their own, in the second hierarchy.
fn make_cgroups(count: u64) -> Vec<PathBuf> {
    if count == 0 {
        return Vec::new();
    }
    let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
    let mount = mounts.lines().map(|line| line.split(' ')).find_map(|mut fields| {
        let (_, at, kind) = (fields.next()?, fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(at))
    });
    let all = mount.expect("a cgroup2 mount").join(format!("reapwatch-{}", own_pid()));
    let each = |n| {
        let cgroup = all.join(format!("n{n}.service"));
        fs::create_dir_all(&cgroup).expect("a cgroup");
        cgroup
    };
    (0..count).map(each).collect()
}
