//! The page of a report: its timeline, histograms and tree, from the engine's state and the history of the window.
//!
//! Owns what of them is shown. Must not judge: verdicts are the report's.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{History, command_line, history::Life, profile::profile};
use crate::{
    engine::{Histogram, State, View},
    model::{Coverage, Identity, Session},
    report::{
        Parent, Report, Verdict,
        page::{Bar, Fate, LANES_MAX, Lane, NODES_MAX, Node, Page, Timeline, WAITS_MAX},
        words,
    },
};

/// Most ancestors that are followed.
const DEPTH_MAX: usize = 48;

/// The page about a report that was made of this view. `subject`: what was watched.
pub fn page(
    view: &View<'_>,
    session: &Session,
    history: &History,
    report: Report,
    subject: String,
    recording: Option<String>,
) -> Page {
    let (began_ns, ended_ns) = view.window();
    let lives = lives(view, history);
    let timeline = timeline(view, &report, history, &lives, (began_ns, ended_ns));
    let (tree, shown) = tree(&report, &lives, view.root().is_some());
    let histograms = |of: fn(&crate::engine::Parent) -> &Histogram| {
        bars(view.parents_asked_for().map(|parent| of(parent).by_power_of_two()))
    };
    Page {
        timeline,
        reap_latency: histograms(|parent| &parent.reap_latency),
        teardown: histograms(|parent| &parent.teardown),
        not_in_tree: (lives.len() as u64).saturating_sub(shown).saturating_add(history.not_kept()),
        tree,
        profile: profile(view, session),
        report,
        subject,
        recording,
    }
}

/// The processes that events told of, and those that are still there, which the task list told of.
fn lives(view: &View<'_>, history: &History) -> HashMap<Identity, (Life, Fate)> {
    let mut all: HashMap<Identity, (Life, Fate)> = HashMap::new();
    for (identity, life) in history.lives() {
        let fate = match (life.is_dead, life.zombie_ns, life.released_ns) {
            (false, ..) => Fate::Running,
            // Somebody else took it: its parent had died.
            (true, 1.., 1..) if life.reaped_by != life.zombie_of && has_died(view, life.zombie_of) => {
                Fate::Abandoned
            }
            (true, _, 1..) => Fate::Reaped,
            (true, ..) => Fate::Dead,
        };
        all.insert(*identity, (life.clone(), fate));
    }
    let root = view.root();
    for process in view.processes().filter(|process| root.is_none() || process.in_tree) {
        let fate = match &process.state {
            State::Running => Fate::Running,
            State::Exited { .. } => Fate::Dead,
            // The command itself: we reap it when the report is made.
            State::Zombie { .. } if root == Some(process.task.identity) => Fate::Dead,
            State::Zombie { .. } => Fate::Zombie,
            State::Abandoned { .. } | State::TakenForReaped { .. } => Fate::Abandoned,
        };
        let zombie_ns = match &process.state {
            State::Zombie { since_ns, .. } => *since_ns,
            _ => 0,
        };
        let blank = Life {
            task: process.task,
            born_to: process.born_to,
            info: process.info.clone(),
            zombie_of: process.parent,
            zombie_ns,
            is_dead: fate != Fate::Running,
            released_ns: 0,
            reaped_by: Identity::default(),
        };
        let entry = all.entry(process.task.identity).or_insert((blank, fate));
        entry.1 = fate;
        if entry.0.born_to == Identity::default() {
            entry.0.born_to = process.parent;
        }
    }
    all
}

fn has_died(view: &View<'_>, parent: Identity) -> bool {
    view.parent(parent).is_none_or(|parent| parent.died_ns.is_some())
}

