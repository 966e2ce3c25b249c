//! Processes whose code on disk is another by now: they run what was there when they started.
//!
//! Owns which change of a file counts. Files are deleted and replaced for good reasons too: what unpacks itself deletes its
//! libraries once they are loaded, and a commit changes no file.

use super::{
    Finding,
    scene::{Scene, path},
    ways,
};
use crate::{
    analysis::time::rfc3339,
    model::{AtPath, Details, Invocation, Language, MovedBy, Resident, Session},
    report::audit::{Confidence, GhostKind},
};

/// The clock of file systems is some ms behind, and a start is known to 10 ms.
const SLACK_NS: i128 = 2_000_000_000;
/// Where libraries are installed: one that is gone from there was replaced by another version.
const INSTALLED: [&[u8]; 4] = [b"/usr/", b"/lib", b"/opt/", b"/nix/store/"];
/// Where programs are unpacked for one run.
const UNPACKED: [&[u8]; 2] = [b"/tmp/", b"/var/tmp/"];
/// Most libraries that a finding names.
const NAMED_MAX: usize = 4;

pub fn find(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    for one in scene.residents().filter(|one| one.lives()) {
        let Some(details) = &one.details else { continue };
        let signs: Vec<Sign> = [
            program(details),
            libraries(details),
            script(scene, one, details),
            checkout(scene, one, details),
        ]
        .into_iter()
        .flatten()
        .collect();
        let Some(surest) = signs.iter().map(|sign| sign.confidence).min() else { continue };
        found.push(Finding {
            kind: GhostKind::Stale,
            confidence: surest,
            inferred: surest != Confidence::Certain,
            about: one.identity,
            takes_long: false,
            count: 1,
            related: Vec::new(),
            evidence: signs.into_iter().map(|sign| sign.sentence).collect(),
            commands: match surest {
                Confidence::Possible => Vec::new(),
                _ => ways::restart(scene, one),
            },
        });
    }
}

/// Something that speaks for old code.
struct Sign {
    confidence: Confidence,
    sentence: String,
}

fn sign(confidence: Confidence, sentence: String) -> Option<Sign> {
    Some(Sign { confidence, sentence })
}

fn program(details: &Details) -> Option<Sign> {
    let program = details.program.as_ref()?;
    let name = path(&program.path);
    match program.at_path {
        AtPath::Other => {
            sign(Confidence::Certain, format!("its program was replaced: {name} is another file now"))
        }
        AtPath::Gone if UNPACKED.iter().any(|begin| program.path.starts_with(begin)) => None,
        AtPath::Gone => {
            sign(Confidence::Likely, format!("its program was deleted: nothing is at {name} now"))
        }
        AtPath::Same | AtPath::Unknown => None,
    }
}

fn libraries(details: &Details) -> Option<Sign> {
    let counted: Vec<_> = details
        .libraries
        .iter()
        .filter(|library| match library.at_path {
            AtPath::Other => true,
            AtPath::Gone => INSTALLED.iter().any(|begin| library.path.starts_with(begin)),
            AtPath::Same | AtPath::Unknown => false,
        })
        .collect();
    let confidence = match counted.iter().any(|library| library.at_path == AtPath::Other) {
        true => Confidence::Certain,
        false => Confidence::Likely,
    };
    let names: Vec<String> = counted.iter().take(NAMED_MAX).map(|library| path(&library.path)).collect();
    match counted.len() {
        0 => None,
        1 => sign(confidence, format!("a library that it uses was replaced: {}", names[0])),
        all => {
            let more = if all > NAMED_MAX { " and more" } else { "" };
            sign(confidence, format!("libraries that it uses were replaced: {}{more}", names.join(", ")))
        }
    }
}

fn script(scene: &Scene<'_>, one: &Resident, details: &Details) -> Option<Sign> {
    let script = details.script.as_ref()?;
    if script.modified_ns <= scene.started_ns(one) + SLACK_NS {
        return None;
    }
    let language = Invocation::parse(&details.program.as_ref()?.path, &one.command_line).language;
    let consequence = match language {
        Some(Language::Shell) => {
            "a shell reads its script while it runs, and may go on in the midst of another line"
        }
        _ => "it runs what was there when it started",
    };
    // Named from a directory that it may have left since.
    let confidence = if script.is_relative { Confidence::Likely } else { Confidence::Certain };
    sign(
        confidence,
        format!(
            "its script {} was changed {}, after it started: {consequence}",
            path(&script.path),
            time(scene, script.modified_ns)
        ),
    )
}

fn checkout(scene: &Scene<'_>, one: &Resident, details: &Details) -> Option<Sign> {
    let checkout = scene.last.checkouts.get(details.checkout?)?;
    let started_ns = scene.started_ns(one);
    let place = checkout
        .moves
        .iter()
        .position(|moved| i128::from(moved.time_s) * 1_000_000_000 > started_ns + SLACK_NS)?;
    let later = &checkout.moves[place..];
    let (first, last) = (later.first()?, later.last()?);
    let mut others = later.iter().filter(|moved| moved.by == MovedBy::Other && moved.from != moved.to);
    if first.from == last.to {
        return None;
    }
    let moved = others.next_back()?;
    let hash = |hash: [u8; 12]| String::from_utf8_lossy(&hash).into_owned();
    sign(
        Confidence::Likely,
        format!(
            "the git checkout {} moved {} from {} to {}, after it started",
            path(&checkout.root),
            time(scene, i128::from(moved.time_s) * 1_000_000_000),
            hash(first.from),
            hash(last.to)
        ),
    )
}

/// A time since the epoch, to the second.
fn time(scene: &Scene<'_>, epoch_ns: i128) -> String {
    let session = Session { anchor: scene.last.anchor, ..Session::default() };
    let boottime_ns = epoch_ns - i128::from(scene.last.anchor.realtime_minus_boottime_ns);
    match u64::try_from(boottime_ns) {
        Ok(boottime_ns) => format!("at {}Z", rfc3339(&session, boottime_ns).get(..19).unwrap_or_default()),
        Err(_) => "since".into(),
    }
}

#[cfg(test)]
#[path = "stale_tests.rs"]
mod tests;
