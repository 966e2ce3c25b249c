//! The file of suppressions of a check: what it is not to fail for. TOML, a table `[[suppression]]` for each rule;
//! `[[suppress]]` is the same.
//!
//! Owns names and limits of the keys (docs/ci.md describes them). Must not know what a rule is applied to.

use std::{collections::BTreeSet, path::Path};

use serde::Deserialize;

use super::{ConfigError, from_toml, read_text, value};
use crate::{
    analysis::{Pattern, check::Rule},
    report::{CauseKind, Suppressible},
};

/// Most rules in a file.
const RULES_MAX: usize = 1_024;
/// Longest name of a rule, in bytes.
const NAME_MAX: usize = 160;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Suppressions {
    #[serde(default, alias = "suppress", deserialize_with = "value::at_most::<_, _, RULES_MAX>")]
    suppression: Vec<Checked>,
}

#[derive(Deserialize)]
#[serde(try_from = "Keys")]
struct Checked(Rule);

/// The keys of a rule.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    name: String,
    finding: Option<Suppressible>,
    #[serde(default, with = "value::pattern")]
    command: Option<Pattern>,
    #[serde(default, with = "value::pattern")]
    executable: Option<Pattern>,
    cause: Option<CauseKind>,
    #[serde(default, with = "value::pattern")]
    function: Option<Pattern>,
}

impl TryFrom<Keys> for Checked {
    type Error = String;

    fn try_from(keys: Keys) -> Result<Self, String> {
        let Keys { name, finding, command, executable, cause, function } = keys;
        if name.is_empty() || name.len() > NAME_MAX || name.chars().any(char::is_control) {
            return Err(format!("a name has 1 to {NAME_MAX} bytes and no control characters"));
        }
        if command.is_none() && executable.is_none() && cause.is_none() && function.is_none() {
            return Err(
                "a suppression must name a command, an executable, a cause or a function: without one it would suppress \
                 everything"
                    .into(),
            );
        }
        if finding == Some(Suppressible::LeftRunning) && (cause.is_some() || function.is_some()) {
            return Err(
                "what is left running has no cause and no function: name a command or an executable".into()
            );
        }
        Ok(Self(Rule { name, finding, command, executable, cause, function }))
    }
}

/// The rules of a file, in their order.
pub fn read(path: &Path) -> Result<Vec<Rule>, ConfigError> {
    parse(&read_text(path)?).map_err(|error| error.in_file(path))
}

fn parse(text: &str) -> Result<Vec<Rule>, ConfigError> {
    let file: Suppressions = from_toml(text)?;
    let rules: Vec<Rule> = file.suppression.into_iter().map(|Checked(rule)| rule).collect();
    let mut names = BTreeSet::new();
    match rules.iter().find(|rule| !names.insert(&rule.name)) {
        Some(rule) => {
            let message = format!("two suppressions are called {:?}: give each its own name", rule.name);
            Err(ConfigError::at(text, None, &message))
        }
        None => Ok(rules),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_rules_is_read_in_its_order() {
        let rules = parse(
            r#"
            [[suppression]]
            name = "the supervisor's last child"
            finding = "leaking"
            command = "*supervisor.py*"
            executable = "/usr/bin/python3*"
            cause = "never_waits"
            function = "spawn_*"

            [[suppression]]
            name = "a daemon that is to stay"
            finding = "left_running"
            command = "gpg-agent"
            "#,
        )
        .expect("valid");
        assert_eq!(rules.len(), 2);
        assert_eq!(rules[0].cause, Some(CauseKind::NeverWaits));
        assert_eq!(rules[1].finding, Some(Suppressible::LeftRunning));
        assert_eq!(parse("# none yet\n").expect("valid"), []);
        // As files of `audit` may call it.
        assert_eq!(parse("[[suppress]]\nname = \"a\"\ncommand = \"b\"\n").expect("valid").len(), 1);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let wrong = |rest: &str| {
            let text = format!("[[suppression]]\nname = \"a\"\n{rest}");
            parse(&text).expect_err(rest).to_string()
        };
        for (rest, line, what) in [
            ("comand = \"x\"\n", ":3:", "unknown key `comand`"),
            ("command = \"\"\n", ":3:", "1 to 256 bytes"),
            ("command = \"x\"\nfinding = \"bad\"\n", ":4:", "never_reaps"),
            ("cause = \"laziness\"\n", ":3:", "never_waits"),
            ("cause = \"never_wait\"\n", ":3:", "did you mean `never_waits`?"),
            ("", ":1:", "would suppress everything"),
            ("finding = \"left_running\"\ncause = \"unknown\"\n", ":1:", "no cause"),
            ("command = \"x\"\n[[suppression]]\nname = \"a\"\ncommand = \"y\"\n", "", "two suppressions"),
            ("command = \"x\"\n[[suppression]]\ncommand = \"y\"\n", ":4:", "missing field `name`"),
            ("name = \"b\"\n", ":3:", "duplicate key"),
        ] {
            let error = wrong(rest);
            assert!(error.contains(line) && error.contains(what), "{rest:?}: {error}");
        }
        assert!(parse(&"[[suppression]]\nname = \"a\"\ncommand = \"x\"\n".repeat(1_025)).is_err());
    }

    #[test]
    fn a_file_that_is_too_long_or_endless_is_refused() {
        assert!(read(Path::new("/dev/zero")).expect_err("endless").to_string().contains("larger"));
        assert!(read(Path::new("/nonexistent")).expect_err("none").to_string().contains("cannot be read"));
    }
}
