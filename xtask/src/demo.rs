//! `demo`: a newcomer's first command. Needs stable Rust alone, and root to load the programs.
//!
//! Must not judge what reapwatch says.

use std::process::Command;

use crate::shell::{Outcome, as_root, cargo, is_root, output, root, run, target_directory};

/// Leaks as `worker_manager.py` does, where there is no Python: the shell becomes a program that waits for no child.
const LEAK_OF_A_SHELL: &str = "for worker in $(seq 20); do sleep 0.5 & done; exec sleep 4";

/// Builds, then shows a real leak.
pub fn demo() -> Outcome {
    run(&mut build())?;
    let binary = target_directory().join("quick/reapwatch");
    let manager = root().join("tests/programs/worker_manager.py").display().to_string();
    let leak: Vec<&str> = if output(Command::new("python3").arg("--version")).is_ok() {
        vec!["/usr/bin/env", "WORKERS=20", "WORKER_SECONDS=0.5", "HOLD_SECONDS=4", "python3", &manager]
    } else {
        vec!["sh", "-c", LEAK_OF_A_SHELL]
    };
    if !is_root() {
        eprintln!("demo: loading eBPF programs needs root: using sudo");
    }
    let said: Vec<String> = leak.iter().map(|word| quoted(word)).collect();
    eprintln!("demo: {} run --grace 1s -- {}", binary.display(), said.join(" "));
    run(as_root(&binary).args(["run", "--grace", "1s", "--"]).args(leak))
}

/// The word as it is typed into a shell.
fn quoted(word: &str) -> String {
    if word.contains(' ') { format!("'{word}'") } else { word.to_owned() }
}

/// With profile and features of xtask, which has built some of it already: neither optimised nor with debug information, which take
/// minutes and a gigabyte.
fn build() -> Command {
    let mut build = cargo();
    build.args(["build", "--locked", "--profile", "quick", "--bin", "reapwatch"]);
    build
}
