//! The death between exit and reap, and what is counted of it per parent: the same whichever hook reports it.
//!
//! A life is entered by the exit hook, marked by the zombie hooks, taken out by the reap hooks. Which stage a
//! notification is follows from the life's state, never from who called. Must not read kernel memory.

use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;
use probe_common::{
    bucket,
    wire::{Histogram, Life, NsPid, ParentKey, ParentRecord, TaskRef, flag, kind, loss},
};

use crate::maps::{BLANK_PARENT, LIVES, NS_PIDS, PARENTS, Stage, add, add32, lose, send};

const BPF_NOEXIST: u64 = 1;

/// CLOCK_BOOTTIME, ns.
pub fn now_ns() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// The parent's record, made if it has none.
#[inline(always)]
pub fn parent_record(key: &ParentKey, name: Option<&TaskRef>) -> Option<*mut ParentRecord> {
    if key.tgid == 0 {
        return None;
    }
    if let Some(record) = PARENTS.get_ptr_mut(key) {
        return Some(record);
    }
    let blank = BLANK_PARENT.get(0)?;
    if PARENTS.insert(key, blank, BPF_NOEXIST).is_err() && PARENTS.get_ptr(key).is_none() {
        lose(loss::PARENTS_FULL);
        return None;
    }
    let record = PARENTS.get_ptr_mut(key)?;
    if let Some(name) = name {
        // SAFETY: a value of our own map.
        unsafe {
            (*record).comm = name.comm;
            (*record).ns_pid = name.ns_pid;
        }
    }
    Some(record)
}

/// Key of a process among parents.
#[inline(always)]
pub fn key_of(task: &TaskRef) -> ParentKey {
    ParentKey { tgid: task.tgid, start_boottime_ns: task.start_boottime_ns, reserved: 0 }
}

#[inline(always)]
fn record_duration(histogram: *mut Histogram, duration_ns: u64) {
    let slot = core::hint::black_box(bucket::index(duration_ns)) & (bucket::BUCKETS - 1);
    // SAFETY: histogram is part of a value of our own map and slot is masked to its length.
    unsafe {
        add(&raw mut (*histogram).count, 1);
        add(&raw mut (*histogram).sum_ns, duration_ns);
        add32((&raw mut (*histogram).buckets).cast::<u32>().add(slot), 1);
        if duration_ns > (*histogram).max_ns {
            (*histogram).max_ns = duration_ns;
        }
        if (*histogram).min_ns == 0 || duration_ns < (*histogram).min_ns {
            (*histogram).min_ns = duration_ns;
        }
    }
}

/// Enters a death. False when it is known already (several threads can see themselves as the last).
#[inline(always)]
pub fn enter(life: &Life) -> bool {
    let tgid = life.process.tgid;
    if LIVES.insert(tgid, life, BPF_NOEXIST).is_err() {
        match LIVES.get_ptr(tgid) {
            // SAFETY: a value of our own map.
            Some(known)
                if unsafe { (*known).process.start_boottime_ns } == life.process.start_boottime_ns =>
            {
                return false;
            }
            // The pid was given out again before the free of its last owner was seen: that one is released.
            Some(_) => {
                released(tgid, 0, None, flag::COARSE);
                if LIVES.insert(tgid, life, 0).is_err() {
                    lose(loss::LIVES_FULL);
                }
            }
            None => lose(loss::LIVES_FULL),
        }
    }
    if life.ns_inum != 0 && NS_PIDS.insert(NsPid { ns_inum: life.ns_inum, nr: life.nr }, tgid, 0).is_err() {
        lose(loss::LIVES_FULL);
    }
    true
}

/// tgid of the dead process that a wait in this PID namespace calls `nr`.
pub fn resolve(nr: u32, ns_inum: u32) -> Option<u32> {
    if ns_inum == 0 {
        return Some(nr);
    }
    let tgid = NS_PIDS.get_ptr(NsPid { ns_inum, nr })?;
    // SAFETY: a value of our own map.
    Some(unsafe { *tgid })
}

