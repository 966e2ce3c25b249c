//! `setup`: installs what `test` and `build-ebpf` need. Building and using reapwatch needs none of it.

use std::process::Command;

use crate::shell::{Outcome, as_root, cargo, cargo_bin, output, run};

/// Debian packages: the toolchain of the eBPF object, and what the tests run.
const PACKAGES: &[&str] =
    &["rustc-web", "cargo-web", "rust-web-src", "llvm-22-dev", "gcc", "libc6-dev", "python3"];
/// Where llvm-22-dev is.
pub const LLVM: &str = "/usr/lib/llvm-22";
const BPF_LINKER: &str = "0.13.0";

/// Installs what is missing.
pub fn setup() -> Outcome {
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|package| {
            let mut query = Command::new("dpkg-query");
            query.args(["-W", "-f", "${Status}", package]);
            !output(&mut query).is_ok_and(|status| status == "install ok installed")
        })
        .copied()
        .collect();
    if !missing.is_empty() {
        eprintln!("setup: apt-get install {}", missing.join(" "));
        run(as_root("apt-get").args(["-qq", "update"]))?;
        run(as_root("apt-get").args(["-qq", "-y", "install"]).args(missing))?;
    }
    if cargo_bin("bpf-linker").is_none() {
        eprintln!("setup: cargo install bpf-linker {BPF_LINKER}");
        run(cargo()
            .env("LLVM_PREFIX", LLVM)
            .env_remove("CARGO_TARGET_DIR")
            .args(["install", "bpf-linker", "--version", BPF_LINKER, "--locked"])
            .args(["--no-default-features", "--features", "llvm-22"]))?;
    }
    if cargo_bin("cargo-deny").is_none() {
        eprintln!("setup: cargo install cargo-deny");
        run(cargo().env_remove("CARGO_TARGET_DIR").args(["install", "cargo-deny", "--locked"]))?;
    }
    Ok(())
}
