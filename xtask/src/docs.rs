//! `docs`: man pages and shell completions, from the same definitions as the command line; the reference; frames of the live
//! table.
//!
//! Must not know an option: they are `probe::cli`'s.

use std::{fs, path::Path};

use clap::CommandFactory;
use probe::cli::Cli;

use crate::{
    completions, frames, picture, reference,
    shell::{Outcome, root},
};

/// Writes them to docs/; with `check` only compares.
pub fn docs(check: bool) -> Outcome {
    let fail = |error: std::io::Error| format!("cannot render: {error}");
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page).map_err(fail)?;
    files.push(("man/reapwatch.1".into(), page));
    for sub in command.get_subcommands() {
        let name = format!("reapwatch-{}", sub.get_name());
        let mut page = Vec::new();
        clap_mangen::Man::new(sub.clone().display_name(name.clone())).render(&mut page).map_err(fail)?;
        files.push((format!("man/{name}.1"), page));
    }
    let scripts = completions::scripts()?.into_iter();
    files.extend(scripts.map(|(name, script)| (format!("completions/{name}"), script)));
    files.extend(reference::pages()?);
    for (name, bytes) in files {
        let path = root().join("docs").join(name);
        if check {
            if fs::read(&path).unwrap_or_default() != bytes {
                return Err(format!("{} is not what the code says: run `cargo xtask docs`", path.display()));
            }
        } else {
            fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(|error| error.to_string())?;
            fs::write(&path, bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
    }
    frames::frames(check)?;
    picture::picture(check)
}
