//! `audit`: looks at all processes once, or again where something was found, and lists those that should not be there.
//!
//! Owns when it looks. Must not judge, and must not touch a process.

use std::{
    io::{self, IsTerminal},
    thread,
    time::Duration,
};

use super::{
    Failure,
    output::{self, Target},
};
use crate::{
    analysis::{self, time},
    cli::{AuditArgs, Format, nanoseconds},
    config::{ConfigError, audit_suppressions::Suppressions},
    model::{Census, Session},
    render,
    report::audit::AuditReport,
    source::{
        SetupError,
        host::{census, clock},
    },
};

/// `reapwatch audit`.
pub fn audit(args: &AuditArgs) -> Result<u8, Failure> {
    let suppressions = args.suppressions.as_deref().map(Suppressions::read).transpose().map_err(wrong)?;
    let target = Target::open(args.output.as_deref(), Target::StandardOutput)?;
    let rules_to = args.gen_suppressions.as_deref();
    let rules_to = rules_to.map(|path| Target::open(Some(path), Target::StandardOutput)).transpose()?;
    let (first, last) = look()?;
    let last = last.as_ref().unwrap_or(&first);
    let mut report = analysis::audit::audit(&first, last, args.since.map(nanoseconds));
    if let Some(suppressions) = &suppressions {
        leave_out(&mut report, suppressions, last);
    }
    let rules = || Suppressions::of(&report.findings).to_toml().into_bytes();
    let bytes = match rules_to {
        Some(Target::StandardOutput) => rules(),
        Some(file) => {
            file.write_bytes(&rules())?;
            rendered(&report, args.format, &target)?
        }
        None => rendered(&report, args.format, &target)?,
    };
    target.write_bytes(&bytes)?;
    let is_found = !report.findings.is_empty() || report.not_listed > 0;
    Ok(args.error_exitcode.filter(|_| is_found).unwrap_or(0))
}

/// The first look, and the last one if there was more than one.
fn look() -> Result<(Census, Option<Census>), Failure> {
    let first = census::take()?;
    let mut last: Option<Census> = None;
    while let Some(after_ns) = analysis::audit::next_look_after_ns(&first, last.as_ref().unwrap_or(&first)) {
        let due_ns = first.taken_ns.saturating_add(after_ns);
        thread::sleep(Duration::from_nanos(due_ns.saturating_sub(clock::boottime_ns())));
        last = Some(census::take()?);
    }
    Ok((first, last))
}

fn leave_out(report: &mut AuditReport, suppressions: &Suppressions, last: &Census) {
    let session = Session { anchor: last.anchor, ..Session::default() };
    let now_ns = time::epoch_ns(&session, last.taken_ns);
    let found = report.findings.len();
    report.findings.retain(|finding| !suppressions.cover(finding, now_ns));
    report.suppressed = (found - report.findings.len()) as u64;
    report.headline = analysis::audit::headline(report);
    let ended = suppressions.ended(now_ns);
    if ended > 0 {
        output::say(&format!("{ended} of the suppressions have ended (until) and suppress nothing"));
    }
}

fn rendered(report: &AuditReport, format: Format, target: &Target) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let is_terminal = matches!(target, Target::StandardOutput) && io::stdout().is_terminal();
    match format {
        Format::Json => render::json::line(&mut bytes, report),
        Format::Text => render::audit_text::report(&mut bytes, report, output::view(is_terminal)),
    }
    .map_err(|error| Failure::other(format!("cannot render the findings: {error}")))?;
    Ok(bytes)
}

/// A fault in the file is wrong usage.
fn wrong(error: ConfigError) -> Failure {
    let remedy = if error.is_missing() {
        "`reapwatch audit --gen-suppressions=FILE` writes a file with rules for what was found"
    } else {
        "docs/audit.md describes every key; `reapwatch audit --gen-suppressions` prints rules that work"
    };
    Failure::Usage(SetupError { what: error.to_string(), remedy: remedy.into() })
}
