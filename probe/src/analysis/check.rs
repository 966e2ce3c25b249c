//! A report as a check in CI: which findings are suppressed, whether the check failed, and rules that would suppress what was
//! found.
//!
//! Owns how a suppression is matched. What it suppresses stays in the report and in every count; only the finding, the
//! headline and the check go without it. Must not read files, or know how a rule is written.

use super::{Pattern, finding, sentence};
use crate::{
    model::{Code, Invocation, base_name},
    report::{
        CauseKind, Check, CheckFailure, Finding, LeftRunning, Parent, Report, SuggestedRule, Suppressible,
        Suppression, words::called,
    },
};

/// Longest text that a suggested rule takes over, in bytes; the rest is a `*`. A pattern may be twice as long.
const TEXT_MAX: usize = 128;
/// Most rules that are suggested.
const SUGGESTED_MAX: usize = 256;

/// A rule: what it names must all be so.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub name: String,
    /// What it is limited to; `None`: everything that can be suppressed.
    pub finding: Option<Suppressible>,
    /// The short name, or the whole command line.
    pub command: Option<Pattern>,
    pub executable: Option<Pattern>,
    /// The strongest cause of a parent.
    pub cause: Option<CauseKind>,
    /// A function of the program at the fork site of a parent.
    pub function: Option<Pattern>,
}

/// What becomes of processes that were left running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeftRunningRule {
    /// They are reported.
    #[default]
    Ignore,
    /// They fail the check.
    Fail,
    /// They are ended; those that cannot be ended fail the check.
    Kill,
}

impl Rule {
    fn names(&self, comm: &str, command_line: &[String], executable: &str) -> bool {
        let is = |pattern: &Option<Pattern>, text: &str| pattern.as_ref().is_none_or(|one| one.matches(text));
        (is(&self.command, comm) || is(&self.command, &command_line.join(" ")))
            && is(&self.executable, executable)
    }

    fn names_parent(&self, parent: &Parent) -> bool {
        let Some(found) = Suppressible::of(parent.verdict) else { return false };
        let has_function = |pattern: &Pattern| {
            let frames = parent.fork_site.iter().flat_map(|site| site.program_frames());
            frames.filter_map(|frame| frame.function.as_deref()).any(|function| pattern.matches(function))
        };
        self.finding.is_none_or(|finding| finding == found)
            && self.cause.is_none_or(|cause| parent.causes.first().is_some_and(|first| first.kind == cause))
            && self.function.as_ref().is_none_or(has_function)
            && self.names(&parent.comm, &parent.command_line, &parent.executable)
    }

    fn names_left_running(&self, left: &LeftRunning) -> bool {
        self.finding.is_none_or(|finding| finding == Suppressible::LeftRunning)
            && self.cause.is_none()
            && self.function.is_none()
            && self.names(&left.comm, &left.command_line, &left.executable)
    }
}

/// Says of everything that was found which rule suppresses it, the first that does, and takes that out of the finding. What
/// is not listed one by one cannot be suppressed.
pub fn suppress(report: &mut Report, rules: &[Rule]) {
    let mut uses: Vec<Suppression> = rules
        .iter()
        .map(|rule| Suppression { name: rule.name.clone(), parents: 0, children: 0, left_running: 0 })
        .collect();
    for parent in &mut report.parents {
        if let Some(place) = rules.iter().position(|rule| rule.names_parent(parent)) {
            uses[place].parents += 1;
            uses[place].children = uses[place].children.saturating_add(parent.ledger.left());
            parent.suppressed_by = Some(rules[place].name.clone());
        }
    }
    for left in &mut report.left_running {
        if let Some(place) = rules.iter().position(|rule| rule.names_left_running(left)) {
            uses[place].left_running += 1;
            left.suppressed_by = Some(rules[place].name.clone());
        }
    }
    report.suppressions = uses;
    report.finding = finding::finding(&report.parents, &report.other, &report.lost);
    report.headline = sentence::headline(report);
}

