//! A sink that sends what it is offered to a receiver which may be slow, broken or away.
//!
//! Owns the queue, the task that empties it, the waits between attempts, the counts, and the warning when a receiver fails and
//! when it takes deliveries again. How something is sent is a [`Carrier`]'s. Must not know what is sent, or over what.

mod sinks;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::task::JoinHandle;

use super::{
    SinkStatus,
    back_off::BackOff,
    queue::{self, Queue, Taker},
};

/// How much memory the alerts of one queue may take, in bytes. Sinks share the alerts that are in several queues.
const QUEUED_BYTES: usize = 1 << 20;
/// A delivery that has not come to an end within this time has failed.
pub const DELIVERED_WITHIN: Duration = Duration::from_secs(10);

/// Why something could not be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed {
    /// The receiver may take it later.
    Now(String),
    /// The receiver will never take it.
    ForGood(String),
}

/// What brings items to one receiver.
pub trait Carrier: Send + 'static {
    type Item: Send + Sync + 'static;

    /// How many items a delivery has at most.
    fn most_at_once(&self) -> usize {
        1
    }

    /// Within which time a delivery must have come to an end.
    fn within(&self) -> Duration {
        DELIVERED_WITHIN
    }

    /// Reads anew what it is made from, such as certificates. After an error everything is as it was.
    fn reopen(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// Delivers all of them, or none. Returns how many of them the receiver has refused for good.
    fn deliver(&mut self, items: &[Self::Item]) -> impl Future<Output = Result<u64, Failed>> + Send;
}

/// The sink of one kind of items.
pub struct Forwarder<T> {
    name: String,
    queue: Queue<T>,
    progress: Arc<Mutex<Progress>>,
    task: Option<JoinHandle<()>>,
}

/// What the task has done so far.
#[derive(Clone, Debug, Default)]
struct Progress {
    offered: u64,
    delivered: u64,
    refused: u64,
    /// Taken from the queue and given up for newer ones.
    outdated: u64,
    /// Why the last attempt failed, if it did.
    failure: Option<String>,
    /// The carrier is to read its files anew before the next attempt.
    is_to_reopen: bool,
}

/// A poisoned lock is safe to use: no change behind it can panic.
fn locked(progress: &Mutex<Progress>) -> MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Send + Sync + 'static> Forwarder<T> {
    /// Starts the task, within the runtime that this is called in. `only_last`: newer items replace older ones.
    pub fn start(name: String, carrier: impl Carrier<Item = T>, only_last: bool) -> Self {
        let (queue, taker) = queue::bounded(QUEUED_BYTES);
        let progress = Arc::default();
        let courier =
            Courier { name: name.clone(), carrier, taker, only_last, progress: Arc::clone(&progress) };
        Self { name, queue, progress, task: Some(tokio::spawn(courier.run())) }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Queues an item of so many bytes, or drops and counts it.
    fn offer(&mut self, item: T, bytes: usize) {
        if self.queue.offer(item, bytes, 1) {
            locked(&self.progress).offered += 1;
        }
    }

    /// Queues an item in the place of all that were not taken yet, where only the last one counts.
    pub fn offer_in_place_of_all(&mut self, item: T) {
        if self.queue.offer_in_place_of_all(item) {
            locked(&self.progress).offered += 1;
        }
    }

    /// Has the carrier read its files anew before it delivers again.
    pub fn reopen(&mut self) {
        locked(&self.progress).is_to_reopen = true;
    }

    pub fn status(&self) -> SinkStatus {
        let progress = locked(&self.progress).clone();
        let mut dropped = self.queue.dropped();
        dropped.refused += progress.refused;
        // Those that the queue gave up were offered too.
        let queued = progress
            .offered
            .saturating_sub(progress.delivered + progress.refused + progress.outdated + dropped.outdated);
        dropped.outdated += progress.outdated;
        SinkStatus { queued, delivered: progress.delivered, dropped, last_error: progress.failure }
    }

    /// Delivers what is queued; what is left when the time is over, or when an attempt fails, is not delivered.
    pub async fn close(mut self, within: Duration) -> SinkStatus {
        self.queue.close();
        if let Some(mut task) = self.task.take()
            && tokio::time::timeout(within, &mut task).await.is_err()
        {
            task.abort();
        }
        let mut status = self.status();
        status.dropped.not_written += std::mem::take(&mut status.queued);
        status
    }
}

