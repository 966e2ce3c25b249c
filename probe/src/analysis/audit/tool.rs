//! Programs that end by themselves, such as tests and builds, and programs that run on by themselves on purpose.
//!
//! Owns the names. Must not know what is made of them.

use super::scene::executable;
use crate::model::{Code, Invocation, Resident, base_name};

/// A program that does its work and ends, or that shows somebody something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    pub kind: ToolKind,
    pub name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolKind {
    /// A test runner, or a test that it runs.
    Test,
    /// A build.
    Build,
    /// It shows or does something again and again, until somebody has seen enough.
    Watcher,
}

const TESTS: [&str; 24] = [
    "pytest",
    "py.test",
    "unittest",
    "tox",
    "nox",
    "nosetests",
    "nose2",
    "jest",
    "vitest",
    "mocha",
    "ava",
    "karma",
    "cypress",
    "playwright",
    "rspec",
    "minitest",
    "phpunit",
    "ctest",
    "bats",
    "prove",
    "ginkgo",
    "behave",
    "busted",
    "cargo-nextest",
];
const BUILDS: [&str; 14] = [
    "make", "gmake", "ninja", "cmake", "meson", "tsc", "webpack", "rollup", "mvn", "scons", "npm", "npx",
    "yarn", "pnpm",
];
const WATCHERS: [&str; 7] = ["watch", "inotifywait", "nodemon", "tcpdump", "strace", "ltrace", "entr"];
/// They leave what started them on purpose, without a session of their own in every case.
const ON_PURPOSE: [&str; 27] = [
    "containerd-shim",
    "conmon",
    "containerd",
    "dockerd",
    "rootlesskit",
    "slirp4netns",
    "pasta",
    "buildkitd",
    "tmux",
    "screen",
    "SCREEN",
    "ssh-agent",
    "gpg-agent",
    "dbus-daemon",
    "dbus-launch",
    "adb",
    "mosh-server",
    "watchman",
    "chrome_crashpad",
    "crashpad_handler",
    "sccache",
    "bazel",
    "gvfsd",
    "pulseaudio",
    "pipewire",
    "ibus-daemon",
    "server-main.js",
];
/// Words of command lines of such programs that share an interpreter or a virtual machine with others.
const ON_PURPOSE_WORDS: [&str; 5] = [
    "org.gradle.launcher.daemon.bootstrap.GradleDaemon",
    "org.jetbrains.kotlin.daemon.KotlinCompileDaemon",
    "fsmonitor--daemon",
    "--daemon",
    "fork-server",
];

/// What it is, by what it was told to run.
pub fn tool(one: &Resident) -> Option<Tool> {
    let (program, words) = words(one);
    let invocation = Invocation::parse(program, &words);
    let name = match invocation.code {
        Code::Native => base_name(words.first()?),
        Code::Script(script) => without_extension(base_name(script)),
        Code::Module(module) => module,
        Code::Unnamed => return None,
    };
    let name = std::str::from_utf8(name).ok()?;
    let first_is = |wanted: &[&str]| {
        invocation
            .arguments
            .iter()
            .any(|word| std::str::from_utf8(word).is_ok_and(|word| wanted.contains(&word)))
    };
    let made = |kind| Some(Tool { kind, name: name.to_owned() });
    let with = |kind, what: &str| Some(Tool { kind, name: format!("{name} {what}") });
    match name {
        "go" | "cargo" | "dotnet" | "rake" | "gradle" if first_is(&["test", "nextest"]) => {
            with(ToolKind::Test, "test")
        }
        "go" | "cargo" if first_is(&["build", "check", "install", "clippy", "bench"]) => {
            with(ToolKind::Build, "build")
        }
        "tail" if follows_nothing(invocation.arguments) => None,
        "tail" if invocation.arguments.iter().any(|word| follows(word)) => with(ToolKind::Watcher, "-f"),
        _ if TESTS.contains(&name) => made(ToolKind::Test),
        _ if BUILDS.contains(&name) => made(ToolKind::Build),
        _ if WATCHERS.contains(&name) => made(ToolKind::Watcher),
        _ if name.ends_with(".test")
            && invocation.arguments.iter().any(|word| word.starts_with(b"-test.")) =>
        {
            made(ToolKind::Test)
        }
        _ if is_test_of_cargo(executable(one).unwrap_or_default()) => made(ToolKind::Test),
        _ => None,
    }
}

/// Whether it is known to leave what started it on purpose.
pub fn runs_on_purpose(one: &Resident) -> bool {
    let (program, words) = words(one);
    let begins = |name: &[u8]| ON_PURPOSE.iter().any(|known| name.starts_with(known.as_bytes()));
    let code = Invocation::parse(program, &words).code;
    let keeps_alive =
        words.first().is_some_and(|first| base_name(first) == b"tail") && follows_nothing(&words);
    keeps_alive
        || begins(one.comm.bytes())
        || words.first().is_some_and(|first| begins(base_name(first)))
        || matches!(code, Code::Script(script) if begins(base_name(script)))
        || words.iter().any(|word| ON_PURPOSE_WORDS.iter().any(|known| word == known.as_bytes()))
}

