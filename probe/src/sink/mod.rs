//! Delivery: where metrics, alerts and event lines go, and what happens to those that find no room.
//!
//! Owns the boundary between producers and writers: a slow or broken reader loses deliveries, which are counted. `offer`
//! never blocks; `stdout` says how long its own lines wait. The agent offers to every [`Sink`] that is configured. Those that send
//! something away share `forwarder`, which queues, tries again and counts, and `outgoing`, which connects. Must not judge, and
//! must not know where deliveries come from.

mod back_off;
mod batch;
pub mod exec;
mod forwarder;
pub mod journald;
pub mod json_lines;
pub mod orphans;
pub mod otlp;
pub mod outgoing;
pub mod paced;
mod pem;
mod posted;
pub mod profile_push;
pub mod profiles;
pub mod prometheus;
pub mod queue;
pub mod stdout;
pub mod syslog;
pub mod webhook;
mod whole_file;

use std::{ops::AddAssign, pin::Pin, sync::Arc, time::Duration};

use crate::report::{alert::Alert, metrics::Metrics, orphans::OrphanHistory, profile::Profile};

/// One item that is offered to a sink.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// Everything that was counted up to now. Only the last one counts.
    Metrics(Arc<Metrics>),
    /// An alert.
    Alert(Arc<Alert>),
    /// An event line, rendered, with its newline.
    Event(Arc<[u8]>),
    /// A profile of all forks up to now.
    Profile(Arc<Profile>),
    /// Where all orphans that live come from. Only the last one counts.
    Orphans(Arc<OrphanHistory>),
}

/// The kinds of deliveries that a sink takes; it ignores the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    pub metrics: bool,
    pub alerts: bool,
    pub events: bool,
    pub profiles: bool,
    pub orphans: bool,
}

/// Deliveries that were dropped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// There was no room: the reader is too slow.
    pub no_room: u64,
    /// Writing has ended: the reader is gone, or the disk is full.
    pub ended: u64,
    /// They were queued, but not written before the time to close was over.
    pub not_written: u64,
    /// The receiver refused them for good.
    pub refused: u64,
    /// Newer metrics came before they could be delivered.
    pub outdated: u64,
}

impl AddAssign for Dropped {
    fn add_assign(&mut self, more: Self) {
        self.no_room += more.no_room;
        self.ended += more.ended;
        self.not_written += more.not_written;
        self.refused += more.refused;
        self.outdated += more.outdated;
    }
}

/// What happened to all deliveries that were offered to a sink. Counts are deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkStatus {
    pub queued: u64,
    pub delivered: u64,
    pub dropped: Dropped,
    /// Why writing has ended, if it has.
    pub last_error: Option<String>,
}

/// The end of a sink.
pub type Closing = Pin<Box<dyn Future<Output = SinkStatus> + Send>>;

/// Where deliveries go.
pub trait Sink: Send {
    /// The name of the sink in messages.
    fn name(&self) -> &str;
    /// The kinds of deliveries that it takes.
    fn wants(&self) -> Wants;
    /// Takes a delivery, or drops and counts it. Never blocks.
    fn offer(&mut self, what: &Delivery);
    /// What happened to all deliveries so far.
    fn status(&self) -> SinkStatus;
    /// Opens anew what it writes to, after a rotation or a change. Loses nothing that was offered.
    fn reopen(&mut self) {}
    /// Delivers what is queued, and drops what it cannot deliver `within` that time.
    fn close(self: Box<Self>, within: Duration) -> Closing;
}
