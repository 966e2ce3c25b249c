//! Every command of every page: options and commands of reapwatch and of xtask must exist, as their own command lines parse them. What
//! needs no privileges is run.
//!
//! Must not know an option.

use std::{
    fs,
    io::Write,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
};

use clap::{Parser, error::ErrorKind};

use super::{
    Page,
    typed::{self, Line},
};
use crate::shell::{Outcome, cargo, root, run, target_directory};

/// A recording for every name of one that a page uses.
const RECORDING: &str = "docs/night.rec";

/// Fails with all commands that do not exist or do not work.
pub fn check(pages: &[Page]) -> Outcome {
    let lines: Vec<Line> = pages.iter().flat_map(typed::lines).collect();
    let mut wrong = Vec::new();
    let mut runnable = Vec::new();
    let (of_xtask, ours): (Vec<&Line>, Vec<&Line>) =
        lines.iter().partition(|line| line.words.first().is_some_and(|word| word == "cargo"));
    for line in of_xtask {
        // Without the marks of what may be left out.
        let words = line.words[1..].iter().map(|word| word.trim_matches(['[', ']', '…']));
        let Err(error) = crate::Cli::try_parse_from(words.filter(|word| !word.is_empty())) else { continue };
        let is_fine = match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => true,
            // In the midst of a sentence.
            ErrorKind::MissingRequiredArgument => !line.is_typed,
            _ => false,
        };
        if !is_fine {
            wrong.push(said_of(line, error.to_string().lines().next().unwrap_or_default()));
        }
    }
    let answers = parsed(&ours)?;
    if answers.lines().count() != ours.len() {
        return Err("not every command was parsed".into());
    }
    for (line, answer) in ours.into_iter().zip(answers.lines()) {
        match answer {
            "runnable" if line.is_of_here => runnable.push(line),
            "runnable" | "good" => {}
            error => wrong.push(said_of(line, error)),
        }
    }
    if lines.is_empty() || runnable.is_empty() {
        return Err("no commands were found in the pages".into());
    }
    if !wrong.is_empty() {
        return Err(format!("commands that do not exist:\n  {}", wrong.join("\n  ")));
    }
    run_all(&runnable)?;
    println!("commands: {} checked, {} of them run", lines.len(), runnable.len());
    Ok(())
}

fn said_of(line: &Line, error: &str) -> String {
    format!("{}: {}\n    {error}", line.at, line.words.join(" "))
}

/// What the command line of reapwatch says of each, a line each: the example `documents` has that command line.
fn parsed(lines: &[&Line]) -> Outcome<String> {
    let mut child = cargo()
        .args(["run", "--quiet", "--package", "xtask", "--example", "documents", "--", "parse"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start the example documents: {error}"))?;
    let mut asked = String::new();
    for line in lines {
        asked.push_str(if line.is_typed { "typed" } else { "named" });
        for word in &line.words {
            asked.push('\t');
            asked.push_str(word);
        }
        asked.push('\n');
    }
    // It answers less than a pipe holds.
    if let Some(mut to) = child.stdin.take() {
        to.write_all(asked.as_bytes())
            .map_err(|error| format!("cannot ask the example documents: {error}"))?;
    }
    let output = child.wait_with_output().map_err(|error| format!("the example documents: {error}"))?;
    if !output.status.success() {
        return Err(format!("the example documents: {}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs them below target/, where what they write harms nobody.
fn run_all(lines: &[&Line]) -> Outcome {
    run(cargo().args(["build", "--quiet", "--package", "probe", "--bin", "reapwatch"]))?;
    let directory = target_directory().join("book-commands");
    let _ = fs::remove_dir_all(&directory);
    let failed = |error: std::io::Error| format!("cannot prepare {}: {error}", directory.display());
    fs::create_dir_all(&directory).map_err(failed)?;
    for name in ["docs", "tests", "schemas"] {
        symlink(root().join(name), directory.join(name)).map_err(failed)?;
    }
    for line in lines {
        for word in line.words.iter().filter(|word| word.ends_with(".rec")) {
            if !directory.join(word).exists() {
                fs::copy(root().join(RECORDING), directory.join(word)).map_err(failed)?;
            }
        }
        let output = Command::new(target_directory().join("debug/reapwatch"))
            .args(&line.words[1..])
            .current_dir(&directory)
            .env("COLUMNS", "100")
            .output()
            .map_err(|error| format!("{}: cannot start reapwatch: {error}", line.at))?;
        if !output.status.success() {
            return Err(format!(
                "{}: {}: {}\n{}",
                line.at,
                line.words.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stderr)
            ));
        }
        let writes = line.words.iter().skip_while(|word| *word != "--output").nth(1);
        if let Some(file) = writes.filter(|file| *file != "-")
            && !Path::new(&directory).join(file).exists()
        {
            return Err(format!("{}: {} wrote no {file}", line.at, line.words.join(" ")));
        }
    }
    Ok(())
}
