//! What a recording or an agent tells of orphans, beside what /proc alone tells.

use std::process::{Child, Stdio};

use super::{
    support::{reapwatch, require_root, until},
    world::{World, finding, says},
};

/// A recording of the host that is being made.
struct Recording(Child);

impl Recording {
    fn begin(world: &World) -> Self {
        let mut command = reapwatch();
        command.current_dir(world.path()).args(["record", "--output", "host.rec"]).stderr(Stdio::null());
        let child = command.spawn().expect("reapwatch");
        // What it has told so far is written now and then.
        let replays = || {
            let mut replay = reapwatch();
            replay.arg("replay").arg(world.path().join("host.rec"));
            let ended = replay.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("reapwatch");
            ended.success().then_some(())
        };
        until("it records", replays);
        Self(child)
    }

    fn end(mut self) {
        // SAFETY: a plain number; our own child, which is not reaped yet.
        assert_eq!(unsafe { libc::kill(self.0.id() as i32, libc::SIGINT) }, 0);
        assert!(self.0.wait().expect("our own child").success());
    }
}

#[test]
fn who_left_an_orphan_and_how_that_ended_is_certain_while_it_is_recorded_and_after() {
    require_root();
    let world = World::new();
    world.write("pytest", "import time\ntime.sleep(600)\n");
    world.write(
        "daemon.py",
        "import os, time\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\nos.chdir('/')\n\
         time.sleep(600)\n",
    );
    let before = "/usr/bin/python3 pytest --before &";
    world.run_session(before);
    let recording = Recording::begin(&world);
    world.run_session("/usr/bin/python3 pytest --left & sleep 0.3; exit 3 & wait -n; exit 0");
    world.run_session("/usr/bin/python3 daemon.py");
    let (unwatched, left) =
        (world.pid("/usr/bin/python3 pytest --before"), world.pid("/usr/bin/python3 pytest --left"));
    world.pid("/usr/bin/python3 daemon.py");
    let history = world.path().join("host.rec").display().to_string();
    let (_, report) = until("the recording tells of it", || {
        let (found, report) = world.audit(&["--history", &history]);
        assert_eq!(found.len(), 2, "{report:#}");
        (finding(&report, "orphan", left)["inferred"] == false).then_some((found, report))
    });
    let is_told = |report: &serde_json::Value| {
        let orphan = finding(report, "orphan", left);
        assert_eq!(
            (&orphan["confidence"], &orphan["inferred"]),
            (&"certain".into(), &false.into()),
            "{orphan:#}"
        );
        assert!(
            says(orphan, "its first parent was bash (pid ") && says(orphan, "(exit code 0)"),
            "{orphan:#}"
        );
        assert!(says(orphan, "pytest ends by itself"), "{orphan:#}");
        let inferred = finding(report, "orphan", unwatched);
        assert_eq!(
            (&inferred["confidence"], &inferred["inferred"]),
            (&"likely".into(), &true.into()),
            "{inferred:#}"
        );
    };
    is_told(&report);
    recording.end();
    is_told(&world.audit(&["--history", &history]).1);
    assert_eq!(finding(&world.audit(&[]).1, "orphan", left)["inferred"], true, "/proc alone does not tell");
}

/// An agent that keeps the orphans in a file. Killed when dropped.
struct Agent(Child);

impl Agent {
    fn start(world: &World) -> Self {
        let config = "interval = \"1s\"\nprometheus.listen = \"none\"\nalerts.output = \"none\"\n";
        let file = world.path().join("orphans.json");
        world.write("agent.toml", &format!("{config}orphans.file = \"{}\"\n", file.display()));
        let written = || std::fs::metadata(&file).and_then(|file| file.modified()).ok();
        let before = written();
        let mut command = reapwatch();
        command.arg("agent").arg("--config").arg(world.path().join("agent.toml"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("reapwatch");
        until("the agent writes", || (written() > before).then_some(()));
        Self(child)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_agent_keeps_who_left_an_orphan_also_over_its_own_end() {
    require_root();
    let world = World::new();
    world.write("pytest", "import time\ntime.sleep(600)\n");
    world.run_session("/usr/bin/python3 pytest --before &");
    let agent = Agent::start(&world);
    world.run_session("/usr/bin/python3 pytest --left & sleep 0.3; exit 0");
    let (unwatched, left) =
        (world.pid("/usr/bin/python3 pytest --before"), world.pid("/usr/bin/python3 pytest --left"));
    let history = world.path().join("orphans.json").display().to_string();
    let is_told = || {
        let report = world.audit(&["--history", &history]).1;
        assert_eq!(finding(&report, "orphan", unwatched)["inferred"], true, "{report:#}");
        let orphan = finding(&report, "orphan", left);
        let is_told = orphan["confidence"] == "certain" && says(orphan, "its first parent was bash (pid ");
        is_told.then_some(())
    };
    until("the agent has told", is_told);
    drop(agent);
    let _again = Agent::start(&world);
    assert_eq!(is_told(), Some(()), "the one after goes on with what it kept");
}

#[test]
fn a_recording_of_another_host_is_refused_and_so_is_what_is_none() {
    let of_a_guest = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/data/recordings/fentry.a_daemon_is_still_a_descendant.1.rec"
    );
    let refused = |history: &str| {
        let output: std::process::Output =
            reapwatch().args(["audit", "--history", history]).output().expect("reapwatch");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = refused(of_a_guest);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("was not written on this host since it was started"), "{said}");
    let (code, said) = refused("/etc/hostname");
    assert_eq!(code, Some(1), "{said}");
}
