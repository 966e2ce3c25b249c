//! Receivers that fail, hang and come back, and what of it is counted.

use std::{collections::VecDeque, time::Instant};

use super::*;
use crate::{
    report::alert::Alert,
    sink::{Delivery, Sink},
};
use crate::{
    report::{metrics::Metrics, sample},
    sink::Dropped,
};

/// What a carrier does at its next attempts; then it delivers.
#[derive(Default)]
struct Script {
    outcomes: VecDeque<Outcome>,
    taken: Vec<String>,
    attempts: usize,
}

enum Outcome {
    Fails(Failed),
    Hangs,
    Refuses(u64),
}

struct Scripted {
    script: Arc<Mutex<Script>>,
    most: usize,
}

impl Carrier for Scripted {
    type Item = Arc<Alert>;

    fn most_at_once(&self) -> usize {
        self.most
    }

    fn within(&self) -> Duration {
        Duration::from_millis(50)
    }

    async fn deliver(&mut self, items: &[Arc<Alert>]) -> Result<u64, Failed> {
        let outcome = {
            let mut script = self.script.lock().expect("no panic");
            script.attempts += 1;
            let outcome = script.outcomes.pop_front();
            if !matches!(outcome, Some(Outcome::Fails(_) | Outcome::Hangs)) {
                script.taken.extend(items.iter().map(|alert| alert.text.clone()));
            }
            outcome
        };
        match outcome {
            None => Ok(0),
            Some(Outcome::Fails(failed)) => Err(failed),
            Some(Outcome::Refuses(refused)) => Ok(refused),
            Some(Outcome::Hangs) => std::future::pending().await,
        }
    }
}

fn run<T>(work: impl AsyncFnOnce() -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work())
}

fn scripted(
    outcomes: impl IntoIterator<Item = Outcome>,
    most: usize,
) -> (Forwarder<Arc<Alert>>, Arc<Mutex<Script>>) {
    let script =
        Arc::new(Mutex::new(Script { outcomes: outcomes.into_iter().collect(), ..Script::default() }));
    let carrier = Scripted { script: Arc::clone(&script), most };
    (Forwarder::start("test".into(), carrier, false), script)
}

fn offer(sink: &mut Forwarder<Arc<Alert>>, text: &str) {
    Sink::offer(sink, &Delivery::Alert(Arc::new(sample::alert(text))));
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn now(why: &str) -> Outcome {
    Outcome::Fails(Failed::Now(why.into()))
}

#[test]
fn what_a_receiver_could_not_take_is_tried_again_in_order_and_nothing_is_lost() {
    run(async || {
        let (mut sink, script) = scripted([now("it is away"), Outcome::Hangs], 2);
        for text in ["a", "b", "c"] {
            offer(&mut sink, text);
        }
        until("it has failed", || sink.status().last_error == Some("it is away".into())).await;
        assert_eq!((sink.status().queued, sink.status().delivered), (3, 0));
        until("it hangs", || sink.status().last_error.is_some_and(|error| error.contains("within 50ms")))
            .await;
        until("all is delivered", || sink.status().delivered == 3).await;
        let script = script.lock().expect("no panic");
        assert_eq!((script.taken.join(""), script.attempts), ("abc".into(), 4));
        let status = sink.status();
        assert_eq!((status.queued, status.dropped, status.last_error), (0, Dropped::default(), None));
    });
}

#[test]
fn what_is_refused_for_good_is_counted_and_the_next_is_tried_at_once() {
    run(async || {
        let refusal = Outcome::Fails(Failed::ForGood("it answers 400".into()));
        let (mut sink, _) = scripted([refusal, Outcome::Refuses(1)], 1);
        let began = Instant::now();
        for text in ["a", "b", "c"] {
            offer(&mut sink, text);
        }
        until("all is done", || sink.status().queued == 0).await;
        let status = sink.status();
        assert_eq!((status.delivered, status.dropped), (1, Dropped { refused: 2, ..Dropped::default() }));
        assert!(began.elapsed() < Duration::from_secs(1), "no wait: {:?}", began.elapsed());
    });
}

#[test]
fn a_receiver_that_is_away_costs_bounded_memory_and_what_finds_no_room_is_counted() {
    run(async || {
        let (mut sink, _) = scripted((0..100).map(|_| now("it is away")), 1);
        let text = "x".repeat(10_000);
        for _ in 0..1_000 {
            offer(&mut sink, &text);
            tokio::task::yield_now().await;
        }
        let status = sink.status();
        assert_eq!(status.queued + status.dropped.no_room, 1_000, "{status:?}");
        assert!((50..=QUEUED_BYTES as u64 / 10_000 + 2).contains(&status.queued), "{status:?}");
    });
}

#[test]
fn at_the_end_all_is_tried_once_more_and_the_rest_is_counted() {
    run(async || {
        let (mut sink, _) = scripted([now("it is away")], 1);
        offer(&mut sink, "a");
        until("it has failed", || sink.status().last_error.is_some()).await;
        // It does not wait for the next attempt.
        let began = Instant::now();
        let status = sink.close(Duration::from_secs(60)).await;
        assert_eq!((status.delivered, status.dropped.not_written), (1, 0), "{status:?}");
        assert!(began.elapsed() < Duration::from_secs(1));

        let (mut sink, _) = scripted((0..100).map(|_| now("it is away")), 1);
        for text in ["a", "b"] {
            offer(&mut sink, text);
        }
        let status = sink.close(Duration::from_secs(60)).await;
        assert_eq!((status.delivered, status.queued, status.dropped.not_written), (0, 0, 2), "{status:?}");

        let (mut sink, _) = scripted((0..100).map(|_| Outcome::Hangs), 1);
        offer(&mut sink, "a");
        let status = sink.close(Duration::ZERO).await;
        assert_eq!((status.delivered, status.dropped.not_written), (0, 1), "{status:?}");
    });
}

/// Fails until it is told otherwise.
struct LastOnly {
    is_away: Arc<Mutex<bool>>,
    taken: Arc<Mutex<Vec<u64>>>,
}

impl Carrier for LastOnly {
    type Item = Arc<Metrics>;

    async fn deliver(&mut self, items: &[Arc<Metrics>]) -> Result<u64, Failed> {
        if *self.is_away.lock().expect("no panic") {
            return Err(Failed::Now("it is away".into()));
        }
        self.taken.lock().expect("no panic").extend(items.iter().map(|metrics| metrics.cpu_ns));
        Ok(0)
    }
}

#[test]
fn of_metrics_only_the_last_are_delivered_when_a_receiver_is_back() {
    run(async || {
        let (is_away, taken) = (Arc::new(Mutex::new(true)), Arc::new(Mutex::new(Vec::new())));
        let carrier = LastOnly { is_away: Arc::clone(&is_away), taken: Arc::clone(&taken) };
        let mut forwarder = Forwarder::start("test".into(), carrier, true);
        for cpu_ns in 1..=5 {
            forwarder.offer_in_place_of_all(Arc::new(Metrics { cpu_ns, ..sample::metrics() }));
            until("it has failed", || forwarder.status().last_error.is_some()).await;
        }
        *is_away.lock().expect("no panic") = false;
        until("it is back", || forwarder.status().delivered == 1).await;
        assert_eq!(*taken.lock().expect("no panic"), [5]);
        let status = forwarder.status();
        assert_eq!((status.queued, status.dropped), (0, Dropped { outdated: 4, ..Dropped::default() }));
    });
}
