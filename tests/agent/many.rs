//! Very many parents that live for a moment, and very many that leak to do harm: what is known of each workload stays exact, and what is
//! kept stays bounded.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::Value;

use super::{
    cgroup::Cgroup,
    running::Agent,
    support::{Telling, alone, until, workload},
};

const CGROUPS: usize = 200;
/// Of each cgroup; each has one child.
const PARENTS: u64 = 500;

/// What one of these tests makes would be counted, and take room, in the agent of the other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A series of a page is what stands before its value.
fn series(page: &str) -> BTreeMap<&str, &str> {
    page.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' ')).collect()
}

/// Every cgroup's load, two at a time; how many deaths there were in each.
fn loads(cgroups: &[Cgroup]) -> Vec<u64> {
    let (next, deaths) = (AtomicUsize::new(0), Mutex::new(vec![0; cgroups.len()]));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(cgroup) = cgroups.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut command = cgroup.command(workload());
                    command.args(["load", "--parents", "1", "--count", &PARENTS.to_string()]);
                    let output = command.output().expect("the workload");
                    let truth: Value = serde_json::from_slice(&output.stdout).expect("its truth");
                    let at =
                        cgroups.iter().position(|other| std::ptr::eq(other, cgroup)).expect("one of them");
                    deaths.lock().expect("no panic")[at] = truth["deaths"].as_u64().expect("a count");
                }
            });
        }
    });
    deaths.into_inner().expect("no panic")
}

#[test]
fn a_hundred_thousand_short_lived_parents_in_two_hundred_cgroups_are_counted_exactly_in_little_room() {
    let _alone = alone(&ONE_AT_A_TIME);
    let name = |number: usize| format!("reapwatch-test-many-{number}.service");
    let cgroups: Vec<_> =
        (0..CGROUPS).map(|number| Cgroup::new(&format!("system.slice/{}", name(number)))).collect();
    let agent = Agent::start("workloads.max = 250");
    let cost = |name: &str| agent.value(name, &[]).expect("its own cost");
    let cpu_before_s = cost("reapwatch_cpu_seconds_total");
    let deaths = loads(&cgroups);
    assert_eq!(deaths.iter().sum::<u64>(), CGROUPS as u64 * PARENTS * 2);
    let page = until("every cgroup has what its workload has counted", || {
        let page = agent.page();
        let counted = (0..CGROUPS).all(|number| {
            let labels = [("kind", "unit"), ("workload", &*name(number))];
            let value = super::running::value_in(&page, "reapwatch_children_exited_total", &labels);
            value == Some(deaths[number] as f64)
        });
        counted.then_some(page)
    });
    for (number, deaths) in deaths.iter().copied().enumerate() {
        let name = name(number);
        let labels = [("kind", "unit"), ("workload", name.as_str())];
        for (metric, expected) in [
            ("reapwatch_children_forked_total", deaths),
            ("reapwatch_children_reaped_total", deaths),
            ("reapwatch_children_abandoned_total", 0),
            ("reapwatch_reap_latency_seconds_count", deaths),
        ] {
            let value = super::running::value_in(&page, metric, &labels);
            assert_eq!(value, Some(expected as f64), "{metric} of {name}");
        }
    }
    for reason in ["events", "map_full", "probe_missed"] {
        assert_eq!(agent.value("reapwatch_lost_total", &[("reason", reason)]), Some(0.0), "{reason}");
    }
    // docs/agent.md: 40 for each workload and for the two of `other`; 64 parents with two, 32 limits with six, and some of its own.
    let series = series(&page).len();
    assert!(series <= 252 * 40 + 128 + 192 + 100, "{series} series");
    let rss_mb = cost("reapwatch_resident_memory_bytes") / 1e6;
    let lives = deaths.iter().sum::<u64>() as f64;
    let cpu_us = (cost("reapwatch_cpu_seconds_total") - cpu_before_s) * 1e6 / lives;
    eprintln!("{lives} lives, {series} series, RSS {rss_mb:.1} MB, {cpu_us:.2} µs of CPU a life");
    assert!(rss_mb < RSS_MAX_MB, "{rss_mb} MB");
}

/// Of an optimised program 24; more of its code is in memory where it is not optimised.
const RSS_MAX_MB: f64 = if cfg!(debug_assertions) { 40.0 } else { 24.0 };

