//! What is shown of one parent beside its entry in a report, to who looks at it: its oldest unreaped children, and how its
//! reaps are spread.
//!
//! Owns nothing that is published as JSON. Must not know how it is shown.

use super::{explain::UnreapedChild, metrics::Buckets};

/// Beside the entry of the report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParentDetail {
    /// Unreaped children, those first that have been dead for the longest.
    pub children: Vec<UnreapedChild>,
    /// How many more there are.
    pub more_children: u64,
    /// From zombie to reap.
    pub reap_latency: Buckets,
}
