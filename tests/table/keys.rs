//! What a person does who is woken up at night.

use serde_json::Value;

use super::{
    support::{GRACE, Telling, parent_in, validate},
    terminal::Terminal,
};

/// The line of a table that begins with a verdict and has this pid.
fn row(shown: &str, pid: &str) -> Option<String> {
    let has_pid = |line: &&str| line.split_whitespace().any(|word| word == pid) && !line.contains(':');
    shown.lines().find(has_pid).map(str::to_owned)
}

/// A parent that leaks once it is told to; its pid.
fn leak() -> (Telling, impl FnOnce(&mut Telling) -> Value) {
    let parent = Telling::start(&[
        "leak-all",
        "--count",
        "10",
        "--wait-first",
        "1",
        "--tell-first",
        "1",
        "--hold-ms",
        "120000",
    ]);
    (parent, |parent| {
        parent.go_on();
        parent.truth()
    })
}

#[test]
fn who_leaks_why_and_what_to_do_and_the_terminal_is_as_it_was() {
    let terminal = Terminal::open(110, 36);
    let (mut parent, begin) = leak();
    terminal.start(&format!("--grace {GRACE}"));
    terminal.until_it_shows("watched");
    let truth = begin(&mut parent);
    let pid = truth["pid"].to_string();

    let verdict = |shown: &str| {
        row(shown, &pid).is_some_and(|row| row.starts_with("never reaps") || row.starts_with("leaking"))
    };
    let shown = terminal.until("its verdict", verdict);
    assert!(row(&shown, &pid).is_some_and(|row| row.contains("workload") && row.contains(" 10 ")), "{shown}");

    // Alone, whoever else leaks on this host.
    terminal.types("/");
    terminal.types(&pid);
    terminal.press("Enter");
    terminal.until_it_shows("(Esc clears)");
    terminal.until("its causes, and no other parent", |shown| {
        let title = format!("── workload (pid {pid}");
        let rows = shown.lines().skip_while(|line| !line.starts_with("VERDICT")).skip(1);
        shown.contains(&title)
            && rows.take_while(|line| !line.is_empty()).count() == 1
            && shown.contains("why:")
            && shown.contains("fix:")
    });
    terminal.press("Enter");
    terminal.until("the detail has the room", |shown| {
        shown.contains("UNREAPED CHILDREN (10)") && !shown.contains("VERDICT")
    });
    terminal.press("Escape");
    terminal.until_it_shows("VERDICT");

    terminal.types("e");
    terminal.until_it_shows("because 10 dead children of it are unreaped");
    terminal.types("q");
    terminal.until_it_shows("VERDICT");

    terminal.types("w");
    let shown = terminal.until_it_shows("the report is in ");
    let line = shown.lines().find(|line| line.contains("the report is in ")).expect("a line");
    let path = line.trim().strip_prefix("the report is in ").expect("a path");
    assert!(path.starts_with(terminal.directory().to_str().expect("UTF-8")), "{path}");
    let report: Value = serde_json::from_slice(&std::fs::read(path).expect("a report")).expect("JSON");
    validate("report", &report);
    assert_eq!(parent_in(&report, &truth["pid"])["unreaped"], 10);

    // Asked, refused, asked again.
    terminal.types("r");
    terminal.until_it_shows("Go ahead? [y/N]");
    terminal.types("n");
    terminal.until_it_shows("nothing was done");
    terminal.types("r");
    let shown = terminal.until_it_shows("Go ahead? [y/N]");
    assert!(shown.contains("call wait4 for each of them"), "{shown}");
    terminal.types("y");
    terminal.until_it_shows("10 zombies before, 10 reaped, 0 zombies after");
    terminal.press("Escape");
    terminal.until("none is left", |shown| row(shown, &pid).is_some_and(|row| row.contains(" 0 ")));

    terminal.types("q");
    let shown = terminal.until_it_shows("as it was, code 0");
    assert!(!shown.contains("VERDICT"), "the shell's own screen is back: {shown}");
}

#[test]
fn a_terminal_of_any_size_shows_who_leaks() {
    let terminal = Terminal::open(100, 30);
    let (mut parent, begin) = leak();
    terminal.start(&format!("--grace {GRACE}"));
    terminal.until_it_shows("watched");
    let pid = begin(&mut parent)["pid"].to_string();
    terminal.types("/");
    terminal.types(&pid);
    terminal.press("Enter");
    for (width, height) in [(40, 10), (132, 43), (80, 24), (40, 10)] {
        terminal.resize(width, height);
        let shown = terminal.until(&format!("{width}×{height}"), |shown| {
            let has_row = row(shown, &pid).is_some_and(|row| row.contains("workload"));
            has_row && shown.contains("help") && shown.contains("CAUSE") == (width >= 124)
        });
        assert!(shown.lines().all(|line| line.chars().count() <= usize::from(width)), "{shown}");
    }
    terminal.types("q");
    terminal.until_it_shows("as it was, code 0");
}

#[test]
fn a_workload_is_opened_and_help_is_there() {
    let terminal = Terminal::open(100, 30);
    terminal.start("");
    terminal.until_it_shows("watched");
    terminal.types("?");
    terminal.until_it_shows("PgUp PgDn");
    terminal.press("Escape");
    terminal.types("t");
    terminal.until("workloads", |shown| shown.lines().any(|line| line.contains(" ×")));
    terminal.types("t");
    terminal.until("parents", |shown| !shown.lines().any(|line| line.contains(" ×")));
    terminal.types("p");
    terminal.until_it_shows("PAUSED");
    terminal.press("C-c");
    terminal.until_it_shows("as it was, code 0");
}