/// The task: it takes what is queued and has it carried.
struct Courier<C: Carrier> {
    name: String,
    carrier: C,
    taker: Taker<C::Item>,
    only_last: bool,
    progress: Arc<Mutex<Progress>>,
}

impl<C: Carrier> Courier<C> {
    /// Until the queue is closed and empty, or an attempt fails after it was closed.
    async fn run(mut self) {
        let mut back_off = BackOff::default();
        while let Some(first) = self.taker.next().await {
            let mut items = vec![first];
            self.take_more(&mut items);
            while let Err(failed) = self.attempt(&items).await {
                let is_over = matches!(failed, Failed::ForGood(_));
                self.has_failed(failed, items.len() as u64);
                if is_over {
                    break;
                }
                if self.taker.is_closed() {
                    return;
                }
                tokio::select! {
                    () = tokio::time::sleep(back_off.wait()) => {}
                    () = self.taker.until_closed() => {}
                }
                self.take_more(&mut items);
            }
            if locked(&self.progress).failure.is_none() {
                back_off = BackOff::default();
            }
        }
    }

    /// As many as go at once; or the newest, where only that one counts.
    fn take_more(&mut self, items: &mut Vec<C::Item>) {
        if self.only_last {
            while let Some(newer) = self.taker.take_now() {
                *items = vec![newer];
                locked(&self.progress).outdated += 1;
            }
        }
        while items.len() < self.carrier.most_at_once()
            && let Some(more) = self.taker.take_now()
        {
            items.push(more);
        }
    }

    async fn attempt(&mut self, items: &[C::Item]) -> Result<(), Failed> {
        self.reopen_if_told();
        let within = self.carrier.within();
        let refused = match tokio::time::timeout(within, self.carrier.deliver(items)).await {
            Ok(outcome) => outcome?,
            Err(_) => return Err(Failed::Now(format!("it has not taken it within {within:?}"))),
        };
        let all = items.len() as u64;
        let refused = refused.min(all);
        let mut progress = locked(&self.progress);
        progress.delivered += all - refused;
        if refused == 0 && progress.failure.take().is_some() {
            tracing::warn!(sink = %self.name, "its receiver takes deliveries again");
        }
        drop(progress);
        if refused > 0 {
            self.has_failed(Failed::ForGood(format!("it has refused {refused} of {all}")), refused);
        }
        Ok(())
    }

    fn reopen_if_told(&mut self) {
        if std::mem::take(&mut locked(&self.progress).is_to_reopen)
            && let Err(why) = self.carrier.reopen()
        {
            tracing::warn!(sink = %self.name, error = %why, "its files cannot be read anew: what they were counts");
        }
    }

    /// Warns at the first of several failures in a row.
    fn has_failed(&self, failed: Failed, items: u64) {
        let mut progress = locked(&self.progress);
        let was_good = progress.failure.is_none();
        let (why, what) = match failed {
            Failed::Now(why) => (why, "its receiver takes nothing; tries go on"),
            Failed::ForGood(why) => {
                progress.refused += items;
                (why, "its receiver has refused a delivery, which is dropped")
            }
        };
        if was_good {
            tracing::warn!(sink = %self.name, error = %why, "{what}");
        } else {
            tracing::debug!(sink = %self.name, error = %why, "{what}");
        }
        progress.failure = Some(why);
    }
}

#[cfg(test)]
#[path = "forwarder_tests.rs"]
mod tests;
