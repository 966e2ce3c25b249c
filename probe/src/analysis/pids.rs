//! The limits on processes, from what was read of them to the forecast: which one makes forks fail first, and when.
//!
//! Must not judge parents.

use super::{
    growth::{READINGS_MIN, growth},
    owned, text,
};
use crate::{
    engine::{PidUse, PidZombies, View},
    model::{self, Identity},
    report::pids::{
        ExhaustedIn, Growth, PRESSING_PERCENT, PRESSING_WITHIN_NS, PidLimit, PidPressure, PidScope,
        ZombieHolder,
    },
};

/// Most limits in a report.
const LISTED_MAX: usize = 16;
/// Nothing is foretold for later than this: 100 years.
const FORETOLD_MAX_NS: f64 = 3.2e18;
const SECONDS_IN_HOUR: f64 = 3_600.0;

/// The limits of a report; `None` where none was read.
pub fn pressure(view: &View<'_>) -> Option<PidPressure> {
    let mut limits = limits(view, |_| true);
    if limits.is_empty() {
        return None;
    }
    let more = limits.len().saturating_sub(LISTED_MAX) as u64;
    limits.truncate(LISTED_MAX);
    Some(PidPressure { limits, more, left_out: view.pids_left_out() })
}

/// Every limit that was read lately, the one first that makes forks fail first.
pub fn all(view: &View<'_>) -> Vec<PidLimit> {
    limits(view, |_| true)
}

/// Those that a process is under; empty where nothing of it was read.
pub fn of(view: &View<'_>, identity: Identity) -> Vec<PidLimit> {
    let own = view.pid_scopes_of(identity);
    limits(view, |scope| {
        matches!(scope, model::PidScope::PidMax | model::PidScope::ThreadsMax) || own.contains(scope)
    })
}

fn limits(view: &View<'_>, is_wanted: impl Fn(&model::PidScope) -> bool) -> Vec<PidLimit> {
    let uses = view.pid_uses();
    let wanted = uses.into_iter().filter(|(known, _)| is_wanted(&known.limit.scope));
    let mut limits: Vec<PidLimit> = wanted.map(|(known, zombies)| limit(known, zombies)).collect();
    limits.sort_by(|one, other| {
        (urgency(one).cmp(&urgency(other)))
            .then_with(|| other.percent().cmp(&one.percent()))
            .then_with(|| (one.scope, &one.name).cmp(&(other.scope, &other.name)))
    });
    limits
}

/// The lower, the sooner forks may fail: first those that are foretold to be reached soon, then those that are nearly full, where one
/// more burst is enough, then the others.
fn urgency(limit: &PidLimit) -> (u8, u64) {
    let earliest_ns = limit.exhausted_in.map_or(u64::MAX, |ends| ends.earliest_ns);
    match () {
        () if earliest_ns <= PRESSING_WITHIN_NS => (0, earliest_ns),
        () if limit.percent() > PRESSING_PERCENT => (1, 0),
        () => (2, earliest_ns),
    }
}

fn limit(known: &PidUse, zombies: PidZombies) -> PidLimit {
    let model::PidLimit { scope, used, limit, refused } = &known.limit;
    let (scope, name) = match scope {
        model::PidScope::PidMax => (PidScope::PidMax, String::new()),
        model::PidScope::ThreadsMax => (PidScope::ThreadsMax, String::new()),
        model::PidScope::Cgroup(path) => (PidScope::Cgroup, text(path).into_owned()),
        model::PidScope::User(user) => (PidScope::User, user.to_string()),
    };
    let readings: Vec<_> = known.samples.iter().copied().collect();
    let rate = growth(&readings);
    let left = limit.saturating_sub(*used);
    let exhausted_in = match rate {
        _ if left == 0 => Some(ExhaustedIn { earliest_ns: 0, latest_ns: Some(0) }),
        None => None,
        Some(rate) => Some(ExhaustedIn {
            earliest_ns: after_ns(left, rate.most).unwrap_or(FORETOLD_MAX_NS as u64),
            latest_ns: after_ns(left, rate.least),
        }),
    };
    PidLimit {
        scope,
        name,
        used: *used,
        limit: *limit,
        zombies: zombies.count.map(|count| count.min(*used)),
        most_zombies: zombies.most.map(|(parent, zombies)| ZombieHolder { parent: owned(&parent), zombies }),
        refused: *refused,
        growth: rate.map(|rate| Growth {
            least_per_hour: (rate.least * SECONDS_IN_HOUR) as u64,
            most_per_hour: (rate.most * SECONDS_IN_HOUR).ceil() as u64,
        }),
        has_too_few_readings: readings.len() < READINGS_MIN,
        exhausted_in,
    }
}