fn timeline(
    view: &View<'_>,
    report: &Report,
    history: &History,
    lives: &HashMap<Identity, (Life, Fate)>,
    (began_ns, ended_ns): (u64, u64),
) -> Timeline {
    let (step_ns, mut steps) = history.steps(began_ns, ended_ns);
    // The command itself is kept until the report is made: that is our doing.
    if let Some((root, _)) = view.root().and_then(|root| lives.get(&root))
        && root.zombie_ns >= began_ns
        && root.released_ns == 0
        && root.zombie_ns != 0
    {
        let place = ((root.zombie_ns - began_ns) / step_ns) as usize;
        if let Some(step) = steps.get_mut(place) {
            step.died = step.died.saturating_sub(1);
        }
        steps.iter_mut().skip(place).for_each(|step| step.zombies = step.zombies.saturating_sub(1));
    }
    let is_whole = matches!(view.begin().coverage, Coverage::EveryEvent);
    let mut waits: HashMap<Identity, Vec<(u64, u64)>> = HashMap::new();
    for (life, _) in lives.values().filter(|(life, _)| life.zombie_ns != 0) {
        let to_ns = if life.released_ns == 0 { ended_ns } else { life.released_ns };
        let within = |time_ns: u64| time_ns.clamp(began_ns, ended_ns) - began_ns;
        waits.entry(life.zombie_of).or_default().push((within(life.zombie_ns), within(to_ns)));
    }
    let lanes = report.parents.iter().filter(|parent| parent.verdict > Verdict::Healthy).take(LANES_MAX);
    let lanes = lanes.map(|parent| {
        let identity = identity(parent);
        let died_ns = view.parent(identity).and_then(|known| known.died_ns).unwrap_or(ended_ns);
        let mut waits = waits.remove(&identity).unwrap_or_default();
        // What waited longest says most.
        waits.sort_unstable_by_key(|(from, to)| (std::cmp::Reverse(to - from), *from));
        let more = waits.len().saturating_sub(WAITS_MAX) as u64;
        waits.truncate(WAITS_MAX);
        waits.sort_unstable();
        Lane {
            name: words::parent(parent),
            verdict: parent.verdict,
            from_ns: parent.start_boottime_ns.clamp(began_ns, ended_ns) - began_ns,
            to_ns: died_ns.clamp(began_ns, ended_ns) - began_ns,
            waits,
            more,
        }
    });
    Timeline { step_ns, lanes: lanes.collect(), steps: if is_whole { steps } else { Vec::new() } }
}

fn identity(parent: &Parent) -> Identity {
    Identity { tgid: parent.pid, start_boottime_ns: parent.start_boottime_ns }
}

/// Sums of histograms, without gaps from the shortest to the longest.
fn bars(histograms: impl Iterator<Item = BTreeMap<u32, u64>>) -> Vec<Bar> {
    let mut sums: BTreeMap<u32, u64> = BTreeMap::new();
    for (power, count) in histograms.flatten() {
        let sum = sums.entry(power).or_default();
        *sum = sum.saturating_add(count);
    }
    let (Some((first, _)), Some((last, _))) = (sums.first_key_value(), sums.last_key_value()) else {
        return Vec::new();
    };
    let bar = |power| Bar { from_ns: 1_u64 << power, count: sums.get(&power).copied().unwrap_or(0) };
    (*first..=*last).map(bar).collect()
}

