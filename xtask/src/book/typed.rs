//! The commands that pages have, as words: in blocks behind a prompt, in scripts, in examples of help texts, and in the midst of a sentence.
//!
//! Must not know which commands exist.

use std::path::Path;

use super::{Page, markdown};

/// Blocks of these languages hold commands; of the first, only lines that begin with a prompt.
const CONSOLE: &str = "console";
const SHELL: &str = "sh";
/// The page of the command line has the examples of every help text, in blocks without a prompt.
const HELP_PAGE: &str = "docs/reference/command-line.md";

/// A command of a page.
pub struct Line {
    /// File and line.
    pub at: String,
    /// From `reapwatch` or `cargo xtask` on.
    pub words: Vec<String>,
    /// It stands in a block, as something to be typed.
    pub is_typed: bool,
    /// It names what is there: examples of help texts name processes and files of somebody else.
    pub is_of_here: bool,
}

/// The commands of ours in a page.
pub fn lines(page: &Page) -> Vec<Line> {
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
pub fn ours(command: &str) -> Option<Vec<String>> {
    let mut words = split(command);
    // What stands before: sudo and its options, variables.
    while words.first().is_some_and(|word| word == "sudo" || word.starts_with('-') || word.contains('=')) {
        words.remove(0);
    }
    let is_ours = match words.first()?.as_str() {
        "cargo" => words.get(1).is_some_and(|word| word == "xtask"),
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
}
