//! When a person is told: once when something is found, once when its cause is known, once when it is over.
//!
//! Owns the open alerts, in bounded memory. Must not judge: verdicts and causes are the report's.

use foldhash::{HashMap, HashMapExt};

use super::{
    Pattern,
    lasting::Lasting,
    pace::Pace,
    pressure::{PidRules, Pressure},
    workloads::{Workloads, identity},
};
use crate::{
    analysis::{
        self,
        time::{epoch_ns, rfc3339},
    },
    engine::View,
    model::{Group, Identity, Session},
    report::{
        Cause, CauseKind, CommandLines, Lost, Parent, Rfc3339, SlowReaps, Verdict,
        alert::{Alert, AlertKind, AlertParent, AlertState, SCHEMA},
        metrics::AlertCounts,
        pids::PidLimit,
        words,
    },
};

/// Most alerts that are open at once; more are counted, and left out.
const OPEN_MAX: usize = 1_024;
/// Most of those that are of one workload, or of those that one user can make up.
const OPEN_OF_ONE_GROUP_MAX: usize = 32;

/// What is worth an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// A parent must leave at least so many dead children unreaped.
    pub least_unreaped: u64,
    /// It must have reaped at least so many children late since the last look.
    pub least_late: u64,
    /// A thing is over when it has not been seen for so long.
    pub over_after_ns: u64,
    pub pids: PidRules,
    pub command_lines: CommandLines,
    pub silences: Vec<Silence>,
}

/// What is not told. All that it names must be so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Silence {
    /// The short name of the parent, or its whole command line as alerts tell it.
    pub command: Option<Pattern>,
    /// The name of the workload; of a limit on processes, its own: the path of a cgroup, the number of a user, or the kind.
    pub workload: Option<Pattern>,
    /// The strongest cause, as JSON has it.
    pub cause: Option<CauseKind>,
    /// When it ends, in ns since the epoch. `None`: never.
    pub until_ns: Option<i128>,
}

impl Silence {
    fn covers(&self, parent: &AlertParent, time_ns: i128) -> bool {
        let workload = parent.workload.as_ref().map_or("", |workload| &workload.name);
        let is_called = |pattern: &Pattern| {
            pattern.matches(&parent.comm) || pattern.matches(&parent.command_line.join(" "))
        };
        self.until_ns.is_none_or(|until_ns| time_ns < until_ns)
            && self.command.as_ref().is_none_or(is_called)
            && self.workload.as_ref().is_none_or(|pattern| pattern.matches(workload))
            && self.cause.is_none_or(|kind| parent.cause.as_ref().is_some_and(|cause| cause.kind == kind))
    }

    /// A limit has a name, and neither command nor cause.
    fn covers_limit(&self, limit: &PidLimit, time_ns: i128) -> bool {
        let name = if limit.name.is_empty() { limit.scope.name() } else { &limit.name };
        self.until_ns.is_none_or(|until_ns| time_ns < until_ns)
            && self.command.is_none()
            && self.cause.is_none()
            && self.workload.as_ref().is_some_and(|pattern| pattern.matches(name))
    }
}

/// The open alerts.
#[derive(Debug)]
pub struct Alerts {
    rules: Rules,
    open: HashMap<(AlertKind, Identity), Open>,
    /// How many children each parent had reaped late when it was last seen.
    late: HashMap<Identity, u64>,
    pace: Pace<Option<Group>>,
    pressure: Pressure,
    /// What had been lost when it was last looked at.
    lost: Lost,
    /// What was lost since, and when it began and last grew.
    loss: Option<Loss>,
    counts: AlertCounts,
}

/// What is the matter with one parent.
#[derive(Debug)]
struct Open {
    lasting: Lasting,
    is_cause_told: bool,
    group: Option<Group>,
    /// As it was when it was last so.
    parent: AlertParent,
}

#[derive(Clone, Copy, Debug)]
struct Loss {
    since_ns: u64,
    seen_ns: u64,
}

/// The time in the forms that are needed.
#[derive(Clone, Copy)]
pub(super) struct Now {
    pub boottime_ns: u64,
    pub epoch_ns: i128,
    pub text: Rfc3339,
}

