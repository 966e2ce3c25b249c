//! Profiles that are written as time goes by, opened by the program that people open profiles with.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    cgroup::Cgroup,
    running::{Agent, Killed},
    support::{check_refused, reapwatch, require_root, until, workload},
};

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(directory).expect("a directory").flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "gz"));
    files.sort();
    files
}

#[test]
fn a_profile_of_suspects_is_written_each_time_and_the_newest_are_kept() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let cgroup = Cgroup::new("system.slice/reapwatch-test-profile.service");
    let shown = directory.path().display();
    let _agent = Agent::start(&format!(
        "profiles.directory = \"{shown}\"\nprofiles.every = \"1s\"\nprofiles.keep = 3"
    ));
    let leaker = cgroup
        .command(workload())
        .args(["fork-leak-for-ever", "--every-ms", "100"])
        .stdout(Stdio::null())
        .spawn()
        .expect("the workload");
    let leaker = Killed(leaker);
    let raw = until("the leaker is in it", || {
        let newest = files(directory.path()).pop()?;
        let raw = Command::new("go")
            .args(["tool", "pprof", "-raw"])
            .arg(&newest)
            .env("HOME", directory.path())
            .output()
            .expect("go: `cargo xtask setup` installs it");
        let raw = String::from_utf8_lossy(&raw.stdout).into_owned();
        raw.contains("careless_place").then_some(raw)
    });
    assert!(raw.contains(&format!("parent:[workload ({})]", leaker.0.id())), "{raw}");
    let first = files(directory.path());
    until("others have come", || {
        let now = files(directory.path());
        assert!(now.len() <= 3, "{now:?}");
        (now.len() == 3 && !now.iter().any(|file| first.contains(file))).then_some(())
    });
}

#[test]
fn a_directory_that_is_none_is_told_before_anything_is_attached() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("agent.toml");
    std::fs::write(&config, "prometheus.listen = \"none\"\nprofiles.directory = \"/nonexistent\"\n")
        .expect("a configuration");
    let output = reapwatch().args(["agent", "--config"]).arg(&config).output().expect("reapwatch");
    check_refused(&output, 1, "cannot write profiles to the directory /nonexistent: No such file");
}
