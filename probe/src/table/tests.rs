//! What keys do.

use super::{Colours, Decoder, Page, ParentId, Press, Question, Screen, Seek, Table, Way, Wish, sample};
use crate::{report::Verdict, table::Playback};

fn keys(table: &mut Table, keys: &str) -> Vec<Wish> {
    let mut decoder = Decoder::default();
    let mut presses = decoder.take(keys.as_bytes());
    presses.extend(decoder.nothing_follows());
    presses.into_iter().filter_map(|press| table.press(press)).filter(|wish| *wish != Wish::Detail).collect()
}

fn pids(table: &Table) -> Vec<u32> {
    let report = table.report().expect("a reading");
    table
        .rows
        .iter()
        .map(|row| match row {
            super::Row::Parent(place) => report.parents[*place].pid,
            super::Row::Workload(group) => group.members.len() as u32,
        })
        .collect()
}

fn selected(table: &Table) -> u32 {
    table.wants_detail().expect("a parent").pid
}

fn table() -> Table {
    sample::table(Colours::None, 80, 24)
}

#[test]
fn the_worst_that_can_be_helped_come_first_and_the_healthy_last() {
    assert_eq!(pids(&table()), [4242, 977, 650, 555, 800, 31_337]);
}

#[test]
fn the_selection_stays_with_its_parent_when_the_order_changes() {
    let mut table = table();
    assert_eq!(selected(&table), 4242, "the worst, until somebody chooses");
    keys(&mut table, "j");
    assert_eq!(selected(&table), 977);
    let mut reading = sample::reading(42);
    reading.report.parents[1].verdict = Verdict::NeverReaps;
    reading.report.parents.swap(0, 1);
    table.take(reading);
    assert_eq!((pids(&table)[0], selected(&table)), (977, 977));
    for _ in 0..7 {
        keys(&mut table, "s");
        assert_eq!(selected(&table), 977, "{:?}", table.sort);
    }
    // It has gone: whoever is in its place now.
    let mut reading = sample::reading(43);
    reading.report.parents.remove(1);
    table.take(reading);
    assert_eq!(selected(&table), 4242);
    keys(&mut table, "\x1b");
    assert_eq!(table.selected, None, "Esc follows the worst again");
}

#[test]
fn sorting_goes_around() {
    let mut table = table();
    let mut seen = Vec::new();
    for _ in 0..7 {
        keys(&mut table, "s");
        seen.push((table.sort.name(), pids(&table)[0]));
    }
    assert_eq!(
        seen,
        [
            ("left", 4242),
            ("oldest", 4242),
            ("rate", 4242),
            ("p99", 4242),
            ("pid", 555),
            ("command", 31_337),
            ("worst", 4242)
        ]
    );
}

#[test]
fn a_filter_looks_at_pid_name_workload_verdict_and_cause() {
    for (filter, found) in [
        ("4242", vec![4242]),
        ("WORKER_man", vec![4242]),
        ("docker 0123", vec![977]),
        ("nginx.service", vec![800]),
        ("slow", vec![650]),
        ("only for specific", vec![977]),
        ("nobody", vec![]),
    ] {
        let mut table = table();
        keys(&mut table, &format!("/{filter}\r"));
        assert_eq!(pids(&table), found, "{filter}");
        keys(&mut table, "\x1b");
        assert_eq!(pids(&table).len(), 6);
    }
    let mut table = table();
    keys(&mut table, "/nginq\x7fx");
    assert_eq!(pids(&table), [800], "while it is typed");
    assert_eq!(keys(&mut table, "q"), [], "q is a letter here");
    keys(&mut table, "\x1b");
    assert_eq!((pids(&table).len(), table.is_typing), (6, false));
    keys(&mut table, &format!("/{}", "x".repeat(1_000)));
    assert!(table.filter.len() <= 64);
}

#[test]
fn workloads_are_opened_and_closed() {
    let mut table = table();
    keys(&mut table, "t");
    assert_eq!(pids(&table), [1, 1, 1, 1, 1, 1]);
    assert_eq!(table.wants_detail(), None);
    assert_eq!(keys(&mut table, "r"), [], "a workload has no zombies of its own");
    keys(&mut table, "j\r");
    assert_eq!(pids(&table), [977]);
    keys(&mut table, "\r");
    assert_eq!(table.screen, Screen::Detail);
    keys(&mut table, "hh");
    assert_eq!((pids(&table).len(), table.selected_place()), (6, Some(1)));
    keys(&mut table, "t");
    assert_eq!(pids(&table)[0], 4242);
}

