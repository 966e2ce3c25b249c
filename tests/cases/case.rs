//! A program of `tests/cases`: built, run under `run` and beside `watch`, and what it says of itself.
//!
//! Truth is the program's own TRUTH lines (`TRUTH pid=… exited=… reaped=… left=…`) and what /proc shows. Must not know
//! how reapwatch works: only its command line and JSON.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use super::support::{Ran, Watching, parent_in, run_with, until};

pub const GRACE: &str = "1s";
/// How long a leak is held, in ms: for the grace, for what it takes until the last of a case's children is dead, and for two
/// looks at the suspect.
pub const HOLD_MS: &str = "3000";
/// Until it is killed.
const FOR_LONG_MS: &str = "120000";

/// What a program needs that not every system has, and the Debian package of it.
const PACKAGES: [(&str, &str); 23] = [
    ("gcc", "gcc"),
    ("rustc", "rustc-web"),
    ("go", "golang-go"),
    ("musl-gcc", "musl-tools"),
    ("python3", "python3"),
    ("perl", "perl"),
    ("php", "php-cli"),
    ("node", "nodejs"),
    ("tini", "tini"),
    ("bwrap", "bubblewrap"),
    ("tmux", "tmux"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("make", "make"),
    ("git", "git"),
    ("setpriv", "util-linux"),
    ("pg_ctlcluster", "postgresql"),
    ("nginx", "nginx-light"),
    ("apache2", "apache2"),
    ("gunicorn", "gunicorn"),
    ("uwsgi", "uwsgi-core"),
    ("supervisord", "supervisor"),
    ("cron", "cron"),
];

/// Where a program is; fails where it is missing and says what to install.
pub fn needed(program: &str) -> PathBuf {
    let package = PACKAGES.iter().find(|one| one.0 == program).expect("a known program").1;
    // Debian's own ones first: a version manager's is a script that starts others.
    let places = std::env::var_os("PATH").unwrap_or_default();
    ["/usr/bin", "/usr/sbin"]
        .map(PathBuf::from)
        .into_iter()
        .chain(std::env::split_paths(&places))
        .map(|place| place.join(program))
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!(
                "THIS TEST CANNOT RUN: {program} is missing: apt-get install {package}, or cargo xtask setup"
            )
        })
}

/// A program, ready to be run.
pub struct Case {
    command: Vec<OsString>,
    _built: tempfile::TempDir,
}

impl Case {
    /// Builds it where it is to be built.
    pub fn new(program: &str) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases").join(program);
        assert!(source.exists(), "no such case: {}", source.display());
        let built = tempfile::tempdir().expect("a directory");
        let binary = built.path().join(source.file_stem().expect("a file"));
        let compile = |compiler: &str, arguments: &[&str]| {
            let output = Command::new(needed(compiler))
                .args(arguments)
                .arg("-o")
                .arg(&binary)
                .arg(&source)
                // Go keeps what it has compiled; not in the home of whoever runs this.
                .env("GOCACHE", built.path().join("go"))
                .env("GO111MODULE", "off")
                .output()
                .expect("a compiler");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            vec![binary.clone().into()]
        };
        let interpreted = |interpreter: &str| vec![needed(interpreter).into(), source.clone().into()];
        let command = match source.extension().and_then(|extension| extension.to_str()) {
            Some("c") => compile("gcc", &["-O1", "-w", "-pthread"]),
            Some("rs") => compile("rustc", &["-O"]),
            Some("go") => compile("go", &["build"]),
            Some("py") => interpreted("python3"),
            Some("js") => interpreted("node"),
            Some("pl") => interpreted("perl"),
            Some("php") => interpreted("php"),
            Some("sh") => vec!["/bin/bash".into(), source.clone().into()],
            other => panic!("{program}: what runs {other:?}?"),
        };
        Self { command, _built: built }
    }

    /// Where what was built is, and whatever the program may write.
    pub fn directory(&self) -> &Path {
        self._built.path()
    }

    pub fn command(&self) -> &[OsString] {
        &self.command
    }

    /// Under `run`, which ends with the program's code.
    pub fn run_to(&self, code: i32, arguments: &[&str]) -> Seen {
        let mut command = self.command.clone();
        command.extend(arguments.iter().map(OsString::from));
        let ran = run_with(GRACE, code, &command);
        let truths = truths(&String::from_utf8_lossy(&ran.output.stderr));
        assert!(!truths.is_empty(), "it told no truth: {:?}", ran.output);
        Seen { ran, truths }
    }

    pub fn run(&self, arguments: &[&str]) -> Seen {
        self.run_to(0, arguments)
    }

    /// On its own, until dropped, once it has told its truth.
    pub fn start(&self, arguments: &[&str]) -> Leaking {
        let (program, rest) = self.command.split_first().expect("a command");
        let mut child = Command::new(program)
            .args(rest)
            .args(arguments)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let lines = BufReader::new(child.stderr.take().expect("piped"));
        let mut leaking = Leaking { child, lines, truth: Truth::new() };
        leaking.next_truth();
        leaking
    }

    /// Two watches of one life of it, whose reports are made while it lives.
    pub fn watch(&self) -> Watched {
        let before = Watching::start_graced("10m", GRACE);
        let leaking = self.start(&[FOR_LONG_MS]);
        until("its children are dead", || (zombies(leaking.pid()) == leaking.truth["left"]).then_some(()));
        let proc = |name: &str| PathBuf::from(format!("/proc/{}/{name}", leaking.pid()));
        let executable = fs::read_link(proc("exe")).expect("it lives").to_string_lossy().into_owned();
        let command_line = fs::read_to_string(proc("cmdline")).expect("it lives");
        let command_line: Vec<String> = command_line.split_terminator('\0').map(str::to_owned).collect();
        // Longer than the grace, and so long that the one begun before has read the task list (every 5 s) and looked at the suspect.
        let after = Watching::start_graced("5500ms", GRACE).report();
        let before = before.end();
        let truth = leaking.truth.clone();
        drop(leaking);
        Watched { before, after, truth, executable, command_line }
    }
}

