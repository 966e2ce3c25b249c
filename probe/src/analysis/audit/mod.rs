//! The audit: which processes of a host should not be there, by one look at /proc, or two.
//!
//! Owns the rules, one file a kind, how often must be looked, and the order of findings. Where a rule cannot tell a ghost from
//! a healthy process, it finds nothing: no finding on a healthy host is worth more than one ghost more. Must not read /proc.

mod duplicate;
mod first_parent;
mod long_running;
mod orphan;
mod scene;
mod stale;
mod stuck;
mod tool;
mod ways;
mod zombie;

#[cfg(test)]
mod tests;

pub use first_parent::FirstParents;
use scene::Scene;

use super::time::rfc3339;
use crate::{
    model::{Census, Identity, Session, Unseen},
    report::audit::{AuditFinding, AuditReport, Confidence, GhostKind, Role, SCHEMA, Way},
};

/// Most findings that a report lists.
const FINDINGS_MAX: usize = 4_096;
/// What is over within this time is no finding: a process that is about to end, or whose parent has just ended.
const SETTLES_WITHIN_NS: u64 = 2_000_000_000;
/// Zombies and sleeps count only if they last so long: the grace that `watch` gives a parent too.
const LASTS_NS: u64 = 5_000_000_000;

/// What a rule found.
struct Finding {
    kind: GhostKind,
    confidence: Confidence,
    inferred: bool,
    about: Identity,
    /// It counts only if it was so for [`LASTS_NS`].
    takes_long: bool,
    count: u64,
    related: Vec<(Role, Identity)>,
    evidence: Vec<String>,
    commands: Vec<Way>,
}

/// The rules, in the order in which they may rely on each other's findings.
const RULES: [fn(&Scene<'_>, &mut Vec<Finding>); 6] =
    [zombie::find, orphan::find, duplicate::find, stale::find, long_running::find, stuck::find];

/// How long after the first look another one is needed, in ns; `None`: these two are enough. On a healthy host one is.
pub fn next_look_after_ns(first: &Census, last: &Census) -> Option<u64> {
    let found = found(first, last);
    let looked_for_ns = last.taken_ns.saturating_sub(first.taken_ns);
    match looked_for_ns {
        0..SETTLES_WITHIN_NS => (!found.is_empty()).then_some(SETTLES_WITHIN_NS),
        SETTLES_WITHIN_NS..LASTS_NS => found.iter().any(|one| one.takes_long).then_some(LASTS_NS),
        _ => None,
    }
}

/// What a person asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// Leaves out who started longer ago.
    pub since_ns: Option<u64>,
    /// What a recording tells of orphans.
    pub history: Option<&'a FirstParents>,
}

/// What is to be said after the first look and the last.
pub fn audit(first: &Census, last: &Census, asked: Asked<'_>) -> AuditReport {
    let since_ns = asked.since_ns;
    let scene = Scene::new(first, last);
    let mut found = found(first, last);
    if let Some(history) = asked.history {
        for one in found.iter_mut().filter(|one| one.kind == GhostKind::Orphan) {
            make_certain(one, history);
        }
    }
    let is_long_enough = scene.looked_for_ns() >= LASTS_NS;
    found.retain(|one| is_long_enough || !one.takes_long);
    let all = found.len();
    let oldest_ns = since_ns.map_or(0, |since_ns| last.taken_ns.saturating_sub(since_ns));
    found.retain(|one| newest_ns(one) >= oldest_ns);
    let older = (all - found.len()) as u64;
    found.sort_by_key(|one| (one.confidence, one.kind, one.about.start_boottime_ns, one.about.tgid));
    let not_listed = found.len().saturating_sub(FINDINGS_MAX) as u64;
    found.truncate(FINDINGS_MAX);
    let session = Session { anchor: last.anchor, ..Session::default() };
    let mut report = AuditReport {
        schema: SCHEMA,
        headline: String::new(),
        time: rfc3339(&session, last.taken_ns),
        looked_for_ns: scene.looked_for_ns(),
        processes: last.residents.iter().filter(|one| !one.is_kernel_thread).count() as u64,
        since_ns,
        findings: found.into_iter().filter_map(|one| published(&scene, one)).collect(),
        not_listed,
        suppressed: 0,
        older,
        not_seen: not_seen(&last.unseen),
    };
    report.headline = headline(&report);
    report
}

/// What was concluded of an orphan is known, where a recording tells of it. Whether it is wanted is as unsure as before.
fn make_certain(orphan: &mut Finding, history: &FirstParents) {
    let Some(sentence) = history.sentence(orphan.about) else { return };
    orphan.evidence.insert(0, sentence);
    orphan.inferred = false;
    if orphan.confidence == Confidence::Likely {
        orphan.confidence = Confidence::Certain;
    }
}

/// The finding in a sentence: to be asked for again after findings were left out.
pub fn headline(report: &AuditReport) -> String {
    let all = report.findings.len() as u64 + report.not_listed;
    let looked_at = match report.processes {
        1 => "1 process".to_owned(),
        many => format!("{} processes", crate::report::words::count(many)),
    };
    let parts: Vec<String> = GhostKind::ALL
        .into_iter()
        .filter_map(|kind| {
            let count = report.findings.iter().filter(|one| one.kind == kind).count();
            (count > 0).then(|| format!("{count} {}", words(kind, count)))
        })
        .collect();
    match all {
        0 => format!("Nothing found among {looked_at}."),
        1 => format!("1 finding among {looked_at}: {}.", parts.join(", ")),
        _ => format!("{all} findings among {looked_at}: {}.", parts.join(", ")),
    }
}

/// So many of a kind.
fn words(kind: GhostKind, count: usize) -> &'static str {
    match (kind, count) {
        (GhostKind::Zombie, 1) => "parent of zombies",
        (GhostKind::Zombie, _) => "parents of zombies",
        (GhostKind::Duplicate, 1) => "duplicate",
        (GhostKind::Duplicate, _) => "duplicates",
        (GhostKind::Orphan, 1) => "orphan",
        (GhostKind::Orphan, _) => "orphans",
        (GhostKind::Stale, _) => "with stale code",
        (GhostKind::LongRunning, _) => "running for too long",
        (GhostKind::Uninterruptible, _) => "in uninterruptible sleep",
        (GhostKind::StuckInExit, _) => "stuck in exit",
    }
}

