//! Who a process was that died, and what it used: what the kernel's process accounting says.
//!
//! Must not know where this is read.

/// Longest name of a terminal, in bytes.
pub const TTY_MAX: usize = 16;

/// Whether it can be the name of a terminal: no control character, no space, and nothing beyond ASCII.
pub fn is_tty(name: &[u8]) -> bool {
    (1..=TTY_MAX).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic)
}

/// A dead process. What could not be read, or what it did not have, is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Real user id in the initial user namespace.
    pub uid: Option<u32>,
    /// Its session: the pid of whoever began it, in the initial PID namespace.
    pub session: Option<u32>,
    /// Its controlling terminal; [`is_tty`].
    pub tty: Option<Box<[u8]>>,
    /// The id of its cgroup in the unified hierarchy.
    pub cgroup_id: Option<u64>,
    /// What all its threads had run, as the scheduler had booked it when the last one began to exit.
    pub cpu_ns: Option<u64>,
    /// The most memory that it had at once, by all programs that it ran.
    pub peak_rss_bytes: Option<u64>,
}
