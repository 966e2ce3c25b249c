//! What is shown in place of the rows: a page to read, or a question to answer.
//!
//! Must not know who asks, or what the answer does.

use super::press::Way;

/// A text to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub title: String,
    /// Escaped lines.
    pub lines: Vec<String>,
}

/// A question whose answer is yes or no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub way: Way,
    pub page: Page,
    /// It can be answered; else something is waited for first.
    pub is_ready: bool,
}

impl Page {
    /// Of a text whose lines are escaped.
    pub fn new(title: impl Into<String>, text: &str) -> Self {
        Self { title: title.into(), lines: text.lines().map(str::to_owned).collect() }
    }

    /// What the keys do, and what the words mean.
    pub fn help() -> Self {
        Self::new("Help", HELP)
    }
}

const HELP: &str = "\
Keys
  ↑ ↓ j k      select a row, or scroll what is open; PgUp PgDn, Home g, End G
  Enter → l    open the row: causes, what to do, children, latencies, events
  Esc ← h      back; from the rows: follow the worst again
  /            filter by pid, command, unit, container, verdict or cause
  s            sort: worst, left, oldest, rate, p99, pid, command
  t            one row for each workload, or for each parent
  p            pause what is shown; the watching goes on
  e            explain the parent in full
  n            nudge it: send it SIGCHLD, after a question
  r            have it reap its zombies, after a question
  w            write the report that is shown, as JSON, to a file
  q ^C         quit           ^L  draw anew           ^Z  suspend
  Mouse: the wheel selects or scrolls, a click selects, a second one opens

In a replay
  p Space      pause and go on
  + -          faster, slower
  [ ]          10 s back, 10 s on

Columns
  LEFT         dead children that the parent has not reaped
  OLDEST       how long the oldest of them has waited; ≥: at least
  RATE, TREND  by how much LEFT grows, over the last 10 s; LEFT at the last readings
  P50, P99     within what time half, and 99 %, of its reaps came

Verdicts
  never reaps  children died and stayed past the grace, and it reaped none
  leaking      it reaps some, and others stay past the grace
  slow         it reaps, but later than the grace
  held         a tracer holds what it has not reaped
  undecided    not seen for long enough, or something was lost
  healthy      nothing waited for longer than the grace
";
