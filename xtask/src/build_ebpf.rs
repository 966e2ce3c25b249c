//! `build-ebpf`: the object that is committed, byte for byte the same for one toolchain.
//!
//! The sources are built from a copy in which everything is below one manifest: cargo hashes paths into symbol names,
//! those below it without what comes before. The copy is where only the builder writes: cargo runs what a
//! `.cargo/config.toml` on the way to it says. Must not know what the programs do.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    setup::LLVM,
    shell::{Outcome, cargo_bin, output, root, run, target_directory},
    source_hash,
};

/// Debian's compiler, beside whatever rustup installed.
const RUSTC: &str = "/usr/bin/rustc";
const CARGO: &str = "/usr/bin/cargo";

/// Where the sources are copied to and built.
fn workshop() -> PathBuf {
    target_directory().join("build-ebpf")
}

/// What was built under this name.
pub fn built(name: &str) -> PathBuf {
    workshop().join("target/bpfel-unknown-none/release").join(name)
}

/// Builds it; with `check` only compares.
pub fn build_ebpf(check: bool) -> Outcome {
    let beside = root().join("probe/src/source");
    let (object_path, toolchain_path, sources_path) = (
        beside.join("reapwatch.bpf.o"),
        beside.join("reapwatch.bpf.toolchain"),
        beside.join("reapwatch.bpf.sources"),
    );
    let toolchain = toolchain()?;
    let object = build()?;
    let sources =
        source_hash::listing(&root()).map_err(|error| format!("cannot hash the sources: {error}"))?;
    if !check {
        write(&object_path, &object)?;
        write(&toolchain_path, toolchain.as_bytes())?;
        write(&sources_path, sources.as_bytes())?;
        println!("{}: {} bytes", object_path.display(), object.len());
        return Ok(());
    }
    if fs::read_to_string(&sources_path).unwrap_or_default() != sources {
        return Err(
            "the committed eBPF object is stale: run `cargo xtask build-ebpf` and commit the result".into()
        );
    }
    let recorded = fs::read_to_string(&toolchain_path).unwrap_or_default();
    if recorded != toolchain {
        eprintln!(
            "build-ebpf: NOT COMPARED: the object was built with\n{recorded}and this machine has\n{toolchain}The live \
             tests now judge the object built here."
        );
        return write(&object_path, &object);
    }
    if fs::read(&object_path).unwrap_or_default() != object {
        return Err(
            "the committed eBPF object is not what its sources give: run `cargo xtask build-ebpf`".into()
        );
    }
    println!("the committed eBPF object is what its sources give: {} bytes, the same", object.len());
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Outcome {
    fs::write(path, bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn linker() -> Outcome<PathBuf> {
    cargo_bin("bpf-linker").ok_or_else(|| "bpf-linker is missing: run `cargo xtask setup`".into())
}

fn toolchain() -> Outcome<String> {
    let rustc = output(Command::new(RUSTC).arg("--version"))
        .map_err(|error| format!("{error}\nrun `cargo xtask setup` first"))?;
    let llvm = output(Command::new(format!("{LLVM}/bin/llvm-config")).arg("--version"))?;
    let linker = output(Command::new(linker()?).arg("--version"))?;
    Ok(format!("{rustc}\nLLVM {llvm}\n{linker}\n"))
}

/// Copies the sources; returns the folder of the manifest.
fn copy_sources(workshop: &Path) -> Outcome<PathBuf> {
    let package = workshop.join("probe-ebpf");
    let common = package.join("probe-common");
    for (from, to) in [("probe-ebpf", &package), ("probe-common", &common)] {
        let from = root().join(from);
        let _ = fs::remove_dir_all(to);
        fs::create_dir_all(to).map_err(|error| format!("cannot make {}: {error}", to.display()))?;
        run(Command::new("cp").arg("-r").arg(from.join("src")).arg(to))?;
        for file in ["Cargo.toml", "Cargo.lock"] {
            match fs::read_to_string(from.join(file)) {
                Ok(text) => {
                    write(&to.join(file), text.replace("../probe-common", "probe-common").as_bytes())?
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(format!("cannot read {}: {error}", from.join(file).display())),
            }
        }
    }
    Ok(package)
}

fn build() -> Outcome<Vec<u8>> {
    let workshop = workshop();
    fs::create_dir_all(&workshop).map_err(|error| format!("cannot make {}: {error}", workshop.display()))?;
    let workshop =
        workshop.canonicalize().map_err(|error| format!("cannot use {}: {error}", workshop.display()))?;
    let package = copy_sources(&workshop)?;
    let home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")))
        .map_err(|_| "neither CARGO_HOME nor HOME is set".to_owned())?;
    let linker = linker()?;
    let flags = [
        "-Ctarget-cpu=v3".to_owned(),
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        format!("-Clinker={}", linker.display()),
        "--cfg=bpf_target_arch=\"x86_64\"".to_owned(),
        format!("--remap-path-prefix={home}=/cargo"),
        format!("--remap-path-prefix={}=/reapwatch", workshop.display()),
    ];
    run(Command::new(CARGO)
        .current_dir(package)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC", RUSTC)
        .env("CARGO_TARGET_DIR", workshop.join("target"))
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("RUSTFLAGS")
        .args([
            "build",
            "--quiet",
            "--locked",
            "-Z",
            "build-std=core",
            "--target",
            "bpfel-unknown-none",
            "--release",
        ]))?;
    let built = built("probe-ebpf");
    let stripped = workshop.join("target/reapwatch.bpf.o");
    // The offsets of .BTF.ext are in place already; nobody relocates them, and every program would carry the 160 kB.
    run(Command::new(format!("{LLVM}/bin/llvm-strip"))
        .args(["--strip-debug", "--remove-section=.rel.BTF.ext"])
        .arg("-o")
        .arg(&stripped)
        .arg(&built))?;
    fs::read(&stripped).map_err(|error| format!("{}: {error}", stripped.display()))
}
