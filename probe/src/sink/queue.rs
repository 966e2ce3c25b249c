//! A queue of bounded weight. The end that offers never blocks; the end that takes is a thread, which blocks, or a task,
//! which waits. An item that finds no room is dropped and counted by reason.
//!
//! Must not know what is queued.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::Dropped;

/// The end that offers.
pub struct Queue<T> {
    shared: Arc<Shared<T>>,
    most: usize,
    dropped: Dropped,
}

/// The end that takes. Once it is dropped, nothing more is taken in.
pub struct Taker<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    /// Each item with its weight.
    items: VecDeque<(T, usize)>,
    weight: usize,
    /// True if no more will be offered.
    closed: bool,
    /// True if no more will be taken.
    ended: bool,
    /// The task that waits for a change.
    waiting: Option<Waker>,
}

impl<T> State<T> {
    fn take(&mut self) -> Option<T> {
        let (item, weight) = self.items.pop_front()?;
        self.weight -= weight;
        Some(item)
    }
}

impl<T> Shared<T> {
    /// A poisoned lock is safe to use: no change of the queue can panic, so no panic can leave it half changed.
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever waits for a change.
    fn tell(&self, mut state: MutexGuard<'_, State<T>>) {
        let waiting = state.waiting.take();
        drop(state);
        self.changed.notify_one();
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

/// A queue that takes items in until their total weight reaches `most`; the last one may weigh more than the room left.
/// So a full queue stays full until something is taken, however light the next item is.
pub fn bounded<T>(most: usize) -> (Queue<T>, Taker<T>) {
    let state = State { items: VecDeque::new(), weight: 0, closed: false, ended: false, waiting: None };
    let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
    (Queue { shared: Arc::clone(&shared), most, dropped: Dropped::default() }, Taker { shared })
}

impl<T> Queue<T> {
    /// Whether an offer would not be dropped for lack of room. Also true if the taking end is gone: then an offer is
    /// dropped for that reason.
    pub fn has_room(&self) -> bool {
        let state = self.shared.state();
        state.ended || state.weight < self.most
    }

    /// Takes in an item, or drops it and counts the deliveries that it holds. True if it was taken in.
    pub fn offer(&mut self, item: T, weight: usize, deliveries: u64) -> bool {
        let mut state = self.shared.state();
        if state.ended {
            self.dropped.ended += deliveries;
            return false;
        }
        if state.weight >= self.most {
            self.dropped.no_room += deliveries;
            return false;
        }
        state.items.push_back((item, weight));
        state.weight += weight;
        self.shared.tell(state);
        true
    }

    /// Takes in an item in the place of all that were not taken yet, where only the last one counts.
    pub fn offer_in_place_of_all(&mut self, item: T) -> bool {
        let mut state = self.shared.state();
        self.dropped.outdated += state.items.len() as u64;
        state.items.clear();
        state.weight = 0;
        drop(state);
        self.offer(item, 1, 1)
    }

    /// What was dropped so far.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// Ends the offers. Items in the queue can still be taken.
    pub fn close(&self) {
        let mut state = self.shared.state();
        state.closed = true;
        self.shared.tell(state);
    }
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<T> Taker<T> {
    /// The next item, if there is one now.
    pub fn take_now(&self) -> Option<T> {
        self.shared.state().take()
    }

    /// Waits for the next item; `None` once the queue is closed and empty.
    pub fn take(&self) -> Option<T> {
        let waiting = |state: &mut State<T>| state.items.is_empty() && !state.closed;
        let state = self.shared.state();
        let state = self.shared.changed.wait_while(state, waiting);
        state.unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The same for a task, which waits without blocking.
    pub async fn next(&self) -> Option<T> {
        poll_fn(|context| {
            let mut state = self.shared.state();
            match state.take() {
                None if !state.closed => wait_in(&mut state, context),
                item => Poll::Ready(item),
            }
        })
        .await
    }

    /// Whether no more will be offered.
    pub fn is_closed(&self) -> bool {
        self.shared.state().closed
    }

    /// Waits until no more will be offered.
    pub async fn until_closed(&self) {
        poll_fn(|context| {
            let mut state = self.shared.state();
            if state.closed { Poll::Ready(()) } else { wait_in(&mut state, context) }
        })
        .await;
    }
}

/// Has a change of the queue wake this task.
fn wait_in<T, R>(state: &mut State<T>, context: &Context<'_>) -> Poll<R> {
    state.waiting = Some(context.waker().clone());
    Poll::Pending
}

impl<T> Drop for Taker<T> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.ended = true;
        state.items.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_dropped_and_counted_and_the_rest_comes_in_order() {
        let (mut queue, taker) = bounded(2);
        assert!(queue.offer("a", 1, 1) && queue.offer("b", 1, 1));
        assert!(!queue.has_room() && !queue.offer("c", 1, 5));
        assert_eq!(taker.take(), Some("a"));
        assert!(queue.has_room() && queue.offer("d", 9, 1) && !queue.has_room());
        queue.close();
        assert_eq!((taker.take(), taker.take_now(), taker.take()), (Some("b"), Some("d"), None));
        assert_eq!(queue.dropped(), Dropped { no_room: 5, ..Dropped::default() });
    }

    #[test]
    fn what_nobody_takes_any_more_is_dropped_for_that_reason() {
        let (mut queue, taker) = bounded(1);
        assert!(queue.offer(1, 9, 1));
        assert!(!queue.has_room());
        drop(taker);
        assert!(queue.has_room() && !queue.offer(2, 1, 3));
        assert_eq!(queue.dropped(), Dropped { ended: 3, ..Dropped::default() });
    }

    #[test]
    fn one_that_waits_is_woken_by_an_item_and_by_the_end() {
        let (mut queue, taker) = bounded(1);
        let thread = std::thread::spawn(move || (taker.take(), taker.take()));
        assert!(queue.offer(7, 1, 1));
        drop(queue);
        assert_eq!(thread.join().expect("no panic"), (Some(7), None));
    }

    #[test]
    fn a_task_that_waits_is_woken_by_an_item_and_by_the_end() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let (mut queue, taker) = bounded(1);
            let task = tokio::spawn(async move {
                let first = taker.next().await;
                taker.until_closed().await;
                (first, taker.is_closed(), taker.next().await)
            });
            tokio::task::yield_now().await;
            assert!(queue.offer(7, 1, 1));
            tokio::task::yield_now().await;
            drop(queue);
            assert_eq!(task.await.expect("no panic"), (Some(7), true, None));
        });
    }

    #[test]
    fn where_only_the_last_counts_the_others_are_dropped_for_that_reason() {
        let (mut queue, taker) = bounded(1);
        for item in 1..=4 {
            queue.offer_in_place_of_all(item);
        }
        assert_eq!((taker.take_now(), taker.take_now()), (Some(4), None));
        assert_eq!(queue.dropped(), Dropped { outdated: 3, ..Dropped::default() });
    }
}
