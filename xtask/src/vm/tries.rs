//! How many tests needed a second try in a guest, why, and how many may.
//!
//! Four tests at a time on an emulated machine are in each other's way, so one that fails is tried again alone. That must
//! not hide a test that fails now and then: every first failure is told with its reason, and too many are a fault. Must
//! not know what a test checks.

use super::boot::{Booted, Outcome, Rung};
use super::kernels::Image;

/// One first failure is allowed for each so many first tries.
///
/// Seen: from none in 84 tries to 8 in about 1,220, on a machine that was busy otherwise; half of those on a kernel that
/// may preempt the programs of tracepoints, where a program that is skipped says so. What fails more often than three
/// times that is a fault of ours, not of emulation.
const TRIES_A_FAILURE: usize = 50;

/// Tests that were tried, and those of them that failed at first.
#[derive(Clone, Copy, Default)]
struct Tries {
    all: usize,
    failed_first: usize,
}

impl Tries {
    fn of(rung: &Rung) -> Self {
        let Rung::Ran(results) = rung else { return Self::default() };
        let failed_first = results.values().filter(|outcome| **outcome != Outcome::Passed).count();
        Self { all: results.len(), failed_first }
    }

    fn allowed(self) -> usize {
        self.all.div_ceil(TRIES_A_FAILURE)
    }
}

impl std::ops::Add for Tries {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { all: self.all + other.all, failed_first: self.failed_first + other.failed_first }
    }
}

/// The first failures of all kernels, as text, and a fault where they are too many.
pub fn judge(images: &[Image], booted: &[crate::shell::Outcome<Booted>]) -> (String, Option<String>) {
    let mut text = String::new();
    let mut all = Tries::default();
    for (image, booted) in images.iter().zip(booted) {
        let Ok(booted) = booted else { continue };
        for (rung, ran) in &booted.rungs {
            let tries = Tries::of(ran);
            all = all + tries;
            if tries.all > 0 {
                text +=
                    &format!("{} {rung}: {} of {} failed first\n", image.name, tries.failed_first, tries.all);
            }
            for ((_, name), said) in booted.first_failures.iter().filter(|((of, _), _)| of == rung) {
                text += &format!("    {name}: {}\n", said.join(" "));
            }
        }
    }
    text += &format!("in all {} of {} failed first; {} may\n", all.failed_first, all.all, all.allowed());
    let fault = (all.failed_first > all.allowed()).then(|| {
        format!(
            "{} of {} tests failed at first and passed or failed alone; at most {} may: what fails so often is no fault \
             of emulation",
            all.failed_first,
            all.all,
            all.allowed()
        )
    });
    (text, fault)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::vm::kernels::Arch;

    fn one_kernel(outcomes: &[Outcome]) -> (String, Option<String>) {
        let results = outcomes.iter().enumerate().map(|(at, outcome)| (format!("test_{at}"), *outcome));
        let booted = Booted {
            rungs: BTreeMap::from([("kprobe".to_owned(), Rung::Ran(results.collect()))]),
            first_failures: BTreeMap::from([(
                ("kprobe".to_owned(), "test_0".to_owned()),
                vec!["panicked at tests/live.rs:9".to_owned(), "left: 1".to_owned()],
            )]),
            ..Booted::default()
        };
        let image = Image {
            name: "6.1".into(),
            arch: Arch::X86_64,
            path: "vmlinuz".into(),
            known: true,
            whole: None,
        };
        judge(&[image], &[Ok(booted)])
    }

    #[test]
    fn first_failures_are_told_with_their_reason_and_too_many_are_a_fault() {
        let mut outcomes = [Outcome::Passed; 100];
        outcomes[0] = Outcome::PassedAlone;
        outcomes[1] = Outcome::PassedAlone;
        let (text, fault) = one_kernel(&outcomes);
        assert!(text.contains("6.1 kprobe: 2 of 100 failed first"), "{text}");
        assert!(text.contains("test_0: panicked at tests/live.rs:9 left: 1"), "{text}");
        assert!(text.contains("in all 2 of 100 failed first; 2 may"), "{text}");
        assert_eq!(fault, None);
        // One that failed again is one that failed first.
        outcomes[2] = Outcome::Failed;
        assert!(one_kernel(&outcomes).1.is_some_and(|fault| fault.starts_with("3 of 100")));
    }

    #[test]
    fn a_rung_that_is_refused_counts_as_no_try() {
        assert_eq!(Tries::of(&Rung::Refused("no BTF".into())).all, 0);
        assert_eq!(one_kernel(&[]).1, None);
    }
}
