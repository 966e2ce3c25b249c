//! Durations, counts and names of processes as people read them: the headline of a report and its tables use the same
//! words.
//!
//! Must not escape: that is `render`'s.

use std::borrow::Cow;

use super::{
    ExitDetail, LookingDeadKind, Parent, SlowReaps,
    explain::{KilledBy, Sender},
    pids::{ExhaustedIn, Growth, PidLimit, PidScope},
};

/// Names that are less alike than this are not proposed; 1 is equal.
const ALIKE_MIN: f64 = 0.75;

/// The name of a parent, with its pid and unit.
pub fn parent(parent: &Parent) -> String {
    let unit = parent.unit.as_ref().map(|unit| format!(", {unit}")).unwrap_or_default();
    format!("{} (pid {}{}{unit})", called(&parent.comm), parent.pid, in_namespace(parent.ns_pid))
}

/// The name of a process; `?` if it has none or none is known.
pub fn called(name: &str) -> &str {
    if name.is_empty() { "?" } else { name }
}

/// The pid of a process in its own PID namespace, to follow its pid on the host.
pub fn in_namespace(ns_pid: Option<u32>) -> String {
    match ns_pid {
        Some(1) => ", PID 1 of a PID namespace".into(),
        Some(ns_pid) => format!(", {ns_pid} in its PID namespace"),
        None => String::new(),
    }
}

/// What the threads of a parent did when those died that it reaped late, as far as that is known.
pub fn slow_reaps(slow: &SlowReaps) -> Option<String> {
    let parts: Vec<String> = [
        (
            slow.not_waiting,
            "when no thread of it was in a wait call: it did something else, was stopped, or got no CPU",
        ),
        (slow.waiting_otherwise, "when its threads were in wait calls that do not take that child"),
        (
            slow.waiting_for_it,
            "though a thread was in a wait call that takes that child: it took others first, or woke up late",
        ),
        (slow.waiting, "when a thread was in a wait call, but for which child is not known"),
    ]
    .into_iter()
    .filter(|(part, _)| part.count > 0)
    .map(|(part, when)| {
        let reaps = if part.count == 1 { "reap" } else { "reaps" };
        format!("{} {reaps} ({} in all) {when}", count(part.count), duration(part.total_ns))
    })
    .collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// What is the matter with a process that looks dead and is no zombie.
pub fn looking_dead(kind: LookingDeadKind) -> &'static str {
    match kind {
        LookingDeadKind::StuckInTeardown => {
            "stuck in its exit: the kernel waits for a file system, a device or memory before it is dead, and no signal helps"
        }
        LookingDeadKind::NamespaceEndBlocked => {
            "stuck in its exit as the init of a PID namespace: it ends when every process in the namespace has ended and is \
             reaped, also one that came in from outside (docker exec, nsenter) and whose parent outside does not reap it"
        }
        LookingDeadKind::DeadLeader => {
            "its main thread has ended, so ps shows Z, and its other threads live: it still runs and holds what it held"
        }
    }
}

/// How near a limit on processes is, who holds most of it, and when forks will fail.
pub fn pid_limit(limit: &PidLimit) -> String {
    let what = pid_limit_name(limit);
    let (used, most) = (count(limit.used), count(limit.limit));
    let mut text = format!("{used} of {most} ({} %) of {what} in use", limit.percent());
    if let Some(zombies) = limit.zombies.filter(|zombies| *zombies > 0) {
        text.push_str(&format!(", {} of them zombies", count(zombies)));
    }
    if let Some(most) = &limit.most_zombies {
        let parent = &most.parent;
        text.push_str(&format!(
            ", most of {} (pid {}{})",
            called(&parent.comm),
            parent.pid,
            in_namespace(parent.ns_pid)
        ));
    }
    text.push_str("; ");
    text.push_str(&forecast(limit));
    text
}

/// What helps at once against a limit on processes that is mostly full of zombies of one parent.
pub fn pid_limit_now(limit: &PidLimit) -> Option<String> {
    let most = limit.most_zombies.as_ref().filter(|most| most.zombies >= limit.used / 2)?;
    Some(format!("`reapwatch reap {}` has that parent reap them without a restart", most.parent.pid))
}

/// Which limit on processes it is.
pub fn pid_limit_name(limit: &PidLimit) -> String {
    match limit.scope {
        PidScope::PidMax => "kernel.pid_max".into(),
        PidScope::ThreadsMax => "kernel.threads-max".into(),
        PidScope::Cgroup => format!("pids.max of the cgroup {}", limit.name),
        PidScope::User => format!("RLIMIT_NPROC of user {}", limit.name),
    }
}

fn forecast(limit: &PidLimit) -> String {
    match (limit.growth, limit.exhausted_in) {
        (_, Some(ExhaustedIn { latest_ns: Some(0), .. })) => "forks fail now".into(),
        (Some(growth), Some(ExhaustedIn { earliest_ns, latest_ns })) => {
            let when = match latest_ns {
                Some(latest_ns) => format!("in {} to {}", duration(earliest_ns), duration(latest_ns)),
                None => format!("in {} at the earliest", duration(earliest_ns)),
            };
            format!("{}: if that goes on, forks fail {when}", rate(growth))
        }
        _ if limit.has_too_few_readings => "watched for too short a time to tell whether it grows".into(),
        _ => "no growth that is more than chance".into(),
    }
}