/// Whether the check fails: the one rule that the report and the exit code go by.
pub fn conclude(report: &mut Report, left_running: LeftRunningRule, exit_code: u8) {
    let mut failures = Vec::new();
    if report.finding == Finding::Leak {
        failures.push(CheckFailure::Leak);
    }
    let is_left = match left_running {
        LeftRunningRule::Ignore => false,
        LeftRunningRule::Fail => report.left_unsuppressed().next().is_some(),
        LeftRunningRule::Kill => {
            report.left_unsuppressed().any(|left| left.ended.is_none_or(|ended| ended.is_left()))
        }
    };
    if is_left {
        failures.push(CheckFailure::LeftRunning);
    }
    report.check = Some(Check { failed: !failures.is_empty(), failures, exit_code });
}

/// Rules that would suppress all that was found and is not suppressed, each once.
pub fn suggest(report: &Report) -> Vec<SuggestedRule> {
    let of_parents = report.unsuppressed().filter_map(|parent| {
        let site = parent.fork_site.as_ref();
        let function = site.and_then(|site| {
            let own = site.place(|_| false).and_then(|(frame, ..)| frame.function.as_deref());
            let innermost = || site.program_frames().iter().find_map(|frame| frame.function.as_deref());
            own.or_else(innermost).map(short)
        });
        Some(SuggestedRule {
            name: format!("{}: {}", short(called(&parent.comm)), parent.verdict.words()),
            finding: Suppressible::of(parent.verdict)?,
            command: command(&parent.comm, &parent.executable, &parent.command_line),
            executable: known(&parent.executable),
            cause: parent.causes.first().map(|cause| cause.kind),
            function,
        })
    });
    let of_the_rest = report.left_unsuppressed().map(|left| SuggestedRule {
        name: format!("{}: left running", short(called(&left.comm))),
        finding: Suppressible::LeftRunning,
        command: command(&left.comm, &left.executable, &left.command_line),
        executable: known(&left.executable),
        cause: None,
        function: None,
    });
    let mut suggestions: Vec<SuggestedRule> = Vec::new();
    // A rule that names nothing would suppress everything.
    let is_rule = |one: &SuggestedRule| one.command.is_some() || one.executable.is_some();
    for mut new in of_parents.chain(of_the_rest).filter(is_rule) {
        if suggestions.len() >= SUGGESTED_MAX {
            break;
        }
        let same_name =
            |one: &&SuggestedRule| one.name == new.name || one.name.starts_with(&format!("{} (", new.name));
        let is_same =
            |one: &&SuggestedRule| SuggestedRule { name: new.name.clone(), ..(*one).clone() } == new;
        let alike: Vec<&SuggestedRule> = suggestions.iter().filter(same_name).collect();
        if alike.iter().any(is_same) {
            continue;
        }
        if !alike.is_empty() {
            new.name = format!("{} ({})", new.name, alike.len() + 1);
        }
        suggestions.push(new);
    }
    suggestions
}

/// The short name; of what an interpreter runs the script or module, because a rule for `python3` names every Python program.
fn command(comm: &str, executable: &str, command_line: &[String]) -> Option<String> {
    let arguments: Vec<Vec<u8>> = command_line.iter().map(|argument| argument.clone().into_bytes()).collect();
    let code = match Invocation::parse(executable.as_bytes(), &arguments).code {
        Code::Script(path) => base_name(path),
        Code::Module(name) => name,
        Code::Native | Code::Unnamed => b"",
    };
    let code = String::from_utf8_lossy(code);
    if code.is_empty() || code.len() > TEXT_MAX { known(comm) } else { Some(format!("*{code}*")) }
}

fn known(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| short(text))
}

/// The text, or its beginning and a `*`.
fn short(text: &str) -> String {
    if text.len() <= TEXT_MAX {
        return text.to_owned();
    }
    format!("{}*", &text[..text.floor_char_boundary(TEXT_MAX)])
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
