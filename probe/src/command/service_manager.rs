//! What the service manager is told, where there is one that asked for it: that we are ready, how we are, that we live.
//!
//! Must not know what is watched.

use std::{env, io};

use sd_notify::NotifyState;

/// The service manager; nothing, where none has started us.
pub struct ServiceManager {
    is_there: bool,
    has_watchdog: bool,
}

impl ServiceManager {
    /// Learns from the environment what is wanted.
    pub fn from_environment() -> Self {
        Self {
            is_there: env::var_os("NOTIFY_SOCKET").is_some(),
            has_watchdog: sd_notify::watchdog_enabled().is_some(),
        }
    }

    /// Everything works: what waits for us may start.
    pub fn ready(&self, status: &str) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// What `systemctl status` shows.
    pub fn status(&self, status: &str) {
        self.tell(&[NotifyState::Status(status)]);
    }

    /// We live, and read what the kernel has.
    pub fn alive(&self) {
        if self.has_watchdog {
            self.tell(&[NotifyState::Watchdog]);
        }
    }

    /// The configuration is being read; [`ServiceManager::ready`] follows.
    pub fn reloading(&self) {
        let told = NotifyState::monotonic_usec_now();
        match told {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::debug!(%error, "the monotonic clock cannot be read"),
        }
    }

    /// We end.
    pub fn stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    fn tell(&self, what: &[NotifyState<'_>]) {
        let told: io::Result<()> = if self.is_there { sd_notify::notify(what) } else { Ok(()) };
        if let Err(error) = told {
            tracing::debug!(%error, "the service manager cannot be told");
        }
    }
}
