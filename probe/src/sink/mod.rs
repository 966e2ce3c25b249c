//! Delivery: where reports and event lines go, and what happens to those that find no room.
//!
//! Owns the boundary between producers and writers: a slow or broken reader loses deliveries, which are counted. `offer`
//! never blocks; `stdout` says how long its own lines wait. Nothing in the program uses the trait [`Sink`] yet. Must not
//! judge, and must not know where reports come from.

mod batch;
pub mod paced;
pub mod queue;
pub mod stdout;

use std::{pin::Pin, sync::Arc, time::Duration};

use crate::report::Report;

/// One item that is offered to a sink.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// A report.
    Report(Arc<Report>),
    /// An event line, rendered, with its newline.
    Event(Arc<[u8]>),
}

/// The kinds of deliveries that a sink takes; it ignores the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wants {
    pub reports: bool,
    pub events: bool,
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

/// Where reports and event lines go.
pub trait Sink: Send {
    /// The name of the sink in messages.
    fn name(&self) -> &str;
    /// The kinds of deliveries that it takes.
    fn wants(&self) -> Wants;
    /// Takes a delivery, or drops and counts it. Never blocks.
    fn offer(&mut self, what: &Delivery);
    /// What happened to all deliveries so far.
    fn status(&self) -> SinkStatus;
    /// Delivers what is queued, and drops what it cannot deliver `within` that time.
    fn close(self: Box<Self>, within: Duration) -> Closing;
}
