//! Frames of the live table in the documentation: what reapwatch itself prints of a recording, below the line that asks for it.
//!
//! Must not know what a frame shows.

use std::{fs, process::Command};

use crate::shell::{Outcome, cargo, output, root, run, target_directory};

/// Files that may have frames.
const PAGES: &[&str] = &["docs/table.md"];
/// `<!-- frame 80x24 RECORDING -->`: the block after it is the frame.
const BEGIN: &str = "<!-- frame ";
const END: &str = " -->";

/// Draws them anew; with `check` only compares.
pub fn frames(check: bool) -> Outcome {
    run(cargo().args(["build", "--quiet", "--package", "probe", "--bin", "reapwatch"]))?;
    for page in PAGES {
        let path = root().join(page);
        let before = fs::read_to_string(&path).map_err(|error| format!("cannot read {page}: {error}"))?;
        let now = drawn(&before)?;
        if check && now != before {
            return Err(format!(
                "{page} has frames that are not what reapwatch draws: run `cargo xtask docs`"
            ));
        }
        if now != before {
            fs::write(&path, now).map_err(|error| format!("cannot write {page}: {error}"))?;
        }
    }
    Ok(())
}

/// The page with its frames.
fn drawn(page: &str) -> Outcome<String> {
    let mut out = String::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        let Some(asked) = line.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END)) else { continue };
        let frame = frame(asked)?;
        out.push_str(&format!("\n```text\n{frame}```\n"));
        // The one that was there.
        if lines.peek() == Some(&"") {
            lines.next();
        }
        if lines.peek() == Some(&"```text") {
            lines.find(|line| *line == "```");
        } else {
            out.push('\n');
        }
    }
    Ok(out)
}

/// `80x24 RECORDING`.
fn frame(asked: &str) -> Outcome<String> {
    let wrong = || format!("not a frame that can be drawn: {asked}");
    let (size, recording) = asked.split_once(' ').ok_or_else(wrong)?;
    let (columns, lines) = size.split_once('x').ok_or_else(wrong)?;
    let mut reapwatch = Command::new(target_directory().join("debug/reapwatch"));
    reapwatch.args(["replay", recording, "--as", "table"]).current_dir(root());
    reapwatch.env("COLUMNS", columns).env("LINES", lines);
    let mut frame = output(&mut reapwatch)?;
    if !frame.ends_with('\n') {
        frame.push('\n');
    }
    Ok(frame)
}
