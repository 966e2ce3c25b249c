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

use super::{Page, markdown};
use crate::shell::{Outcome, cargo, root, run, target_directory};

/// Blocks of these languages hold commands; of the first, only lines that begin with a prompt.
const CONSOLE: &str = "console";
const SHELL: &str = "sh";
/// The page of the command line has the examples of every help text, in blocks without a prompt.
const HELP_PAGE: &str = "docs/reference/command-line.md";
/// A recording for every name of one that a page uses.
const RECORDING: &str = "docs/night.rec";

/// A command of a page.
struct Line {
    at: String,
    words: Vec<String>,
    /// It stands in a block, as something to be typed.
    is_typed: bool,
    /// It names what is there: examples of help texts name processes and files of somebody else.
    is_of_here: bool,
}

/// Fails with all commands that do not exist or do not work.
pub fn check(pages: &[Page]) -> Outcome {
    let lines: Vec<Line> = pages.iter().flat_map(lines).collect();
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

/// The commands of ours in a page.
fn lines(page: &Page) -> Vec<Line> {
    let mut found = Vec::new();
    for code in markdown::code(&page.text) {
        let typed: Vec<(usize, String)> = match code.language.as_deref() {
            None => vec![(0, code.text.clone())],
            Some(CONSOLE) => joined(&code.text)
                .into_iter()
                .filter_map(|(line, text)| Some((line, text.strip_prefix("$ ")?.to_owned())))
                .collect(),
            Some(SHELL) => joined(&code.text),
            Some(_) if page.path == Path::new(HELP_PAGE) => examples(&code.text),
            Some(_) => continue,
        };
        for (offset, text) in typed {
            for command in text.split(['|', ';']).flat_map(|part| part.split("&&")) {
                if let Some(words) = ours(command) {
                    let at = format!("{}:{}", page.path.display(), code.line + offset);
                    let is_typed = code.language.is_some();
                    let is_of_here = is_typed && page.path != Path::new(HELP_PAGE);
                    found.push(Line { at, words, is_typed, is_of_here });
                }
            }
        }
    }
    found
}

/// The examples of a help text: what is said of one stands behind it on the same line.
fn examples(text: &str) -> Vec<(usize, String)> {
    const APART: &str = "   ";
    let from = text.lines().position(|line| line == "Examples:").map_or(usize::MAX, |line| line + 1);
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (number, line) in text.lines().enumerate().skip(from) {
        let Some(line) = line.strip_prefix("  ") else { break };
        let command = line.split(APART).next().unwrap_or(line);
        if line.contains("reapwatch ") {
            found.push((number, command.to_owned()));
            // A long line is wrapped: what follows is more of the command, or of what is said of it.
            goes_on = !line.contains(APART);
        } else if let Some((_, last)) = found.last_mut().filter(|_| goes_on) {
            last.push_str(&format!(" {command}"));
        }
    }
    found
}

/// Lines, with those that end in a backslash and the next as one.
fn joined(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (number, line) in text.lines().enumerate() {
        let (part, is_cut) = line.strip_suffix('\\').map_or((line, false), |part| (part, true));
        match found.last_mut() {
            Some((_, last)) if goes_on => last.push_str(part),
            _ => found.push((number, part.to_owned())),
        }
        goes_on = is_cut;
    }
    found
}

/// The words of a command, from `reapwatch` or `cargo xtask` on; none if it is another one.
fn ours(command: &str) -> Option<Vec<String>> {
    let mut words = split(command);
    // What stands before: sudo and its options, variables.
    while words.first().is_some_and(|word| word == "sudo" || word.starts_with('-') || word.contains('=')) {
        words.remove(0);
    }
    let is_ours = match words.first()?.as_str() {
        "cargo" => words.get(1).is_some_and(|word| word == "xtask"),
        // Only a name that is followed by something is a command in the midst of a text.
        program => program == "reapwatch" || program.ends_with("/reapwatch"),
    };
    is_ours.then_some(words)
}

/// Words as a shell splits them, as far as pages need it; comments and redirections go.
fn split(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    let mut before = ' ';
    for one in command.chars() {
        match quote {
            Some(end) if one == end => quote = None,
            Some(_) => words.last_mut().into_iter().for_each(|word| word.push(one)),
            None if one == '\'' || one == '"' => quote = Some(one),
            None if one == '#' && before == ' ' => break,
            None if one.is_whitespace() => words.push(String::new()),
            None => words.last_mut().into_iter().for_each(|word| word.push(one)),
        }
        before = one;
    }
    words.retain(|word| !word.is_empty());
    if let Some(end) = words.iter().position(|word| word.starts_with('>') || word.starts_with("2>")) {
        words.truncate(end);
    }
    words
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
        ours(command).unwrap_or_default()
    }

    #[test]
    fn ours_are_found_with_what_stands_around_them() {
        assert_eq!(
            words("A=1 sudo -E reapwatch watch --duration 5s > x # y"),
            ["reapwatch", "watch", "--duration", "5s"]
        );
        assert_eq!(words("cargo xtask test --all"), ["cargo", "xtask", "test", "--all"]);
        assert!(words("cargo test").is_empty() && words("systemctl status reapwatch").is_empty());
        assert_eq!(words("reapwatch help 'a b' c"), ["reapwatch", "help", "a b", "c"]);
        assert_eq!(joined("$ a \\\nb\nc"), [(0, "$ a b".to_owned()), (2, "c".to_owned())]);
    }

    #[test]
    fn examples_of_help_are_whole() {
        let text = "Usage: x\n\nExamples:\n  reapwatch a --b\n  c -- d\n  sudo reapwatch e       that\n  is it\n\nMore: reapwatch f";
        assert_eq!(
            examples(text),
            [(3, "reapwatch a --b c -- d".to_owned()), (5, "sudo reapwatch e".to_owned())]
        );
        assert!(examples("reapwatch a").is_empty());
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
