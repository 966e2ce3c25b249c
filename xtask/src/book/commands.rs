//! Every command of every page: options and commands of reapwatch and of xtask must exist, as their own command lines parse them. What
//! needs no privileges is run.
//!
//! Must not know an option.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use clap::{Parser, error::ErrorKind};
use probe::{
    cli::{self, Cli},
    report::CauseKind,
};

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
    for line in &lines {
        match parsed(&line.words, line.is_typed) {
            Ok(true) if line.is_of_here && !has_placeholder(&line.words) => runnable.push(line),
            Ok(_) => {}
            Err(error) => wrong.push(format!("{}: {}\n    {error}", line.at, line.words.join(" "))),
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

/// Whether it can be run by everybody; an error if it is no command. In the midst of a sentence a command may lack arguments.
fn parsed(words: &[String], is_typed: bool) -> Outcome<bool> {
    let words: Vec<String> = words.iter().filter_map(|word| filled(word)).collect();
    if words.first().is_some_and(|word| word == "cargo") {
        return match crate::Cli::try_parse_from(&words[1..]) {
            Err(error) if is_error(&error) => Err(first_line(&error)),
            _ => Ok(false),
        };
    }
    // `reapwatch COMMAND --help` is about any command.
    if words.get(1).is_some_and(|word| is_placeholder(word)) {
        return Ok(false);
    }
    let cli = match Cli::try_parse_from(&words) {
        Err(error) if lacks_arguments(&error) && !is_typed => return Ok(false),
        Err(error) if is_error(&error) => return Err(first_line(&error)),
        Err(_) => return Ok(true),
        Ok(cli) => cli,
    };
    match cli.command {
        Some(cli::Command::Help(args)) => {
            let topic = args.topic.join("_").replace('-', "_");
            let exists = topic.is_empty()
                || topic == "causes"
                || is_placeholder(&topic)
                || Cli::help_of(&topic, None).is_some()
                || CauseKind::ALL.iter().any(|kind| kind.name() == topic);
            if exists { Ok(true) } else { Err(format!("there is no help on {topic}")) }
        }
        Some(cli::Command::Replay(args)) => Ok(args.check.suppressions.is_none()),
        Some(cli::Command::Explain(args)) => Ok(args.from.is_some()),
        Some(cli::Command::Profile(args)) => Ok(args.from.is_some()),
        _ => Ok(false),
    }
}

fn is_error(error: &clap::Error) -> bool {
    !matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
}

fn lacks_arguments(error: &clap::Error) -> bool {
    let lacks_value =
        error.kind() == ErrorKind::InvalidValue && first_line(error).contains("a value is required");
    lacks_value || error.kind() == ErrorKind::MissingRequiredArgument
}

fn first_line(error: &clap::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// A word of capital letters, as in `PID` and `CMD`.
fn is_placeholder(word: &str) -> bool {
    word.len() > 1 && word.chars().all(|one| one.is_ascii_uppercase() || one == '_') || word == "N"
}

fn has_placeholder(words: &[String]) -> bool {
    words.iter().any(|word| is_placeholder(word) || word.contains('…') || word.contains('['))
}

/// A word with its placeholder filled in, and without the marks of what may be left out.
fn filled(word: &str) -> Option<String> {
    let word = word.trim_matches(['[', ']', '…']);
    // `text|json`: one of these.
    let word = word.split('|').next().unwrap_or(word);
    let value = match word {
        "" => return None,
        "PID" | "N" => "1",
        "DUR" => "5s",
        "SIZE" => "64K",
        word => word,
    };
    Some(value.to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &str) -> Vec<String> {
        typed::ours(command).unwrap_or_default()
    }

    #[test]
    fn what_does_not_exist_is_found_and_what_everybody_can_run_is_known() {
        for (command, expected) in [
            ("reapwatch run --grace 1s --error-exitcode N -- CMD ARG…", Some(false)),
            ("reapwatch trace [--pid PID] [--format text|json]", Some(false)),
            ("reapwatch replay a.rec --as table", Some(true)),
            ("reapwatch explain 7 --from a.rec", Some(true)),
            ("reapwatch help never_waits", Some(true)),
            ("reapwatch COMMAND --help", Some(false)),
            ("reapwatch help nonsense", None),
            ("reapwatch watch --no-such-option", None),
            ("reapwatch wacth", None),
            ("cargo xtask demo", Some(false)),
            ("cargo xtask nonsense", None),
        ] {
            assert_eq!(parsed(&words(command), true).ok(), expected, "{command}");
        }
        for command in ["reapwatch run", "reapwatch trace --pid"] {
            assert_eq!(parsed(&words(command), false), Ok(false), "{command}");
            assert!(parsed(&words(command), true).is_err(), "{command}");
        }
        assert!(parsed(&words("reapwatch run --frmat"), false).is_err());
    }
}
