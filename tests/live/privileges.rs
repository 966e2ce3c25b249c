//! With how few privileges it works, and which of them it gives up once everything is attached.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use std::{
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
};

use caps::{CapSet, Capability};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::resource::{Resource, setrlimit},
    unistd::{Gid, Uid, setgid, setgroups, setuid},
};
use serde_json::{Value, json};

use super::support::{binary, check_invariants, parent_in, reapwatch, require_root, until, workload};

/// A command of an ordinary user with these capabilities and no others.
fn as_nobody(program: &Path, capabilities: &[Capability], tracefs: bool) -> Command {
    let wanted: caps::CapsHashSet = capabilities.iter().copied().collect();
    let mut command = Command::new(program);
    let become_nobody = move || {
        let other = |error: caps::errors::CapsError| std::io::Error::other(error.to_string());
        let unlimited = libc::RLIM_INFINITY;
        // As LimitMEMLOCK=infinity of the unit: before Linux 5.11 maps count as locked memory.
        let _ = setrlimit(Resource::RLIMIT_MEMLOCK, unlimited, unlimited);
        if tracefs {
            unshare(CloneFlags::CLONE_NEWNS)?;
            mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
            match mount(
                Some("tracefs"),
                "/sys/kernel/tracing",
                Some("tracefs"),
                MsFlags::empty(),
                None::<&str>,
            ) {
                // Mounted there already, as on most hosts.
                Ok(()) | Err(nix::errno::Errno::EBUSY) => {}
                Err(error) => return Err(error.into()),
            }
        }
        caps::securebits::set_keepcaps(true).map_err(other)?;
        setgroups(&[])?;
        setgid(Gid::from_raw(65_534))?;
        setuid(Uid::from_raw(65_534))?;
        for set in [CapSet::Permitted, CapSet::Inheritable, CapSet::Effective, CapSet::Ambient] {
            caps::set(None, set, &wanted).map_err(other)?;
        }
        Ok(())
    };
    // SAFETY: only system calls and small allocations between fork and exec.
    unsafe { command.pre_exec(become_nobody) };
    command
}

#[test]
fn an_ordinary_user_with_two_capabilities_sees_the_same() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).expect("chmod");
    let (program, work) = (directory.path().join("reapwatch"), directory.path().join("workload"));
    std::fs::copy(binary(), &program).expect("a copy others can run");
    std::fs::copy(workload(), &work).expect("a copy others can run");
    let hooks = std::env::var("REAPWATCH_HOOKS").unwrap_or_else(|_| "auto".into());
    let two = vec![Capability::CAP_BPF, Capability::CAP_PERFMON];
    let three = [two.clone(), vec![Capability::CAP_DAC_READ_SEARCH]].concat();
    for (capabilities, tracefs) in [(&two, false), (&three, true)] {
        let output = as_nobody(&program, capabilities, tracefs)
            .args(["--hooks", &hooks, "run", "--format", "json", "--"])
            .arg(&work)
            .args(["reap-wait4", "--count", "20"])
            .output()
            .expect("reapwatch");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stderr).expect("a report");
        check_invariants(&report);
        let truth: Value = serde_json::from_slice(&output.stdout).expect("truth");
        let parent = parent_in(&report, &truth["pid"]);
        // Each free that no program was run for, as on some hosts, is a reap of which nothing else tells.
        let missed = report["lost"]["probe_missed"].as_u64().expect("a count");
        assert_eq!((&parent["reaped"], &parent["exited"]), (&json!(20 - missed), &json!(20)), "{report:#}");
        assert!(missed == 0 && parent["verdict"] == "healthy" || report["complete"] == false, "{report:#}");
        // Without the exact hooks the waits need tracefs; without that only the frees are seen.
        let reap = report["hooks"]["reap"].as_str().expect("a hook");
        if reap.contains("release_task") {
            assert_eq!(report["hooks"]["precision"], "exact", "{report:#}");
        } else {
            assert_eq!(reap.contains("sys_exit_wait4"), tracefs, "{report:#}");
            assert!(tracefs || report["hooks"]["precision"] == "coarse", "{report:#}");
        }
    }
    let output =
        as_nobody(&program, &[], false).args(["watch", "--duration", "1s"]).output().expect("reapwatch");
    assert_eq!(output.status.code(), Some(3));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("CAP_BPF") && errors.contains("to do: "), "{errors}");
}

#[test]
fn once_loaded_only_what_reading_needs_is_held() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let recording = directory.path().join("f.rec");
    let mut watcher = reapwatch()
        .args(["watch", "--duration", "60s", "--record"])
        .arg(&recording)
        .stdout(Stdio::null())
        .spawn()
        .expect("reapwatch");
    let status = || std::fs::read_to_string(format!("/proc/{}/status", watcher.id())).unwrap_or_default();
    let field = |name: &str| {
        status().lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
    };
    // CAP_SYS_PTRACE (19) and CAP_BPF (39).
    let wanted = format!("{:016x}", 1u64 << 19 | 1u64 << 39);
    until("privileges are dropped", || (field("CapPrm").as_deref() == Some(&wanted)).then_some(()));
    assert_eq!(field("CapEff"), Some(wanted));
    assert_eq!(field("NoNewPrivs").as_deref(), Some("1"));
    let catches_interrupts = || {
        u64::from_str_radix(&field("SigCgt")?, 16).ok().filter(|caught| caught & 1 << (libc::SIGINT - 1) != 0)
    };
    until("it catches SIGINT", catches_interrupts);
    // SAFETY: our own child.
    unsafe { libc::kill(watcher.id() as i32, libc::SIGINT) };
    assert!(watcher.wait().expect("our own child").success());
}
