//! One file a hook: context to typed arguments to one call. Must not decide what is counted or sent.

mod exec;
mod exit;
mod fork;
mod reap;
mod snapshot;
mod wait;
mod zombie;
