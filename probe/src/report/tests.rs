//! The names in text are those in JSON.

use serde::Serialize;

use super::{
    CauseKind, EventKind, Finding, Precision, Suppressible, WorkloadKind,
    audit::{Confidence, GhostKind},
    doctor::{HookStage, Rung},
};

fn is_called(value: impl Serialize, name: &str) {
    assert_eq!(serde_json::to_value(value).expect("JSON"), name);
}

#[test]
fn a_kind_has_the_same_name_in_text_and_in_json() {
    use EventKind::{Exec, Exit, Fork, Lost, Reap, Reparent, Zombie};
    for kind in [Fork, Exec, Exit, Zombie, Reap, Reparent, Lost] {
        is_called(kind, kind.name());
    }
    for precision in [Precision::Exact, Precision::Coarse] {
        is_called(precision, precision.name());
    }
    for stage in [
        HookStage::Fork,
        HookStage::Exec,
        HookStage::Exit,
        HookStage::Zombie,
        HookStage::Reap,
        HookStage::Wait,
        HookStage::Snapshot,
    ] {
        is_called(stage, stage.name());
    }
    for kind in [
        WorkloadKind::Unit,
        WorkloadKind::Container,
        WorkloadKind::Pod,
        WorkloadKind::Session,
        WorkloadKind::Program,
        WorkloadKind::Other,
    ] {
        is_called(kind, kind.name());
    }
    for finding in [Finding::None, Finding::Undecided, Finding::Held, Finding::Slow, Finding::Leak] {
        is_called(finding, finding.name());
    }
    for kind in [
        Suppressible::NeverReaps,
        Suppressible::Leaking,
        Suppressible::Slow,
        Suppressible::Held,
        Suppressible::Undecided,
        Suppressible::LeftRunning,
    ] {
        is_called(kind, kind.name());
    }
    for rung in [Rung::Fentry, Rung::Kprobe, Rung::Tracepoint, Rung::None] {
        is_called(rung, rung.name());
    }
    for kind in GhostKind::ALL {
        is_called(kind, kind.name());
    }
    for confidence in [Confidence::Certain, Confidence::Likely, Confidence::Possible] {
        is_called(confidence, confidence.name());
    }
    for kind in [
        CauseKind::ChildrenInheritedThroughExec,
        CauseKind::InitDoesNotReapOrphans,
        CauseKind::SubreaperDoesNotReapOrphans,
        CauseKind::WaitFlagsExcludeChildren,
        CauseKind::LooksWithoutReaping,
        CauseKind::OneWaitPerSigchld,
        CauseKind::WaitsOnlyForItsProcessGroup,
        CauseKind::ParentStopped,
        CauseKind::ParentFrozen,
        CauseKind::ParentBlocked,
        CauseKind::WaitsAfterEndOfPipe,
        CauseKind::SigchldBlocked,
        CauseKind::SigchldIgnoredTooLate,
        CauseKind::ReapsOnlyWhenItSpawns,
        CauseKind::NeverWaits,
        CauseKind::WaitsOnlyForSpecificChildren,
        CauseKind::HeldByTracer,
        CauseKind::Unknown,
    ] {
        is_called(kind, &kind.words().replace(' ', "_"));
    }
}