/// The path of its program, and its arguments. npm and others put a title in the place of arguments, which is one long word
/// and does not name the interpreter.
fn words(one: &Resident) -> (&[u8], Vec<Vec<u8>>) {
    match one.command_line.as_slice() {
        [title] if title.contains(&b' ') => {
            let words = title.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
            (&[], words.map(<[u8]>::to_vec).collect())
        }
        words => (executable(one).unwrap_or_default(), words.to_vec()),
    }
}

fn without_extension(name: &[u8]) -> &[u8] {
    let known = [&b".js"[..], b".mjs", b".cjs", b".py", b".rb", b".pl", b".sh"];
    known.iter().find_map(|extension| name.strip_suffix(*extension)).unwrap_or(name)
}

/// `tail -f /dev/null` keeps something alive, and never ends.
fn follows_nothing<T: AsRef<[u8]>>(arguments: &[T]) -> bool {
    arguments.iter().any(|word| follows(word.as_ref()))
        && arguments.last().is_some_and(|last| last.as_ref() == b"/dev/null")
}

/// An option of tail: `-f`, `-F`, `--follow`, `-100f`.
fn follows(word: &[u8]) -> bool {
    word.starts_with(b"--follow")
        || (word.starts_with(b"-")
            && !word.starts_with(b"--")
            && word.last().is_some_and(|last| b"fF".contains(last)))
}

/// cargo gives the tests that it builds names such as `target/debug/deps/live-0123456789abcdef`.
fn is_test_of_cargo(path: &[u8]) -> bool {
    let has = |part: &[u8]| path.windows(part.len()).any(|found| found == part);
    let hash = path.rsplit(|byte| *byte == b'-').next().unwrap_or_default();
    has(b"/target/") && has(b"/deps/") && hash.len() == 16 && hash.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::audit::tests::resident;

    #[test]
    fn tools_are_known_by_what_they_run_and_services_are_none() {
        for (executable, line, expected) in [
            ("/usr/bin/python3.11", "/usr/bin/python3 /usr/bin/pytest -x tests", Some("pytest")),
            ("/usr/bin/python3.11", "python -m pytest", Some("pytest")),
            ("/usr/bin/sleep", "pytest 600", Some("pytest")),
            ("/usr/bin/node", "node /p/node_modules/jest/bin/jest.js --watch", Some("jest")),
            ("/usr/bin/node", "npm run dev", Some("npm")),
            ("/usr/bin/go", "go test ./...", Some("go test")),
            ("/tmp/go-build1/b001/x.test", "/tmp/go-build1/b001/x.test -test.timeout=10m0s", Some("x.test")),
            ("/root/.cargo/bin/cargo", "cargo test --lib", Some("cargo test")),
            (
                "/p/target/debug/deps/live-0123456789abcdef",
                "/p/target/debug/deps/live-0123456789abcdef",
                Some("live-0123456789abcdef"),
            ),
            ("/usr/bin/make", "make -j8", Some("make")),
            ("/usr/bin/tail", "tail -n 5 -f /var/log/syslog", Some("tail -f")),
            ("/usr/bin/tail", "tail -f /dev/null", None),
            ("/usr/bin/tail", "tail /etc/f", None),
            ("/usr/bin/python3.11", "python3 /srv/pytest/main.py", None),
            ("/usr/bin/python3.11", "python3 -c pytest", None),
            ("/usr/sbin/nginx", "nginx: master process /usr/sbin/nginx", None),
            ("/usr/bin/go", "go version", None),
            ("/usr/bin/cargo", "cargo run", None),
        ] {
            let mut one = resident(7, 1);
            one.details.as_mut().expect("readable").program.as_mut().expect("a program").path =
                executable.into();
            one.command_line = if line.starts_with("npm") || line.starts_with("nginx:") {
                vec![line.into()]
            } else {
                line.split(' ').map(Into::into).collect()
            };
            assert_eq!(tool(&one).map(|tool| tool.name).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn daemons_that_leave_their_session_are_known() {
        let with = |line: &str| {
            let mut one = resident(7, 1);
            one.command_line = line.split(' ').map(Into::into).collect();
            runs_on_purpose(&one)
        };
        assert!(with("/usr/bin/containerd-shim-runc-v2 -namespace moby"));
        assert!(with("java -cp x org.gradle.launcher.daemon.bootstrap.GradleDaemon 8.5"));
        assert!(with("emacs --daemon"));
        assert!(with("tail -f /dev/null") && !with("tail -f /var/log/syslog"));
        assert!(!with("/srv/bot main"));
    }
}