fn rate(growth: Growth) -> String {
    let Growth { least_per_hour, most_per_hour } = growth;
    let (unit, per_hour) = match most_per_hour {
        0..300 => ("hour", 1),
        300..18_000 => ("minute", 60),
        _ => ("second", 3_600),
    };
    let (least, most) = (least_per_hour / per_hour, most_per_hour.div_ceil(per_hour));
    format!("{} to {} more each {unit}", count(least), count(most))
}

/// Who killed the process with this pid, as in "killed by …".
pub fn killer(by: &KilledBy, pid: u32) -> String {
    let named = || {
        by.process.as_ref().map_or_else(
            || "?".into(),
            |one| format!("{} (pid {}{})", called(&one.comm), one.pid, in_namespace(one.ns_pid)),
        )
    };
    match by.sender {
        Sender::Process if by.process.as_ref().is_some_and(|one| one.pid == pid) => "itself".into(),
        Sender::Process => named(),
        Sender::Fault => "the kernel, for a fault of its own".into(),
        Sender::OutOfMemory => "the kernel, because memory ran out".into(),
        Sender::NamespaceEnd => {
            format!("the kernel, because {} ended, the init of its PID namespace", named())
        }
        Sender::Kernel => "the kernel".into(),
    }
}

/// `850 ns`, `53 µs`, `4.2 ms`, `1.3 s`, `41 s`, `3 m 12 s`, `2 h 5 m`, `3 d 4 h`, `120 d`.
pub fn duration(ns: u64) -> String {
    let tenth = |value: f64, unit: &str| {
        if value < 9.95 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
    };
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => tenth(ns as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => tenth(ns as f64 / 1e6, "ms"),
        1_000_000_000..60_000_000_000 => tenth(ns as f64 / 1e9, "s"),
        _ => {
            let seconds = ns / 1_000_000_000;
            match seconds {
                0..3_600 => format!("{} m {} s", seconds / 60, seconds % 60),
                3_600..86_400 => format!("{} h {} m", seconds / 3_600, seconds % 3_600 / 60),
                86_400..8_640_000 => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
                _ => format!("{} d", seconds / 86_400),
            }
        }
    }
}

/// A number with thousands separators.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number in the given number of columns (at least seven): with separators if it fits, otherwise rounded, as in `4.3
/// G`.
pub fn fitting(number: u64, columns: usize) -> String {
    let whole = count(number);
    if whole.len() <= columns {
        return whole;
    }
    let mut rounded = number as f64;
    let mut prefix = "";
    for larger in ["k", "M", "G", "T", "P", "E"] {
        if rounded < 999.5 {
            break;
        }
        rounded /= 1e3;
        prefix = larger;
    }
    if rounded < 9.95 { format!("{rounded:.1} {prefix}") } else { format!("{rounded:.0} {prefix}") }
}

/// The name that is most like what was said, if any is alike.
pub fn nearest<T: AsRef<str>>(said: &str, names: impl IntoIterator<Item = T>) -> Option<T> {
    (names.into_iter().map(|name| (strsim::jaro_winkler(said, name.as_ref()), name)))
        .filter(|(likeness, _)| *likeness >= ALIKE_MIN)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

/// `1 place`, `2 places`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// `1 child`, `2 children`.
pub fn children(number: u64, kind: &str) -> String {
    let noun = if number == 1 { "child" } else { "children" };
    format!("{} {kind}{noun}", count(number))
}

/// A signal's name.
pub fn signal(number: u32) -> String {
    nix::sys::signal::Signal::try_from(number as i32)
        .map_or_else(|_| format!("signal {number}"), |signal| signal.as_str().to_owned())
}

/// How a process ended: by itself, or by which signal.
pub fn ended(exit: &ExitDetail) -> Cow<'static, str> {
    let core = if exit.core_dumped { " (core dumped)" } else { "" };
    match (exit.signal, exit.code.unwrap_or(0)) {
        (None, 0) => "exit code 0".into(),
        (None, code) => format!("exit code {code}").into(),
        (Some(number), _) => format!("killed by {}{core}", signal(number)).into(),
    }
}

/// Bytes as one reads them, in powers of 1024.
pub fn bytes(number: u64) -> String {
    match number {
        0..1_024 => format!("{number} B"),
        1_024..1_048_576 => format!("{} KiB", number / 1_024),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", number as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", number as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_counts_read_well() {
        let cases = [
            (850, "850 ns"),
            (53_000, "53 µs"),
            (4_200_000, "4.2 ms"),
            (1_300_000_000, "1.3 s"),
            (41_000_000_000, "41 s"),
            (192_000_000_000, "3 m 12 s"),
            (7_500_000_000_000, "2 h 5 m"),
            (273_600_000_000_000, "3 d 4 h"),
            (31_622_400_000_000_000, "366 d"),
        ];
        for (ns, text) in cases {
            assert_eq!(duration(ns), text);
        }
        assert_eq!(count(1_234_567), "1,234,567");
        for (number, text) in [
            (999_999, "999,999"),
            (1_000_000, "1.0 M"),
            (12_345_678, "12 M"),
            (999_600_000, "1.0 G"),
            (4_294_967_306, "4.3 G"),
            (u64::MAX, "18 E"),
        ] {
            assert_eq!(fitting(number, 7), text);
        }
    }
}