#[test]
fn paused_nothing_changes_until_it_goes_on() {
    let mut table = table();
    keys(&mut table, "p");
    assert!(!table.take(sample::reading(50)));
    assert_eq!(table.report().map(|report| report.window.duration_ns), Some(41_000_000_000));
    keys(&mut table, "p");
    assert!(table.take(sample::reading(51)));
}

#[test]
fn what_is_done_to_a_parent_is_asked_first_and_only_yes_is_yes() {
    let id = ParentId { pid: 4242, start_boottime_ns: 4242 };
    let mut table = table();
    assert_eq!(keys(&mut table, "e"), [Wish::Explain(id)]);
    assert_eq!(keys(&mut table, "n"), [Wish::Prepare(Way::Nudge, id)]);
    assert_eq!(keys(&mut table, "r"), [Wish::Prepare(Way::Reap, id)]);
    let ask = |table: &mut Table, is_ready| {
        table.ask(Question { way: Way::Reap, page: Page::new("Reap", "a plan\n"), is_ready });
    };
    ask(&mut table, false);
    assert_eq!(keys(&mut table, "yY"), [], "not before the plan is there");
    ask(&mut table, true);
    assert_eq!(keys(&mut table, "jk\x1b[A\x1b[<0;3;5M"), [], "reading on answers nothing");
    assert_eq!(keys(&mut table, "y"), [Wish::GoAhead]);
    for no in ["n", "\r", "\x1b", "q", "x"] {
        ask(&mut table, true);
        assert_eq!(keys(&mut table, no), [Wish::Leave], "{no:?}");
        assert_eq!(table.screen, Screen::Rows);
    }
}

#[test]
fn quitting_works_from_everywhere() {
    for before in ["", "\r", "/filter", "?", "t"] {
        let mut table = table();
        keys(&mut table, before);
        assert_eq!(keys(&mut table, "\x03"), [Wish::Quit], "{before:?}");
    }
    assert_eq!(keys(&mut table(), "q"), [Wish::Quit]);
    assert_eq!(keys(&mut table(), "\rq"), [Wish::Quit]);
    assert_eq!(keys(&mut table(), "?qq"), [Wish::Quit], "the first q closes the page");
}

#[test]
fn the_mouse_selects_opens_and_scrolls() {
    let mut table = table();
    let first = table.layout().rows.y;
    table.press(Press::Click { column: 3, row: first + 2 });
    assert_eq!((selected(&table), &table.screen), (650, &Screen::Rows));
    table.press(Press::Click { column: 3, row: first + 2 });
    assert_eq!(table.screen, Screen::Detail);
    table.press(Press::Escape);
    table.press(Press::Wheel { row: first, is_up: true });
    assert_eq!(selected(&table), 977);
    for row in 0..30 {
        table.press(Press::Click { column: 200, row });
        table.press(Press::Wheel { row, is_up: row % 2 == 0 });
    }
}

#[test]
fn a_selection_out_of_sight_is_scrolled_to() {
    let mut table = sample::table(Colours::None, 40, 5);
    keys(&mut table, "G");
    let shown = usize::from(table.layout().rows.height);
    assert_eq!((selected(&table), table.top), (31_337, 6 - shown));
    keys(&mut table, "g");
    assert_eq!((selected(&table), table.top), (4242, 0));
    table.resize(80, 24);
    assert_eq!(table.top, 0);
}

#[test]
fn only_a_replay_has_speed_and_seeks() {
    let mut live = table();
    assert_eq!(keys(&mut live, "+-[]"), []);
    let mut replay = table();
    replay.set_playback(Playback::new(60_000_000_000));
    assert_eq!(
        keys(&mut replay, "p+-[]rn"),
        [Wish::Pause, Wish::Faster, Wish::Slower, Wish::Seek(Seek::Back), Wish::Seek(Seek::On)],
        "and its parents cannot be changed"
    );
}

#[test]
fn another_selection_asks_for_its_detail() {
    let mut table = table();
    assert_eq!(table.press(Press::Down), Some(Wish::Detail));
    assert_eq!(table.press(Press::Char('x')), None);
}

#[test]
fn events_are_bounded_and_shown_of_the_selected_parent() {
    let mut table = table();
    let event = |pid: u32| super::Event {
        process: ParentId { pid, start_boottime_ns: u64::from(pid) },
        parent: None,
        text: format!("event of {pid}"),
    };
    for _ in 0..5_000 {
        table.observe(event(977));
    }
    assert!(table.events.len() <= super::EVENTS_MAX);
    let lines = |table: &Table| {
        let lines = super::pane::lines(table, 80);
        lines.iter().filter(|line| line[0].0.starts_with("event of 977")).count()
    };
    assert_eq!(lines(&table), 0);
    keys(&mut table, "j");
    assert_eq!(lines(&table), 64);
}
