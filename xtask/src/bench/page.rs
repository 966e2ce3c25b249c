//! docs/performance.md: what a run says, and below it what people wrote, which stays. Must not know what either says.

use std::{fs, io::ErrorKind};

use crate::shell::{Outcome, root};

/// The line from which on the page is written by hand.
const NOTES: &str = "## Notes by hand";

/// Writes what was generated over what was before it.
pub fn write(generated: &str) -> Outcome {
    let path = root().join("docs/performance.md");
    let before = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        // What cannot be read is not to be written over.
        read => read.map_err(|error| format!("cannot read {}: {error}", path.display()))?,
    };
    fs::write(&path, with_notes(generated, &before))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    eprintln!("bench: written to {}, its notes by hand kept", path.display());
    Ok(())
}

/// A page without notes gets the line under which to write them.
fn with_notes(generated: &str, before: &str) -> String {
    let notes: Vec<&str> = before.lines().skip_while(|line| *line != NOTES).collect();
    let notes = if notes.is_empty() { NOTES.to_owned() } else { notes.join("\n") };
    format!("{}\n\n{notes}\n", generated.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_below_the_marker_is_kept() {
        let before = "# Old\n\nold ## Notes by hand\n\n## Notes by hand\n\n### A soak\n\nlong\n";
        let after = with_notes("# New\n\nnew\n", before);
        assert_eq!(after, "# New\n\nnew\n\n## Notes by hand\n\n### A soak\n\nlong\n");
        assert_eq!(with_notes("# New\n\nnew\n", &after), after, "the same when written again");
    }

    #[test]
    fn a_page_without_notes_has_room_for_them() {
        assert_eq!(with_notes("# New\n", "# Old\n\nold\n"), "# New\n\n## Notes by hand\n");
    }
}
