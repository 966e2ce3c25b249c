//! `agent`, beside its real counterparts: a Prometheus that scrapes it, promtool, a service manager's socket, rotated files. Truth
//! is the workload's own.
//!
//! Must not know how reapwatch works: only its command line, its metrics and its JSON.

mod alerts;
mod cgroup;
mod metrics;
mod pids;
mod privacy;
mod prometheus;
mod protected;
mod running;
mod service;
mod shipped;
#[path = "../support/mod.rs"]
mod support;
