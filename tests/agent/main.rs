//! `agent`, beside its real counterparts: a Prometheus that scrapes it, promtool, rsyslog, journald, a receiver of OTLP, a service
//! manager's socket, rotated files. Truth is the workload's own.
//!
//! Must not know how reapwatch works: only its command line, its metrics and its JSON.

mod alerts;
mod cgroup;
mod exec;
mod journald;
mod many;
mod metrics;
mod otlp;
mod pids;
mod privacy;
mod profiles;
mod prometheus;
mod protected;
mod running;
mod secured;
mod service;
mod shipped;
#[path = "../support/mod.rs"]
mod support;
mod syslog;
mod webhook;
