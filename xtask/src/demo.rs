//! `demo`: a newcomer's first command. Needs stable Rust alone, and root to load the programs.
//!
//! Must not judge what reapwatch says.

use std::process::Command;

use crate::shell::{Outcome, as_root, cargo, is_root, output, root, run, target_directory};

/// Builds, then shows a real leak.
pub fn demo() -> Outcome {
    run(&mut build(&["--bin", "reapwatch"]))?;
    let binary = target_directory().join("quick/reapwatch");
    let manager = root().join("tests/programs/worker_manager.py");
    let mut leak: Vec<String> =
        ["/usr/bin/env", "WORKERS=20", "WORKER_SECONDS=0.5", "HOLD_SECONDS=4", "python3"]
            .map(String::from)
            .to_vec();
    leak.push(manager.display().to_string());
    if output(Command::new("python3").arg("--version")).is_err() {
        // No Python: the test suite's own leaking program.
        run(&mut build(&["--example", "workload"]))?;
        leak = vec![target_directory().join("quick/examples/workload").display().to_string()];
        leak.extend(["leak-all", "--count", "20", "--hold-ms", "4000"].map(String::from));
    }
    if !is_root() {
        eprintln!("demo: loading eBPF programs needs root: using sudo");
    }
    eprintln!("demo: {} run --grace 1s -- {}", binary.display(), leak.join(" "));
    run(as_root(&binary).args(["run", "--grace", "1s", "--"]).args(leak))
}

/// With the profile of xtask, which has built some of it already: neither optimised nor with debug information, which take minutes
/// and a gigabyte.
fn build(what: &[&str]) -> Command {
    let mut build = cargo();
    build.args(["build", "--locked", "--profile", "quick", "--package", "probe"]).args(what);
    build
}
