//! The status line that shows a long command is alive.
//!
//! Must not know where it is shown.

use super::terminal::cut;
use crate::report::words::{count, duration};

/// One line, without its end.
pub fn status_line(
    elapsed_ns: u64,
    deaths: u64,
    parents: u64,
    unreaped: u64,
    lost: u64,
    width: usize,
) -> String {
    let line = format!(
        "{} · {} died · {} parents · {} unreaped · {} lost",
        duration(elapsed_ns),
        count(deaths),
        count(parents),
        count(unreaped),
        count(lost)
    );
    cut(&line, width.saturating_sub(1))
}
