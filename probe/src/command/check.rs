//! A report as a check: the rules are read and the files are opened before the measurement, and the outcome is written after it.
//!
//! Owns where each form goes. Must not judge: that is `analysis::check`'s.

use super::{Failure, output::Target};
use crate::{
    analysis::check::{self, LeftRunningRule, Rule},
    cli::{CheckArgs, LeftRunning},
    config::check_suppressions,
    render,
    report::Report,
    source::{SetupError, host::name},
};

/// What a check was asked for.
pub struct Check {
    rules: Option<Vec<Rule>>,
    pub left_running: LeftRunningRule,
    exit_code: Option<u8>,
    suggestions: Option<Target>,
    junit: Option<Target>,
    /// Whether annotations go to standard error, because the report goes to standard output; `None`: there are none.
    annotations_to_stderr: Option<bool>,
}

impl Check {
    /// Reads the rules and opens the files. `report`: where the report goes.
    pub fn open(args: &CheckArgs, report: &Target) -> Result<Self, Failure> {
        let rules =
            args.suppressions.as_deref().map(check_suppressions::read).transpose().map_err(|error| {
                let remedy = if error.is_missing() {
                    "`reapwatch run --gen-suppressions=FILE -- CMD` writes a file with rules for what was found"
                } else {
                    "docs/ci.md describes every key; --gen-suppressions prints rules for what was found"
                };
                Failure::Usage(SetupError { what: error.to_string(), remedy: remedy.into() })
            })?;
        let target = |path: &Option<std::path::PathBuf>| {
            let path = path.as_deref();
            path.map(|path| Target::open(Some(path), Target::StandardOutput)).transpose()
        };
        Ok(Self {
            rules,
            left_running: match args.left_running {
                LeftRunning::Ignore => LeftRunningRule::Ignore,
                LeftRunning::Fail => LeftRunningRule::Fail,
                LeftRunning::Kill => LeftRunningRule::Kill,
            },
            exit_code: args.error_exitcode,
            suggestions: target(&args.gen_suppressions)?,
            junit: target(&args.junit)?,
            annotations_to_stderr: args.github.then_some(matches!(report, Target::StandardOutput)),
        })
    }

    /// Whether a rule or a form needs to know where children are forked.
    pub fn wants_fork_sites(&self) -> bool {
        let by_function = self.rules.iter().flatten().any(|rule| rule.function.is_some());
        by_function || self.annotations_to_stderr.is_some()
    }

    /// Takes what is suppressed out of the finding.
    pub fn suppress(&self, report: &mut Report) {
        if let Some(rules) = &self.rules {
            check::suppress(report, rules);
        }
    }

    /// Says in the report whether the check failed, if one was asked for.
    pub fn conclude(&self, report: &mut Report) {
        if let Some(exit_code) = self.exit_code {
            check::conclude(report, self.left_running, exit_code);
        }
    }

    /// Writes the report in the other forms that were asked for. `command`: what was run.
    pub fn publish(self, report: &Report, command: &str) -> Result<(), Failure> {
        let failed = |error| Failure::other(format!("cannot render the report: {error}"));
        if let Some(junit) = self.junit {
            let mut bytes = Vec::new();
            render::junit::junit(&mut bytes, report, command, &name::host_name_or_localhost())
                .map_err(failed)?;
            junit.write_bytes(&bytes)?;
        }
        if let Some(to_stderr) = self.annotations_to_stderr {
            let workspace = std::env::var("GITHUB_WORKSPACE").unwrap_or_default();
            let mut bytes = Vec::new();
            render::github::annotations(&mut bytes, report, &workspace).map_err(failed)?;
            let target = if to_stderr { Target::StandardError } else { Target::StandardOutput };
            target.write_bytes(&bytes)?;
        }
        if let Some(suggestions) = self.suggestions {
            let mut bytes = Vec::new();
            render::suppressions::suppressions(&mut bytes, &check::suggest(report)).map_err(failed)?;
            suggestions.write_bytes(&bytes)?;
        }
        Ok(())
    }
}

/// The exit code that the report asks for, if it asks for one.
pub fn exit_code(report: &Report) -> Option<u8> {
    report.check.as_ref().filter(|check| check.failed).map(|check| check.exit_code)
}
