//! One file per stage; each program reads its context and makes one call. Must not decide what is counted or sent.

mod exec;
mod exit;
mod fork;
mod fork_site;
mod kill;
mod reap;
mod snapshot;
mod wait;
mod zombie;
