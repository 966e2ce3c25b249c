//! All processes of a host at one moment, as /proc shows them: the facts that `audit` judges by.
//!
//! Must not know where this is read, nor what is a finding.

use super::{Comm, Identity, TimeAnchor, Workload};

/// Most processes in a census: as many as a host has by default.
pub const RESIDENTS_MAX: usize = 32_768;
/// Most files that a process writes to of which the names are kept.
pub const WRITES_MAX: usize = 16;
/// Longest path of such a file, and of a library.
pub const USED_PATH_MAX: usize = 512;
/// Most libraries of a process that are kept because the file at their path is another.
pub const LIBRARIES_MAX: usize = 16;
/// Most threads of a process that are kept because they sleep uninterruptibly.
pub const ASLEEP_MAX: usize = 8;
/// Most movements of a checkout that are kept: the last ones.
pub const MOVES_MAX: usize = 32;

/// All processes at one moment.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Census {
    /// Boot time.
    pub taken_ns: u64,
    pub anchor: TimeAnchor,
    pub residents: Vec<Resident>,
    /// Git checkouts that code of these processes is in.
    pub checkouts: Vec<Checkout>,
    pub unseen: Unseen,
}

/// What a census could not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Unseen {
    /// Processes of which descriptors, directory and program may not be read.
    pub closed: u64,
    /// Processes that could not be read because reading them blocks.
    pub blocked: u64,
    /// Processes beyond as many as are read.
    pub beyond: u64,
    /// Other users' processes are not listed at all.
    pub others_are_hidden: bool,
    /// Only the processes of a PID namespace are listed.
    pub is_namespace: bool,
}

impl Unseen {
    /// Whether the descriptors of every process of the host were read.
    pub fn saw_every_descriptor(&self) -> bool {
        *self == Self::default()
    }
}

/// One process.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Resident {
    /// Its pid as this /proc has it; the start is known to a clock tick.
    pub identity: Identity,
    pub comm: Comm,
    /// The letter of /proc: `R`, `S`, `D`, `Z`, `T`, `t` or `I`.
    pub state: u8,
    pub is_kernel_thread: bool,
    pub is_exiting: bool,
    /// It is the init of a PID namespace below the reader's.
    pub is_namespace_init: bool,
    pub threads: u64,
    /// Pid of its parent; 0 where that is outside of this PID namespace.
    pub parent: u32,
    pub group: u32,
    /// 0 where the leader is outside of this PID namespace.
    pub session: u32,
    /// The device of its controlling terminal; 0: it has none.
    pub terminal: u32,
    /// Processor time, in clock ticks, and how often it was switched off a processor: both stand still while it sleeps.
    pub cpu_ticks: u64,
    pub switches: u64,
    /// Real uid.
    pub user: Option<u32>,
    /// 0: none.
    pub tracer: u32,
    /// Of one that is ending, the function of the kernel in which it sleeps; empty: not known.
    pub wait_channel: Vec<u8>,
    /// Threads that sleep uninterruptibly, at most 8.
    pub asleep: Vec<Asleep>,
    pub command_line: Vec<Vec<u8>>,
    pub workload: Option<Workload>,
    /// The service of the user's own service manager that it is part of.
    pub user_service: Option<String>,
    /// `None`: it may not be read, or there is nothing left to read.
    pub details: Option<Details>,
}

impl Resident {
    /// Dead, and not its main thread alone.
    pub fn is_zombie(&self) -> bool {
        self.state == b'Z' && self.threads <= 1
    }

    /// Runs a program and has not begun to end.
    pub fn lives(&self) -> bool {
        !self.is_kernel_thread && !self.is_exiting && !b"ZXx".contains(&self.state)
    }
}

/// A thread that sleeps where no signal wakes it. Two such readings are equal if it did nothing between them.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Asleep {
    pub thread: u32,
    pub cpu_ticks: u64,
    pub switches: u64,
    /// The function of the kernel in which it sleeps; empty: not known.
    pub wait_channel: Vec<u8>,
}

/// What only those may read who may trace the process.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Details {
    pub program: Option<Program>,
    /// Mapped for execution, and not the files at their paths any more.
    pub libraries: Vec<Library>,
    /// It uses a library that talks to a display.
    pub shows_windows: bool,
    /// Its working directory.
    pub directory: Vec<u8>,
    /// Standard input, output and error.
    pub streams: [Stream; 3],
    /// Of an interpreter.
    pub script: Option<Script>,
    /// The place in [`Census::checkouts`] of the one that its script or module is in.
    pub checkout: Option<usize>,
    /// Paths of files that it has open for writing.
    pub writes: Vec<Vec<u8>>,
    /// TCP ports on which it listens.
    pub ports: Vec<u16>,
    pub origin: Origin,
}

/// A file, for as long as it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FileIdentity {
    pub device: u64,
    pub inode: u64,
}

/// The executable.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Program {
    /// Without what the kernel appends to the path of a deleted file.
    pub path: Vec<u8>,
    pub file: FileIdentity,
    pub at_path: AtPath,
}

/// What is at the path of a file that a process uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AtPath {
    /// That very file.
    Same,
    /// Another file.
    Other,
    /// Nothing.
    Gone,
    /// It could not be looked at, or the file never had a path.
    #[default]
    Unknown,
}

/// A library that is mapped for execution.
#[derive(Clone, Debug, PartialEq)]
pub struct Library {
    pub path: Vec<u8>,
    pub at_path: AtPath,
}

/// Where one of the standard streams leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Stream {
    #[default]
    Closed,
    /// /dev/null.
    Null,
    Terminal,
    /// A terminal that was closed: nobody can ever type into it or look at it again.
    DeadTerminal,
    File,
    Socket,
    Pipe {
        inode: u64,
        /// Whether any process has an end that can be read; `None`: not all processes could be asked.
        has_reader: Option<bool>,
    },
    Other,
}

/// The file that an interpreter was told to run.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Script {
    pub path: Vec<u8>,
    pub file: FileIdentity,
    /// When its content last changed, in ns since the epoch.
    pub modified_ns: i128,
    /// It was named relative to the working directory, which may have been another then.
    pub is_relative: bool,
}

/// A git checkout.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Checkout {
    pub root: Vec<u8>,
    /// The last movements of HEAD, the oldest first.
    pub moves: Vec<Move>,
}

/// One movement of HEAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// In s since the epoch.
    pub time_s: i64,
    /// The beginnings of the hashes.
    pub from: [u8; 12],
    pub to: [u8; 12],
    pub by: MovedBy,
}

/// What moved HEAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MovedBy {
    /// A commit made here: the files stayed as they were.
    Commit,
    /// Something that writes other files into the checkout: pull, checkout, merge, reset, rebase.
    Other,
}

/// What the environment says of where a process was started.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Origin {
    /// Names of the variables that say so, from a fixed list.
    pub variables: Vec<&'static str>,
    /// The process that AGENT_SESSION_PID names: the agent that started it.
    pub agent_pid: Option<u32>,
}
