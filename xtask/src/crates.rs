//! `crates`: whether `cargo install` of what `cargo package` makes gives a program that works.
//!
//! Must not publish anything.

use std::{fs, process::Command};

use crate::shell::{Outcome, cargo, output, root, run, target_directory};

const PACKAGES: [&str; 2] = ["probe-common", "probe"];
const OBJECT: &str = "src/source/reapwatch.bpf.o";

/// Packs both, unpacks them where no other source is, and installs from there.
pub fn crates() -> Outcome {
    let (packed, unpacked) = (target_directory().join("package"), target_directory().join("crates"));
    let _ = fs::remove_dir_all(&unpacked);
    fs::create_dir_all(&unpacked).map_err(|error| format!("cannot make {}: {error}", unpacked.display()))?;
    // `--no-verify`: cargo would only compile it; it is installed and run below.
    let mut package = cargo();
    package
        .args(["package", "--locked", "--no-verify", "--allow-dirty", "--target-dir"])
        .arg(target_directory());
    run(package.args(PACKAGES.iter().flat_map(|name| ["--package", name])))?;
    let named = |name: &str| format!("{name}-{}", env!("CARGO_PKG_VERSION"));
    for name in PACKAGES {
        let file = packed.join(format!("{}.crate", named(name)));
        run(Command::new("tar").arg("xzf").arg(&file).arg("-C").arg(&unpacked))?;
    }
    let own = unpacked.join(named("probe"));
    let read = |path: std::path::PathBuf| {
        fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))
    };
    if read(own.join(OBJECT))? != read(root().join("probe").join(OBJECT))? {
        return Err(format!("the packed {OBJECT} is not the committed one"));
    }
    // The packed probe asks a registry for probe-common, where that is not: it is taken from beside it.
    let common = unpacked.join(named("probe-common"));
    let installed = unpacked.join("installed");
    let mut install = cargo();
    // Of this machine, only what every machine with Rust and a C compiler has: no bpf-linker, no LLVM.
    let rust = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    install
        .current_dir(&unpacked)
        .env("PATH", format!("{rust}/bin:/usr/bin:/bin"))
        .env_remove("CARGO_TARGET_DIR")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .args(["install", "--debug", "--path"])
        .arg(&own)
        .arg("--root")
        .arg(&installed)
        .args(["--config", &format!("patch.crates-io.probe-common.path={:?}", common.display().to_string())]);
    run(&mut install)?;
    let program = installed.join("bin/reapwatch");
    let recording = root().join("docs/night.rec");
    let report = output(Command::new(&program).args(["replay", "--format", "json"]).arg(recording))?;
    let report: serde_json::Value =
        serde_json::from_str(&report).map_err(|error| format!("the report of docs/night.rec: {error}"))?;
    if report["finding"] != "leak" {
        return Err(format!("{} finds no leak in docs/night.rec", program.display()));
    }
    // `doctor` opens the object; without privileges it says so with 3, and with a fault of the object it fails with 1.
    let doctor = Command::new(&program).arg("doctor").output().map_err(|error| format!("doctor: {error}"))?;
    if !matches!(doctor.status.code(), Some(0 | 3)) {
        return Err(format!("doctor of the installed program: {}", String::from_utf8_lossy(&doctor.stderr)));
    }
    println!("{} was packed, installed and works", program.display());
    Ok(())
}
