//! The file of suppressions of `audit`: which findings are known, and not to be told again. TOML, a table `[[suppression]]` for
//! each rule; `[[suppress]]` is the same.
//!
//! Owns its keys (docs/audit.md describes them), and how one is made of a finding. Must not judge: what it leaves out was found.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{ConfigError, from_toml, read_text, value};
use crate::{
    analysis::Pattern,
    report::audit::{AuditFinding, AuditProcess, GhostKind},
};

/// Most rules in a file.
const RULES_MAX: usize = 4_096;
/// Longest command that a rule is made with.
const COMMAND_MAX: usize = 200;

/// The rules of a file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Suppressions {
    #[serde(
        rename = "suppression",
        alias = "suppress",
        deserialize_with = "value::at_most::<_, _, RULES_MAX>"
    )]
    suppress: Vec<Suppression>,
}

/// One rule: all that it names must be so; it names a command or a unit.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "Keys", into = "Keys")]
struct Suppression(Keys);

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Keys {
    /// What is the matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<GhostKind>,
    /// The command line, its words joined by spaces; `*` stands for any text.
    #[serde(with = "value::pattern", skip_serializing_if = "Option::is_none")]
    command: Option<Pattern>,
    /// The name of the unit, container or service that it is part of; `*` stands for any text.
    #[serde(with = "value::pattern", skip_serializing_if = "Option::is_none")]
    unit: Option<Pattern>,
    /// When it ends.
    #[serde(with = "value::time", skip_serializing_if = "Option::is_none")]
    until: Option<jiff::Timestamp>,
}

impl TryFrom<Keys> for Suppression {
    type Error = &'static str;

    fn try_from(keys: Keys) -> Result<Self, Self::Error> {
        if keys.command.is_none() && keys.unit.is_none() {
            return Err(
                "a suppression must name a command or a unit: without one it would suppress all of its kind",
            );
        }
        Ok(Self(keys))
    }
}

impl From<Suppression> for Keys {
    fn from(rule: Suppression) -> Self {
        rule.0
    }
}

impl Suppressions {
    /// Those of a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(&read_text(path)?).map_err(|error| error.in_file(path))
    }

    fn parse(text: &str) -> Result<Self, ConfigError> {
        from_toml(text)
    }

    /// Whether a rule covers this finding at this time, in ns since the epoch.
    pub fn cover(&self, finding: &AuditFinding, now_ns: i128) -> bool {
        let command = command(&finding.process);
        let unit = unit(&finding.process);
        self.suppress.iter().any(|Suppression(keys)| {
            keys.until.is_none_or(|until| until.as_nanosecond() > now_ns)
                && keys.kind.is_none_or(|kind| kind == finding.kind)
                && keys.command.as_ref().is_none_or(|pattern| pattern.matches(&command))
                && keys
                    .unit
                    .as_ref()
                    .is_none_or(|pattern| unit.as_deref().is_some_and(|unit| pattern.matches(unit)))
        })
    }

    /// How many rules have ended by then.
    pub fn ended(&self, now_ns: i128) -> usize {
        let ends = self.suppress.iter().filter_map(|Suppression(keys)| keys.until);
        ends.filter(|until| until.as_nanosecond() <= now_ns).count()
    }

    /// A rule for each of these findings, once.
    pub fn of(findings: &[AuditFinding]) -> Self {
        let mut suppress: Vec<Suppression> = Vec::new();
        for finding in findings {
            let unit = unit(&finding.process).and_then(|unit| Pattern::new(&unit).ok());
            let rule = Suppression(Keys {
                kind: Some(finding.kind),
                command: Pattern::new(&beginning(command(&finding.process))).ok(),
                unit,
                until: None,
            });
            if !suppress.contains(&rule) {
                suppress.push(rule);
            }
        }
        Self { suppress }
    }

    /// All of them as TOML, as a file has it.
    pub fn to_toml(&self) -> String {
        if self.suppress.is_empty() {
            return "# nothing was found\n".into();
        }
        toml::to_string(self).unwrap_or_else(|error| format!("# cannot be written as TOML: {error}\n"))
    }
}

/// The command line; the short name where there is none.
fn command(process: &AuditProcess) -> String {
    if process.command_line.is_empty() { process.comm.clone() } else { process.command_line.join(" ") }
}

/// What it is part of, if somebody gave that a name.
fn unit(process: &AuditProcess) -> Option<String> {
    process.user_service.clone().or_else(|| Some(process.workload.as_ref()?.name.clone().into_owned()))
}

