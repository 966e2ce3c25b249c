//! The command of `run` and `record`: a child of reapwatch. It inherits what reapwatch inherited, and is reaped only
//! when the report is made, so that it stays in the kernel's task list until then.
//!
//! Must not know what is measured.

use std::{
    ffi::OsString,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    path::Path,
    process::{self, Command, ExitStatus},
};

use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, kill},
        wait::{Id, WaitPidFlag, WaitStatus, waitid},
    },
    unistd::{Pid, getpgid, getpgrp},
};

use super::{
    Failure,
    live::Attached,
    output,
    signals::{self, COMMAND_ENDS_WITHIN, First, Signals},
};
use crate::{
    model::{Identity, Task},
    source::{SetupError, host::namespace, shortage_of},
};

/// Number of descriptors that a snapshot of the task list needs for a moment.
const SPARE: usize = 4;

/// A command that was started.
pub struct Child {
    process: process::Child,
    name: String,
}

/// The outcome of starting a command.
pub enum Started {
    Child(Child, Identity),
    /// A signal came first, so the command was not started.
    NotBecauseOf(First),
}

/// Why watching a command ended.
pub enum Ended {
    ByItself,
    Interrupted(First),
}

/// Starts the command. Its identity comes from the kernel's task list.
pub fn start(command: &[OsString], signals: &Signals, attached: &mut Attached) -> Result<Started, Failure> {
    let Some((program, args)) = command.split_first() else {
        return Err(Failure::other("no command given"));
    };
    let name = program.display().to_string();
    let own = namespace::own_process(&attached.first.tasks)?.identity;
    attached.kernel.follow_descendants(own)?;
    // Reserves descriptors that are needed once the command has started.
    let spare = spare_descriptors().map_err(|error| cannot_run(&name, &error))?;
    let held_back = signals.hold_back().map_err(|error| cannot_run(&name, &error))?;
    if let Some(first) = signals::first() {
        return Ok(Started::NotBecauseOf(first));
    }
    let at_start = held_back.at_start();
    let mut command = Command::new(program);
    command.args(args);
    // SAFETY: between fork and exec, `restore` makes system calls and nothing else.
    unsafe { command.pre_exec(move || at_start.restore()) };
    let process = command.spawn().map_err(|error| cannot_run(&name, &error))?;
    drop((held_back, spare));
    let mut child = Child { process, name };
    match identity(&child, own, attached) {
        Ok(root) => Ok(Started::Child(child, root)),
        Err(failure) => {
            // Without its identity, the command cannot be watched.
            let _ = child.process.kill();
            let _ = child.process.wait();
            Err(failure)
        }
    }
}

fn spare_descriptors() -> io::Result<Vec<OwnedFd>> {
    let stdin = io::stdin();
    (0..SPARE).map(|_| stdin.as_fd().try_clone_to_owned()).collect()
}

fn identity(child: &Child, own: Identity, attached: &mut Attached) -> Result<Identity, Failure> {
    let walk = attached.kernel.snapshot(0)?;
    let pid = child.process.id();
    let is_child = |process: &Task| process.ns_pid == pid || process.identity.tgid == pid;
    walk.tasks
        .iter()
        .filter(|seen| seen.parent.identity == own)
        .map(|seen| seen.process)
        // `Child` knows the pid of the command in reapwatch's own PID namespace.
        .find(is_child)
        .map(|process| process.identity)
        .ok_or_else(|| {
            Failure::other(format!(
                "{} (pid {pid}) is not in the kernel's task list and was killed",
                child.name
            ))
        })
}

/// A command that does not exist is a failure. If resources or permissions are missing, the error has a remedy.
fn cannot_run(name: &str, error: &io::Error) -> Failure {
    let is_directory =
        error.kind() == io::ErrorKind::PermissionDenied && name.contains('/') && Path::new(name).is_dir();
    if is_directory {
        return Failure::Other(format!("cannot run {name}: it is a directory; name a program in it"));
    }
    let what = format!("cannot run {name}: {error}");
    let refused = matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EPERM | Errno::ENOSYS));
    let remedy = shortage_of(error)
        .or(refused.then_some("allow fork, execve and socketpair where a filter refuses system calls"));
    match remedy {
        Some(remedy) => SetupError { what, remedy: remedy.into() }.into(),
        None => Failure::Other(what),
    }
}

impl Child {
    /// Waits until the command is dead, without reaping it, or until its time after a signal is over. Passes the signal
    /// on to it.
    pub async fn ends(&self, signals: &Signals) -> Ended {
        let first = loop {
            // A signal may have ended the command too. Then the signal counts.
            if let Some(first) = signals::first() {
                break first;
            }
            if self.is_dead() {
                return Ended::ByItself;
            }
            signals.something().await;
        };
        self.pass_on(first);
        let dead = async {
            while !self.is_dead() {
                signals.something().await;
            }
        };
        let _ = tokio::time::timeout_at(first.deadline(COMMAND_ENDS_WITHIN).into(), dead).await;
        Ended::Interrupted(first)
    }

    /// If the command is still in the same process group, a terminal's ^C has reached it already, and a second one may
    /// mean more to it than one. The HUP of a closed terminal goes only to the session leader, so it is passed on.
    fn pass_on(&self, first: First) {
        let pid = self.pid();
        let is_interrupt = first.number == Signal::SIGINT as i32;
        if is_interrupt && first.from_terminal && getpgid(Some(pid)) == Ok(getpgrp()) {
            return;
        }
        if let Ok(signal) = Signal::try_from(first.number) {
            let _ = kill(pid, signal);
        }
    }

    fn is_dead(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        !matches!(waitid(Id::Pid(self.pid()), flags), Ok(WaitStatus::StillAlive) | Err(Errno::EINTR))
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.process.id() as i32)
    }

    /// Prints a message if the command still runs.
    pub fn is_left_running(&self) {
        if !self.is_dead() {
            output::say(&format!(
                "{} (pid {}) has not ended and is left running",
                self.name,
                self.process.id()
            ));
        }
    }

    /// Reaps the command and returns its exit code.
    pub fn exit_code(&mut self) -> Result<u8, Failure> {
        let status = self
            .process
            .wait()
            .map_err(|error| Failure::other(format!("cannot wait for {}: {error}", self.name)))?;
        Ok(code_of(status))
    }
}

fn code_of(status: ExitStatus) -> u8 {
    status.code().map_or_else(|| 128 + status.signal().unwrap_or(0) as u8, |code| code as u8)
}
