//! Each ghost of the census, made by what makes it in real life, and beside it what it is mistaken for.

use std::{collections::BTreeSet, fs, process::Command};

use super::{
    case::needed,
    cgroup::Cgroup,
    support::{require_root, until},
    world::{Started, World, finding, says},
};

/// A program that waits.
const WAITS: &str = "import time\ntime.sleep(600)\n";
/// One that keeps its state in a file.
const BOT: &str = "import time\nstate = open('state.db', 'a')\ntime.sleep(600)\n";

fn of(kind: &str, pids: impl IntoIterator<Item = u64>) -> BTreeSet<(String, u64)> {
    pids.into_iter().map(|pid| (kind.to_owned(), pid)).collect()
}

/// A terminal in which somebody works; it is closed when dropped.
fn terminal(world: &World, command: &str) -> Started {
    let mut script = world.command("script");
    // It ends when its input does.
    script.stdin(std::process::Stdio::piped()).args(["-qec", command, "/dev/null"]);
    Started(script.spawn().expect("script"))
}

#[test]
fn nineteen_tests_that_agents_left_are_found_and_a_daemon_and_a_test_under_way_are_not() {
    let world = World::new();
    world.write("pytest", WAITS);
    // The agents end; what they started runs on. One of them began sessions for its tools, as is good practice.
    world.run_session("for n in {1..10}; do (exec -a pytest sleep 600.1) & done");
    world.run_session("for n in {1..6}; do /usr/bin/python3 pytest -x & done; wait -n & sleep 0.1");
    world.run_session("set -m; for n in 1 2; do /usr/bin/python3 pytest -x & done");
    world.run_session("setsid /usr/bin/python3 pytest -x &");
    // A daemon as of old forks twice, and leaves its session on purpose.
    world.write(
        "daemon.py",
        "import os, time\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\nos.chdir('/')\n\
         time.sleep(600)\n",
    );
    world.run_session("/usr/bin/python3 daemon.py");
    // A test whose agent lives, and a job in a terminal that is open.
    let mut running =
        world.command("bash").args(["-c", "/usr/bin/python3 pytest --live; true"]).spawn().expect("bash");
    let terminal = terminal(&world, "bash -c '(sleep 600.2 &); sleep 600.3'");
    let lost: BTreeSet<u64> = world
        .pids("pytest 600.1", 10)
        .into_iter()
        .chain(world.pids("/usr/bin/python3 pytest -x", 9))
        .collect();
    world.pid("/usr/bin/python3 pytest --live");
    world.pid("/usr/bin/python3 daemon.py");
    world.pid("sleep 600.2");
    let (found, report) = world.audit(&[]);
    assert_eq!(found, of("orphan", lost.clone()), "{report:#}");
    for pid in lost {
        let orphan = finding(&report, "orphan", pid);
        assert_eq!(
            (&orphan["confidence"], &orphan["inferred"]),
            (&"likely".into(), &true.into()),
            "{orphan:#}"
        );
        assert!(says(orphan, "pytest ends by itself"), "{orphan:#}");
        assert_eq!(orphan["commands"][0]["command"], format!("kill {pid}"));
    }
    drop(terminal);
    running.kill().and_then(|()| running.wait().map(drop)).expect("our own child");
}

#[test]
fn a_service_of_a_terminal_that_was_closed_is_an_orphan() {
    let world = World::new();
    world.write("main.py", WAITS);
    let mut terminal =
        terminal(&world, "bash -ic 'set -m; nohup /usr/bin/python3 main.py & sleep 0.3; disown -a'");
    let pid = world.pid("/usr/bin/python3 main.py");
    assert!(terminal.0.wait().is_ok());
    until("its session is over", || (!world_has_leader(pid)).then_some(()));
    let (found, report) = world.audit(&[]);
    assert_eq!(found, of("orphan", [pid]), "{report:#}");
    assert!(says(finding(&report, "orphan", pid), "a job of an interactive shell"), "{report:#}");
}

/// Whether the leader of its session is there.
fn world_has_leader(pid: u64) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let session =
        stat.rsplit_once(')').expect("a name").1.split_whitespace().nth(3).expect("a session").to_owned();
    fs::exists(format!("/proc/{session}")).expect("/proc")
}

