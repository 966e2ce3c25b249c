//! `audit`: the census of ghost processes rebuilt with real ones, all found and nothing else, beside healthy ones.
//!
//! Truth is what each test started. On a host there are others: only what a test started is looked at. Must not know how
//! reapwatch works: only its command line and JSON. Needs root for cgroups, and no eBPF but for `history`.

#[path = "../cases/case.rs"]
#[allow(dead_code, reason = "the programs are used here, not what is said of them")]
mod case;
#[path = "../agent/cgroup.rs"]
#[allow(dead_code, reason = "the tests of the agent use more of it")]
mod cgroup;
mod ghosts;
mod healthy;
mod history;
mod output;
#[path = "../support/mod.rs"]
mod support;
mod world;