/// When so many more are there at this rate per second; `None` where that is beyond all forecasts.
fn after_ns(left: u64, rate: f64) -> Option<u64> {
    let ns = left as f64 / rate * 1e9;
    (ns.is_finite() && ns <= FORETOLD_MAX_NS).then_some(ns as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::Engine,
        model::{Begin, Input, PidLimits},
    };

    const SECOND_NS: u64 = 1_000_000_000;

    /// So many seconds of readings of three limits, one of which fills up.
    fn engine(seconds: u64) -> Engine {
        let mut engine = Engine::default();
        engine.apply(Input::Begin(Begin::default()), &mut Vec::new());
        for second in 0..seconds {
            let limit = |scope, used, limit| model::PidLimit { scope, used, limit, refused: Some(0) };
            let cgroup = model::PidScope::Cgroup(b"/a\xff".to_vec());
            let limits = vec![
                limit(model::PidScope::PidMax, 30_000, 32_767),
                limit(cgroup, (10 * second).min(200), 200),
                limit(model::PidScope::User(7), 10 * second, 2_000),
            ];
            let under = vec![(Identity { tgid: 5, start_boottime_ns: 1 }, vec![2])];
            let read = PidLimits { time_ns: second * SECOND_NS, limits, under, left_out: 0 };
            engine.apply(Input::PidLimits(Box::new(read)), &mut Vec::new());
        }
        engine
    }

    fn names(limits: &[PidLimit]) -> Vec<String> {
        limits.iter().map(|limit| format!("{} {}", limit.scope.name(), limit.name)).collect()
    }

    #[test]
    fn the_limit_that_bites_first_comes_first_with_an_interval_around_the_truth() {
        let engine = engine(11);
        let all = all(&engine.view());
        assert_eq!(names(&all), ["cgroup /a\u{fffd}", "user 7", "pid_max "]);
        let cgroup = all[0].exhausted_in.expect("it fills up");
        // Half of it is left, at ten a second.
        let latest_ns = cgroup.latest_ns.expect("it is sure");
        assert!(cgroup.earliest_ns < 10 * SECOND_NS && latest_ns > 10 * SECOND_NS, "{cgroup:?}");
        assert!(cgroup.earliest_ns > 5 * SECOND_NS && latest_ns < 20 * SECOND_NS, "{cgroup:?}");
        assert!(all[0].is_pressing(90, 3_600 * SECOND_NS) && !all[0].is_pressing(90, SECOND_NS));
        assert_eq!((all[2].growth, all[2].exhausted_in, all[2].percent()), (None, None, 91));
        assert!(all[2].is_pressing(90, 0) && !all[2].is_pressing(91, u64::MAX));
        assert_eq!(
            names(&of(&engine.view(), Identity { tgid: 5, start_boottime_ns: 1 })),
            ["user 7", "pid_max "]
        );
        assert_eq!(names(&of(&engine.view(), Identity::default())), ["pid_max "]);
    }

    #[test]
    fn a_limit_that_is_reached_is_exhausted_now_and_nothing_is_said_where_nothing_was_read() {
        let engine = engine(30);
        let report = pressure(&engine.view()).expect("it was read");
        assert_eq!(report.limits[0].exhausted_in, Some(ExhaustedIn { earliest_ns: 0, latest_ns: Some(0) }));
        assert_eq!(pressure(&Engine::default().view()), None);
        assert_eq!(after_ns(10, 0.0), None);
        assert_eq!(after_ns(10, 1e-30), None);
    }
}
