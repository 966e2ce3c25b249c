//! Hashes of the eBPF sources: what the committed object was built from. Used by the build script, which warns of a
//! stale object, and by `cargo xtask build-ebpf`, which writes them. Must not know where the object is.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

/// Files and folders that go into the object.
pub const SOURCES: &[&str] = &[
    "probe-common/Cargo.toml",
    "probe-common/src",
    "probe-ebpf/Cargo.lock",
    "probe-ebpf/Cargo.toml",
    "probe-ebpf/src",
];

/// A line per file, sorted: hash and path, as `sha256sum` prints them.
pub fn listing(root: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    for source in SOURCES {
        collect(&root.join(source), &mut files)?;
    }
    files.sort();
    let mut text = String::new();
    for file in files {
        for byte in Sha256::digest(fs::read(&file)?) {
            let _ = write!(text, "{byte:02x}");
        }
        let _ = writeln!(text, "  {}", file.strip_prefix(root).unwrap_or(&file).display());
    }
    Ok(text)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    } else {
        files.push(path.to_owned());
    }
    Ok(())
}
