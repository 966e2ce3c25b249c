//! Processes that sleep in the kernel where no signal wakes them, and those that are stuck in their exit.
//!
//! Owns what counts as having done nothing. Everybody who waits for a disk sleeps so for a moment: only who did nothing at all
//! between two looks counts. The kernel says D of others too: of those that wait for a vfork, and of the frozen.

use super::{
    Finding,
    scene::{Scene, named},
};
use crate::{
    model::{Asleep, Resident},
    report::{
        audit::{Confidence, GhostKind, Way},
        words::duration,
    },
};

/// Parts of names of functions of the kernel that wait for another machine, or for a program.
const WAITS_FOR_OTHERS: [&str; 8] =
    ["nfs", "rpc_", "cifs", "smb", "fuse", "request_wait_answer", "ceph", "p9_"];
/// The same where it sleeps on purpose.
const ON_PURPOSE: [&str; 4] = ["vfork", "refrigerator", "freezer", "kernel_clone"];

/// Finds them, however short the time between the looks was.
pub fn find(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    for one in scene.residents().filter(|one| !one.is_kernel_thread) {
        let Some(before) = scene.before(one) else { continue };
        let did = |of: &Resident| (of.is_exiting, of.cpu_ticks, of.switches, of.wait_channel.clone());
        let is_ending = one.is_exiting && !b"ZXx".contains(&one.state) && one.threads <= 1;
        if is_ending && did(one) == did(before) {
            found.push(exiting(scene, one));
            continue;
        }
        let same =
            one.asleep.iter().find(|now| before.asleep.contains(now) && !is_on_purpose(scene, one, now));
        if let Some(thread) = same {
            found.push(asleep(scene, one, thread));
        }
    }
}

fn is_on_purpose(scene: &Scene<'_>, one: &Resident, thread: &Asleep) -> bool {
    let function = String::from_utf8_lossy(&thread.wait_channel);
    // A child of vfork runs in the memory of its parent, so it has its command line until it has a program of its own.
    let has_vforked = || {
        let is_copy = |child: &&Resident| child.command_line == one.command_line && child.comm == one.comm;
        scene.children(one).iter().any(is_copy)
    };
    ON_PURPOSE.iter().any(|part| function.contains(part)) || (function.is_empty() && has_vforked())
}

fn function(wait_channel: &[u8]) -> String {
    match wait_channel {
        [] => "a function of the kernel that may not be read".into(),
        name => format!("{} of the kernel", String::from_utf8_lossy(name)),
    }
}

fn exiting(scene: &Scene<'_>, one: &Resident) -> Finding {
    Finding {
        kind: GhostKind::StuckInExit,
        confidence: Confidence::Certain,
        inferred: false,
        about: one.identity,
        takes_long: true,
        count: 1,
        related: Vec::new(),
        evidence: vec![
            format!(
                "it has begun to exit and waits in {}, for at least {}",
                function(&one.wait_channel),
                duration(scene.looked_for_ns())
            ),
            "it is no zombie yet: its parent cannot reap it, and no signal helps".into(),
        ],
        commands: vec![Way {
            command: format!("sudo reapwatch explain {}", one.identity.tgid),
            does: "says what it waits for and what it still holds",
        }],
    }
}

fn asleep(scene: &Scene<'_>, one: &Resident, thread: &Asleep) -> Finding {
    let name = String::from_utf8_lossy(&thread.wait_channel);
    let who = if thread.thread == one.identity.tgid {
        "it".into()
    } else {
        format!("its thread {}", thread.thread)
    };
    let waits_for_others = WAITS_FOR_OTHERS.iter().any(|part| name.contains(part));
    let mut evidence = vec![
        format!(
            "{who} sleeps in {} and did nothing for at least {}",
            function(&thread.wait_channel),
            duration(scene.looked_for_ns())
        ),
        "no signal ends it, until what it waits for comes: a disk, a file server, a device".into(),
    ];
    if let Some(parent) = scene.parent(one).filter(|parent| parent.identity.tgid != 1) {
        evidence.push(format!("{} started it, and waits in vain if it waits for it", named(parent)));
    }
    Finding {
        kind: GhostKind::Uninterruptible,
        confidence: if waits_for_others { Confidence::Likely } else { Confidence::Possible },
        inferred: false,
        about: one.identity,
        takes_long: true,
        count: 1,
        related: Vec::new(),
        evidence,
        commands: vec![Way {
            command: format!("sudo cat /proc/{}/task/{}/stack", one.identity.tgid, thread.thread),
            does: "shows where in the kernel it is",
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::audit::{
            LASTS_NS,
            tests::{census, only, resident},
        },
        model::Census,
    };

    fn sleeper(function: &str) -> Resident {
        let asleep = Asleep { thread: 8, wait_channel: function.into(), switches: 7, cpu_ticks: 3 };
        Resident { state: b'D', asleep: vec![asleep], ..resident(8, 1) }
    }

    fn after(first: &Census, ns: u64) -> Census {
        Census { taken_ns: first.taken_ns + ns, ..first.clone() }
    }

    #[test]
    fn who_does_nothing_for_long_enough_is_found() {
        let first = census(vec![sleeper("rpc_wait_bit_killable")]);
        assert_eq!(only(&first, &after(&first, LASTS_NS), GhostKind::Uninterruptible), 1);
        let exiting = census(vec![Resident { is_exiting: true, ..sleeper("request_wait_answer") }]);
        assert_eq!(only(&exiting, &after(&exiting, LASTS_NS), GhostKind::StuckInExit), 1);
    }

    #[test]
    fn who_waits_for_a_disk_a_vfork_or_is_frozen_is_none() {
        let first = census(vec![sleeper("io_schedule")]);
        assert_eq!(
            only(&first, &after(&first, LASTS_NS - 1), GhostKind::Uninterruptible),
            0,
            "not long enough"
        );
        let mut last = after(&first, LASTS_NS);
        last.residents[0].asleep[0].switches += 1;
        assert_eq!(only(&first, &last, GhostKind::Uninterruptible), 0, "it was awake meanwhile");
        for function in ["wait_for_vfork_done", "__refrigerator"] {
            let first = census(vec![sleeper(function)]);
            assert_eq!(only(&first, &after(&first, LASTS_NS), GhostKind::Uninterruptible), 0, "{function}");
        }
        let child = Resident { state: b'S', ..resident(9, 8) };
        let unread = census(vec![sleeper(""), child]);
        assert_eq!(only(&unread, &after(&unread, LASTS_NS), GhostKind::Uninterruptible), 0, "as vfork looks");
        let kernels = census(vec![Resident { is_kernel_thread: true, ..sleeper("x") }]);
        assert_eq!(only(&kernels, &after(&kernels, LASTS_NS), GhostKind::Uninterruptible), 0);
    }
}