/// Numbers by name.
pub type Truth = BTreeMap<String, u64>;

/// Every line that begins with this word, and its numbers.
pub fn told(word: &str, text: &str) -> Vec<Truth> {
    text.lines()
        .filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '))
        .map(|rest| {
            rest.split_whitespace()
                .filter_map(|pair| pair.split_once('='))
                .filter_map(|(name, number)| Some((name.to_owned(), number.parse().ok()?)))
                .collect()
        })
        .collect()
}

fn truths(text: &str) -> Vec<Truth> {
    told("TRUTH", text)
}

/// How many dead children a process has: state Z and no other thread (a dead leader's others live).
pub fn zombies(pid: u64) -> u64 {
    let pid = pid.to_string();
    let dead = |entry: fs::DirEntry| {
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        (fields[0] == "Z" && fields[1] == pid && fields[17] == "1").then_some(())
    };
    fs::read_dir("/proc").expect("/proc").flatten().filter_map(dead).count() as u64
}

/// A program under way. Killed with all it started when dropped.
pub struct Leaking {
    pub child: Child,
    lines: BufReader<std::process::ChildStderr>,
    pub truth: Truth,
}

impl Leaking {
    /// Of whom it tells; itself or one it started.
    pub fn pid(&self) -> u64 {
        self.truth["pid"]
    }

    /// Waits for what it tells next.
    pub fn next_truth(&mut self) {
        let mut said = String::new();
        loop {
            let begins = said.len();
            assert!(self.lines.read_line(&mut said).expect("text") > 0, "it told no truth: {said}");
            if let Some(truth) = truths(&said[begins..]).pop() {
                self.truth = truth;
                return;
            }
        }
    }
}

impl Drop for Leaking {
    fn drop(&mut self) {
        // SAFETY: plain numbers; the group is the child's own, and it has not been waited for.
        unsafe { libc::kill(-(self.child.id() as i32), libc::SIGKILL) };
        let _ = self.child.wait();
    }
}

/// What must be said of a parent.
pub struct Expected<'a> {
    /// What the program must have come to by its own word; otherwise it showed nothing.
    pub came_to: &'a [(&'a str, u64)],
    pub verdict: &'a str,
    /// Exactly these kinds, in any order: any other one would be false.
    pub causes: &'a [&'a str],
    /// What a watch that began after the leak can still tell; what it cannot it has to call unknown.
    pub causes_afterwards: &'a [&'a str],
}

