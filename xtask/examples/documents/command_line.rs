//! Man pages, shell completions and the reference, from the same definitions as the command line.
//!
//! Must not know an option: they are `probe::cli`'s.

use std::{fs, io, path::Path};

use clap::CommandFactory;
use probe::cli::Cli;

use crate::{completions, reference};

/// Writes them to docs/ of this directory; with `check` only compares.
pub fn command_line(check: bool) -> Result<(), String> {
    let mut files = man_pages().map_err(|error| format!("cannot render: {error}"))?;
    files.extend(
        completions::scripts()?.into_iter().map(|(name, bytes)| (format!("completions/{name}"), bytes)),
    );
    files.extend(reference::pages()?);
    for (name, bytes) in files {
        let path = Path::new("docs").join(name);
        if check {
            if fs::read(&path).unwrap_or_default() != bytes {
                return Err(format!("{} is not what the code says: run `cargo xtask docs`", path.display()));
            }
        } else {
            fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(|error| error.to_string())?;
            fs::write(&path, bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
    }
    Ok(())
}

/// By path below docs/.
fn man_pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    files.push(("man/reapwatch.1".into(), page));
    for sub in command.get_subcommands() {
        let name = format!("reapwatch-{}", sub.get_name());
        let mut page = Vec::new();
        clap_mangen::Man::new(sub.clone().display_name(name.clone())).render(&mut page)?;
        files.push((format!("man/{name}.1"), page));
    }
    Ok(files)
}
