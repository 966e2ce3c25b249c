//! `doctor`: what this kernel and these privileges allow, by trying it.
//!
//! Must not know how a hook is attached, nor how the findings are written.

use std::io::{self, IsTerminal};

use nix::errno::Errno;

use super::{Failure, live::tracer_options, output};
use crate::{
    cli::{DoctorArgs, Format, Global},
    render,
    report::doctor::{
        BtfCheck, DoctorReport, HookCheck, HookStage, NamespaceCheck, PrivilegeCheck, Readiness,
        ReapPrecision, Rung, SCHEMA,
    },
    source::{
        SetupError,
        bpf::{attach::Refused, offsets, options::Subscription, programs, tracer::Tracer},
        host::{namespace, privileges, release},
    },
};

/// `reapwatch doctor`. Exit code 3 if nothing can be watched.
pub fn doctor(global: &Global, args: &DoctorArgs) -> Result<u8, Failure> {
    let report = examine(global);
    let mut bytes = Vec::new();
    let terminal = io::stdout().is_terminal();
    match args.format {
        Format::Json => render::json::line(&mut bytes, &report),
        Format::Text => render::doctor_text::report(&mut bytes, &report, output::view(terminal)),
    }
    .map_err(|error| Failure::other(format!("cannot render the report: {error}")))?;
    output::standard(&bytes)?;
    Ok(if report.verdict == Readiness::Unusable { 3 } else { 0 })
}

fn examine(global: &Global) -> DoctorReport {
    let (release, architecture) = release::release();
    let btf = match offsets::open(&global.btf).and_then(|btf| offsets::find(&btf)) {
        Ok(found) if found.lost.is_empty() => (true, "has every member that is needed".to_owned()),
        Ok(found) => {
            let lost: Vec<String> = found
                .lost
                .iter()
                .map(|(feature, members)| format!("{feature} (no {})", members.join(", ")))
                .collect();
            (true, format!("usable, without {}", lost.join("; ")))
        }
        Err(error) => (false, format!("{}; to do: {}", error.what, error.remedy)),
    };
    let pid_namespace = pid_namespace();
    // In a PID namespace that is not the host's, a command can still be watched.
    let subscription = if pid_namespace.ok { Subscription::default() } else { Subscription::tree() };
    let (hooks, rung, precision, failed) = match Tracer::attach(&tracer_options(global, subscription)) {
        Ok(tracer) => {
            let (hooks, rung) = checks(&tracer);
            let precision = if tracer.is_exact() { ReapPrecision::Exact } else { ReapPrecision::Coarse };
            (hooks, rung, precision, None)
        }
        Err(error) => (Vec::new(), Rung::None, ReapPrecision::None, Some(error)),
    };
    let (verdict, summary) = conclusion(rung, precision, failed.as_ref(), &pid_namespace);
    DoctorReport {
        schema: SCHEMA,
        kernel: release,
        architecture,
        btf: BtfCheck { path: global.btf.display().to_string(), ok: btf.0, detail: btf.1 },
        privileges: privileges(failed.as_ref()),
        pid_namespace,
        rung,
        precision,
        hooks,
        verdict,
        summary,
    }
}

fn conclusion(
    rung: Rung,
    precision: ReapPrecision,
    failed: Option<&SetupError>,
    pid_namespace: &NamespaceCheck,
) -> (Readiness, String) {
    match (failed, precision) {
        (None, _) if !pid_namespace.ok => {
            (Readiness::Degraded, format!("Of this host reapwatch sees only a part: {}.", pid_namespace.detail))
        }
        (Some(error), _) => (Readiness::Unusable, format!("reapwatch cannot work here: {}. To do: {}", error.what, error.remedy)),
        (None, ReapPrecision::Exact) => {
            (Readiness::Ready, format!("reapwatch works here, exactly, on the {} rung.", rung.name()))
        }
        (None, _) => (
            Readiness::Degraded,
            "reapwatch works here on the tracepoint rung: counts and verdicts are the same as on the exact one; a reap \
             that no wait call shows is timed by its free, 4 to 32 ms late (coarse)."
                .into(),
        ),
    }
}