#[test]
fn a_bot_from_a_terminal_beside_the_managed_one_is_found_and_its_worker_and_another_bot_are_not() {
    require_root();
    let world = World::new();
    world.write("main.py", BOT);
    world.write("forks.py", "import os, time\nos.fork()\ntime.sleep(600)\n");
    let unit = format!("rw-audit-{}.service", std::process::id());
    let cgroup = Cgroup::new(&format!("system.slice/{unit}"));
    let mut managed: Vec<_> = [&["main.py", "--live"][..], &["forks.py"], &["main.py", "--paper"]]
        .into_iter()
        .map(|arguments| {
            let mut command = world.marked(cgroup.command("/usr/bin/python3"));
            command.args(arguments).spawn().expect("a bot")
        })
        .collect();
    world.pid("/usr/bin/python3 main.py --live");
    world.pids("/usr/bin/python3 forks.py", 2);
    let terminal = terminal(&world, "bash -c '/usr/bin/python3 main.py --live; true'");
    let both = world.pids("/usr/bin/python3 main.py --live", 2);
    let by_hand = both.into_iter().find(|pid| *pid != u64::from(managed[0].id())).expect("the other");
    until("it has its state open", || {
        let open = fs::read_dir(format!("/proc/{by_hand}/fd")).ok()?.flatten();
        let mut links = open.filter_map(|entry| fs::read_link(entry.path()).ok());
        links.any(|link| link.ends_with("state.db")).then_some(())
    });
    let (found, report) = world.audit(&[]);
    assert_eq!(found, of("duplicate", [by_hand]), "{report:#}");
    let duplicate = finding(&report, "duplicate", by_hand);
    assert_eq!(duplicate["confidence"], "certain", "{duplicate:#}");
    assert!(says(duplicate, "state.db open for writing") && says(duplicate, &unit), "{duplicate:#}");
    assert!(says(duplicate, "from a terminal"), "{duplicate:#}");
    assert_eq!(duplicate["related"][0]["process"]["pid"], managed[0].id(), "{duplicate:#}");
    assert_eq!(duplicate["commands"][0]["command"], format!("kill {by_hand}"), "never the managed one");
    drop(terminal);
    drop(world);
    for child in &mut managed {
        child.wait().expect("our own child");
    }
}

#[test]
fn code_that_was_replaced_under_a_process_is_found_and_code_that_was_not_is_not() {
    let world = World::new();
    let copy = |from: &str, to: &str| fs::copy(from, world.path().join(to)).expect("a copy");
    copy("/bin/sleep", "replaced");
    copy("/bin/sleep", "kept");
    let library = ["/lib/x86_64-linux-gnu/libm.so.6", "/lib/aarch64-linux-gnu/libm.so.6", "/lib64/libm.so.6"];
    let library =
        library.into_iter().find(|path| fs::exists(path).is_ok_and(|there| there)).expect("a library");
    copy(library, "libm.so.6");
    for name in ["changed.py", "same.py"] {
        world.write(name, WAITS);
    }
    let git = |arguments: &[&str], date: &str| {
        let mut git = world.command("git");
        git.current_dir(world.path().join("checkout")).args(["-c", "user.name=a", "-c", "user.email=a@b.c"]);
        let status = git
            .args(arguments)
            .env("GIT_COMMITTER_DATE", date)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .status();
        assert!(status.expect("git").success(), "{arguments:?}");
    };
    world.write("checkout/app.py", WAITS);
    let (before, after) = ("2001-01-01T00:00:00Z", "2038-01-01T00:00:00Z");
    git(&["init", "-q"], before);
    git(&["add", "."], before);
    git(&["commit", "-qm", "1"], before);
    git(&["commit", "--allow-empty", "-qm", "2"], before);
    world.write("checkout/untracked.py", WAITS);
    let start = |program: &str, arguments: &[&str]| {
        world.command(program).args(arguments).spawn().expect("a program")
    };
    let at = |name: &str| world.path().join(name).display().to_string();
    let mut children = vec![
        start(&at("replaced"), &["600.1"]),
        start(&at("kept"), &["600.2"]),
        world.command("sleep").arg("600.3").env("LD_PRELOAD", at("libm.so.6")).spawn().expect("sleep"),
        start("/usr/bin/python3", &["changed.py"]),
        start("/usr/bin/python3", &["same.py"]),
        start("/usr/bin/python3", &["checkout/app.py"]),
        start("/usr/bin/python3", &["checkout/untracked.py"]),
        start("bash", &["-c", "cd checkout; sleep 600.4; true"]),
    ];
    let pid = |part: &str| world.pid(part);
    let stale = [
        pid("replaced"),
        pid("sleep 600.3"),
        pid("/usr/bin/python3 changed.py"),
        pid("/usr/bin/python3 checkout/app.py"),
    ];
    for part in ["kept", "/usr/bin/python3 same.py", "/usr/bin/python3 checkout/untracked.py"] {
        pid(part);
    }
    until("its library is mapped", || {
        fs::read_to_string(format!("/proc/{}/maps", stale[1])).ok()?.contains(&at("libm.so.6")).then_some(())
    });
    let (found, report) = world.audit(&[]);
    assert_eq!(found, BTreeSet::new(), "before anything is changed: {report:#}");

    for (new, old) in [("kept", "replaced"), (library, "libm.so.6")] {
        let new = if new.starts_with('/') { new.to_owned() } else { at(new) };
        fs::copy(new, at("new")).expect("a copy");
        fs::rename(at("new"), at(old)).expect("replaced");
    }
    assert!(world.command("touch").args(["-d", "1 hour", "changed.py"]).status().expect("touch").success());
    // A commit made here changes no file; going back to an older one does.
    git(&["commit", "--allow-empty", "-qm", "3"], after);
    let (found, _) = world.audit(&[]);
    assert_eq!(found, of("stale", [stale[0], stale[1], stale[2]]), "a commit");
    git(&["reset", "-q", "--hard", "HEAD~2"], after);
    let (found, report) = world.audit(&[]);
    assert_eq!(found, of("stale", stale), "{report:#}");
    for (pid, part, confidence) in [
        (stale[0], "its program was replaced", "certain"),
        (stale[1], "libm.so.6", "certain"),
        (stale[2], "changed.py was changed at ", "likely"),
        (stale[3], "the git checkout", "likely"),
    ] {
        let one = finding(&report, "stale", pid);
        assert!(says(one, part) && one["confidence"] == confidence, "{part}: {one:#}");
        assert_eq!(one["commands"][0]["command"], format!("kill {pid}"));
    }
    for child in &mut children {
        child.kill().and_then(|()| child.wait().map(drop)).expect("our own child");
    }
}

