//! Tests and builds that should have ended long ago.
//!
//! Owns how long is long. What started them still runs, else they are orphans; but nobody looks at them, because neither they
//! nor what started them has a terminal.

use foldhash::HashSet;

use super::{
    Finding,
    scene::{Scene, named, others},
    tool::{Tool, ToolKind, tool},
    ways,
};
use crate::{
    model::Identity,
    report::{
        audit::{Confidence, GhostKind, Role},
        words::duration,
    },
};

/// No test and no build takes longer, as a rule.
const LONG_NS: u64 = 24 * 3_600 * 1_000_000_000;
/// Names of builds by which services are started too.
const STARTERS: [&str; 5] = ["npm", "npx", "yarn", "pnpm", "webpack"];

pub fn find(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    let orphans: HashSet<Identity> =
        found.iter().filter(|one| one.kind == GhostKind::Orphan).map(|one| one.about).collect();
    for one in scene.residents().filter(|one| one.lives() && scene.age_ns(one) >= LONG_NS) {
        let Some(tool) = tool(one).filter(ends_by_itself) else { continue };
        let has_terminal = one.terminal != 0 || scene.ancestors(one).any(|above| above.terminal != 0);
        // Of tests that run others, the one on top.
        let is_part = scene.ancestors(one).any(|above| super::tool::tool(above).is_some());
        let is_init = one.identity.tgid == 1 || one.is_namespace_init;
        if has_terminal || is_part || is_init || orphans.contains(&one.identity) {
            continue;
        }
        let descendants = scene.descendants(one);
        let started_by = scene.parent(one).map_or_else(|| "something unknown".into(), named);
        found.push(Finding {
            kind: GhostKind::LongRunning,
            confidence: Confidence::Possible,
            inferred: true,
            about: one.identity,
            takes_long: false,
            count: 1 + descendants.len() as u64,
            related: others(Role::Descendant, &descendants),
            evidence: vec![
                format!("{} ends by itself, and has run for {}", tool.name, duration(scene.age_ns(one))),
                format!("{started_by} started it, and neither has a terminal"),
            ],
            commands: ways::look_and_end(scene, one),
        });
    }
}

fn ends_by_itself(tool: &Tool) -> bool {
    match tool.kind {
        ToolKind::Test => true,
        ToolKind::Build => !STARTERS.contains(&tool.name.as_str()),
        ToolKind::Watcher => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::audit::tests::{NOW_NS, census, only, resident},
        model::Resident,
    };

    fn pytest(pid: u32, parent: u32) -> Resident {
        let mut one = resident(pid, parent);
        one.command_line = vec![b"pytest".to_vec(), b"-x".to_vec()];
        one.identity.start_boottime_ns = NOW_NS - LONG_NS;
        // That of its parent: it is no orphan.
        one.session = 5;
        one
    }

    fn runner() -> Resident {
        resident(5, 1)
    }

    fn count(all: Vec<Resident>) -> usize {
        let census = census(all);
        only(&census, &census, GhostKind::LongRunning)
    }

    #[test]
    fn a_test_of_yesterday_that_nobody_looks_at_is_found_once() {
        assert_eq!(count(vec![runner(), pytest(8, 5), pytest(9, 8)]), 1, "its workers are part of it");
    }

    #[test]
    fn a_young_one_one_with_a_terminal_and_a_service_are_none() {
        let mut young = pytest(8, 5);
        young.identity.start_boottime_ns += 1;
        assert_eq!(count(vec![runner(), young]), 0);
        assert_eq!(count(vec![runner(), Resident { terminal: 34_816, ..pytest(8, 5) }]), 0);
        assert_eq!(count(vec![Resident { terminal: 34_816, ..runner() }, pytest(8, 5)]), 0);
        let service = Resident { command_line: vec![b"npm run serve".to_vec()], ..pytest(8, 5) };
        assert_eq!(count(vec![runner(), service]), 0);
        assert_eq!(count(vec![runner(), Resident { is_namespace_init: true, ..pytest(8, 5) }]), 0);
    }
}
