//! A profile, opened by the program that people open profiles with.
//!
//! Must not know how a profile is made.

use std::process::Command;

use crate::support::{HOLD_MS, reapwatch, require_root, workload};

#[test]
fn go_tool_pprof_opens_the_profile() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let profile = directory.path().join("profile.pb.gz");
    let output = reapwatch()
        .args(["profile", "--output"])
        .arg(&profile)
        .arg("--")
        .arg(workload())
        .args(["fork-places", "--hold-ms", HOLD_MS])
        .output()
        .expect("reapwatch runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let raw = Command::new("go")
        .args(["tool", "pprof", "-raw"])
        .arg(&profile)
        .env("HOME", directory.path())
        .output()
        .expect("go: `cargo xtask setup` installs it");
    let raw = String::from_utf8_lossy(&raw.stdout).into_owned();
    let types = "unreaped/count[dflt] zombie_time/nanoseconds reap_latency/nanoseconds forks/count";
    assert!(raw.contains(types), "{raw}");
    for part in ["careless_place", "vforking_place", "parent:[workload ("] {
        assert!(raw.contains(part), "{part}: {raw}");
    }
}