/// What a page says of a workload, without when its zombies were looked at.
fn said_of(page: &str, workload: &str) -> BTreeMap<String, String> {
    let label = format!("workload=\"{workload}\"");
    let of_it = series(page).into_iter().filter(|(series, _)| series.contains(&label));
    of_it
        .filter(|(series, _)| !series.starts_with("reapwatch_oldest_unreaped_age_seconds"))
        .map(|(series, value)| (series.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn who_leaks_760_times_a_second_with_hostile_names_and_cgroups_changes_nothing_of_others() {
    let _alone = alone(&ONE_AT_A_TIME);
    let others = ["reapwatch-test-victim.service", "reapwatch-test-still.service"];
    let victim = Cgroup::new(&format!("system.slice/{}", others[0]));
    let still = Cgroup::new(&format!("system.slice/{}", others[1]));
    let attacker = Cgroup::new("user.slice/user-4242.slice/user@4242.service/evil");
    let agent = Agent::start("");
    let leak = |cgroup: &Cgroup, count: &str| {
        let mut command = cgroup.command(workload());
        command.args(["leak-all", "--count", count, "--hold-ms", "300000"]);
        Telling::start_command(command)
    };
    let (victims, _stills) = (leak(&victim, "7"), leak(&still, "3"));
    for (name, count) in others.iter().zip([7.0, 3.0]) {
        agent.until_value("reapwatch_unreaped_children", &[("workload", name)], count);
        let labels = [("workload", *name), ("verdict", "never_reaps")];
        agent.until_value("reapwatch_parent_verdict", &labels, 1.0);
        let labels = [("workload", *name), ("cause", "never_waits")];
        agent.until_value("reapwatch_leak_info", &labels, 1.0);
    }
    let before = agent.page();
    let mut command = attacker.command(workload());
    command.args(["hostile-leakers", "--per-second", "760", "--ms", "5000"]);
    let mut attack = Telling::start_command(command);
    let truth = attack.truth();
    let parents = truth["parents"].as_u64().expect("a count") as f64;
    assert!(parents > 1_000.0, "{truth}");
    let session = [("kind", "session"), ("workload", "4242")];
    let after = until("all of them are counted for the user", || {
        let page = agent.page();
        let forked = super::running::value_in(&page, "reapwatch_children_forked_total", &session);
        let left = super::running::value_in(&page, "reapwatch_unreaped_children", &session);
        // The children that are parents, and theirs.
        (forked == Some(2.0 * parents) && left == Some(parents)).then_some(page)
    });
    for name in others {
        assert_eq!(said_of(&after, name), said_of(&before, name), "{name}");
    }
    // Nobody else has appeared by what the attacker calls itself and its cgroups.
    let workloads = |page: &str| -> BTreeSet<String> {
        let of = |series: &str| {
            series
                .split_once("workload=\"")
                .map(|(_, rest)| rest.split('"').next().unwrap_or_default().to_owned())
        };
        series(page).into_keys().filter_map(of).collect()
    };
    let new: BTreeSet<_> = workloads(&after).difference(&workloads(&before)).cloned().collect();
    let hostile = |name: &&String| name.contains("evil") || name.contains("sshd") || name.contains("docker");
    assert_eq!(new.iter().filter(hostile).count(), 0, "{new:?}");
    assert!(new.contains("4242"), "{new:?}");
    let named = |page: &str, name: &str| {
        let label = format!("workload=\"{name}\"");
        series(page)
            .keys()
            .filter(|one| one.starts_with("reapwatch_parent_verdict{") && one.contains(&label))
            .count()
    };
    assert!(named(&after, "4242") <= 8, "an eighth of 64: {}", named(&after, "4242"));
    assert!(series(&after).len() < 4_080 + 128 + 192 + 100, "{}", series(&after).len());
    let told = agent.alerts();
    let about_it =
        told.iter().filter(|alert| alert["workload"]["name"] == "4242" && alert["state"] == "found");
    assert!(about_it.count() <= 9, "at most 8 at once, and one more a minute");
    // The end of another's leak is told all the same.
    let pid = Value::from(victims.child.id());
    drop(victims);
    assert_eq!(agent.alerts_about(&pid, "over").last().expect("one")["workload"]["name"], others[0]);
    attack.go_on();
    until("it ends", || attack.child.try_wait().expect("our own child"));
}
