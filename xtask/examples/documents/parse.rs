//! Whether commands of reapwatch that pages name exist, as its own command line parses them.
//!
//! Reads a command a line: `typed` or `named` (in the midst of a sentence), and its words, with tabs between. Answers each with a line:
//! `runnable` by everybody, `good`, or what is wrong. Must not know an option.

use std::io::{BufRead, Write};

use clap::{Parser, error::ErrorKind};
use probe::{
    cli::{self, Cli},
    report::CauseKind,
};

/// Answers until its input ends.
pub fn parse(from: impl BufRead, mut to: impl Write) -> Result<(), String> {
    for line in from.lines() {
        let line = line.map_err(|error| error.to_string())?;
        let mut words = line.split('\t').map(str::to_owned);
        let is_typed = words.next().as_deref() == Some("typed");
        let words: Vec<String> = words.collect();
        let answer = match parsed(&words, is_typed) {
            Ok(true) if !has_placeholder(&words) => "runnable".to_owned(),
            Ok(_) => "good".to_owned(),
            Err(error) => error,
        };
        writeln!(to, "{answer}").map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Whether it can be run by everybody; an error if it is no command. In the midst of a sentence a command may lack arguments.
fn parsed(words: &[String], is_typed: bool) -> Result<bool, String> {
    let words: Vec<String> = words.iter().filter_map(|word| filled(word)).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &str) -> Vec<String> {
        command.split(' ').map(str::to_owned).collect()
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