/// Appends what a report says of a parent, as a line of JSON, to the file that REAPWATCH_CASES names, where it names one: for
/// a person to read beside the truth.
fn keep(parent: &Value) {
    let Some(path) = std::env::var_os("REAPWATCH_CASES") else { return };
    let mut file = fs::File::options().create(true).append(true).open(path).expect("REAPWATCH_CASES: a file");
    // One write: several tests append at the same time.
    file.write_all(format!("{parent}\n").as_bytes()).expect("REAPWATCH_CASES: a file that can be written");
}

/// Checks one parent's entry: its counts against the program's own, its verdict, its causes.
fn check(report: &Value, truth: &Truth, expected: &Expected) {
    for (name, number) in expected.came_to {
        assert_eq!(truth.get(*name), Some(number), "the case was not exercised: {name} in {truth:?}");
    }
    let parent = parent_in(report, &truth["pid"].into());
    keep(parent);
    let number = |field: &str| parent[field].as_u64().expect("a number");
    for field in ["exited", "reaped", "autoreaped", "adopted"] {
        match (field, truth.get(field)) {
            (_, Some(told)) => assert_eq!(number(field), *told, "{field} of {parent:#}\n{truth:?}"),
            ("autoreaped" | "adopted", None) => assert_eq!(number(field), 0, "{field} of {parent:#}"),
            _ => {}
        }
    }
    assert_eq!(number("unreaped") + number("abandoned"), truth["left"], "left of {parent:#}\n{truth:?}");
    assert_eq!(parent["verdict"], expected.verdict, "{parent:#}\n{truth:?}");
    let causes = parent["causes"].as_array().expect("causes");
    let mut kinds: Vec<&str> = causes.iter().map(|cause| cause["kind"].as_str().expect("a kind")).collect();
    let mut right = expected.causes.to_vec();
    kinds.sort_unstable();
    right.sort_unstable();
    assert_eq!(kinds, right, "{parent:#}\n{truth:?}");
    for cause in causes {
        assert!(!cause["evidence"].as_array().expect("evidence").is_empty(), "{cause:#}");
        assert_ne!(cause["fix"], "", "{cause:#}");
    }
}

/// What `run` said, and what the program did.
pub struct Seen {
    pub ran: Ran,
    pub truths: Vec<Truth>,
}

impl Seen {
    /// The entry of whom the last truth is of.
    pub fn parent(&self) -> &Value {
        self.ran.parent(&self.truth()["pid"].into())
    }

    pub fn truth(&self) -> &Truth {
        self.truths.last().expect("a truth")
    }

    pub fn check(&self, expected: &Expected) {
        check(&self.ran.report, self.truth(), expected);
    }

    /// All lines of the recording.
    pub fn events(&self) -> Vec<Value> {
        let output = super::support::reapwatch()
            .args(["replay", "--as", "trace", "--format", "json"])
            .arg(self.ran.directory.path().join("f.rec"))
            .output()
            .expect("replay");
        let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).expect("JSON")).collect()
    }
}

/// What two watches said while the program lived: one begun before its leak, one after it.
pub struct Watched {
    pub before: Value,
    pub after: Value,
    pub truth: Truth,
    executable: String,
    command_line: Vec<String>,
}

impl Watched {
    /// The watch begun before says what `run` says; the one begun after knows the zombies, and of what was before them only
    /// what the kernel and /proc still say.
    pub fn check(&self, expected: &Expected) {
        check(&self.before, &self.truth, expected);
        let left = self.truth["left"];
        let of_old = [("pid", self.truth["pid"]), ("exited", left), ("reaped", 0), ("left", left)];
        let of_old = of_old.map(|(name, number)| (name.to_owned(), number)).into();
        let causes = expected.causes_afterwards;
        check(&self.after, &of_old, &Expected { came_to: &[], verdict: "leaking", causes, ..*expected });
        self.check_who();
    }

    /// Who it is: the one thing that whoever is paged needs.
    fn check_who(&self) {
        for report in [&self.before, &self.after] {
            let parent = parent_in(report, &self.truth["pid"].into());
            assert_eq!(parent["alive"], true, "{parent:#}");
            assert_eq!(parent["command_line"], Value::from(self.command_line.clone()), "{parent:#}");
            assert_eq!(parent["executable"], *self.executable, "{parent:#}");
        }
    }
}