impl Alerts {
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            open: HashMap::new(),
            late: HashMap::new(),
            pace: Pace::default(),
            pressure: Pressure::default(),
            lost: Lost::default(),
            loss: None,
            counts: AlertCounts::default(),
        }
    }

    /// Open alerts stay open.
    pub fn reconfigure(&mut self, rules: Rules) {
        self.rules = rules;
    }

    pub fn counts(&self) -> AlertCounts {
        self.counts
    }

    /// Whether there is an alert about this parent, told or not.
    pub fn is_open(&self, parent: Identity) -> bool {
        [AlertKind::Leak, AlertKind::Slow].iter().any(|kind| self.open.contains_key(&(*kind, parent)))
    }

    /// What there is to tell of these parents, which live, of these limits on processes, and of what was lost so far.
    pub fn observe(
        &mut self,
        view: &View<'_>,
        parents: &[Parent],
        limits: &[PidLimit],
        lost: Lost,
        session: &Session,
        workloads: &Workloads,
    ) -> Vec<Alert> {
        let (_, now_ns) = view.window();
        let now =
            Now { boottime_ns: now_ns, epoch_ns: epoch_ns(session, now_ns), text: rfc3339(session, now_ns) };
        // Whatever a dead one left has another parent now; one that is no longer kept has died and left nothing.
        let is_gone = |parent: &Identity| view.parent(*parent).is_none_or(|known| known.died_ns.is_some());
        self.late.retain(|parent, _| !is_gone(parent));
        let mut gone: Vec<_> = self.open.keys().filter(|(_, parent)| is_gone(parent)).copied().collect();
        gone.sort_unstable();
        let mut alerts: Vec<Alert> = gone.into_iter().filter_map(|key| self.close_dead(key, now)).collect();
        for parent in parents {
            let whose = identity(parent);
            // The event of a late reap may come before the count that makes the verdict: then it is new the next time.
            let late_before = self.late.get(&whose).copied().unwrap_or(0);
            let late_now = match &parent.slow_reaps {
                Some(slow) if parent.verdict >= Verdict::Slow => late_reaps(slow),
                _ => late_before,
            };
            let late_more = late_now.saturating_sub(late_before);
            if late_now > 0 {
                self.late.insert(whose, late_now);
            }
            let leaks =
                parent.verdict >= Verdict::Leaking && parent.left_by_itself() >= self.rules.least_unreaped;
            let is_leak_open = leaks || self.open.contains_key(&(AlertKind::Leak, whose));
            let kind = match () {
                () if leaks => AlertKind::Leak,
                // Of a parent that leaks it is no news that others are late.
                () if !is_leak_open && late_more >= self.rules.least_late.max(1) => AlertKind::Slow,
                () => continue,
            };
            let group = workloads.of(whose).map(Group::of);
            alerts.extend(self.see(
                (kind, whose),
                described(parent, workloads, self.rules.command_lines),
                group,
                now,
            ));
        }
        alerts.extend(self.close_what_is_over(now));
        alerts.extend(self.loss(lost, now));
        let Rules { pids, over_after_ns, silences, .. } = &self.rules;
        let is_silenced = |limit: &PidLimit| silences.iter().any(|one| one.covers_limit(limit, now.epoch_ns));
        alerts.extend(self.pressure.observe(
            limits,
            *pids,
            *over_after_ns,
            now,
            is_silenced,
            &mut self.counts,
        ));
        self.counts.sent += alerts.len() as u64;
        alerts
    }

    /// It is so now.
    fn see(
        &mut self,
        key: (AlertKind, Identity),
        parent: AlertParent,
        group: Option<Group>,
        now: Now,
    ) -> Option<Alert> {
        let of_group = || self.open.values().filter(|open| open.group == group).count();
        if !self.open.contains_key(&key)
            && (self.open.len() >= OPEN_MAX || of_group() >= OPEN_OF_ONE_GROUP_MAX)
        {
            self.counts.beyond_limit += 1;
            return None;
        }
        let open = self.open.entry(key).or_insert_with(|| Open {
            lasting: Lasting::begin(now),
            is_cause_told: false,
            group: None,
            parent: parent.clone(),
        });
        (open.lasting.seen_ns, open.parent, open.group) = (now.boottime_ns, parent, group);
        let is_silenced = self.rules.silences.iter().any(|one| one.covers(&open.parent, now.epoch_ns));
        if is_silenced {
            open.lasting.keep_silent(&mut self.counts);
            return None;
        }
        let is_cause_known = open.parent.cause.is_some();
        let state = match () {
            () if !open.lasting.is_told => {
                if !self.pace.allows(open.group.clone(), now.boottime_ns) {
                    self.counts.beyond_limit += u64::from(open.lasting.has_just_begun(now));
                    return None;
                }
                open.lasting.is_told = true;
                AlertState::Found
            }
            () if is_cause_known && !open.is_cause_told => AlertState::CauseKnown,
            () => return None,
        };
        open.is_cause_told = is_cause_known;
        Some(alert(key, state, open, now))
    }

    /// It is over, if it was open. Only who was told of it is told that.
    fn close(&mut self, key: (AlertKind, Identity), now: Now) -> Option<Alert> {
        let open = self.open.remove(&key)?;
        open.lasting.is_told.then(|| alert(key, AlertState::Over, &open, now))
    }

    /// It is over, because the parent has died.
    fn close_dead(&mut self, key: (AlertKind, Identity), now: Now) -> Option<Alert> {
        let mut alert = self.close(key, now)?;
        let parent = alert.parent.as_mut()?;
        parent.alive = false;
        alert.text = format!("{} has ended", who(parent));
        Some(alert)
    }

    fn close_what_is_over(&mut self, now: Now) -> Vec<Alert> {
        let is_over = |open: &Open| open.lasting.is_over(self.rules.over_after_ns, now);
        let mut over: Vec<_> =
            self.open.iter().filter(|(_, open)| is_over(open)).map(|(key, _)| *key).collect();
        over.sort_unstable();
        over.into_iter().filter_map(|key| self.close(key, now)).collect()
    }

    fn loss(&mut self, lost: Lost, now: Now) -> Option<Alert> {
        let more = Lost {
            events: lost.events.saturating_sub(self.lost.events),
            map_full: lost.map_full.saturating_sub(self.lost.map_full),
            probe_missed: lost.probe_missed.saturating_sub(self.lost.probe_missed),
            damaged: lost.damaged.saturating_sub(self.lost.damaged),
        };
        self.lost = lost;
        let say = |state, text: String, since_ns: u64, lost| Alert {
            schema: SCHEMA,
            time: now.text,
            alert: AlertKind::Loss,
            state,
            id: format!("{}-{since_ns}", AlertKind::Loss.name()),
            text,
            parent: None,
            pid_limit: None,
            lost,
            lasted_ns: (state == AlertState::Over).then(|| now.boottime_ns.saturating_sub(since_ns)),
        };
        match (&mut self.loss, more != Lost::default()) {
            (Some(loss), true) => {
                loss.seen_ns = now.boottime_ns;
                None
            }
            (None, true) => {
                let since_ns = now.boottime_ns;
                self.loss = Some(Loss { since_ns, seen_ns: since_ns });
                let text = format!(
                    "inputs were lost ({} events, {} map entries, {} hook runs): counts may be too low, and causes may be \
                     missing; a larger --ring-size or --max-parents may help",
                    words::count(more.events),
                    words::count(more.map_full),
                    words::count(more.probe_missed)
                );
                Some(say(AlertState::Found, text, since_ns, Some(more)))
            }
            (Some(loss), false)
                if now.boottime_ns.saturating_sub(loss.seen_ns) >= self.rules.over_after_ns =>
            {
                let since_ns = loss.since_ns;
                self.loss = None;
                Some(say(AlertState::Over, "nothing is lost any more".into(), since_ns, None))
            }
            (Some(_) | None, false) => None,
        }
    }
}

