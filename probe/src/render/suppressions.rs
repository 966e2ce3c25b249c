//! Suggested suppressions as TOML, ready to be pasted into a file for `--suppressions`.
//!
//! Must not know what a rule does. Every text in it may be hostile: it is written as a quoted string, and what a terminal would
//! hide or obey is escaped in it.

use std::io::{self, Write};

use super::terminal::is_hidden;
use crate::report::SuggestedRule;

/// Writes the rules, each as a table.
pub fn suppressions(out: &mut impl Write, rules: &[SuggestedRule]) -> io::Result<()> {
    if rules.is_empty() {
        return writeln!(out, "# reapwatch found nothing that could be suppressed.");
    }
    writeln!(out, "# What reapwatch found. Keep what is known and meant, and say why in its name.")?;
    for rule in rules {
        writeln!(out, "\n[[suppression]]\nname = {}", quoted(&rule.name))?;
        writeln!(out, "finding = {}", quoted(rule.finding.name()))?;
        for (key, value) in
            [("command", &rule.command), ("executable", &rule.executable), ("function", &rule.function)]
        {
            if let Some(value) = value {
                writeln!(out, "{key} = {}", quoted(value))?;
            }
        }
        if let Some(cause) = rule.cause {
            writeln!(out, "cause = {}", quoted(&cause.words().replace(' ', "_")))?;
        }
    }
    Ok(())
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            _ if !is_hidden(character) => out.push(character),
            _ => out.push_str(&format!("\\U{:08X}", character as u32)),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{CauseKind, Suppressible};

    #[test]
    fn no_name_ends_its_string_or_its_line() {
        let rule = SuggestedRule {
            name: "a\"]\n[[suppression]]\u{1b}[2J\\".into(),
            finding: Suppressible::NeverReaps,
            command: Some("sh".into()),
            executable: None,
            cause: Some(CauseKind::NeverWaits),
            function: Some("f\u{202e}".into()),
        };
        let mut out = Vec::new();
        suppressions(&mut out, std::slice::from_ref(&rule)).expect("a Vec takes everything");
        let text = String::from_utf8(out).expect("UTF-8");
        assert_eq!(
            text.lines().skip(2).collect::<Vec<_>>(),
            [
                "[[suppression]]",
                r#"name = "a\"]\U0000000A[[suppression]]\U0000001B[2J\\""#,
                r#"finding = "never_reaps""#,
                r#"command = "sh""#,
                r#"function = "f\U0000202E""#,
                r#"cause = "never_waits""#,
            ]
        );
        let read: toml::Table = text.parse().expect("TOML");
        assert_eq!(read["suppression"][0]["name"].as_str(), Some(rule.name.as_str()));
    }
}
