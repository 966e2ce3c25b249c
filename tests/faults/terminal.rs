//! On a terminal: the command of `run` has it to itself, ^C reaches both, and ^Z stops both.
//!
//! Must not know how reapwatch works: only its command line, and what a terminal shows.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd},
        unix::{fs::OpenOptionsExt, process::CommandExt},
    },
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use nix::{
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    pty::{grantpt, posix_openpt, ptsname_r, unlockpt},
};

use super::{
    ended,
    support::{reapwatch, require_root, until, workload},
};

/// A terminal, and everything that was shown on it so far.
struct Terminal {
    /// Both are the terminal's other side.
    keyboard: Option<File>,
    screen: Option<Screen>,
    shown: Arc<Mutex<String>>,
    child: Child,
}

/// A thread that reads what is shown, until this is dropped.
struct Screen {
    ends: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Screen {
    fn new(mut side: File, shown: Arc<Mutex<String>>) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&ends);
        let reader = std::thread::spawn(move || {
            let mut some = [0; 4096];
            while !ended.load(Ordering::Relaxed) {
                let mut readable = [PollFd::new(side.as_fd(), PollFlags::POLLIN)];
                if poll(&mut readable, PollTimeout::from(20u8)) != Ok(1) {
                    continue;
                }
                // An error: nobody has the other side any more.
                let Ok(length @ 1..) = side.read(&mut some) else { return };
                shown.lock().expect("no panic").push_str(&String::from_utf8_lossy(&some[..length]));
            }
        });
        Self { ends, reader: Some(reader) }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let _ = self.reader.take().map(JoinHandle::join);
    }
}

impl Terminal {
    /// Starts a command in the foreground of a new one.
    fn start(mut command: Command) -> Self {
        require_root();
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).expect("a terminal");
        grantpt(&master).expect("a terminal");
        unlockpt(&master).expect("a terminal");
        let name = ptsname_r(&master).expect("a terminal");
        let slave = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open(name);
        let slave = slave.expect("its other side");
        let fd = slave.as_raw_fd();
        command.stdin(Stdio::from(slave.try_clone().expect("a descriptor")));
        command.stdout(Stdio::from(slave.try_clone().expect("a descriptor")));
        command.stderr(Stdio::from(slave));
        // SAFETY: only system calls between fork and exec.
        unsafe {
            command.pre_exec(move || {
                libc::setsid();
                libc::ioctl(fd, libc::TIOCSCTTY, 0);
                Ok(())
            })
        };
        let child = command.spawn().expect("reapwatch");
        drop(command);
        // SAFETY: the descriptor was the master's, which gives it away.
        let keyboard = unsafe { File::from_raw_fd(master.into_raw_fd()) };
        let shown = Arc::new(Mutex::new(String::new()));
        let screen = Screen::new(keyboard.try_clone().expect("a descriptor"), Arc::clone(&shown));
        Self { keyboard: Some(keyboard), screen: Some(screen), shown, child }
    }

    fn until_it_shows(&self, text: &str) {
        until(text, || self.shown().contains(text).then_some(()));
    }

    fn shown(&self) -> String {
        self.shown.lock().expect("no panic").clone()
    }

    /// As if the window was closed: whoever leads the session is told, and nothing can be written any more.
    fn hang_up(&mut self) {
        self.screen.take();
        self.keyboard.take();
    }

    fn type_in(&mut self, keys: &[u8]) {
        self.keyboard.as_mut().expect("not hung up").write_all(keys).expect("a terminal");
    }

    fn code(&mut self) -> Option<i32> {
        ended(&mut self.child).code()
    }
}

fn run(options: &[&str], script: &str) -> Command {
    let mut command = reapwatch();
    command.arg("run").args(options).args(["--", "sh", "-c", script]);
    command
}

/// What erases a line, to write it anew.
const ANEW: &str = "\r\x1b[K";
/// Longer than it takes until a status line comes.
const A_WHILE: &str = "sleep 1.5";

#[test]
fn a_command_has_the_terminal_to_itself() {
    let mut terminal = Terminal::start(run(&[], &format!("printf one; {A_WHILE}; printf two")));
    terminal.until_it_shows("Watched for");
    assert_eq!(terminal.code(), Some(0));
    let shown = terminal.shown();
    assert!(shown.starts_with("onetwo\r\n"), "the report does not begin in a line of its own: {shown:?}");
    assert!(!shown.contains(ANEW), "{shown:?}");
}