/// The tree: whoever has something to tell, and those above it. Returns how many processes it shows. `of_command`: that one
/// runs says something only of the descendants of a command.
fn tree(report: &Report, lives: &HashMap<Identity, (Life, Fate)>, of_command: bool) -> (Vec<Node>, u64) {
    let judged: HashMap<Identity, &Parent> =
        report.parents.iter().map(|parent| (identity(parent), parent)).collect();
    let tells = |identity: &Identity, fate: Fate| {
        let is_left = if fate == Fate::Running { of_command } else { !fate.is_settled() };
        is_left || judged.get(identity).is_some_and(|parent| parent.verdict > Verdict::Healthy)
    };
    let mut shown: BTreeSet<Identity> = BTreeSet::new();
    let mut telling: Vec<Identity> = lives
        .iter()
        .filter(|(identity, (_, fate))| tells(identity, *fate))
        .map(|(identity, _)| *identity)
        .collect();
    // The judged first, so that no crowd hides them.
    telling.sort_by_key(|identity| (!judged.contains_key(identity), *identity));
    for identity in telling {
        let mut line = vec![identity];
        // A line that came round, as a damaged recording may claim, would be endless.
        while let Some((life, _)) = line.last().and_then(|last| lives.get(last))
            && line.len() < DEPTH_MAX
            && lives.contains_key(&life.born_to)
            && !line.contains(&life.born_to)
        {
            line.push(life.born_to);
        }
        let new = line.iter().filter(|one| !shown.contains(one)).count();
        if shown.len() + new <= NODES_MAX {
            shown.extend(line);
        }
    }
    let mut children: BTreeMap<Option<Identity>, Vec<Identity>> = BTreeMap::new();
    let mut unshown: HashMap<Identity, u64> = HashMap::new();
    for (identity, (life, _)) in lives {
        if !shown.contains(identity) {
            *unshown.entry(life.born_to).or_default() += 1;
        }
    }
    for identity in &shown {
        let above = lives.get(identity).map(|(life, _)| life.born_to).filter(|one| shown.contains(one));
        children.entry(above).or_default().push(*identity);
    }
    let mut nodes = Vec::new();
    let mut to_visit: Vec<(Identity, usize)> =
        children.get(&None).into_iter().flatten().rev().map(|one| (*one, 0)).collect();
    while let Some((identity, depth)) = to_visit.pop() {
        if let Some((life, fate)) = lives.get(&identity) {
            nodes.push(Node {
                depth,
                pid: identity.tgid,
                comm: life.task.comm.text().into_owned(),
                command_line: life.info.as_deref().map(command_line).unwrap_or_default(),
                fate: *fate,
                judged: judged.get(&identity).map(|parent| (parent.verdict, parent.ledger)),
                more: unshown.get(&identity).copied().unwrap_or(0),
            });
        }
        let below = children.get(&Some(identity)).into_iter().flatten().rev();
        to_visit.extend(below.map(|one| (*one, depth + 1)));
    }
    let count = nodes.len() as u64;
    (nodes, count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Comm, Task},
        report::sample::{parent, sample},
    };

    fn identity(tgid: u32) -> Identity {
        Identity { tgid, start_boottime_ns: u64::from(tgid) }
    }

    fn lives(all: &[(u32, u32, Fate)]) -> HashMap<Identity, (Life, Fate)> {
        let life = |tgid, born_to| Life {
            born_to: identity(born_to),
            ..Life::new(Task { identity: identity(tgid), ns_pid: tgid, comm: Comm::from(&b"x"[..]) })
        };
        all.iter().map(|(tgid, born_to, fate)| (identity(*tgid), (life(*tgid, *born_to), *fate))).collect()
    }

    fn shown(nodes: &[Node]) -> Vec<(usize, u32, u64)> {
        nodes.iter().map(|node| (node.depth, node.pid, node.more)).collect()
    }

    #[test]
    fn the_tree_shows_what_has_something_to_tell_below_those_who_started_it() {
        use Fate::{Abandoned, Reaped, Running, Zombie};
        let lives = lives(&[
            (10, 1, Reaped),
            (11, 10, Reaped),
            (12, 11, Zombie),
            (13, 11, Abandoned),
            (14, 10, Reaped),
            (15, 14, Reaped),
            (16, 10, Running),
        ]);
        let (of_command, count) = tree(&sample(Vec::new()), &lives, true);
        assert_eq!(shown(&of_command), [(0, 10, 1), (1, 11, 0), (2, 12, 0), (2, 13, 0), (1, 16, 0)]);
        assert_eq!(count, 5);
        // On a host everything runs: that says nothing.
        let (of_host, _) = tree(&sample(Vec::new()), &lives, false);
        assert!(of_host.iter().all(|node| node.pid != 16), "{of_host:?}");
        let mut leaker = parent("x", Verdict::Leaking);
        (leaker.pid, leaker.start_boottime_ns) = (15, 15);
        let (judged, _) = tree(&sample(vec![leaker]), &lives, false);
        let found = judged.iter().find(|node| node.pid == 15).expect("it is judged");
        assert_eq!(found.judged.map(|(verdict, _)| verdict), Some(Verdict::Leaking));
    }

    #[test]
    fn neither_a_crowd_nor_a_circle_makes_the_tree_endless() {
        let crowd: Vec<_> = (2..5_000).map(|tgid| (tgid, tgid - 1, Fate::Zombie)).collect();
        let (nodes, count) = tree(&sample(Vec::new()), &lives(&crowd), true);
        assert!(nodes.len() <= NODES_MAX && count == nodes.len() as u64, "{count}");
        let circle = lives(&[(2, 3, Fate::Zombie), (3, 2, Fate::Zombie), (4, 3, Fate::Zombie)]);
        assert!(tree(&sample(Vec::new()), &circle, true).0.len() <= 3);
    }

    #[test]
    fn bars_have_no_gap_from_the_shortest_to_the_longest() {
        let of = |pairs: &[(u32, u64)]| bars(std::iter::once(pairs.iter().copied().collect()));
        let counts: Vec<(u64, u64)> =
            of(&[(10, 3), (13, 1)]).iter().map(|bar| (bar.from_ns, bar.count)).collect();
        assert_eq!(counts, [(1_024, 3), (2_048, 0), (4_096, 0), (8_192, 1)]);
        assert!(of(&[]).is_empty());
    }
}
