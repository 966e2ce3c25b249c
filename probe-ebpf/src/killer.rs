//! Who killed a process: remembers the last signal to it that can be the one it dies of, and sends who sent that one, if its
//! wait status says that it died of it.
//!
//! A signal that was handled, blocked or came too late is never told: the status says of which one the process died. Of two
//! with the same number and different senders, only one with which the process began to die at once is told. So a process
//! keeps one entry, however many signals it gets. Must not know what is made of it.

use probe_common::{
    sent_signal::{SentSignal, sender},
    settings::kills,
    wire::TaskRef,
};

use crate::{
    event, filter,
    kernel::{
        sender::sender_kind,
        task::{SIGKILL, TaskPtr, describe_process},
        typed::Untyped,
    },
    maps::SENT_SIGNALS,
    settings::setting,
};

/// SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG and SIGWINCH end nobody.
const HARMLESS: u64 = 0x7f << 17 | 1 << 28;
/// SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGXCPU, SIGXFSZ and SIGSYS have a core dumped: the process
/// begins to die only when it takes them.
const DUMPING: u64 = 1 << 3 | 0x1f << 4 | 1 << 11 | 1 << 24 | 1 << 25 | 1 << 31;
/// The signal in a wait status.
const SIGNAL_OF_STATUS: u32 = 0x7f;

/// Whether a process can die of this signal.
#[inline(always)]
pub fn can_kill(signal: u32) -> bool {
    // 64, the last one, is bit 0, which no other one has.
    HARMLESS >> (signal & 63) & 1 == 0
}

/// The current task, or the kernel in its context, sends a signal that can kill the process of `target`.
#[inline(always)]
pub fn signal_sent(signal: u32, info: u64, target: TaskPtr<Untyped>) {
    let leader = target.leader();
    let process = leader.identity_of_leader();
    if !filter::in_scope(&process) {
        return;
    }
    let is_dying = leader.signal().is_group_exit();
    let is_final = is_dying && leader.signal().is_dying_of(signal) && DUMPING >> (signal & 63) & 1 == 0;
    if is_dying && !is_final {
        return;
    }
    let known = SENT_SIGNALS.get_ptr(&process.tgid).filter(|known| {
        // SAFETY: a value of our own map.
        unsafe { (**known).start_boottime_ns == process.start_boottime_ns }
    });
    // SAFETY: as above.
    if known.is_some_and(|known| unsafe { (*known).is_final != 0 }) {
        return;
    }
    let its_bit = if signal < 32 { 1 << signal } else { 0 };
    // SAFETY: as above.
    let sent_before = known.map_or(0, |known| unsafe { (*known).sent_before });
    let mut sent = SentSignal {
        start_boottime_ns: process.start_boottime_ns,
        signal,
        sender_kind: sender_kind(signal, info, process.tgid),
        sender: TaskRef::NONE,
        is_final: u32::from(is_final),
        sent_before: sent_before | its_bit,
    };
    if sent.sender_kind == sender::PROCESS || sent.sender_kind == sender::NAMESPACE_END {
        describe_process(TaskPtr::current(), &mut sent.sender);
    }
    // Two of one number: which of them the process dies of depends on queues and masks. So they have to be of one sender, which
    // is known while nothing else came in between.
    // SAFETY: a value of our own map.
    let is_same_sender = known.is_some_and(|known| unsafe {
        (*known).signal == signal
            && (*known).sender_kind == sent.sender_kind
            && (*known).sender.tgid == sent.sender.tgid
            && (*known).sender.start_boottime_ns == sent.sender.start_boottime_ns
    });
    if sent_before & its_bit != 0 && !is_same_sender && !is_final {
        sent.sender_kind = sender::UNKNOWN;
    }
    let _ = SENT_SIGNALS.insert(&process.tgid, &sent, 0);
}

/// Whether a signal is remembered of a process with this tgid.
#[inline(always)]
pub fn is_signalled(tgid: u32) -> bool {
    SENT_SIGNALS.get_ptr(&tgid).is_some()
}

/// The last thread of a process dies.
#[inline(always)]
pub fn died(leader: TaskPtr<Untyped>) {
    let process = leader.identity_of_leader();
    let Some(known) = SENT_SIGNALS.get_ptr(&process.tgid) else { return };
    // SAFETY: a value of our own map.
    let sent = unsafe { *known };
    let _ = SENT_SIGNALS.remove(&process.tgid);
    let signal = leader.signal();
    if sent.start_boottime_ns != process.start_boottime_ns
        || sent.sender_kind == sender::UNKNOWN
        || sent.signal != leader.wait_status(signal) & SIGNAL_OF_STATUS
        // A tracer can take any other signal away, and give another one of the same number.
        || (sent.signal != SIGKILL && leader.may_be_traced())
    {
        return;
    }
    let parent = leader.real_parent().identity();
    let is_asked_for = match setting!(kills) {
        kills::OF_ALL => filter::wants_event(&process, &parent),
        kills::OF_SUSPECTS => filter::is_suspect(&parent) || filter::is_suspect(&process),
        _ => false,
    };
    if is_asked_for {
        let is_out_of_memory = sent.sender_kind == sender::KERNEL && signal.is_chosen_for_memory();
        event::send_killed(
            leader,
            &sent,
            if is_out_of_memory { sender::OUT_OF_MEMORY } else { sent.sender_kind },
        );
    }
}
