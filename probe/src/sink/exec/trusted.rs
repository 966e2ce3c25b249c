//! Whether a program may be run with the agent's privileges: only if nobody but root can change what its name leads to.
//!
//! Must not run anything.

use std::{
    fs::Metadata,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Write permission of the group and of others.
const OTHERS_WRITE: u32 = 0o022;
const ANY_EXECUTE: u32 = 0o111;

/// An error says what is wrong and what to do.
pub fn check(program: &Path) -> Result<(), String> {
    let shown = program.display();
    if !program.is_absolute() {
        return Err(format!("{shown} is not run: give its path from / on"));
    }
    let cannot = |path: &Path, error: std::io::Error| {
        let at = if path == program { String::new() } else { format!("{}: ", path.display()) };
        format!("{shown} is not run: {at}{error}: give the path of a program in exec.program")
    };
    let real = program.canonicalize().map_err(|error| cannot(program, error))?;
    // What the name goes through, symbolic links included, and what it leads to.
    let way: Vec<PathBuf> = program.ancestors().chain(real.ancestors()).map(Path::to_owned).collect();
    for path in way {
        let metadata = path.symlink_metadata().map_err(|error| cannot(&path, error))?;
        if !is_of_root_alone(&metadata) {
            return Err(format!(
                "{shown} is not run: others than root can change {}: chown root, chmod go-w",
                path.display()
            ));
        }
    }
    let metadata = real.metadata().map_err(|error| cannot(&real, error))?;
    if !metadata.is_file() || metadata.mode() & ANY_EXECUTE == 0 {
        return Err(format!("{shown} is not run: it is no file that can be executed: chmod +x"));
    }
    Ok(())
}

/// The mode of a symbolic link means nothing: who can replace it is said by its directory.
fn is_of_root_alone(metadata: &Metadata) -> bool {
    metadata.uid() == 0 && (metadata.is_symlink() || metadata.mode() & OTHERS_WRITE == 0)
}
