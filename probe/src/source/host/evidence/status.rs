//! What a status file says of a thread and its process.
//!
//! Must not read files.

use crate::model::SignalMasks;

/// What is used of a thread's status file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The letter of its state.
    pub state: u8,
    pub signals: SignalMasks,
    /// Pending for the process as a whole.
    pub pending: u64,
    /// Of its process.
    pub threads: u32,
    /// The thread that traces it, 0: none.
    pub tracer_tid: u32,
    /// How often it was taken off a CPU, of itself or not; 0 where the file was cut before that.
    pub switches: u64,
}

impl Status {
    /// The name in it cannot pretend to be a line of its own: the kernel escapes its newlines.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let state = *value(text, b"State:")?.first().filter(|letter| letter.is_ascii_alphabetic())?;
        let mask = |name| u64::from_str_radix(std::str::from_utf8(value(text, name)?).ok()?, 16).ok();
        Some(Self {
            state,
            signals: SignalMasks {
                blocked: mask(b"SigBlk:")?,
                ignored: mask(b"SigIgn:")?,
                caught: mask(b"SigCgt:")?,
            },
            pending: mask(b"ShdPnd:")?,
            threads: number(value(text, b"Threads:")?)?,
            tracer_tid: number(value(text, b"TracerPid:")?)?,
            switches: switches(text).unwrap_or(0),
        })
    }

    /// Whether this thread has ended: it takes no signal and makes no call any more.
    pub fn has_ended(&self) -> bool {
        b"ZXx".contains(&self.state)
    }
}

/// The process of a thread, and its pid in its own PID namespace.
pub fn tgid_and_ns_pid(text: &[u8]) -> Option<(u32, u32)> {
    let tgid = number(value(text, b"Tgid:")?)?;
    let innermost = value(text, b"NSpid:").and_then(|pids| pids.rsplit(u8::is_ascii_whitespace).next());
    Some((tgid, innermost.and_then(number).unwrap_or(tgid)))
}

fn switches(text: &[u8]) -> Option<u64> {
    let count = |name| std::str::from_utf8(value(text, name)?).ok()?.parse::<u64>().ok();
    count(b"voluntary_ctxt_switches:")?.checked_add(count(b"nonvoluntary_ctxt_switches:")?)
}

fn value<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name))?;
    Some(line.trim_ascii())
}

/// A decimal number that takes up all of it.
pub fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &[u8] =
        b"Name:\tSigBlk:\\nState:\\tZ\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t42\nPid:\t43\n\
        TracerPid:\t7\nNSpid:\t42\t12\t1\nThreads:\t3\nSigPnd:\t0000000000000001\nShdPnd:\t0000000000000200\n\
        SigBlk:\t0000000000010000\nSigIgn:\t0000000000001000\nSigCgt:\tffffffff00000000\nCapInh:\t0\n\
        voluntary_ctxt_switches:\t40\nnonvoluntary_ctxt_switches:\t2\n";

    #[test]
    fn a_status_is_read_whatever_the_name() {
        let signals = SignalMasks { blocked: 1 << 16, ignored: 1 << 12, caught: 0xffff_ffff_0000_0000 };
        let expected =
            Status { state: b'S', signals, pending: 0x200, threads: 3, tracer_tid: 7, switches: 42 };
        assert_eq!(Status::parse(STATUS), Some(expected));
        assert_eq!(tgid_and_ns_pid(STATUS), Some((42, 1)));
        assert_eq!(tgid_and_ns_pid(b"Tgid:\t42\n"), Some((42, 42)), "a kernel that has no NSpid");
    }

    #[test]
    fn what_is_cut_or_damaged_gives_nothing() {
        let masks_end = STATUS.windows(7).position(|part| part == b"\nCapInh").expect("it is there");
        for length in 0..masks_end - 16 {
            assert_eq!(Status::parse(&STATUS[..length]), None, "{length}");
        }
        assert_eq!(Status::parse(&STATUS[..masks_end]).map(|status| status.switches), Some(0));
        let text = String::from_utf8(STATUS.to_vec()).expect("ASCII");
        for (good, bad) in [("S (", "1 ("), ("Threads:\t3", "Threads:\t-3"), ("\t7\n", "\t99999999999\n")] {
            assert_eq!(Status::parse(text.replace(good, bad).as_bytes()), None, "{bad}");
        }
    }
}
