//! Announces a stale eBPF object: one that was not built from the sources beside it. Builds nothing.
//!
//! Must not know how the object is built.

use std::{fs, path::Path};

#[path = "source_hash.rs"]
mod source_hash;

fn main() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.join("..");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/source/reapwatch.bpf.sources");
    // A crate from a registry has the object but not its sources.
    if !root.join("probe-ebpf/src").exists() {
        return;
    }
    for source in source_hash::SOURCES {
        println!("cargo::rerun-if-changed=../{source}");
    }
    let recorded = fs::read_to_string(here.join("src/source/reapwatch.bpf.sources")).unwrap_or_default();
    match source_hash::listing(&root) {
        Ok(found) if found == recorded => {}
        Ok(_) => println!(
            "cargo::warning=the eBPF object is STALE: probe-ebpf or probe-common changed since it was built; run \
             `cargo xtask build-ebpf`"
        ),
        Err(error) => println!("cargo::warning=cannot check whether the eBPF object is stale: {error}"),
    }
}
