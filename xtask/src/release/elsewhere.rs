//! Whether the same sources give the same bytes in another directory.
//!
//! Must not know what is compared.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{hash, publish};
use crate::{
    shell::{Outcome, output, root, run, target_directory},
    vm::Arch,
};

/// Builds a copy of the tracked files, from nothing, and compares what is published of it with these files.
pub fn compare(arch: Arch, published: &[PathBuf]) -> Outcome {
    let elsewhere = target_directory().join("another-directory");
    let _ = fs::remove_dir_all(&elsewhere);
    let (sources, out) = (elsewhere.join("a-copy-of-reapwatch"), elsewhere.join("published"));
    for directory in [&sources, &out] {
        fs::create_dir_all(directory)
            .map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
    }
    let files = output(Command::new("git").current_dir(root()).args(["ls-files"]))?;
    let list = elsewhere.join("files");
    fs::write(&list, files).map_err(|error| format!("cannot write {}: {error}", list.display()))?;
    let copy = r#"tar --create --files-from "$1" | tar --extract --directory "$2""#;
    run(Command::new("bash")
        .current_dir(root())
        .args(["-o", "pipefail", "-c", copy, "copy"])
        .args([&list, &sources]))?;
    let again = publish(arch, &sources, &sources.join("target"), &out)?;
    for (first, second) in published.iter().zip(&again) {
        same(first, second)?;
    }
    println!("the same bytes in {}", sources.display());
    fs::remove_dir_all(&elsewhere).map_err(|error| format!("cannot remove {}: {error}", elsewhere.display()))
}

fn same(first: &Path, second: &Path) -> Outcome {
    let (one, other) = (hash(first)?, hash(second)?);
    if one == other {
        return Ok(());
    }
    Err(format!(
        "not reproducible: {} has {one}, {} has {other}. `diffoscope` shows where they differ.",
        first.display(),
        second.display()
    ))
}