/// A long command is named by its beginning.
fn beginning(command: String) -> String {
    if command.len() <= COMMAND_MAX {
        return command;
    }
    let end = (0..=COMMAND_MAX).rev().find(|place| command.is_char_boundary(*place)).unwrap_or(0);
    format!("{}*", &command[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Rfc3339, Workload, WorkloadKind, audit::Confidence};

    fn finding(kind: GhostKind, command: &[&str], unit: Option<&'static str>) -> AuditFinding {
        AuditFinding {
            kind,
            confidence: Confidence::Likely,
            inferred: true,
            process: AuditProcess {
                pid: 7,
                start_time: Rfc3339::new(),
                age_ns: 1,
                comm: "bot".into(),
                command_line: command.iter().map(|word| (*word).to_owned()).collect(),
                executable: None,
                user: None,
                workload: unit.map(|name| Workload {
                    kind: WorkloadKind::Unit,
                    name: name.into(),
                    container: None,
                    runtime: None,
                }),
                user_service: None,
            },
            count: 1,
            related: vec![],
            evidence: vec![],
            commands: vec![],
        }
    }

    #[test]
    fn a_rule_covers_what_is_all_that_it_names_until_it_ends() {
        let rules = "[[suppress]]\nkind = \"orphan\"\ncommand = \"python3 *\"\nuntil = \"2026-01-01T00:00:00Z\"\n\
            [[suppress]]\nunit = \"ci-*.service\"\n";
        let rules = Suppressions::parse(rules).expect("valid");
        let (before, after) = (1_760_000_000_000_000_000, 1_770_000_000_000_000_000);
        let python = |kind| finding(kind, &["python3", "x.py"], None);
        assert!(rules.cover(&python(GhostKind::Orphan), before));
        assert!(!rules.cover(&python(GhostKind::Orphan), after), "it has ended");
        assert!(!rules.cover(&python(GhostKind::Stale), before));
        assert!(!rules.cover(&finding(GhostKind::Orphan, &["node"], None), before));
        let of_unit = |unit| finding(GhostKind::Stale, &["x"], Some(unit));
        assert!(rules.cover(&of_unit("ci-1.service"), after) && !rules.cover(&of_unit("web.service"), after));
        assert_eq!((rules.ended(before), rules.ended(after)), (0, 1));
    }

    #[test]
    fn what_is_generated_covers_what_it_was_made_of_whatever_the_name() {
        let long = "x".repeat(5_000);
        for command in
            [&["python3", "a b.py"][..], &["\"quoted\"\n\u{1b}[2J", "\\"], &[long.as_str()], &["é…漢"], &[]]
        {
            for unit in [None, Some("a.service")] {
                let one = finding(GhostKind::Orphan, command, unit);
                let text = Suppressions::of(&[one.clone(), one.clone()]).to_toml();
                assert_eq!(text.matches("[[suppression]]").count(), 1, "once: {text}");
                assert!(Suppressions::parse(&text).expect("valid").cover(&one, 0), "{text}");
            }
        }
        assert_eq!(Suppressions::parse(&Suppressions::default().to_toml()), Ok(Suppressions::default()));
    }

    #[test]
    fn the_page_names_every_key_and_every_kind() {
        let page = include_str!("../../../docs/audit.md");
        for kind in GhostKind::ALL {
            assert!(page.contains(&format!("| `{}` |", kind.name())), "{kind:?}");
        }
        for key in ["kind", "command", "unit", "until"] {
            assert!(page.contains(&format!("| `{key}` |")), "{key}");
        }
    }

    #[test]
    fn a_rule_for_everything_and_an_unknown_key_are_refused_with_their_line() {
        for (text, message) in [
            ("[[suppress]]\nkind = \"orphan\"\n", "must name a command or a unit"),
            ("[[suppress]]\ncomand = \"x\"\n", "unknown key"),
            ("[[suppress]]\ncommand = \"x\"\nkind = \"ghost\"\n", "ghost"),
            ("[[suppress]]\ncommand = \"\"\n", "1 to 256"),
            ("[[suppress]]\ncommand = \"x\"\nuntil = \"soon\"\n", "2026-12-31"),
        ] {
            let error = Suppressions::parse(text).expect_err(text).to_string();
            assert!(error.contains(message), "{message}: {error}");
        }
    }
}
