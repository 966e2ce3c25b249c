//! What must be so of a program before it is published: static, small, hardened, without paths of this machine, and it runs.
//!
//! Must not change a file.

use std::{fs, path::Path, process::Command};

use super::build::binutil;
use crate::{
    shell::{Outcome, output, root},
    vm::Arch,
};

/// docs/installing.md says what takes it.
const BYTES_MAX: u64 = 12_000_000;

/// `private`: directories whose names may not be in the files.
pub fn prove(arch: Arch, program: &Path, debug: &Path, private: &[&Path]) -> Outcome {
    let name = program.display();
    let bytes = fs::metadata(program).map_err(|error| format!("{name}: {error}"))?.len();
    require(bytes <= BYTES_MAX, &format!("{name} has at most {BYTES_MAX} bytes: it has {bytes}"))?;
    let readelf = |options: &[&str], file: &Path| {
        output(Command::new(binutil(arch, "readelf")).args(options).arg("--wide").arg(file))
    };
    let header = readelf(&["--file-header"], program)?;
    let machine = match arch {
        Arch::X86_64 => "X86-64",
        Arch::Arm64 => "AArch64",
    };
    require(header.contains(machine), &format!("{name} is for {machine}:\n{header}"))?;
    // Rust's target for arm64 has no static programs that can be.
    let is_movable = header.contains("DYN (");
    require(is_movable || arch == Arch::Arm64, &format!("{name} can be loaded at any address:\n{header}"))?;
    let dynamic = readelf(&["--dynamic", "--program-headers"], program)?;
    require(!dynamic.contains("NEEDED"), &format!("{name} needs no library:\n{dynamic}"))?;
    require(!dynamic.contains("INTERP"), &format!("{name} needs no loader:\n{dynamic}"))?;
    let link = readelf(&["--string-dump=.gnu_debuglink"], program)?;
    let debug_name = debug.file_name().unwrap_or_default().to_string_lossy().into_owned();
    require(link.contains(&debug_name), &format!("{name} names {debug_name}:\n{link}"))?;
    let sections = readelf(&["--section-headers"], debug)?;
    require(sections.contains(".debug_line"), &format!("{debug_name} has lines:\n{sections}"))?;
    for file in [program, debug] {
        let content = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        for path in private {
            let path = path.display().to_string();
            let is_in = content.windows(path.len()).any(|window| window == path.as_bytes());
            require(!is_in, &format!("{} does not name {path}", file.display()))?;
        }
    }
    match runner(arch) {
        Some(runner) => runs(runner, program)?,
        None => eprintln!(
            "release: NOT RUN: {name}: only its file was looked at. Where qemu-aarch64 (qemu-user) is installed it is run, too."
        ),
    }
    println!("{name}: {bytes} bytes, static");
    Ok(())
}

/// What runs programs of this architecture, before their name; nothing where they run by themselves.
fn runner(arch: Arch) -> Option<&'static [&'static str]> {
    if std::env::consts::ARCH == arch.linux() {
        return Some(&[]);
    }
    let qemu: &[&str] = match arch {
        Arch::X86_64 => &["qemu-x86_64"],
        Arch::Arm64 => &["qemu-aarch64"],
    };
    output(Command::new(qemu[0]).arg("--version")).is_ok().then_some(qemu)
}

/// It says its version, and reads a recording to the report that is committed.
fn runs(runner: &[&str], program: &Path) -> Outcome {
    let start = || {
        let mut words = runner.iter().map(Path::new).chain([program]);
        let mut command = Command::new(words.next().unwrap_or(program));
        command.args(words).current_dir(root());
        command
    };
    let version = output(start().arg("--version"))?;
    let wanted = concat!("reapwatch ", env!("CARGO_PKG_VERSION"));
    require(version == wanted, &format!("{} --version says {wanted}: it says {version}", program.display()))?;
    let report = output(start().args(["replay", "docs/night.rec", "--format", "json"]))?;
    let report: serde_json::Value =
        serde_json::from_str(&report).map_err(|error| format!("the report of docs/night.rec: {error}"))?;
    require(report["finding"] == "leak", &format!("docs/night.rec has a leak: {}", report["finding"]))
}

fn require(is_so: bool, what: &str) -> Outcome {
    if is_so { Ok(()) } else { Err(format!("not so: {what}")) }
}