/// Somebody was told of the death of `tgid`. `parent`: its real parent now. `tracer`: who was told instead.
#[inline(never)]
pub fn notified(tgid: u32, parent: &TaskRef, tracer: Option<&TaskRef>, autoreap: bool) {
    let Some(life) = LIVES.get_ptr_mut(tgid) else { return };
    // SAFETY: a value of our own map; only hooks of this one death write it, one after the other.
    let life = unsafe { &mut *life };
    let first = life.zombie_ns == 0;
    let old = life.parent;
    let new = key_of(parent);
    let moved = !first && old != new;
    let was_held = life.flags & flag::HELD != 0;
    // Told already (a child without an exit signal, at its exit), and nobody held it: no news.
    if !first && !moved && !autoreap && !was_held && tracer.is_none() {
        return;
    }
    life.parent = new;
    let mut flags = life.flags & flag::UNDER_INIT;
    if moved {
        life.real_parent = 0;
        flags = 0;
    }
    if autoreap {
        flags |= flag::AUTOREAP;
    }
    if let Some(tracer) = tracer {
        flags |= flag::HELD;
        life.tracer_tgid = tracer.tgid;
    }
    life.flags = flags;
    if first && autoreap {
        return;
    }
    let now = now_ns();
    life.zombie_ns = now;
    if let Some(record) = parent_record(&new, Some(parent)) {
        // SAFETY: a value of our own map.
        unsafe {
            if first {
                add(&raw mut (*record).exited, 1);
                if life.exit_ns != 0 {
                    record_duration(&raw mut (*record).teardown, now.saturating_sub(life.exit_ns));
                }
            } else if moved {
                add(&raw mut (*record).adopted, 1);
            }
        }
    }
    let former = TaskRef { start_boottime_ns: old.start_boottime_ns, tgid: old.tgid, ..TaskRef::NONE };
    send(&Stage {
        time_ns: now,
        kind: if moved { kind::REPARENT } else { kind::ZOMBIE },
        flags: if moved || first { flags & flag::HELD } else { (flags & flag::HELD) | flag::AGAIN },
        process: &life.process,
        parent,
        other: if moved { Some(&former) } else { tracer },
        exit_ns: life.exit_ns,
        zombie_ns: now,
        status: 0,
    });
}

/// The free of `tgid`, whose `task_struct` still says whose child it last was. A parent's death hands its children on,
/// zombies too: one that is not handed on was reaped before.
pub fn freed(tgid: u32, start_boottime_ns: u64, real_parent: u64) {
    let Some(life) = LIVES.get_ptr(tgid) else { return };
    // SAFETY: a value of our own map.
    let (known, life_flags) = unsafe { ((*life).real_parent, (*life).flags) };
    let same = known == real_parent && known != 0 && life_flags & (flag::UNDER_INIT | flag::HELD) == 0;
    released(tgid, start_boottime_ns, None, if same { flag::COARSE | flag::BY_PARENT } else { flag::COARSE });
}

/// The entry of `tgid` is gone. `start_boottime_ns`: whose, where known (0: whoever is entered). `reaper`: who
/// waited, where a wait showed it; without one the kernel reaped, or it was not seen who.
#[inline(never)]
pub fn released(tgid: u32, start_boottime_ns: u64, reaper: Option<&TaskRef>, flags: u32) {
    let Some(life) = LIVES.get_ptr_mut(tgid) else { return };
    // SAFETY: a value of our own map; copied before it is removed.
    let life = unsafe { *life };
    if start_boottime_ns != 0 && start_boottime_ns != life.process.start_boottime_ns {
        return;
    }
    let mut parent = life.parent;
    let mut adopted_unseen = false;
    if let Some(reaper) = reaper
        && reaper.tgid != parent.tgid
    {
        // A tracer's wait lets go of the zombie; the parent still has to reap it.
        if reaper.tgid == life.tracer_tgid {
            return;
        }
        parent = key_of(reaper);
        adopted_unseen = true;
    }
    // Whoever takes it out books it: a wait's return and the free may come at once on two CPUs.
    if LIVES.remove(tgid).is_err() {
        return;
    }
    if life.ns_inum != 0 {
        let _ = NS_PIDS.remove(NsPid { ns_inum: life.ns_inum, nr: life.nr });
    }
    let now = now_ns();
    let auto = life.flags & flag::AUTOREAP != 0 && reaper.is_none();
    if let Some(record) = parent_record(&parent, reaper) {
        // SAFETY: a value of our own map.
        unsafe {
            if adopted_unseen {
                add(&raw mut (*record).adopted, 1);
            } else if life.zombie_ns == 0 {
                add(&raw mut (*record).exited, 1);
            }
            if auto {
                add(&raw mut (*record).autoreaped, 1);
            } else if (*record).dead_ns == 0 || flags & flag::BY_PARENT != 0 {
                // Released after the parent's own death it would be abandoned, not reaped.
                add(&raw mut (*record).reaped, 1);
                let since = if life.zombie_ns != 0 { life.zombie_ns } else { life.exit_ns };
                record_duration(&raw mut (*record).reap_latency, now.saturating_sub(since));
            }
        }
    }
    let unnamed = TaskRef { start_boottime_ns: parent.start_boottime_ns, tgid: parent.tgid, ..TaskRef::NONE };
    send(&Stage {
        time_ns: now,
        kind: kind::REAP,
        flags: flags | (if auto { flag::AUTOREAP } else { 0 }),
        process: &life.process,
        parent: reaper.unwrap_or(&unnamed),
        other: if flags & flag::BY_PARENT != 0 { Some(&unnamed) } else { reaper },
        exit_ns: life.exit_ns,
        zombie_ns: life.zombie_ns,
        status: 0,
    });
}
