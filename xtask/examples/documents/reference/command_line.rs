//! The help of all commands, as `reapwatch COMMAND --help` prints it.
//!
//! Must not know an option.

use probe::cli::Cli;

use super::WRITTEN;

/// The width of a block that a page shows without a bar to scroll.
const COLUMNS: usize = 90;

/// The page.
pub fn page() -> String {
    let mut out = format!(
        "# Command line\n\n{WRITTEN}\n\nWhat `reapwatch --help` and `reapwatch help COMMAND` print. The man pages in `docs/man` are made from \
         the same definitions.\n"
    );
    let mut names = vec![String::new()];
    names.extend(Cli::command_names());
    for name in names {
        let help = Cli::help_of(&name, Some(COLUMNS)).unwrap_or_default();
        let help: Vec<&str> = help.lines().map(str::trim_end).collect();
        let heading = if name.is_empty() { "reapwatch".to_owned() } else { format!("reapwatch {name}") };
        out.push_str(&format!("\n## {heading}\n\n```text\n{}\n```\n", help.join("\n").trim_end()));
    }
    out
}