#[test]
fn zombies_are_their_parents_and_children_that_are_reaped_late_are_none() {
    let world = World::new();
    // The shell leaves them to what it becomes, which waits for nobody.
    let mut leaker = world
        .command("bash")
        .args(["-c", "sleep 0.1 & sleep 0.1 & sleep 0.1 & exec -a leaker sleep 600"])
        .spawn()
        .expect("bash");
    let late = "while True:\n    p = subprocess.Popen(['true'])\n    time.sleep(0.4)\n    p.wait()\n";
    world.write("late.py", &format!("import subprocess, time\n{late}"));
    let mut late = world.command("/usr/bin/python3").arg("late.py").spawn().expect("python3");
    let parent = world.pid("leaker");
    until("its children are dead", || (super::case::zombies(parent) == 3).then_some(()));
    let (found, report) = world.audit(&[]);
    assert_eq!(found, of("zombie", [parent]), "{report:#}");
    let zombies = finding(&report, "zombie", parent);
    assert_eq!((&zombies["count"], &zombies["confidence"]), (&3.into(), &"certain".into()), "{zombies:#}");
    assert_eq!(zombies["commands"][0]["command"], format!("sudo reapwatch explain {parent}"));
    assert!(report["looked_for_ns"].as_u64().is_some_and(|ns| ns >= 5_000_000_000), "{report:#}");
    for child in [&mut leaker, &mut late] {
        child.kill().and_then(|()| child.wait().map(drop)).expect("our own child");
    }
}

#[test]
fn a_parent_in_a_vfork_sleeps_uninterruptibly_and_is_none() {
    let world = World::new();
    let source = world.write(
        "vforks.c",
        "#include <unistd.h>\nint main(void) { if (vfork() == 0) { sleep(600); _exit(0); } return 0; }\n",
    );
    let binary = world.path().join("vforks");
    let gcc = Command::new(needed("gcc")).arg("-w").arg("-o").arg(&binary).arg(&source).status();
    assert!(gcc.expect("gcc").success());
    let mut parent = world.command(binary.to_str().expect("UTF-8")).spawn().expect("it runs");
    until("it sleeps", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", parent.id())).ok()?;
        stat.contains(") D ").then_some(())
    });
    let (found, report) = world.audit(&[]);
    assert_eq!(found, BTreeSet::new(), "{report:#}");
    drop(world);
    parent.wait().expect("our own child");
}
