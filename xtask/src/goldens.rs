//! `goldens`: the recordings under tests/data/recordings, and what replays of them must give. Must not judge: the test does.

use std::fs;

use crate::{
    shell::{Outcome, cargo, root, run},
    vm,
};

/// Where all scenarios are recorded: on a machine of its own, so that nobody's processes are in them.
const KERNEL: &str = "6.12";
const RUNGS: &str = "fentry";

/// Writes the golden outputs anew; with `record` the recordings before.
pub fn goldens(record: bool) -> Outcome {
    if record {
        write_recordings()?;
    }
    // None is left of a recording that is gone.
    let _ = fs::remove_dir_all(root().join("tests/data/golden"));
    run(cargo()
        .args(["test", "--quiet", "--package", "probe", "--test", "golden", "replays_of_all_recordings"])
        .env("REAPWATCH_GOLDEN", "write"))
}

fn write_recordings() -> Outcome {
    let recordings = vm::recordings(KERNEL, RUNGS)?;
    let directory = root().join("tests/data/recordings");
    fs::create_dir_all(&directory)
        .map_err(|error| format!("cannot create {}: {error}", directory.display()))?;
    for ((rung, name), bytes) in recordings {
        let path = directory.join(format!("{rung}.{name}"));
        fs::write(&path, bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}
