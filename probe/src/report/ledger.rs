//! What became of dead children: of one parent's, of all, and of those of parents that are not listed.
//!
//! Owns the balance of a ledger. Must not know where its counts come from.

use std::ops::AddAssign;

use serde::Serialize;

use super::Verdict;

/// Counts of children. `exited + adopted = reaped + autoreaped + unreaped + abandoned`; `forked` is no part of the balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// Children born, by their real parent at birth.
    pub forked: u64,
    /// Children that died while this was their parent.
    pub exited: u64,
    /// Zombies that came from a parent that died.
    pub adopted: u64,
    /// Dead children that a wait call took away.
    pub reaped: u64,
    /// Dead children that the kernel took away, as the parent ignores SIGCHLD or set SA_NOCLDWAIT.
    pub autoreaped: u64,
    /// Zombies there when the window ended.
    pub unreaped: u64,
    /// Zombies still there when the parent itself died.
    pub abandoned: u64,
}

impl Ledger {
    /// Whether every dead child is accounted for.
    pub fn balances(&self) -> bool {
        self.died() == self.gone().saturating_add(self.left())
    }

    /// All dead children that the parent had.
    pub fn died(&self) -> u64 {
        self.exited.saturating_add(self.adopted)
    }

    /// Dead children that were taken away while the parent lived.
    pub fn gone(&self) -> u64 {
        self.reaped.saturating_add(self.autoreaped)
    }

    /// Dead children that were not.
    pub fn left(&self) -> u64 {
        self.unreaped.saturating_add(self.abandoned)
    }
}

impl AddAssign for Ledger {
    fn add_assign(&mut self, other: Self) {
        for (sum, more) in [
            (&mut self.forked, other.forked),
            (&mut self.exited, other.exited),
            (&mut self.adopted, other.adopted),
            (&mut self.reaped, other.reaped),
            (&mut self.autoreaped, other.autoreaped),
            (&mut self.unreaped, other.unreaped),
            (&mut self.abandoned, other.abandoned),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// The sum over parents that died with nothing to report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Settled {
    /// How many parents.
    pub parents: u64,
    /// What became of their children.
    #[serde(flatten)]
    pub ledger: Ledger,
}

/// The sum over other parents that are not listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Other {
    /// How many parents.
    pub parents: u64,
    /// What became of their children.
    #[serde(flatten)]
    pub ledger: Ledger,
    /// How many parents got which verdict.
    pub verdicts: VerdictCounts,
}

/// How many parents got which verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VerdictCounts {
    /// Parents that are `never_reaps`.
    pub never_reaps: u64,
    /// Parents that are `leaking`.
    pub leaking: u64,
    /// Parents that are `slow`.
    pub slow: u64,
    /// Parents that are `held`.
    pub held: u64,
    /// Parents that are `undecided`.
    pub undecided: u64,
    /// Parents that are `healthy`.
    pub healthy: u64,
}

impl VerdictCounts {
    /// The verdicts that some parent got, the worst first.
    pub fn found(&self) -> impl Iterator<Item = (Verdict, u64)> + use<> {
        [
            (Verdict::NeverReaps, self.never_reaps),
            (Verdict::Leaking, self.leaking),
            (Verdict::Slow, self.slow),
            (Verdict::Held, self.held),
            (Verdict::Undecided, self.undecided),
            (Verdict::Healthy, self.healthy),
        ]
        .into_iter()
        .filter(|(_, parents)| *parents > 0)
    }

    /// The worst verdict, and how many parents got it.
    pub fn worst(&self) -> Option<(Verdict, u64)> {
        self.found().next()
    }
}
