//! A terminal in which reapwatch runs, and its screen as text.
//!
//! Must not know what reapwatch shows.

use std::{path::PathBuf, process::Command};

use super::support::{binary, require_root, until};

/// A terminal of tmux's with a shell in it. It ends when this is dropped.
pub struct Terminal {
    directory: tempfile::TempDir,
}

impl Terminal {
    /// Of this size.
    pub fn open(width: u16, height: u16) -> Self {
        require_root();
        let terminal = Self { directory: tempfile::tempdir().expect("a directory") };
        let mut tmux = terminal.tmux();
        tmux.env_remove("NO_COLOR").env_remove("TMUX").current_dir(terminal.directory.path());
        let size = [width.to_string(), height.to_string()];
        let made = tmux
            .args(["-f", "/dev/null", "new-session", "-d", "-s", "t", "-x", &size[0], "-y", &size[1]])
            .arg("env PS1='ready> ' bash --norc --noprofile")
            .output()
            .expect("tmux is installed");
        assert!(made.status.success(), "{made:?}");
        terminal.until_it_shows("ready>");
        terminal
    }

    fn tmux(&self) -> Command {
        let mut tmux = Command::new("tmux");
        // A server of its own.
        tmux.arg("-S").arg(self.directory.path().join("tmux"));
        tmux
    }

    /// The shell's directory.
    pub fn directory(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// Types what has no special name in tmux.
    pub fn types(&self, text: &str) {
        assert!(
            self.tmux().args(["send-keys", "-t", "t", "-l", "--", text]).status().expect("tmux").success()
        );
    }

    /// Presses a key by tmux's name for it: `Enter`, `Escape`, `Down`, `C-c`.
    pub fn press(&self, key: &str) {
        assert!(self.tmux().args(["send-keys", "-t", "t", key]).status().expect("tmux").success());
    }

    pub fn resize(&self, width: u16, height: u16) {
        let size = [width.to_string(), height.to_string()];
        let resized = self.tmux().args(["resize-window", "-t", "t", "-x", &size[0], "-y", &size[1]]).status();
        assert!(resized.expect("tmux").success());
    }

    /// What the screen shows.
    pub fn shown(&self) -> String {
        let shown = self.tmux().args(["capture-pane", "-p", "-t", "t"]).output().expect("tmux");
        String::from_utf8(shown.stdout).expect("UTF-8")
    }

    /// Waits until the screen is as it should be; gives it.
    pub fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until(what, || {
                last = self.shown();
                is_so(&last).then(|| last.clone())
            })
        }));
        seen.unwrap_or_else(|_| panic!("not in time: {what}; the screen is\n{}", self.shown()))
    }

    pub fn until_it_shows(&self, text: &str) -> String {
        self.until(text, |shown| shown.contains(text))
    }

    /// Has the shell start reapwatch with these arguments, and say how it ended and whether the terminal is as it was.
    pub fn start(&self, arguments: &str) {
        let hooks =
            std::env::var("REAPWATCH_HOOKS").map(|hooks| format!(" --hooks {hooks}")).unwrap_or_default();
        self.types(&format!(
            "clear; B=$(stty -g); {}{hooks} {arguments}; C=$?; test \"$B\" = \"$(stty -g)\" && echo \"as it was, code $C\"",
            binary().display()
        ));
        self.press("Enter");
    }

    /// The process that runs in the terminal's foreground.
    pub fn reapwatch(&self) -> i32 {
        let shell = self.tmux().args(["display", "-p", "-t", "t", "#{pane_pid}"]).output().expect("tmux");
        let shell = String::from_utf8_lossy(&shell.stdout).trim().to_owned();
        let children = format!("/proc/{shell}/task/{shell}/children");
        until("reapwatch runs", || {
            let pids = std::fs::read_to_string(&children).ok()?;
            pids.split_whitespace().next()?.parse().ok()
        })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tmux().arg("kill-server").output();
    }
}
