//! Which processes and events a report covers, and what it therefore leaves out.
//!
//! Must not know what was seen, nor judge it.

use crate::{model, report};

/// The published form of a scope.
pub fn scope(scope: &model::Scope) -> report::Scope {
    match scope {
        model::Scope::Host => report::Scope::Host,
        model::Scope::Tree(root) => report::Scope::Tree { root: root.tgid },
        model::Scope::Pids(pids) => report::Scope::Pids { pids: pids.clone() },
    }
}

/// The published form of a coverage.
pub fn coverage(coverage: model::Coverage) -> report::Coverage {
    match coverage {
        model::Coverage::EveryEvent => report::Coverage::EveryEvent,
        model::Coverage::Exceptions { slow_ns } => report::Coverage::Exceptions { slow_ns },
        model::Coverage::LateReaps { min_latency_ns } => report::Coverage::LateReaps { min_latency_ns },
        model::Coverage::Unstated => report::Coverage::Unstated,
    }
}

/// What was left out on request, one sentence per omission. A report from counters (`Exceptions`) leaves out nothing,
/// because the kernel programs report everything that a verdict rests on.
pub fn not_covered(begin: &model::Begin) -> Vec<String> {
    let mut sentences = Vec::new();
    if let model::Scope::Pids(pids) = &begin.scope {
        let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
        sentences.push(format!(
            "Events were recorded of {} {} and {} children alone; the counts of all other parents are the kernel's, and \
             how long their abandoned children had waited is not known.",
            if pids.len() == 1 { "pid" } else { "pids" },
            pids.join(", "),
            if pids.len() == 1 { "its" } else { "their" },
        ));
    }
    match begin.coverage {
        model::Coverage::LateReaps { min_latency_ns } => sentences.push(format!(
            "Of the events, only reaps at least {} ms late were recorded; the counts are the kernel's, and how long abandoned \
             children had waited is not known.",
            min_latency_ns as f64 / 1e6,
        )),
        model::Coverage::Unstated => sentences.push(
            "This recording is of a format that does not say which events were left out; the counts are the kernel's."
                .into(),
        ),
        model::Coverage::EveryEvent | model::Coverage::Exceptions { .. } => {}
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Begin, Coverage, Scope};

    #[test]
    fn what_was_filtered_is_said_and_what_was_not_is_not() {
        assert!(not_covered(&Begin::default()).is_empty());
        let coverage = Coverage::Exceptions { slow_ns: 5 };
        assert!(not_covered(&Begin { coverage, ..Begin::default() }).is_empty());
        let begin = Begin {
            time_ns: 0,
            scope: Scope::Pids(vec![7, 9]),
            coverage: Coverage::LateReaps { min_latency_ns: 200_000_000 },
        };
        let said = not_covered(&begin);
        assert!(said[0].contains("pids 7, 9 and their children"), "{said:?}");
        assert!(said[1].contains("at least 200 ms late"), "{said:?}");
        assert_eq!(said.len(), 2);
    }
}
