//! `docs`: man pages, shell completions, the reference, the moving picture, and frames of the live table in the documentation.
//!
//! Must not draw any of it: the example `documents` and the program itself do.

use crate::{
    frames,
    shell::{Outcome, cargo, run},
};

/// Writes them to docs/; with `check` only compares. `shells`: has the shells complete.
pub fn docs(check: bool, shells: bool) -> Outcome {
    let mut documents = cargo();
    documents.args(["run", "--quiet", "--package", "xtask", "--example", "documents", "--"]);
    run(documents.args(check.then_some("--check")).args(shells.then_some("--shells")))?;
    frames::frames(check)
}
