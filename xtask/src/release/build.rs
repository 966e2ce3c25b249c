//! The program as cargo builds it for a release: static, and without a trace of where it was built.
//!
//! Must not know what is published of it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{
    shell::{Outcome, cargo, output, run},
    vm::{Arch, Toolchain},
};

/// Where its sources and those of its dependencies seem to lie.
const SOURCES: &str = "/reapwatch";
const DEPENDENCIES: &str = "/cargo";

/// A program with all its debug information.
pub struct Built {
    pub arch: Arch,
    /// The workspace.
    pub sources: PathBuf,
    program: PathBuf,
    /// Packages whose code was handed to the linker, by cargo's id.
    pub linked: Vec<String>,
    /// The compiler, with which the standard library came.
    pub rustc: String,
}

/// Builds it below `target`.
pub fn build(arch: Arch, sources: &Path, target: &Path) -> Outcome<Built> {
    let toolchain = Toolchain::of(arch)?;
    let home = cargo_home()?;
    // The last that matches wins.
    let moved = [
        (home.as_path(), DEPENDENCIES.to_owned()),
        (sources, SOURCES.to_owned()),
        (target, format!("{SOURCES}/target")),
    ];
    let mut flags = toolchain.flags.clone();
    // Addresses to be relocated take 280 kB without; linkers that cannot say so and go on.
    flags.push("-Clink-arg=-Wl,-z,pack-relative-relocs".to_owned());
    flags.extend(moved.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())));
    let of_c: Vec<String> =
        moved.iter().map(|(from, to)| format!("-ffile-prefix-map={}={to}", from.display())).collect();
    let mut command = cargo();
    command
        .current_dir(sources)
        .args(["build", "--locked", "--profile", "dist", "--package", "probe", "--bin", "reapwatch"])
        .args(["--target", toolchain.triple, "--message-format", "json-render-diagnostics", "--target-dir"])
        .arg(target.join("dist"))
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env("TARGET_CFLAGS", of_c.join(" "))
        .stderr(std::process::Stdio::inherit());
    if let Some(rustc) = toolchain.rustc {
        command.env("RUSTC", rustc);
    }
    let said = output(&mut command)?;
    let artifacts: Vec<Value> = said
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .collect();
    let program = artifacts
        .iter()
        .find_map(|one| one["executable"].as_str().map(PathBuf::from))
        .ok_or("cargo does not say where the program is")?;
    // Beside the program is what was compiled for it. Procedural macros and build scripts are elsewhere.
    let beside = program.parent().ok_or("the program is nowhere")?.display().to_string();
    let mut linked: Vec<String> = artifacts
        .iter()
        .filter(|one| one["filenames"][0].as_str().is_some_and(|path| path.starts_with(&beside)))
        .filter_map(|one| one["package_id"].as_str().map(str::to_owned))
        .collect();
    linked.sort_unstable();
    linked.dedup();
    let rustc = output(std::process::Command::new(toolchain.rustc.unwrap_or("rustc")).arg("--version"))?;
    Ok(Built { arch, sources: sources.to_owned(), program, linked, rustc })
}

fn cargo_home() -> Outcome<PathBuf> {
    std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cargo")))
        .ok_or_else(|| "neither CARGO_HOME nor HOME is set".into())
}

impl Built {
    /// The program without debug information, and the debug information, which debuggers find by its name.
    pub fn split(&self, out: &Path, name: &str) -> Outcome<(PathBuf, PathBuf)> {
        let (program, debug) = (out.join(name), out.join(format!("{name}.debug")));
        let objcopy = || {
            let mut objcopy = std::process::Command::new(binutil(self.arch, "objcopy"));
            objcopy.current_dir(out);
            objcopy
        };
        run(objcopy().arg("--only-keep-debug").arg(&self.program).arg(&debug))?;
        let link = format!("--add-gnu-debuglink={name}.debug");
        run(objcopy()
            .args(["--strip-all", "--remove-section=.comment", &link])
            .arg(&self.program)
            .arg(&program))?;
        Ok((program, debug))
    }
}

/// A program of binutils for files of this architecture.
pub fn binutil(arch: Arch, name: &str) -> String {
    match arch {
        Arch::X86_64 if cfg!(target_arch = "x86_64") => name.to_owned(),
        _ => format!("{}-linux-gnu-{name}", arch.linux()),
    }
}
