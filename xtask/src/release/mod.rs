//! `release`: what is published of a version: static programs, their debug information, bills of materials, checksums.
//!
//! Owns the names of the files. Must not know how a program is compiled, nor publish anything.

mod bill;
mod build;
mod elsewhere;
mod proof;

use std::{
    fs,
    path::{Path, PathBuf},
};

pub use build::{Built, binutil};
use sha2::{Digest, Sha256};

use crate::{
    shell::{Outcome, root, run, target_directory},
    vm::Arch,
};

#[derive(clap::Args)]
pub struct ReleaseArgs {
    /// Only for this architecture [default: both]
    #[arg(long)]
    target: Option<Arch>,
    /// Where the files go [default: target/published]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Build everything once more, in another directory, and fail where a byte differs
    #[arg(long)]
    check: bool,
}

/// Builds and proves it; writes the files.
pub fn release(args: &ReleaseArgs) -> Outcome {
    let out = args.out.clone().unwrap_or_else(|| target_directory().join("published"));
    fs::create_dir_all(&out).map_err(|error| format!("cannot make {}: {error}", out.display()))?;
    let out = out.canonicalize().map_err(|error| format!("cannot use {}: {error}", out.display()))?;
    let mut files = Vec::new();
    for arch in args.target.map_or(vec![Arch::X86_64, Arch::Arm64], |one| vec![one]) {
        let published = publish(arch, &root(), &target_directory(), &out)?;
        if args.check {
            elsewhere::compare(arch, &published)?;
        }
        files.extend(published);
    }
    let sums = files.iter().map(|file| sum(file)).collect::<Outcome<String>>()?;
    let path = out.join("SHA256SUMS");
    fs::write(&path, sums).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    run(std::process::Command::new("sha256sum").current_dir(&out).args(["--check", "--strict", "SHA256SUMS"]))
}

/// The static program of an architecture, in the form in which it is published.
pub fn program(arch: Arch) -> Outcome<PathBuf> {
    let out = target_directory().join("published");
    fs::create_dir_all(&out).map_err(|error| format!("cannot make {}: {error}", out.display()))?;
    let files = publish(arch, &root(), &target_directory(), &out)?;
    files.into_iter().next().ok_or_else(|| "nothing was built".into())
}

/// Builds the sources in `sources` and writes what is published of them: the program first, then debug information and bill of materials.
fn publish(arch: Arch, sources: &Path, target: &Path, out: &Path) -> Outcome<Vec<PathBuf>> {
    let name = format!("reapwatch-{}-{}-linux", env!("CARGO_PKG_VERSION"), arch.linux());
    let built = build::build(arch, sources, target)?;
    let (program, debug) = built.split(out, &name)?;
    proof::prove(arch, &program, &debug, &[sources, target])?;
    let bill = out.join(format!("{name}.cdx.json"));
    fs::write(&bill, bill::bill(&built, &program)?)
        .map_err(|error| format!("cannot write {}: {error}", bill.display()))?;
    Ok(vec![program, debug, bill])
}

/// The line of a file in SHA256SUMS.
fn sum(file: &Path) -> Outcome<String> {
    Ok(format!("{}  {}\n", hash(file)?, file.file_name().unwrap_or_default().display()))
}

/// SHA-256 of a file, in hexadecimal digits.
fn hash(file: &Path) -> Outcome<String> {
    let bytes = fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    Ok(Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}
