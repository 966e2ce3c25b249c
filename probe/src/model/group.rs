//! Workloads that one user or one client can make up at will, taken together: what they get of anything that is bounded is
//! bounded for all of them, so that nobody is displaced by them.
//!
//! Must not know what is bounded.

use super::Workload;

/// Who shares a bound.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// All programs of a user, who can call them as it likes.
    Programs(u32),
    /// All instances of a template of units, of which each client may start one.
    Instances(String),
    /// A workload of which there is one.
    One(Workload),
}

impl Group {
    pub fn of(workload: &Workload) -> Self {
        match workload {
            Workload::Program { user, .. } => Self::Programs(*user),
            Workload::Unit(name) => match name.split_once('@') {
                Some((template, _)) => Self::Instances(template.into()),
                None => Self::One(workload.clone()),
            },
            _ => Self::One(workload.clone()),
        }
    }

    pub fn is_one(&self) -> bool {
        matches!(self, Self::One(_))
    }
}
