//! What a guest runs: the tests, the tracer and the workload as static binaries in an initramfs.
//!
//! Must not know what the tests check.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::kernels::Arch;
use crate::shell::{Outcome, cargo, output, run, target_directory};

/// Debian's compiler, which has a standard library for arm64 that can be fetched; rustup's may have none.
const RUSTC: &str = "/usr/bin/rustc";

/// What builds static programs for an architecture.
pub struct Toolchain {
    pub triple: &'static str,
    /// The compiler, where it is not the one that cargo takes by itself.
    pub rustc: Option<&'static str>,
    pub flags: Vec<String>,
}

impl Toolchain {
    /// The compiler that cargo takes by itself, if it has the standard library for arm64, or else Debian's.
    pub fn of(arch: Arch) -> Outcome<Self> {
        let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
        if arch == Arch::X86_64 {
            return Ok(Self { triple: "x86_64-unknown-linux-gnu", rustc: None, flags });
        }
        let triple = "aarch64-unknown-linux-gnu";
        flags.push("-Clinker=aarch64-linux-gnu-gcc".to_owned());
        let libraries = output(Command::new("rustc").args(["--print", "target-libdir", "--target", triple]))?;
        if Path::new(&libraries).is_dir() {
            return Ok(Self { triple, rustc: None, flags });
        }
        flags.push(format!("--sysroot={}", arm64_sysroot()?.display()));
        Ok(Self { triple, rustc: Some(RUSTC), flags })
    }
}

/// Builds everything for an architecture; the path of the initramfs.
pub fn initramfs(arch: Arch) -> Outcome<PathBuf> {
    let target = target_directory().join("vm/build");
    let toolchain = Toolchain::of(arch)?;
    let build = |what: &[&str]| {
        let mut command = cargo();
        command
            .args(what)
            .args(["--locked", "--profile", "vm", "--package", "probe", "--target", toolchain.triple])
            .arg("--target-dir")
            .arg(&target)
            .env("RUSTFLAGS", toolchain.flags.join(" "));
        if let Some(rustc) = toolchain.rustc {
            command.env("RUSTC", rustc);
        }
        command
    };
    run(build(&["build", "--quiet"]).args([
        "--bin",
        "reapwatch",
        "--example",
        "workload",
        "--example",
        "guest",
    ]))?;
    let messages = output(build(&["test", "--quiet", "--no-run"]).args([
        "--features",
        "live",
        "--test",
        "live",
        "--message-format",
        "json",
    ]))?;
    let live = messages
        .lines()
        .filter(|line| line.contains(r#""name":"live""#))
        .find_map(|line| line.split_once(r#""executable":""#)?.1.split('"').next().map(PathBuf::from))
        .ok_or("cargo named no test binary")?;
    let built = target.join(toolchain.triple).join("vm");
    let tree = target_directory().join("vm/initramfs").join(arch.debian());
    let _ = fs::remove_dir_all(&tree);
    for directory in ["bin/examples", "proc", "sys", "dev", "tmp"] {
        fs::create_dir_all(tree.join(directory)).map_err(|error| format!("{}: {error}", tree.display()))?;
    }
    for (from, to) in [
        (built.join("reapwatch"), "bin/reapwatch"),
        (built.join("examples/workload"), "bin/examples/workload"),
        (built.join("examples/guest"), "init"),
        (live, "bin/live"),
    ] {
        install(&from, &tree.join(to))?;
    }
    // Needed by `vm --cost` alone, which has it built.
    let empty = crate::build_ebpf::built("empty");
    if empty.is_file() {
        install(&empty, &tree.join("empty.bpf.o"))?;
    }
    let archive = tree.with_extension("cpio");
    let script = format!("set -o pipefail; find . | cpio --quiet -o -H newc > {}", archive.display());
    run(Command::new("bash").current_dir(&tree).args(["-c", &script]))?;
    Ok(archive)
}

fn install(from: &Path, to: &Path) -> Outcome {
    fs::copy(from, to)
        .and_then(|_| fs::set_permissions(to, fs::Permissions::from_mode(0o755)))
        .map_err(|error| format!("cannot copy {}: {error}", from.display()))
}

/// arm64's standard library of the very version of Debian's compiler, unpacked where nobody else looks.
fn arm64_sysroot() -> Outcome<PathBuf> {
    let version = output(Command::new("dpkg-query").args(["-W", "-f", "${Version}", "rustc-web"]))?;
    let sysroot = target_directory().join("vm/sysroot").join(version.replace(['~', '+', ':'], "_"));
    if sysroot.join("usr/lib/rustlib").is_dir() {
        return Ok(sysroot.join("usr"));
    }
    let debs = sysroot.join("debs");
    fs::create_dir_all(&debs).map_err(|error| format!("cannot create {}: {error}", debs.display()))?;
    let apt = super::kernels::private_apt("bookworm-security", Arch::Arm64)?;
    let release = output(Command::new(RUSTC).arg("--version"))?;
    let series = release
        .split_whitespace()
        .nth(1)
        .and_then(|version| version.rsplit_once('.'))
        .map_or("", |(series, _)| series);
    for package in ["libstd-rust-web-dev".to_owned(), format!("libstd-rust-web-{series}")] {
        run(apt.command("apt-get").current_dir(&debs).args([
            "-qq",
            "download",
            &format!("{package}={version}"),
        ]))?;
    }
    for entry in fs::read_dir(&debs).map_err(|error| error.to_string())?.flatten() {
        run(Command::new("dpkg-deb").arg("-x").arg(entry.path()).arg(&sysroot))?;
    }
    if !sysroot.join("usr/lib/rustlib").is_dir() {
        return Err("the arm64 standard library holds no rustlib".into());
    }
    Ok(sysroot.join("usr"))
}
