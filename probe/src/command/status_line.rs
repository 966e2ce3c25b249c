//! The status line on standard error, which shows that a long command is alive. Only if standard error is a terminal.
//!
//! Must not judge: it shows counts.

use std::{
    io::{self, IsTerminal, Write},
    time::Instant,
};

use crate::{engine::Engine, pipeline::Subscriber, render};

/// The line, redrawn in place.
pub struct StatusLine {
    began: Instant,
    is_shown: bool,
}

impl StatusLine {
    /// `wanted`: whether it is to be shown on a terminal.
    pub fn new(wanted: bool) -> Self {
        Self { began: Instant::now(), is_shown: wanted && io::stderr().is_terminal() }
    }

    /// Clears the line.
    pub fn clear(self) {
        if self.is_shown {
            write_over("");
        }
    }
}

impl Subscriber for StatusLine {
    fn reading(&mut self, engine: &Engine) -> io::Result<()> {
        if !self.is_shown {
            return Ok(());
        }
        let (parents, unreaped) = engine.parents_and_zombies();
        let losses = engine.losses();
        let line = render::status_line::status_line(
            self.began.elapsed().as_nanos() as u64,
            engine.deaths(),
            parents,
            unreaped,
            losses.events + losses.map_full + losses.probe_missed,
            terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0)),
        );
        write_over(&line);
        Ok(())
    }
}

/// A terminal that is gone is not a failure.
fn write_over(line: &str) {
    let mut terminal = io::stderr().lock();
    let _ = write!(terminal, "\r\x1b[K{line}").and_then(|()| terminal.flush());
}
