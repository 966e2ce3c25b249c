//! The workload that a process is part of, as it is published in labels and lines.
//!
//! Owns its names. Must not know how it is found out.

use std::borrow::Cow;

use serde::Serialize;

/// What people deploy, restart and are responsible for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Workload {
    /// What it is.
    pub kind: WorkloadKind,
    /// Its name: of a unit; the id or name of a container; the uid of a pod; the number of a user; for a program the number of
    /// the user, a colon and the path. Of `other` why its parents have no name.
    pub name: Cow<'static, str>,
    /// The id of the container of a pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// What runs a container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<&'static str>,
}

impl Workload {
    /// Of parents that were gone before anybody could ask what they are part of: the kernel sums those up, and keeps no more
    /// of them than that sum.
    pub const SHORT_LIVED: Self = Self::other("short_lived");
    /// Of workloads beyond as many as have a name.
    pub const BEYOND_LIMIT: Self = Self::other("beyond_limit");

    const fn other(name: &'static str) -> Self {
        Self { kind: WorkloadKind::Other, name: Cow::Borrowed(name), container: None, runtime: None }
    }
}

/// The kinds of workloads. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkloadKind {
    /// A unit of the system's service manager.
    Unit,
    /// A container or virtual machine.
    Container,
    /// A container of a Kubernetes pod.
    Pod,
    /// The sessions of a user, and all that the user's own service manager runs.
    Session,
    /// A program that a user runs, in none of the above.
    Program,
    /// A sum over parents that have no workload of their own.
    Other,
}

impl WorkloadKind {
    /// Its name in JSON and labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Container => "container",
            Self::Pod => "pod",
            Self::Session => "session",
            Self::Program => "program",
            Self::Other => "other",
        }
    }
}
