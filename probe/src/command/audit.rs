//! `audit`: looks at all processes once, or again where something was found, and lists those that should not be there.
//!
//! Owns when it looks. Must not judge, and must not touch a process.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal, Read},
    path::Path,
    thread,
    time::Duration,
};

use super::{
    Failure, orphan_file,
    output::{self, Target},
    replay, unreadable,
};
use crate::{
    analysis::{
        self,
        audit::{Asked, FirstParents},
        time,
    },
    cli::{AuditArgs, Format, nanoseconds},
    config::{ConfigError, audit_suppressions::Suppressions},
    engine::{Engine, EnrichedEvent},
    model::{Census, Session},
    pipeline::Subscriber,
    recording::{Reader, RecordingError},
    render,
    report::audit::AuditReport,
    source::{
        SetupError,
        host::{census, clock},
    },
};

/// `reapwatch audit`.
pub fn audit(args: &AuditArgs) -> Result<u8, Failure> {
    let suppressions = args.suppressions.as_deref().map(Suppressions::read).transpose().map_err(wrong)?;
    let target = Target::open(args.output.as_deref(), Target::StandardOutput)?;
    let rules_to = args.gen_suppressions.as_deref();
    let rules_to = rules_to.map(|path| Target::open(Some(path), Target::StandardOutput)).transpose()?;
    let history = args.history.as_deref().map(History::read).transpose()?;
    let (first, last) = look()?;
    let last = last.as_ref().unwrap_or(&first);
    if let (Some(history), Some(path)) = (&history, &args.history) {
        history.is_of_this_host(last, path)?;
    }
    let history = history.as_ref().map(|history| &history.first_parents);
    let asked = Asked { since_ns: args.since.map(nanoseconds), history };
    let mut report = analysis::audit::audit(&first, last, asked);
    if let Some(suppressions) = &suppressions {
        leave_out(&mut report, suppressions, last);
    }
    let rules = || Suppressions::of(&report.findings).to_toml().into_bytes();
    let bytes = match rules_to {
        Some(Target::StandardOutput) => rules(),
        Some(file) => {
            file.write_bytes(&rules())?;
            rendered(&report, args.format, &target)?
        }
        None => rendered(&report, args.format, &target)?,
    };
    target.write_bytes(&bytes)?;
    let is_found = !report.findings.is_empty() || report.not_listed > 0;
    Ok(args.error_exitcode.filter(|_| is_found).unwrap_or(0))
}

/// The first look, and the last one if there was more than one.
fn look() -> Result<(Census, Option<Census>), Failure> {
    let first = census::take()?;
    let mut last: Option<Census> = None;
    while let Some(after_ns) = analysis::audit::next_look_after_ns(&first, last.as_ref().unwrap_or(&first)) {
        let due_ns = first.taken_ns.saturating_add(after_ns);
        thread::sleep(Duration::from_nanos(due_ns.saturating_sub(clock::boottime_ns())));
        last = Some(census::take()?);
    }
    Ok((first, last))
}

/// What a recording tells of orphans, or what an agent wrote down of them.
struct History {
    session: Session,
    first_parents: FirstParents,
}

impl History {
    fn read(path: &Path) -> Result<Self, Failure> {
        let cannot = |error| unreadable(path, &RecordingError::Io(error));
        let mut file = BufReader::new(File::open(path).map_err(cannot)?);
        if file.fill_buf().map_err(cannot)?.first() == Some(&b'{') {
            return Self::of_agent(path, file);
        }
        let reader = Reader::open(file).map_err(|error| unreadable(path, &error))?;
        let session = reader.session().clone();
        let mut history =
            Self { session: session.clone(), first_parents: FirstParents::new(session.clone()) };
        let engine = replay::whole(path, reader, &session, &mut [&mut history])?;
        history.first_parents.look(&engine.view());
        Ok(history)
    }

    /// Of the file that an agent keeps (`orphans.file`).
    fn of_agent(path: &Path, file: impl Read) -> Result<Self, Failure> {
        let history = orphan_file::read(file).map_err(|error| {
            Failure::Usage(SetupError {
                what: format!("cannot read {} as the orphans that an agent kept: {error}", path.display()),
                remedy: "name the file of its key orphans.file, or a recording".into(),
            })
        })?;
        let mut session = Session::default();
        session.anchor.realtime_minus_boottime_ns = history.realtime_minus_boottime_ns;
        let mut first_parents = FirstParents::new(session.clone());
        first_parents.remember(history);
        Ok(Self { session, first_parents })
    }

    fn is_of_this_host(&self, now: &Census, path: &Path) -> Result<(), Failure> {
        let started_ns = self.session.anchor.realtime_minus_boottime_ns;
        if orphan_file::is_same_boot(started_ns, now.anchor.realtime_minus_boottime_ns) {
            return Ok(());
        }
        Err(Failure::Usage(SetupError {
            what: format!("{} was not written on this host since it was started", path.display()),
            remedy: "leave out --history, or name a recording or a file of an agent made since then".into(),
        }))
    }
}

impl Subscriber for History {
    fn event(&mut self, observation: &EnrichedEvent) -> io::Result<()> {
        self.first_parents.take(observation);
        Ok(())
    }

    fn reading(&mut self, engine: &Engine) -> io::Result<()> {
        self.first_parents.look(&engine.view());
        Ok(())
    }
}

fn leave_out(report: &mut AuditReport, suppressions: &Suppressions, last: &Census) {
    let session = Session { anchor: last.anchor, ..Session::default() };
    let now_ns = time::epoch_ns(&session, last.taken_ns);
    let found = report.findings.len();
    report.findings.retain(|finding| !suppressions.cover(finding, now_ns));
    report.suppressed = (found - report.findings.len()) as u64;
    report.headline = analysis::audit::headline(report);
    let ended = suppressions.ended(now_ns);
    if ended > 0 {
        output::say(&format!("{ended} of the suppressions have ended (until) and suppress nothing"));
    }
}

fn rendered(report: &AuditReport, format: Format, target: &Target) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let is_terminal = matches!(target, Target::StandardOutput) && io::stdout().is_terminal();
    match format {
        Format::Json => render::json::line(&mut bytes, report),
        Format::Text => render::audit_text::report(&mut bytes, report, output::view(is_terminal)),
    }
    .map_err(|error| Failure::other(format!("cannot render the findings: {error}")))?;
    Ok(bytes)
}

/// A fault in the file is wrong usage.
fn wrong(error: ConfigError) -> Failure {
    let remedy = if error.is_missing() {
        "`reapwatch audit --gen-suppressions=FILE` writes a file with rules for what was found"
    } else {
        "docs/audit.md describes every key; `reapwatch audit --gen-suppressions` prints rules that work"
    };
    Failure::Usage(SetupError { what: error.to_string(), remedy: remedy.into() })
}
