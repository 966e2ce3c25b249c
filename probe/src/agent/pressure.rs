//! When a person is told of a limit on processes: once when it is pressing, once when it no longer is.
//!
//! Owns the open alerts about limits, in bounded memory. Must not make forecasts: they are the analysis's.

use std::collections::BTreeMap;

use super::{alerts::Now, lasting::Lasting, pace::Pace};
use crate::report::{
    alert::{Alert, AlertKind, AlertState, SCHEMA},
    metrics::AlertCounts,
    pids::{PidLimit, PidScope},
    words,
};

/// Most alerts about limits that are open at once; more are counted, and left out.
const OPEN_MAX: usize = 64;

/// When a limit is worth an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PidRules {
    /// More than this part of it is in use, in percent.
    pub used_over_percent: u64,
    /// Or forks will fail within this time.
    pub exhausted_within_ns: u64,
}

/// The open alerts about limits.
#[derive(Debug, Default)]
pub struct Pressure {
    open: BTreeMap<(PidScope, String), Open>,
    pace: Pace<PidScope>,
}

#[derive(Debug)]
struct Open {
    lasting: Lasting,
    /// As it was when it was last pressing.
    limit: PidLimit,
}

impl Pressure {
    /// What there is to tell of these limits. `is_silenced`: whether nobody is to be told of one.
    pub(super) fn observe(
        &mut self,
        limits: &[PidLimit],
        rules: PidRules,
        over_after_ns: u64,
        now: Now,
        is_silenced: impl Fn(&PidLimit) -> bool,
        counts: &mut AlertCounts,
    ) -> Vec<Alert> {
        let mut alerts = Vec::new();
        for limit in limits {
            if !limit.is_pressing(rules.used_over_percent, rules.exhausted_within_ns) {
                continue;
            }
            let key = (limit.scope, limit.name.clone());
            if !self.open.contains_key(&key) && self.open.len() >= OPEN_MAX {
                counts.beyond_limit += 1;
                continue;
            }
            let open = self
                .open
                .entry(key)
                .or_insert_with(|| Open { lasting: Lasting::begin(now), limit: limit.clone() });
            (open.lasting.seen_ns, open.limit) = (now.boottime_ns, limit.clone());
            if is_silenced(limit) {
                open.lasting.keep_silent(counts);
                continue;
            }
            if open.lasting.is_told {
                continue;
            }
            if !self.pace.allows(limit.scope, now.boottime_ns) {
                counts.beyond_limit += u64::from(open.lasting.has_just_begun(now));
                continue;
            }
            open.lasting.is_told = true;
            alerts.push(alert(AlertState::Found, open, now));
        }
        self.open.retain(|_, open| {
            let is_over = open.lasting.is_over(over_after_ns, now);
            if is_over && open.lasting.is_told {
                alerts.push(alert(AlertState::Over, open, now));
            }
            !is_over
        });
        alerts
    }
}

fn alert(state: AlertState, open: &Open, now: Now) -> Alert {
    let limit = &open.limit;
    let text = match state {
        AlertState::Over => format!("no longer pressing: {}", words::pid_limit_name(limit)),
        _ => {
            let now = words::pid_limit_now(limit).map_or_else(String::new, |now| format!(". Now: {now}"));
            format!("{}{now}", words::pid_limit(limit))
        }
    };
    Alert {
        schema: SCHEMA,
        time: now.text,
        alert: AlertKind::Pids,
        state,
        id: format!(
            "{}-{}-{}-{}",
            AlertKind::Pids.name(),
            limit.scope.name(),
            limit.name,
            open.lasting.since_ns
        ),
        text,
        parent: None,
        pid_limit: Some(limit.clone()),
        lost: None,
        lasted_ns: (state == AlertState::Over).then(|| open.lasting.lasted_ns()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Rfc3339, pids::ExhaustedIn};

    const RULES: PidRules = PidRules { used_over_percent: 90, exhausted_within_ns: 3_600 };

    fn limit(name: &str, used: u64, latest_ns: Option<u64>) -> PidLimit {
        PidLimit {
            scope: PidScope::Cgroup,
            name: name.into(),
            used,
            limit: 100,
            zombies: Some(0),
            most_zombies: None,
            refused: None,
            growth: None,
            has_too_few_readings: false,
            exhausted_in: Some(ExhaustedIn { earliest_ns: 1, latest_ns }),
        }
    }

    struct Told {
        pressure: Pressure,
        counts: AlertCounts,
    }

    impl Told {
        fn at(&mut self, now_ns: u64, limits: &[PidLimit], silenced: &str) -> Vec<(AlertState, String)> {
            let now = Now { boottime_ns: now_ns, epoch_ns: 0, text: Rfc3339::new() };
            let is_silenced = |limit: &PidLimit| limit.name == silenced;
            let alerts = self.pressure.observe(limits, RULES, 60, now, is_silenced, &mut self.counts);
            alerts.into_iter().map(|alert| (alert.state, alert.id)).collect()
        }
    }

    #[test]
    fn a_limit_is_told_once_when_it_is_pressing_and_once_when_it_has_not_been_for_long_enough() {
        let mut told = Told { pressure: Pressure::default(), counts: AlertCounts::default() };
        let id = || "pids-cgroup-/a-10".to_owned();
        assert_eq!(told.at(1, &[limit("/a", 90, None), limit("/b", 5, Some(3_601))], ""), []);
        assert_eq!(told.at(10, &[limit("/a", 50, Some(3_600))], ""), [(AlertState::Found, id())]);
        assert_eq!(told.at(20, &[limit("/a", 91, None)], ""), []);
        assert_eq!(told.at(79, &[limit("/a", 50, None)], ""), []);
        assert_eq!(told.at(80, &[], ""), [(AlertState::Over, id())]);
        assert_eq!(told.at(90, &[], ""), []);
    }

    #[test]
    fn what_is_silenced_is_counted_once_and_however_many_there_are_only_some_are_told() {
        let mut told = Told { pressure: Pressure::default(), counts: AlertCounts::default() };
        for now_ns in [1, 2] {
            assert_eq!(told.at(now_ns, &[limit("/a", 100, None)], "/a"), []);
        }
        assert_eq!(told.counts.silenced, 1);
        assert_eq!(told.at(3, &[limit("/a", 100, None)], "").len(), 1, "it is no longer silenced");
        let many: Vec<_> = (0..200).map(|number| limit(&number.to_string(), 100, None)).collect();
        let alerts = told.at(4, &many, "");
        assert!(!alerts.is_empty() && alerts.len() < 20, "{}", alerts.len());
        assert_eq!(told.counts.beyond_limit as usize + alerts.len(), 200);
        assert_eq!(told.pressure.open.len(), OPEN_MAX);
    }
}
