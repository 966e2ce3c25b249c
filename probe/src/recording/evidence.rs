//! The payload of evidence, as it is written and as it is read. Signal masks are what older recordings have in its place.
//!
//! Must not know frames or files.

use bytes::{Buf, BufMut};

use super::{
    decode::{bytes, count, flag, identity, number, pid, task, time},
    encode::{put_bytes, put_identity, put_task},
};
use crate::model::{
    Blocked, Call, Evidence, Identity, Input, PipeRead, SignalMasks, THREADS_READ_MAX, Tracer,
    WAIT_CHANNEL_MAX, WRITERS_MAX, Wait, WaitTarget,
};

/// Bytes of a writer.
const TASK_LEN: usize = 32;

pub fn put_evidence(out: &mut Vec<u8>, time_ns: u64, identity: &Identity, evidence: &Evidence) {
    out.put_u64_le(time_ns);
    put_identity(out, identity);
    out.put_u8(evidence.state);
    for mask in [evidence.signals.blocked, evidence.signals.ignored, evidence.signals.caught] {
        out.put_u64_le(mask);
    }
    for mask in [evidence.blocked_by_all, evidence.pending] {
        out.put_u8(mask.is_some().into());
        out.put_u64_le(mask.unwrap_or(0));
    }
    for threads in
        [evidence.threads, evidence.threads_read, evidence.threads_in_wait, evidence.threads_in_signal_wait]
    {
        out.put_u32_le(threads);
    }
    match &evidence.tracer {
        Tracer::Unknown => out.put_u8(0),
        Tracer::None => out.put_u8(1),
        Tracer::By(task) => {
            out.put_u8(2);
            put_task(out, task);
        }
    }
    out.put_u8(evidence.is_frozen.map_or(0, |is_frozen| 1 + u8::from(is_frozen)));
    put_bytes(out, &evidence.wait_channel);
    out.put_u8(evidence.is_of_main.into());
    put_blocked(out, &evidence.blocked);
    out.put_u64_le(evidence.switches);
}

fn put_blocked(out: &mut Vec<u8>, blocked: &Blocked) {
    match blocked {
        Blocked::Unknown => out.put_u8(0),
        Blocked::Wait(wait) => {
            out.put_u8(1);
            let (target, id) = match wait.target {
                WaitTarget::Any => (0, 0),
                WaitTarget::Child(pid) => (1, pid),
                WaitTarget::Group(group) => (2, group),
                WaitTarget::Pidfd => (3, 0),
            };
            out.put_u8(target);
            out.put_u32_le(id);
            out.put_u32_le(wait.flags);
        }
        Blocked::PipeRead(read) => {
            out.put_u8(2);
            out.put_u32_le(read.fd);
            out.put_u64_le(read.pipe);
            out.put_u8(read.is_cut.into());
            out.put_u32_le(read.writers.len() as u32);
            for writer in &read.writers {
                put_task(out, writer);
            }
            out.put_u8(read.is_polled.into());
            out.put_u16_le(read.descendants);
        }
        Blocked::Vfork => out.put_u8(3),
        Blocked::Call(call) => {
            out.put_u8(4);
            out.put_u8(*call as u8);
        }
    }
}

pub fn decode_evidence(from: &mut &[u8]) -> Option<Input> {
    let (time_ns, identity) = (time(from)?, identity(from)?);
    let state = from.try_get_u8().ok().filter(|state| *state == 0 || state.is_ascii_alphabetic())?;
    let signals = masks(from)?;
    let [blocked_by_all, pending] = [optional_mask(from)?, optional_mask(from)?];
    let threads = pid(from)?;
    let mut some_threads = || pid(from).filter(|threads| *threads as usize <= THREADS_READ_MAX);
    let threads_read = some_threads()?;
    let (threads_in_wait, threads_in_signal_wait) = (some_threads()?, some_threads()?);
    let tracer = match from.try_get_u8().ok()? {
        0 => Tracer::Unknown,
        1 => Tracer::None,
        2 => Tracer::By(task(from).filter(|tracer| tracer.identity != identity)?),
        _ => return None,
    };
    let is_frozen = match from.try_get_u8().ok()? {
        0 => None,
        1 => Some(false),
        2 => Some(true),
        _ => return None,
    };
    let wait_channel = bytes(from, WAIT_CHANNEL_MAX)?;
    let is_of_main = flag(from)?;
    let blocked = decode_blocked(from)?;
    // Before 3.10 it was not told.
    let switches = if from.has_remaining() { from.try_get_u64_le().ok()? } else { 0 };
    let evidence = Box::new(Evidence {
        state,
        signals,
        blocked_by_all,
        switches,
        pending,
        threads,
        threads_read,
        tracer,
        is_frozen,
        blocked,
        is_of_main,
        threads_in_wait,
        threads_in_signal_wait,
        wait_channel,
    });
    Some(Input::Evidence { time_ns, identity, evidence })
}

/// What recordings before 3.2 have: of all else nothing is known.
pub fn decode_signal_masks(from: &mut &[u8]) -> Option<Input> {
    let (time_ns, identity) = (time(from)?, identity(from)?);
    let evidence = Box::new(Evidence { signals: masks(from)?, ..Evidence::default() });
    Some(Input::Evidence { time_ns, identity, evidence })
}

fn masks(from: &mut &[u8]) -> Option<SignalMasks> {
    let mut mask = || from.try_get_u64_le().ok();
    Some(SignalMasks { blocked: mask()?, ignored: mask()?, caught: mask()? })
}

fn optional_mask(from: &mut &[u8]) -> Option<Option<u64>> {
    let (is_known, mask) = (flag(from)?, from.try_get_u64_le().ok()?);
    Some(is_known.then_some(mask))
}

fn decode_blocked(from: &mut &[u8]) -> Option<Blocked> {
    Some(match from.try_get_u8().ok()? {
        0 => Blocked::Unknown,
        1 => {
            let (target, id) = (from.try_get_u8().ok()?, pid(from)?);
            let target = match target {
                0 => WaitTarget::Any,
                1 => WaitTarget::Child(id),
                2 => WaitTarget::Group(id),
                3 => WaitTarget::Pidfd,
                _ => return None,
            };
            Blocked::Wait(Wait { target, flags: from.try_get_u32_le().ok()? })
        }
        2 => {
            let (fd, pipe, is_cut) = (from.try_get_u32_le().ok()?, number(from, u64::MAX)?, flag(from)?);
            let writers = count(from, TASK_LEN).filter(|writers| *writers <= WRITERS_MAX)?;
            let writers = (0..writers).map(|_| task(from)).collect::<Option<Vec<_>>>()?;
            // Before 3.9 only reads were told, and of writers nothing else.
            let (is_polled, descendants) = match from.has_remaining() {
                true => (flag(from)?, from.try_get_u16_le().ok()?),
                false => (false, 0),
            };
            let is_of_one = |place: u32| (place as usize) < writers.len();
            if descendants != 0 && !is_of_one(descendants.ilog2()) {
                return None;
            }
            Blocked::PipeRead(PipeRead { fd, pipe, is_polled, writers, descendants, is_cut })
        }
        3 => Blocked::Vfork,
        4 => Blocked::Call(*Call::ALL.get(usize::from(from.try_get_u8().ok()?))?),
        _ => return None,
    })
}