fn late_reaps(slow: &SlowReaps) -> u64 {
    [slow.not_waiting, slow.waiting_otherwise, slow.waiting_for_it, slow.waiting, slow.unknown]
        .iter()
        .fold(0, |sum, part| sum.saturating_add(part.count))
}

fn described(parent: &Parent, workloads: &Workloads, command_lines: CommandLines) -> AlertParent {
    let mut command_line = parent.command_line.clone();
    command_lines.told(&mut command_line);
    AlertParent {
        workload: workloads.of(identity(parent)).map(analysis::workload),
        pid: parent.pid,
        start_time: parent.start_time,
        comm: parent.comm.clone(),
        executable: parent.executable.clone(),
        command_line,
        alive: true,
        verdict: parent.verdict,
        unreaped: parent.ledger.unreaped,
        oldest_unreaped_ns: parent.oldest_unreaped_ns,
        cause: parent.causes.iter().find(|cause| cause.kind != CauseKind::Unknown).cloned(),
    }
}

fn alert((kind, whose): (AlertKind, Identity), state: AlertState, open: &Open, now: Now) -> Alert {
    Alert {
        schema: SCHEMA,
        time: now.text,
        alert: kind,
        state,
        id: format!("{}-{}-{}", kind.name(), whose.tgid, whose.start_boottime_ns),
        text: text(kind, state, &open.parent),
        parent: Some(open.parent.clone()),
        pid_limit: None,
        lost: None,
        lasted_ns: (state == AlertState::Over).then(|| open.lasting.lasted_ns()),
    }
}

fn who(parent: &AlertParent) -> String {
    let workload = parent.workload.as_ref();
    let workload = workload.map_or_else(String::new, |one| format!(", {} {}", one.kind.name(), one.name));
    format!("{} (pid {}{workload})", words::called(&parent.comm), parent.pid)
}

/// Who does what, since when, why and what to do, in a sentence or two.
fn text(kind: AlertKind, state: AlertState, parent: &AlertParent) -> String {
    let who = who(parent);
    let what = match (kind, state) {
        (AlertKind::Leak, AlertState::Over) => {
            return format!("{who} no longer leaves dead children unreaped");
        }
        (_, AlertState::Over) => return format!("{who} no longer reaps late"),
        (AlertKind::Leak, _) => format!(
            "{who} leaves {} unreaped; the oldest has waited {}",
            words::children(parent.unreaped, "dead "),
            words::duration(parent.oldest_unreaped_ns)
        ),
        _ => format!("{who} reaps its dead children late"),
    };
    match &parent.cause {
        None => what,
        Some(Cause { kind, evidence, fix, .. }) => {
            let evidence = evidence.first().map_or_else(String::new, |first| format!(": {first}"));
            format!("{what}. Why: {}{evidence}. Fix: {fix}", kind.words())
        }
    }
}
