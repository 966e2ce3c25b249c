//! The payload of who killed a process.
//!
//! Must not know frames of the file, versions or files.

use bytes::{Buf, BufMut};

use super::{
    decode::{task, time},
    encode::put_task,
};
use crate::model::{Kill, Killer, LifecycleEvent, SIGNAL_MAX, Stage, Task};

/// After the time and the process.
pub(super) fn put_kill(out: &mut Vec<u8>, kill: &Kill) {
    out.put_u8(kill.signal as u8);
    let (by, sender) = match kill.by {
        Killer::Process(sender) => (0, sender),
        Killer::Fault => (1, Task::default()),
        Killer::OutOfMemory => (2, Task::default()),
        Killer::NamespaceEnd(init) => (3, init),
        Killer::Kernel => (4, Task::default()),
    };
    out.put_u8(by);
    put_task(out, &sender);
}

pub(super) fn decode_killed(from: &mut &[u8]) -> Option<LifecycleEvent> {
    let (time_ns, process) = (time(from)?, task(from)?);
    let signal = from.try_get_u8().ok().map(u32::from)?;
    let (by, sender) = (from.try_get_u8().ok()?, task(from)?);
    let by = match by {
        0 => Killer::Process(sender),
        1 => Killer::Fault,
        2 => Killer::OutOfMemory,
        3 if sender.identity != process.identity => Killer::NamespaceEnd(sender),
        4 => Killer::Kernel,
        _ => return None,
    };
    let is_signal = (1..=SIGNAL_MAX).contains(&signal);
    is_signal.then_some(LifecycleEvent {
        time_ns,
        process,
        stage: Stage::Killed { kill: Kill { signal, by } },
    })
}
