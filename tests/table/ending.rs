//! However it ends, the terminal is as it was.

use super::terminal::Terminal;

fn signal(pid: i32, number: i32) {
    // SAFETY: plain numbers; a process that the test started.
    assert_eq!(unsafe { libc::kill(pid, number) }, 0);
}

#[test]
fn a_signal_ends_it_and_the_terminal_is_as_it_was() {
    let terminal = Terminal::open(80, 24);
    for number in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        terminal.start("");
        terminal.until_it_shows("watched");
        signal(terminal.reapwatch(), number);
        let shown = terminal.until_it_shows("as it was, code ");
        assert!(!shown.contains("VERDICT"), "{shown}");
    }
}

#[test]
fn two_signals_at_once_end_it_and_the_terminal_is_as_it_was() {
    let terminal = Terminal::open(80, 24);
    terminal.start("");
    terminal.until_it_shows("watched");
    let pid = terminal.reapwatch();
    // Both are there when it goes on.
    signal(pid, libc::SIGSTOP);
    signal(pid, libc::SIGINT);
    signal(pid, libc::SIGTERM);
    signal(pid, libc::SIGCONT);
    terminal.until("the shell again", |shown| shown.contains("ready>") && !shown.contains("VERDICT"));
    terminal.types("stty -a");
    terminal.press("Enter");
    let shown = terminal.until_it_shows("echoctl");
    assert!(shown.contains(" icanon") && shown.contains(" echo "), "{shown}");
}

#[test]
fn suspended_it_gives_the_terminal_back_and_goes_on() {
    let terminal = Terminal::open(80, 24);
    terminal.start("");
    terminal.until_it_shows("watched");
    terminal.press("C-z");
    let shown = terminal.until_it_shows("Stopped");
    assert!(!shown.contains("VERDICT"), "{shown}");
    terminal.types("fg");
    terminal.press("Enter");
    terminal.until_it_shows("VERDICT");
    terminal.types("q");
    terminal.until("the shell again", |shown| shown.contains("ready>") && !shown.contains("VERDICT"));
}
