//! What a parent is written in, as far as the program that it runs says: so that advice can name the call.
//!
//! Must not know causes.

use crate::engine::Parent;

/// The language or kind of program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    Shell,
    Python,
    Node,
    Java,
    Ruby,
    Perl,
    Php,
    Erlang,
    /// A compiled program, or one that is not known.
    Other,
}

impl Runtime {
    /// All of them; what is not known comes last.
    pub const ALL: [Self; 9] = [
        Self::Python,
        Self::Shell,
        Self::Node,
        Self::Java,
        Self::Ruby,
        Self::Perl,
        Self::Php,
        Self::Erlang,
        Self::Other,
    ];

    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Python => "Python",
            Self::Node => "Node",
            Self::Java => "Java",
            Self::Ruby => "Ruby",
            Self::Perl => "Perl",
            Self::Php => "PHP",
            Self::Erlang => "Erlang",
            Self::Other => "C, Go, Rust and others",
        }
    }

    /// By the name of the executable.
    pub(super) fn of(parent: &Parent) -> Self {
        let executable = parent.info.as_ref().map(|info| info.executable.as_slice()).unwrap_or_default();
        let name = executable.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        // `python3.11`, `php8.2`, `ruby3.1`: what follows the name is a version.
        let version = name.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(name.len());
        match &name[..version] {
            b"sh" | b"bash" | b"dash" | b"zsh" | b"ksh" | b"fish" | b"busybox" => Self::Shell,
            b"python" | b"pypy" => Self::Python,
            b"node" | b"nodejs" | b"electron" | b"bun" | b"deno" => Self::Node,
            b"java" => Self::Java,
            b"ruby" => Self::Ruby,
            b"perl" => Self::Perl,
            b"php" => Self::Php,
            b"beam" => Self::Erlang,
            _ => Self::Other,
        }
    }

    /// Whether its programs can have the kernel reap: these runtimes handle SIGCHLD themselves and wait for their children.
    pub fn can_ignore_sigchld(self) -> bool {
        !matches!(self, Self::Shell | Self::Node | Self::Java | Self::Erlang)
    }

    /// How a program waits for one child that it started.
    pub fn wait_for_each(self) -> &'static str {
        match self {
            Self::Shell => {
                "wait for each background job (wait PID), or start it with setsid --fork so that init gets it"
            }
            Self::Python => {
                "keep every subprocess.Popen and call its wait() or communicate(), also after kill() and on the error path \
                 (with Popen(…) as p: does it); multiprocessing: join(); os.fork: os.waitpid(pid, 0)"
            }
            Self::Node => {
                "start children with child_process and let the event loop run: libuv reaps those that it started; do not \
                 block the loop, and do not start children from native code without a wait"
            }
            Self::Java => {
                "the JVM reaps what ProcessBuilder and Runtime.exec start, in a thread of its own: those left are of native code, which has to \
                 wait for them"
            }
            Self::Ruby => {
                "call Process.wait(pid) or Process.detach(pid) for every child, or use the block forms"
            }
            Self::Perl => {
                "close every handle of open '-|' (close waits), call waitpid($pid, 0) for every fork, open2 and open3"
            }
            Self::Php => "call proc_close (pclose) on every handle, pcntl_waitpid for every pcntl_fork",
            Self::Erlang => "close the ports; what a port starts is reaped by erl_child_setup alone",
            Self::Other => {
                "call waitpid for each child, also on the error path and after a timeout (Go: cmd.Wait; Rust: child.wait(), \
                 a dropped Child is not waited for; Tcl: close the pipe)"
            }
        }
    }

    /// How a program reaps any child.
    pub fn reap_any(self) -> &'static str {
        match self {
            Self::Shell => "trap : CHLD; sleep infinity & while :; do wait $!; done",
            Self::Python => {
                "on SIGCHLD: loop on os.waitpid(-1, os.WNOHANG) until it returns 0 or raises (it takes the statuses of subprocess's \
                 children too, so rather give it an init)"
            }
            Self::Node | Self::Java | Self::Erlang => {
                "it cannot wait for what it did not start: have another process, which reaps, start it (tini -s, dumb-init)"
            }
            Self::Ruby => {
                "on SIGCHLD: loop on Process.wait(-1, Process::WNOHANG) until it returns nil or raises"
            }
            Self::Perl => "on SIGCHLD: 1 while waitpid(-1, WNOHANG) > 0",
            Self::Php => "on SIGCHLD: loop on pcntl_waitpid(-1, $status, WNOHANG) while it returns a pid",
            _ => "on SIGCHLD: loop on waitpid(-1, …, WNOHANG) until it returns 0 or fails",
        }
    }
}
