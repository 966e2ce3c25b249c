//! What a person asks for that reaches beyond the table: something done to a parent, and a report written to a file.
//!
//! Must not do anything to a process itself: that is `reap`'s.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::page_view;
use crate::{
    cli::{Format, ReapArgs},
    command::{
        Failure,
        reap::{Plan, Prepared},
    },
    intervention::reap::Signals,
    render,
    report::Report,
    table::{Page, ParentId, Question, Way},
};

/// Most files of one second.
const NAMES_MAX: u32 = 100;

/// Something that is being prepared, step by step.
pub enum Act {
    /// Zombies must be there for all of the grace.
    Waiting { way: Way, prepared: Box<Prepared>, until: Instant },
    /// What is to be done is shown, and not answered yet.
    Planned(Box<Plan>),
}

impl Act {
    /// Looks at the zombies of a parent for the first time. Else the page says why nothing is done.
    pub fn begin(way: Way, id: ParentId, grace: Duration) -> Result<(Self, Question), Page> {
        let args = ReapArgs {
            grace,
            yes: true,
            dry_run: false,
            nudge: way == Way::Nudge,
            format: Format::Text,
            pid: id.pid,
        };
        let prepared = Prepared::check(args).map_err(|why| refused(&why))?;
        if !is_it(&prepared, id) {
            return Err(Page::new("Nothing is done", "the pid has been given to another process meanwhile"));
        }
        let text = format!(
            "{} zombies now. Waiting for the grace ({}) to see which of them stay.",
            prepared.zombies(),
            humantime::format_duration(grace)
        );
        let question = Question { way, page: Page::new(title(way), &text), is_ready: false };
        Ok((Self::Waiting { way, prepared: Box::new(prepared), until: Instant::now() + grace }, question))
    }

    /// How long until the next step.
    pub fn due_in(&self) -> Option<Duration> {
        match self {
            Self::Waiting { until, .. } => Some(until.saturating_duration_since(Instant::now())),
            Self::Planned(_) => None,
        }
    }

    /// The grace is over: what would be done, to be asked.
    pub fn plan(self, width: u16) -> Result<(Self, Question), Page> {
        let Self::Waiting { way, prepared, .. } = self else {
            return Err(Page::new("Nothing is done", "it has been asked already"));
        };
        let plan = prepared.plan().map_err(|why| refused(&why))?;
        let mut text = Vec::new();
        plan.write(&mut text, page_view(width)).map_err(|error| refused(&Failure::other(error)))?;
        let page = Page::new(title(way), &String::from_utf8_lossy(&text));
        if plan.is_empty() {
            return Err(page);
        }
        Ok((Self::Planned(Box::new(plan)), Question { way, page, is_ready: true }))
    }

    /// Does it. No signal ends this process meanwhile: the thread that is stopped would crash.
    pub fn carry_out(self, width: u16) -> Page {
        let Self::Planned(plan) = self else {
            return Page::new("Nothing is done", "it has not been asked");
        };
        let signals = Signals::keep();
        let done = plan.carry_out(&signals);
        drop(signals);
        match done {
            Ok(report) => {
                let mut text = Vec::new();
                match render::reap_text::result(&mut text, &report, page_view(width)) {
                    Ok(()) => Page::new("Done", &String::from_utf8_lossy(&text)),
                    Err(error) => refused(&Failure::other(error)),
                }
            }
            Err(why) => refused(&why),
        }
    }
}

fn title(way: Way) -> &'static str {
    match way {
        Way::Nudge => "Nudge: send SIGCHLD",
        Way::Reap => "Reap: have the parent call wait4",
    }
}

/// Whether it is the process that the row was about: /proc counts in clock ticks.
fn is_it(prepared: &Prepared, id: ParentId) -> bool {
    let tick_ns = 1_000_000_000 / procfs::ticks_per_second().max(1);
    (id.start_boottime_ns / tick_ns.max(1)).abs_diff(prepared.start_ticks()) <= 1
}

fn refused(why: &Failure) -> Page {
    let text = match why {
        Failure::Setup(error) | Failure::Usage(error) => format!("{}\n  to do: {}", error.what, error.remedy),
        Failure::Other(what) => what.clone(),
        Failure::BrokenPipe => "the other side has gone".into(),
    };
    let escaped: Vec<String> = text.lines().map(render::terminal::escape).collect();
    Page::new("Nothing is done", &escaped.join("\n"))
}

/// Writes a report as JSON to a new file, here or where temporary files are; says where.
pub fn write(report: &Report) -> String {
    let mut bytes = Vec::new();
    if let Err(error) = render::json::line(&mut bytes, report) {
        return format!("cannot render the report: {error}");
    }
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let mut why = None;
    for directory in [here, std::env::temp_dir()] {
        match write_new(&directory, &report.window.end, &bytes) {
            Ok(path) => return format!("the report is in {}", path.display()),
            Err(error) => why = Some((directory, error)),
        }
    }
    let (directory, error) = why.unwrap_or_else(|| (PathBuf::from("."), io::ErrorKind::NotFound.into()));
    format!("the report is not written: no file can be made here, nor in {}: {error}", directory.display())
}

/// Only the owner may read it, because it holds the command lines of all users. No file that is there is touched.
fn write_new(directory: &Path, time: &str, bytes: &[u8]) -> io::Result<PathBuf> {
    let (path, mut file) = make_new(directory, time)?;
    let written = file.write_all(bytes);
    if written.is_err() {
        // Half a report is none.
        let _ = std::fs::remove_file(&path);
    }
    written.map(|()| path)
}

fn make_new(directory: &Path, time: &str) -> io::Result<(PathBuf, File)> {
    // To the second, without what shells and file systems take for something else.
    let time: String = time.chars().take(19).filter(char::is_ascii_alphanumeric).collect();
    for number in 1..=NAMES_MAX {
        let more = if number == 1 { String::new() } else { format!("-{number}") };
        let path = directory.join(format!("reapwatch-{time}{more}.json"));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|file| (path, file)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_goes_to_a_new_file_and_no_other_is_touched() {
        let directory = tempfile::tempdir().expect("a directory");
        let time = "2026-11-27T21:26:39.123456789Z";
        let first = write_new(directory.path(), time, b"{}\n").expect("a file");
        assert_eq!(first.file_name().and_then(|name| name.to_str()), Some("reapwatch-20261127T212639.json"));
        let second = write_new(directory.path(), time, b"{}\n").expect("another");
        assert_ne!(first, second);
        // A name that leads elsewhere is not followed.
        let target = directory.path().join("target");
        std::os::unix::fs::symlink(&target, directory.path().join("reapwatch-20261127T212640.json"))
            .expect("a link");
        let third = write_new(directory.path(), "2026-11-27T21:26:40Z", b"{}\n").expect("a third");
        assert!(third.ends_with("reapwatch-20261127T212640-2.json") && !target.exists());
        assert!(write_new(&directory.path().join("none"), time, b"").is_err());
    }
}
