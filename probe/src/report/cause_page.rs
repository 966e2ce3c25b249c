//! The page of each cause: docs/causes, which the book shows too, so that the program and the book cannot say different things.
//!
//! Owns which page belongs to which kind. Must not know how a page is shown. `probe/causes` is a link to `docs/causes`: cargo packs
//! what it leads to, so the packaged crate builds as well.

use super::CauseKind;

macro_rules! page {
    ($name:literal) => {
        include_str!(concat!("../../causes/", $name, ".md"))
    };
}

impl CauseKind {
    /// All of them, in the order of docs/causes.md.
    pub const ALL: [Self; 18] = [
        Self::NeverWaits,
        Self::WaitsOnlyForSpecificChildren,
        Self::WaitsOnlyForItsProcessGroup,
        Self::WaitFlagsExcludeChildren,
        Self::LooksWithoutReaping,
        Self::OneWaitPerSigchld,
        Self::ReapsOnlyWhenItSpawns,
        Self::SigchldBlocked,
        Self::SigchldIgnoredTooLate,
        Self::ChildrenInheritedThroughExec,
        Self::InitDoesNotReapOrphans,
        Self::SubreaperDoesNotReapOrphans,
        Self::ParentStopped,
        Self::ParentFrozen,
        Self::ParentBlocked,
        Self::WaitsAfterEndOfPipe,
        Self::HeldByTracer,
        Self::Unknown,
    ];

    /// Its name in JSON.
    pub fn name(self) -> String {
        self.words().replace(' ', "_")
    }

    /// What it means, how to confirm it by hand, and what to do: Markdown, of which the first line is a heading and the first
    /// paragraph a summary.
    pub fn page(self) -> &'static str {
        match self {
            Self::NeverWaits => page!("never_waits"),
            Self::WaitsOnlyForSpecificChildren => page!("waits_only_for_specific_children"),
            Self::WaitsOnlyForItsProcessGroup => page!("waits_only_for_its_process_group"),
            Self::WaitFlagsExcludeChildren => page!("wait_flags_exclude_children"),
            Self::LooksWithoutReaping => page!("looks_without_reaping"),
            Self::OneWaitPerSigchld => page!("one_wait_per_sigchld"),
            Self::ReapsOnlyWhenItSpawns => page!("reaps_only_when_it_spawns"),
            Self::SigchldBlocked => page!("sigchld_blocked"),
            Self::SigchldIgnoredTooLate => page!("sigchld_ignored_too_late"),
            Self::ChildrenInheritedThroughExec => page!("children_inherited_through_exec"),
            Self::InitDoesNotReapOrphans => page!("init_does_not_reap_orphans"),
            Self::SubreaperDoesNotReapOrphans => page!("subreaper_does_not_reap_orphans"),
            Self::ParentStopped => page!("parent_stopped"),
            Self::ParentFrozen => page!("parent_frozen"),
            Self::ParentBlocked => page!("parent_blocked"),
            Self::WaitsAfterEndOfPipe => page!("waits_after_end_of_pipe"),
            Self::HeldByTracer => page!("held_by_tracer"),
            Self::Unknown => page!("unknown"),
        }
    }

    /// The first sentence of its page, on one line.
    pub fn summary(self) -> String {
        let paragraph = self.page().split("\n\n").nth(1).unwrap_or_default().replace('\n', " ");
        match paragraph.split_once(". ") {
            Some((first, _)) => format!("{first}."),
            None => paragraph,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_a_page_of_its_name_with_every_part() {
        for kind in CauseKind::ALL {
            let name = kind.name();
            assert_eq!(serde_json::to_value(kind).expect("JSON"), name.as_str());
            let page = kind.page();
            assert!(page.starts_with(&format!("# `{name}`\n\n")), "{name}: {}", &page[..40]);
            for part in ["What it means", "Confirm by hand", "What to do now", "Fix"] {
                assert!(page.contains(&format!("\n## {part}\n")), "{name} has no part {part:?}");
            }
            assert!(kind.summary().ends_with('.') && kind.summary().len() < 200, "{}", kind.summary());
        }
    }

    #[test]
    fn a_page_names_only_causes_and_notes_that_exist() {
        let known: Vec<String> = CauseKind::ALL.iter().map(|kind| kind.name()).collect();
        for kind in CauseKind::ALL {
            let (_, others) = kind.page().split_once("## Not the same as").unwrap_or_default();
            for name in others.split('`').skip(1).step_by(2) {
                let is_a_kind =
                    name.contains('_') && name.chars().all(|one| one.is_ascii_lowercase() || one == '_');
                assert!(
                    !is_a_kind || name == "exit_statuses_lost" || known.iter().any(|one| one == name),
                    "{}: {name}",
                    kind.name()
                );
            }
        }
    }
}
