//! The doctor's report for people, in 80 columns.
//!
//! Must not judge, and must not try anything.

use std::io::{self, Write};

use super::terminal::{View, escape, left, wrap};
use crate::report::doctor::{DoctorReport, Readiness};

/// Writes the report.
pub fn report(out: &mut impl Write, report: &DoctorReport, view: View) -> io::Result<()> {
    let colour = match report.verdict {
        Readiness::Ready => "1;32",
        Readiness::Degraded => "1;33",
        Readiness::Unusable => "1;31",
    };
    for line in wrap(&escape(&report.summary), view.width) {
        writeln!(out, "{}", view.paint(colour, &line))?;
    }
    writeln!(out, "\nkernel      {} {}", escape(&report.kernel), escape(&report.architecture))?;
    hanging(out, "BTF", &format!("{}: {}", report.btf.path, report.btf.detail), view)?;
    let kept = &report.privileges.kept;
    let kept = if kept.is_empty() { "nothing".to_owned() } else { kept.join(", ") };
    let privileges = format!("{}; kept while watching: {kept}", report.privileges.detail);
    hanging(out, "privileges", &privileges, view)?;
    // If something is wrong with the namespace, the first sentence says so.
    let namespace =
        if report.pid_namespace.ok { &report.pid_namespace.detail } else { "not the host's PID namespace" };
    hanging(out, "namespace", namespace, view)?;
    writeln!(out)?;
    for hook in &report.hooks {
        let mark = if hook.ok { view.paint("32", "yes") } else { view.paint("33", "no ") };
        writeln!(out, "{mark} {} {}", left(hook.stage.name(), 8), escape(&hook.hook))?;
        for (label, text) in [
            ("refused", hook.error.as_deref().unwrap_or_default()),
            ("without it", hook.consequence.as_str()),
            ("to do", hook.remedy.as_str()),
        ] {
            if !text.is_empty() {
                hanging(out, &format!("    {label}"), text, view)?;
            }
        }
    }
    Ok(())
}

fn hanging(out: &mut impl Write, label: &str, text: &str, view: View) -> io::Result<()> {
    let indent = label.len().max(11) + 1;
    for (place, line) in wrap(&escape(text), view.width.saturating_sub(indent)).into_iter().enumerate() {
        writeln!(out, "{}{line}", left(if place == 0 { label } else { "" }, indent))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{render::terminal::is_hidden, report::doctor::*};

    #[test]
    fn every_text_from_outside_is_escaped() {
        let hostile = || "x\u{1b}[2J\n\u{202e}".to_owned();
        let hook = HookCheck {
            stage: HookStage::Reap,
            hook: hostile(),
            ok: false,
            error: Some(hostile()),
            consequence: hostile(),
            remedy: hostile(),
        };
        let doctor = DoctorReport {
            schema: SCHEMA,
            kernel: hostile(),
            architecture: hostile(),
            btf: BtfCheck { path: hostile(), ok: false, detail: hostile() },
            privileges: PrivilegeCheck {
                euid: 0,
                capabilities: vec![hostile()],
                kept: vec![hostile()],
                ok: true,
                detail: hostile(),
            },
            pid_namespace: NamespaceCheck { ok: true, detail: hostile() },
            rung: Rung::None,
            precision: ReapPrecision::None,
            hooks: vec![hook],
            verdict: Readiness::Unusable,
            summary: hostile(),
        };
        let mut out = Vec::new();
        report(&mut out, &doctor, View { width: 80, colour: false }).expect("a Vec takes everything");
        let text = String::from_utf8(out).expect("UTF-8");
        assert_eq!(text.chars().find(|one| *one != '\n' && is_hidden(*one)), None, "{text}");
        assert_eq!(text.matches("x\\x1b[2J\\x0a\\u{202e}").count(), 12, "{text}");
    }
}
