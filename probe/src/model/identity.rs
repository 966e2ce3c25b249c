//! Who a process is, for all time, and its name at a moment.
//!
//! Must not know what becomes of it.

use std::borrow::Cow;

/// A process, for all time: its thread-group id and the boot-time ns at which it started. A bare pid is never a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Identity {
    /// Thread-group id in the initial PID namespace.
    pub tgid: u32,
    /// `task_struct.start_boottime` of the group leader, in ns since boot.
    pub start_boottime_ns: u64,
}

impl Identity {
    /// Init of the initial PID namespace. It lives as long as the kernel, also where a sandbox keeps it out of the task
    /// list.
    pub fn is_init(&self) -> bool {
        self.tgid == 1
    }
}

/// `task_struct.comm`, raw: hostile bytes, NUL padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Comm(pub [u8; 16]);

impl Comm {
    /// The bytes before the first NUL.
    pub fn bytes(&self) -> &[u8] {
        let end = self.0.iter().position(|b| *b == 0).unwrap_or(16);
        &self.0[..end]
    }

    /// Valid UTF-8, still unescaped: `render` escapes it.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.bytes())
    }
}

impl From<&[u8]> for Comm {
    fn from(bytes: &[u8]) -> Self {
        let mut comm = [0; 16];
        let len = bytes.len().min(15);
        comm[..len].copy_from_slice(&bytes[..len]);
        Self(comm)
    }
}

/// A process as an event names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Task {
    /// Who.
    pub identity: Identity,
    /// Its pid in its own PID namespace; equal to `identity.tgid` in the initial one.
    pub ns_pid: u32,
    /// Its name at that moment.
    pub comm: Comm,
}
