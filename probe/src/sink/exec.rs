//! Alerts to a program: it is run for each alert, with the alert as JSON on its standard input.
//!
//! One runs at a time, and only for a time: what has not ended by then is killed, with all of its process group, and no other one
//! is started before it is dead. It has no more privileges than are left to the agent. Must not know what an alert says.

mod trusted;

pub use trusted::check;

use std::{
    io,
    os::{
        fd::OwnedFd,
        unix::process::{CommandExt, ExitStatusExt},
    },
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use rustix::process::{PidfdFlags, pidfd_open};
use tokio::{
    io::{AsyncWriteExt, Interest, unix::AsyncFd},
    net::unix::pipe,
};

use super::forwarder::{Carrier, Failed, Forwarder};
use crate::{render, report::alert::Alert};

/// Beyond the time that the program has, it takes no longer than this to kill it.
const KILLED_WITHIN: Duration = Duration::from_secs(5);
/// What the service manager has told the agent is not for others.
const NOT_INHERITED: [&str; 5] =
    ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"];

/// What is run, and how long at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub program: PathBuf,
    pub arguments: Vec<String>,
    pub within: Duration,
}

/// Starts the sink, within the runtime.
pub fn start(settings: Settings) -> Forwarder<Arc<Alert>> {
    Forwarder::start(format!("exec {}", settings.program.display()), Exec { settings, killed: None }, false)
}

struct Exec {
    settings: Settings,
    /// One that was killed and is not dead yet.
    killed: Option<Running>,
}

impl Carrier for Exec {
    type Item = Arc<Alert>;

    /// Longer than it can take: what is run has a limit of its own, and so has each wait for one that was killed.
    fn within(&self) -> Duration {
        self.settings.within + 3 * KILLED_WITHIN
    }

    /// A program that fails has had its alert: it is not run again for it.
    async fn deliver(&mut self, items: &[Arc<Alert>]) -> Result<u64, Failed> {
        for alert in items {
            self.bury().await?;
            let mut input = Vec::new();
            render::json::line(&mut input, alert.as_ref())
                .map_err(|error| Failed::ForGood(error.to_string()))?;
            // It may have changed since the start.
            check(&self.settings.program).map_err(Failed::Now)?;
            self.run(&input).await?;
        }
        Ok(0)
    }
}

impl Exec {
    async fn run(&mut self, input: &[u8]) -> Result<(), Failed> {
        let Settings { program, within, .. } = &self.settings;
        let mut running = Running::start(&self.settings)
            .map_err(|error| Failed::Now(format!("cannot run {}: {error}", program.display())))?;
        match tokio::time::timeout(*within, running.feed_and_wait(input)).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(Failed::ForGood(said(status))),
            Ok(Err(error)) => Err(Failed::ForGood(format!("cannot wait for it: {error}"))),
            Err(_) => {
                let why = format!("it had not ended within {within:?} and was killed");
                running.kill();
                self.killed = Some(running);
                // If it is not dead yet, the next delivery waits for that.
                let _ = self.bury().await;
                Err(Failed::ForGood(why))
            }
        }
    }

    /// Reaps the one that was killed. It is dead at once, unless the kernel is busy with it.
    async fn bury(&mut self) -> Result<(), Failed> {
        let Some(killed) = &mut self.killed else { return Ok(()) };
        match tokio::time::timeout(KILLED_WITHIN, killed.end()).await {
            Ok(_) => {
                self.killed = None;
                Ok(())
            }
            Err(_) => Err(Failed::Now("the program that was killed is not dead yet".into())),
        }
    }
}

/// A program that runs. Killed when dropped, if it has not ended.
struct Running {
    child: Child,
    pidfd: AsyncFd<OwnedFd>,
    /// True once it is reaped: its number may then be another's.
    has_ended: bool,
}

impl Running {
    fn start(settings: &Settings) -> io::Result<Self> {
        let mut command = Command::new(&settings.program);
        for name in NOT_INHERITED {
            command.env_remove(name);
        }
        command
            .args(&settings.arguments)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            // Standard output may be the agent's alerts.
            .stdout(Stdio::null());
        let mut child = command.spawn()?;
        match ended(&child) {
            Ok(pidfd) => Ok(Self { child, pidfd, has_ended: false }),
            Err(error) => {
                kill(&child);
                let _ = child.try_wait();
                Err(error)
            }
        }
    }

    /// Gives it its input, and waits for its end.
    async fn feed_and_wait(&mut self, input: &[u8]) -> io::Result<ExitStatus> {
        if let Some(stdin) = self.child.stdin.take() {
            let mut stdin = pipe::Sender::from_owned_fd(stdin.into())?;
            // A program need not read.
            if let Err(error) = stdin.write_all(input).await
                && error.kind() != io::ErrorKind::BrokenPipe
            {
                return Err(error);
            }
        }
        self.end().await
    }

    /// Waits for its end, and reaps it.
    async fn end(&mut self) -> io::Result<ExitStatus> {
        loop {
            let mut readable = self.pidfd.readable().await?;
            if let Some(status) = self.child.try_wait()? {
                self.has_ended = true;
                return Ok(status);
            }
            readable.clear_ready();
        }
    }

    /// Kills it, with all that it has started in its process group. While it is not reaped, its number is its own.
    fn kill(&self) {
        if !self.has_ended {
            kill(&self.child);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        if !self.has_ended {
            let _ = self.child.try_wait();
        }
    }
}

fn kill(child: &Child) {
    let _ = killpg(Pid::from_raw(child.id() as i32), Signal::SIGKILL);
}

/// Becomes readable when the child has ended.
fn ended(child: &Child) -> io::Result<AsyncFd<OwnedFd>> {
    let pid = rustix::process::Pid::from_raw(child.id() as i32)
        .ok_or_else(|| io::Error::other("the child has no pid"))?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    // SAFETY: an OwnedFd names the same open descriptor as long as it lives, and the AsyncFd owns it.
    let ended = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) };
    Ok(ended?)
}

fn said(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("it was killed by signal {signal}"),
        None => format!("it ended with exit code {}", status.code().unwrap_or(-1)),
    }
}

#[cfg(test)]
mod tests;