#[test]
fn whoever_wants_progress_gets_it() {
    let mut terminal = Terminal::start(run(&["--progress"], A_WHILE));
    terminal.until_it_shows("Watched for");
    assert_eq!(terminal.code(), Some(0));
    assert!(terminal.shown().contains(ANEW), "{:?}", terminal.shown());

    let mut command = reapwatch();
    command.args(["watch", "--duration", "1500ms"]);
    let mut terminal = Terminal::start(command);
    terminal.until_it_shows("Watched for");
    assert_eq!(terminal.code(), Some(0));
    assert!(terminal.shown().contains(ANEW), "{:?}", terminal.shown());
}

#[test]
fn the_terminals_own_interrupt_reaches_the_command_once() {
    // A shell waits for what it runs before it runs its trap.
    let script = "trap 'echo heard' INT; echo ready; sleep 60; echo over";
    let mut terminal = Terminal::start(run(&[], script));
    terminal.until_it_shows("ready");
    terminal.type_in(b"\x03");
    terminal.until_it_shows("Watched for");
    assert_eq!(terminal.code(), Some(128 + libc::SIGINT));
    let shown = terminal.shown();
    assert_eq!(shown.matches("heard").count(), 1, "{shown:?}");
}

#[test]
fn a_terminal_that_hangs_up_leaves_the_report() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("r.json");
    let output = path.to_str().expect("text");
    let mut terminal = Terminal::start(run(
        &["--progress", "--format", "json", "--output", output],
        "echo ready; exec sleep 60",
    ));
    terminal.until_it_shows("ready");
    terminal.hang_up();
    assert_eq!(terminal.code(), Some(128 + libc::SIGHUP));
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).expect("a report")).expect("JSON");
    assert_eq!(report["left_running"].as_array().map(Vec::len), Some(0), "{report:#}");
}

#[test]
fn suspended_and_brought_back_both_go_on() {
    let mut shell = Command::new("bash");
    shell.args(["--norc", "--noprofile", "-i"]);
    let mut terminal = Terminal::start(shell);
    let program = reapwatch().get_program().to_str().expect("text").to_owned();
    let line = format!(
        "{program} run -- sh -c 'echo rea''dy; while ! test -e \"$GO\"; do sleep 0.05; done; echo fin''ished'\n"
    );
    let directory = tempfile::tempdir().expect("a directory");
    let go = directory.path().join("go");
    terminal.type_in(format!("GO={}; export GO\n", go.display()).as_bytes());
    terminal.type_in(line.as_bytes());
    terminal.until_it_shows("ready");
    terminal.type_in(b"\x1a");
    terminal.until_it_shows("Stopped");
    std::fs::write(&go, "").expect("written");
    terminal.type_in(b"echo sh''ell\n");
    terminal.until_it_shows("shell");
    assert!(!terminal.shown().contains("finished"), "the command was not stopped");
    terminal.type_in(b"fg\n");
    terminal.until_it_shows("Watched for");
    assert!(terminal.shown().contains("finished"));
    terminal.type_in(b"echo code $?; exit 5\n");
    terminal.until_it_shows("code 0");
    assert_eq!(terminal.code(), Some(5));
}

#[test]
fn reap_asks_and_takes_only_yes_for_yes() {
    let mut parent = Command::new(workload())
        .args(["blocked-read", "--count", "3"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the workload");
    let mut line = String::new();
    let mut lines = BufReader::new(parent.stdout.take().expect("piped"));
    lines.read_line(&mut line).expect("a line");
    for (answer, code, then) in
        [(b"n\n", 1, "nothing was done"), (b"\r\n", 1, "nothing was done"), (b"y\n", 0, "0 zombies after")]
    {
        let mut command = reapwatch();
        command.args(["reap", "--grace", "100ms", &parent.id().to_string()]);
        let mut terminal = Terminal::start(command);
        terminal.until_it_shows("Go ahead? [y/N]");
        terminal.type_in(answer);
        terminal.until_it_shows(then);
        assert_eq!(terminal.code(), Some(code), "{}", terminal.shown());
    }
    drop(parent.stdin.take());
    assert!(parent.wait().expect("our own child").success());
}

#[test]
fn what_is_no_text_does_not_go_to_a_terminal() {
    let recording = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/recording/every_event_tree");
    for arguments in [&["profile", "--from", recording, "--output", "-"][..], &["record", "--output", "-"]] {
        let mut command = reapwatch();
        command.args(arguments);
        let mut terminal = Terminal::start(command);
        terminal.until_it_shows("standard output is a terminal");
        assert_eq!(terminal.code(), Some(1), "{}", terminal.shown());
    }
}
