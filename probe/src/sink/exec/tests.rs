//! Programs that read, fail, hang, or may not be run.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

use super::*;

fn exec(program: &str, arguments: &[&str], within: Duration) -> Exec {
    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    Exec { settings: Settings { program: program.into(), arguments, within }, killed: None }
}

/// What becomes of one alert. Without `check`, because who runs the tests need not be root.
fn run(exec: &mut Exec, input: &[u8]) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(exec.run(input))
}

#[test]
fn a_program_gets_its_input_and_one_that_does_not_read_is_no_failure() {
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("out");
    let script = format!("cat > {}; echo \"$NOTIFY_SOCKET|$1\" >> {0}", out.display());
    let within = Duration::from_secs(60);
    let mut cat = exec("/bin/sh", &["-c", &script, "sh", "a b\"c"], within);
    assert_eq!(run(&mut cat, b"{\"text\":\"x\"}\n"), Ok(()));
    assert_eq!(fs::read_to_string(&out).expect("written"), "{\"text\":\"x\"}\n|a b\"c\n");
    assert_eq!(run(&mut exec("/bin/true", &[], within), &vec![b'x'; 1 << 20]), Ok(()));
}

#[test]
fn a_program_that_fails_is_told_of_and_not_run_again() {
    let within = Duration::from_secs(60);
    let failed = |script: &str| run(&mut exec("/bin/sh", &["-c", script], within), b"");
    assert_eq!(failed("exit 3"), Err(Failed::ForGood("it ended with exit code 3".into())));
    assert_eq!(failed("kill -9 $$"), Err(Failed::ForGood("it was killed by signal 9".into())));
    let missing = run(&mut exec("/nonexistent/program", &[], within), b"");
    assert!(matches!(missing, Err(Failed::Now(why)) if why.contains("cannot run /nonexistent/program")));
}

#[test]
fn a_program_that_does_not_end_is_killed_with_what_it_started_and_reaped() {
    let directory = tempfile::tempdir().expect("a directory");
    let pids = directory.path().join("pids");
    let script = format!("sleep 600 & echo $$ $! > {}; wait", pids.display());
    let mut hanging = exec("/bin/sh", &["-c", &script], Duration::from_millis(500));
    let began = Instant::now();
    let failed = run(&mut hanging, b"");
    assert!(matches!(failed, Err(Failed::ForGood(why)) if why.contains("500ms and was killed")));
    assert!(began.elapsed() < KILLED_WITHIN && hanging.killed.is_none());
    let pids = fs::read_to_string(&pids).expect("written");
    let pids: Vec<&str> = pids.split_whitespace().collect();
    // It is reaped; what it started is nobody's of ours, and dead.
    assert!(!Path::new("/proc").join(pids[0]).exists());
    let deadline = Instant::now() + Duration::from_secs(60);
    let is_dead = || {
        let stat = fs::read_to_string(Path::new("/proc").join(pids[1]).join("stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    };
    while !is_dead() {
        assert!(Instant::now() < deadline, "it runs on");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn only_what_nobody_but_root_can_change_is_run() {
    assert_eq!(check(Path::new("/bin/true")), Ok(()));
    let refused = |path: &Path| check(path).expect_err("refused");
    assert!(refused(Path::new("bin/true")).contains("from / on"));
    assert!(refused(Path::new("/nonexistent")).contains("No such file"));
    assert!(refused(Path::new("/etc/passwd")).contains("chmod +x"));
    assert!(refused(Path::new("/usr/bin")).contains("no file that can be executed"));
    // Everybody may make files in /tmp.
    let directory = tempfile::tempdir_in("/tmp").expect("a directory");
    let program = directory.path().join("program");
    fs::write(&program, "#!/bin/sh\n").expect("a file");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("ours");
    assert!(refused(&program).contains("others than root can change"), "{}", refused(&program));
    let link = directory.path().join("link");
    std::os::unix::fs::symlink("/bin/true", &link).expect("a link");
    assert!(refused(&link).contains("others than root can change"), "{}", refused(&link));
}