fn checks(tracer: &Tracer) -> (Vec<HookCheck>, Rung) {
    let mut checks = Vec::new();
    for attached in tracer.attached() {
        let stage = stage(attached.stage);
        checks.extend(attached.refused.iter().map(|one| refused(stage, one)));
        checks.push(HookCheck {
            stage,
            hook: attached.hook.to_string(),
            ok: true,
            error: None,
            consequence: String::new(),
            remedy: String::new(),
        });
    }
    // Every rung has a reap hook. A better rung counts only if both its zombie and its reap hook are exact; otherwise
    // the tracepoint rung applies.
    let reap = tracer.attached().iter().find(|one| one.stage == programs::HookStage::Reap);
    let rung = match reap.and_then(|one| one.hook.rung()) {
        Some(programs::Rung::Fentry) if tracer.is_exact() => Rung::Fentry,
        Some(programs::Rung::Kprobe) if tracer.is_exact() => Rung::Kprobe,
        _ => Rung::Tracepoint,
    };
    (checks, rung)
}

fn stage(stage: programs::HookStage) -> HookStage {
    match stage {
        programs::HookStage::Fork | programs::HookStage::ForkSite => HookStage::Fork,
        programs::HookStage::Exec => HookStage::Exec,
        programs::HookStage::Exit | programs::HookStage::Kill => HookStage::Exit,
        programs::HookStage::Zombie => HookStage::Zombie,
        programs::HookStage::Reap | programs::HookStage::ReapAgain => HookStage::Reap,
        programs::HookStage::Wait => HookStage::Wait,
        programs::HookStage::Snapshot => HookStage::Snapshot,
    }
}

/// Why a better hook could not be attached, in plain words.
fn refused(stage: HookStage, refused: &Refused) -> HookCheck {
    let consequence = match stage {
        HookStage::Zombie => "a child whose parent ignores SIGCHLD becomes known only when it is freed",
        _ => "a reap that no wait call shows is timed by its free (coarse); counts stay exact",
    };
    let remedy = match refused.hook.rung() {
        Some(programs::Rung::Fentry) if refused.errno == Some(Errno::EPERM) => {
            "a security policy of this kernel refuses BPF trampolines (fentry, fexit); nothing needs to be done for \
             right counts"
        }
        Some(programs::Rung::Fentry) => {
            "this kernel has no BPF trampolines (arm64: from 6.4 on); nothing needs to be done for right counts"
        }
        Some(programs::Rung::Kprobe) => {
            "kprobes are not compiled into this kernel (CONFIG_KPROBE_EVENTS); nothing needs to be done for right counts"
        }
        Some(programs::Rung::Tracepoint) | None => {
            "give CAP_SYS_ADMIN, or CAP_DAC_READ_SEARCH where tracefs is mounted"
        }
    };
    HookCheck {
        stage,
        hook: refused.hook.to_string(),
        ok: false,
        error: Some(refused.why.clone()),
        consequence: consequence.into(),
        remedy: remedy.into(),
    }
}

fn pid_namespace() -> NamespaceCheck {
    match namespace::require_initial_pid() {
        Ok(()) => NamespaceCheck { ok: true, detail: "the host's PID namespace".into() },
        Err(error) => {
            NamespaceCheck { ok: false, detail: format!("{}. To do: {}", error.what, error.remedy) }
        }
    }
}

fn privileges(failed: Option<&SetupError>) -> PrivilegeCheck {
    let (capabilities, kept) = privileges::names();
    let has = |name: &str| capabilities.iter().any(|held| held == name);
    let ok = has("cap_sys_admin") || (has("cap_bpf") && has("cap_perfmon"));
    let detail = match (ok, failed) {
        (true, None) => "sufficient".to_owned(),
        (true, Some(_)) => "sufficient as far as capabilities go".to_owned(),
        (false, _) => "missing: run as root, or with CAP_BPF and CAP_PERFMON".to_owned(),
    };
    PrivilegeCheck { euid: nix::unistd::geteuid().as_raw(), capabilities, kept, ok, detail }
}
