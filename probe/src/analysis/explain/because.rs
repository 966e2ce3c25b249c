//! Why a parent got its verdict, in sentences.
//!
//! Must not judge: the verdict is in the report. What another program reaped before the parent's last exec is no part of it.

use super::super::sentence;
use crate::{
    engine::Parent as Known,
    report::{
        Parent, Report, Verdict,
        words::{children, count, duration},
    },
};

/// The sentences.
pub fn because(report: &Report, parent: &Parent, known: &Known) -> Vec<String> {
    let left = parent.left_by_itself();
    let has = if parent.alive { "has" } else { "had" };
    let were = match (parent.alive, left) {
        (true, 1) => "is",
        (true, _) => "are",
        (false, 1) => "was",
        (false, _) => "were",
    };
    let mut sentences = Vec::new();
    match parent.verdict {
        Verdict::Healthy if parent.ledger.left() == 0 => {
            sentences.push(format!("it {has} no unreaped children"));
        }
        Verdict::Healthy => sentences.push(format!(
            "it {has} {}, and none that it could reap was dead for longer than the grace of {}",
            children(parent.ledger.left(), "unreaped "),
            duration(report.grace_ns)
        )),
        Verdict::Slow => sentences.push(format!(
            "it reaps, but late: a dead child waited {}, longer than the grace of {}",
            duration(parent.reap_latency.max_ns),
            duration(report.grace_ns)
        )),
        Verdict::Leaking | Verdict::NeverReaps => {
            let older = match parent.older {
                0 => "",
                older if older >= left => "; all of them died before the window began",
                _ => "; some of them died before the window began",
            };
            sentences.push(format!(
                "{} of it {were} unreaped, and the oldest {has} waited {}{}, longer than the grace of {}{older}",
                children(left, "dead "),
                if parent.oldest_at_least { "at least " } else { "" },
                duration(parent.oldest_unreaped_ns),
                duration(report.grace_ns),
            ));
        }
        Verdict::Held | Verdict::Undecided => {
            let sentence = sentence::of_parent(report, parent);
            sentences.push(sentence.trim_end_matches('.').to_owned());
        }
    }
    sentences.push(in_the_window(report, parent, known));
    if parent.verdict == Verdict::Healthy && !report.complete {
        sentences
            .push("some of what the kernel told was lost: the counts are right, but not all was seen".into());
    }
    sentences
}

/// What it did in the window.
fn in_the_window(report: &Report, parent: &Parent, known: &Known) -> String {
    let ledger = &parent.ledger;
    let before_exec = known.reaped_before_exec.min(ledger.reaped);
    let reaped = ledger.reaped - before_exec;
    let window = duration(report.window.duration_ns);
    let dead = ledger.died().saturating_sub(before_exec).saturating_sub(ledger.autoreaped);
    let mut sentence = if reaped == 0 && dead > 0 && dead <= known.older {
        format!("none of its children died in the window of {window}, and it reaped none")
    } else if dead > 0 || reaped > 0 {
        let of = children(dead.max(reaped), "dead ");
        format!("in the window of {window} it reaped {} of {of}", count(reaped))
    } else if ledger.autoreaped > 0 || before_exec > 0 {
        format!("in the window of {window} there was none that its program had to reap")
    } else {
        format!("none of its children died in the window of {window}")
    };
    if reaped > 0 && parent.reap_latency.count > 0 && parent.verdict != Verdict::Slow {
        let slowest = duration(parent.reap_latency.max_ns);
        sentence.push_str(&format!("; the slowest reap took {slowest}"));
    }
    if ledger.autoreaped > 0 {
        let at_once = children(ledger.autoreaped, "");
        sentence
            .push_str(&format!("; the kernel reaped {at_once} at once (SIGCHLD ignored or SA_NOCLDWAIT)"));
    }
    if before_exec > 0 {
        let before = children(before_exec, "");
        sentence.push_str(&format!(
            "; the program that it ran before its last exec reaped {before}, which do not count"
        ));
    }
    sentence
}