/// What every rule found.
fn found(first: &Census, last: &Census) -> Vec<Finding> {
    let scene = Scene::new(first, last);
    let mut found = Vec::new();
    for rule in RULES {
        rule(&scene, &mut found);
    }
    found
}

/// When the youngest that it is about started: of zombies the youngest of those that are named.
fn newest_ns(one: &Finding) -> u64 {
    let zombies = one.related.iter().filter(|(role, _)| *role == Role::Zombie);
    zombies.map(|(_, zombie)| zombie.start_boottime_ns).max().unwrap_or(one.about.start_boottime_ns)
}

fn published(scene: &Scene<'_>, one: Finding) -> Option<AuditFinding> {
    let process = scene.with_pid(one.about.tgid)?;
    Some(AuditFinding {
        kind: one.kind,
        confidence: one.confidence,
        inferred: one.inferred,
        process: scene.describe(process),
        count: one.count,
        related: one.related.iter().filter_map(|(role, other)| scene.related(*role, *other)).collect(),
        evidence: one.evidence,
        commands: one.commands,
    })
}

fn not_seen(unseen: &Unseen) -> Vec<String> {
    let mut sentences = Vec::new();
    let of = |count: u64| if count == 1 { "1 process".to_owned() } else { format!("{count} processes") };
    if unseen.is_namespace {
        sentences.push(
            "reapwatch runs in a PID namespace of its own (a container): it sees the processes of that alone"
                .into(),
        );
    }
    if unseen.others_are_hidden {
        sentences.push(
            "/proc hides the processes of other users (hidepid): only what one's own processes show was judged".into(),
        );
    }
    if unseen.closed > 0 {
        sentences.push(format!(
            "program, files, streams and environment of {} may not be read (root may, unless a security module refuses): \
             stale code and duplicates cannot be found for those, and unread output cannot be detected for any process",
            of(unseen.closed)
        ));
    }
    if unseen.blocked > 0 {
        sentences.push(format!(
            "reading {} blocks: the kernel or a file server does not answer",
            of(unseen.blocked)
        ));
    }
    if unseen.beyond > 0 {
        sentences.push(format!(
            "{} beyond the first {} were not looked at",
            of(unseen.beyond),
            crate::model::RESIDENTS_MAX
        ));
    }
    sentences
}
