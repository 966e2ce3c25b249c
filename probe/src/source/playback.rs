//! A recording as a source that gives its inputs when their time has come: at its own pace, faster, slower, or not at all for
//! a while.
//!
//! Owns the pace. Must not know the engine, nor who looks at the replay.

use std::{
    cell::Cell,
    io::Read,
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::{
    SetupError,
    input::{Batch, Moment, Source},
};
use crate::{
    model::Input,
    recording::{Damage, Reader},
};

/// Most inputs of a batch.
const BATCH_MAX: usize = 256;
/// A reading for every so much time of the recording,
const READING_EVERY_NS: u64 = 1_000_000_000;
/// but no more often than so, however fast the replay goes.
const READINGS_APART: Duration = Duration::from_millis(200);

/// How far a replay is to be at any time, and how fast it goes on from there. Times are since the window began.
pub struct Pace {
    /// It was there, then.
    from_ns: Cell<u64>,
    since: Cell<Instant>,
    percent: Cell<u32>,
    is_paused: Cell<bool>,
    /// A reading is wanted as soon as the replay is where it is to be.
    is_asked: Cell<bool>,
    changed: Notify,
}

impl Pace {
    /// From this time of the recording on, in hundredths of its own pace.
    pub fn new(from_ns: u64, percent: u32, is_paused: bool) -> Self {
        Self {
            from_ns: Cell::new(from_ns),
            since: Cell::new(Instant::now()),
            percent: Cell::new(percent),
            is_paused: Cell::new(is_paused),
            is_asked: Cell::new(true),
            changed: Notify::new(),
        }
    }

    /// Where the replay is to be now.
    pub fn at_ns(&self) -> u64 {
        let gone_ns = match self.is_paused.get() {
            true => 0,
            false => self.since.get().elapsed().as_nanos() * u128::from(self.percent.get()) / 100,
        };
        self.from_ns.get().saturating_add(u64::try_from(gone_ns).unwrap_or(u64::MAX))
    }

    /// Goes on with this speed from here, or stands.
    pub fn go(&self, percent: u32, is_paused: bool) {
        self.jump(self.at_ns());
        self.percent.set(percent);
        self.is_paused.set(is_paused);
    }

    /// To a later time: what is between follows at once, and then a reading.
    pub fn jump(&self, to_ns: u64) {
        self.from_ns.set(to_ns);
        self.since.set(Instant::now());
        self.ask();
    }

    /// A reading is wanted, also while it stands.
    pub fn ask(&self) {
        self.is_asked.set(true);
        self.changed.notify_one();
    }

    /// How long until then; `None`: it stands.
    fn until(&self, to_ns: u64) -> Option<Duration> {
        let left_ns =
            u128::from(to_ns.saturating_sub(self.at_ns())) * 100 / u128::from(self.percent.get().max(1));
        (!self.is_paused.get()).then(|| Duration::from_nanos(u64::try_from(left_ns).unwrap_or(u64::MAX)))
    }
}

/// A recording that is being replayed for somebody who looks on.
pub struct Playback<'a, R> {
    reader: Reader<R>,
    /// `None`: nobody looks on, and nothing is waited for.
    pace: Option<&'a Pace>,
    /// When the window began.
    began_ns: u64,
    /// The next input, whose time has not come.
    held: Option<Input>,
    /// The time of the last input, since the window began.
    at_ns: u64,
    next_reading_ns: u64,
    last_reading: Option<Instant>,
    has_ended: bool,
    is_closing: bool,
}

impl<'a, R: Read> Playback<'a, R> {
    /// `began_ns`: when the window began. Without a pace it gives all as fast as it can, with every reading, and ends.
    pub fn new(reader: Reader<R>, began_ns: u64, pace: Option<&'a Pace>) -> Self {
        Self {
            reader,
            pace,
            began_ns,
            held: None,
            at_ns: 0,
            next_reading_ns: READING_EVERY_NS,
            last_reading: None,
            has_ended: false,
            is_closing: false,
        }
    }

    /// What could not be read so far.
    pub fn damage(&self) -> Damage {
        self.reader.damage()
    }

    /// Whether a reading is due before an input of this time is given.
    fn is_reading_due(&mut self, at_ns: u64) -> bool {
        if at_ns < self.next_reading_ns {
            return false;
        }
        // While it catches up, only what it comes to is shown.
        let is_seen = match self.pace {
            None => true,
            Some(pace) => {
                pace.at_ns().saturating_sub(at_ns)
                    < READING_EVERY_NS * u64::from(pace.percent.get()).div_ceil(100)
                    && self.last_reading.is_none_or(|last| last.elapsed() >= READINGS_APART)
            }
        };
        self.next_reading_ns = at_ns - at_ns % READING_EVERY_NS + READING_EVERY_NS;
        is_seen
    }

    fn reading(&mut self, batch: &mut Batch) {
        self.last_reading = Some(Instant::now());
        batch.moment = Moment::Reading;
    }
}

impl<R: Read> Source for Playback<'_, R> {
    async fn next(&mut self, batch: &mut Batch) -> Result<(), SetupError> {
        batch.complete_to_ns = u64::MAX;
        // Whoever presses keys has a turn after each batch.
        tokio::task::yield_now().await;
        loop {
            if self.is_closing {
                batch.moment = Moment::End;
                return Ok(());
            }
            let Some(input) = self.held.take().or_else(|| self.reader.next()) else {
                if !std::mem::replace(&mut self.has_ended, true) {
                    batch.inputs.extend(self.reader.lost_end().map(|lost| (0, lost)));
                    self.reading(batch);
                    return Ok(());
                }
                match self.pace {
                    None => self.is_closing = true,
                    Some(pace) if pace.is_asked.take() => {
                        self.reading(batch);
                        return Ok(());
                    }
                    // Whoever looks on may still look around.
                    Some(pace) => pace.changed.notified().await,
                }
                continue;
            };
            let at_ns = input.time_ns().map_or(self.at_ns, |time_ns| time_ns.saturating_sub(self.began_ns));
            if let Some(pace) = self.pace
                && at_ns > pace.at_ns()
            {
                self.held = Some(input);
                if !batch.inputs.is_empty() {
                    return Ok(());
                }
                if pace.is_asked.take() {
                    self.reading(batch);
                    return Ok(());
                }
                match pace.until(at_ns) {
                    Some(wait) => {
                        let _ = tokio::time::timeout(wait, pace.changed.notified()).await;
                    }
                    None => pace.changed.notified().await,
                }
                continue;
            }
            if self.is_reading_due(at_ns) {
                self.held = Some(input);
                self.reading(batch);
                return Ok(());
            }
            self.at_ns = self.at_ns.max(at_ns);
            let is_large = matches!(input, Input::Snapshot(_));
            batch.inputs.push((0, input));
            if is_large || batch.inputs.len() >= BATCH_MAX {
                return Ok(());
            }
        }
    }

    fn begin_closing(&mut self, _by: Option<Instant>) {
        self.is_closing = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Begin, Losses, Session},
        recording::RecordingFile,
    };

    const SECOND_NS: u64 = 1_000_000_000;

    /// A recording of so many seconds, with an input in each.
    fn recording(seconds: u64) -> (tempfile::NamedTempFile, u64) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let out = Box::new(file.reopen().expect("a file"));
        let mut recording =
            RecordingFile::begin(out, file.path(), &Session::default()).expect("it can be written");
        let began_ns = 7 * SECOND_NS;
        recording.write(&Input::Begin(Begin { time_ns: began_ns, ..Begin::default() }));
        for second in 1..=seconds {
            let losses = Losses { events: second, ..Losses::default() };
            recording.write(&Input::Losses { time_ns: began_ns + second * SECOND_NS, losses });
        }
        recording.write(&Input::End { time_ns: began_ns + seconds * SECOND_NS });
        recording.flush();
        (file, began_ns)
    }

    fn reader(file: &tempfile::NamedTempFile) -> Reader<std::fs::File> {
        Reader::open(file.reopen().expect("a file")).expect("a recording")
    }

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(work)
    }

    #[test]
    fn without_a_pace_there_is_a_reading_for_each_second_and_then_the_end() {
        let (file, began_ns) = recording(5);
        let mut source = Playback::new(reader(&file), began_ns, None);
        let (mut readings, mut inputs) = (0, 0);
        block_on(async {
            loop {
                let mut batch = Batch::default();
                source.next(&mut batch).await.expect("a recording does not fail");
                inputs += batch.inputs.len();
                match batch.moment {
                    Moment::Reading => readings += 1,
                    Moment::End => break,
                    _ => {}
                }
            }
        });
        assert_eq!((readings, inputs), (6, 7));
        assert_eq!(source.damage(), Damage::default());
    }

    #[test]
    fn while_it_stands_nothing_comes_but_what_is_asked_for() {
        let (file, began_ns) = recording(5);
        let pace = Pace::new(0, 100, true);
        let mut source = Playback::new(reader(&file), began_ns, Some(&pace));
        block_on(async {
            let mut batch = Batch::default();
            source.next(&mut batch).await.expect("the begin");
            assert_eq!((batch.inputs.len(), batch.moment), (1, Moment::Within));
            let mut batch = Batch::default();
            source.next(&mut batch).await.expect("the first reading");
            assert_eq!((batch.inputs.len(), batch.moment), (0, Moment::Reading));
            let mut batch = Batch::default();
            let none = tokio::time::timeout(Duration::from_millis(50), source.next(&mut batch)).await;
            assert!(none.is_err() && batch.inputs.is_empty(), "it stands");
            pace.ask();
            source.next(&mut batch).await.expect("a reading");
            assert_eq!((batch.inputs.len(), batch.moment), (0, Moment::Reading));
            pace.jump(3 * SECOND_NS);
            let mut seen = 0;
            loop {
                let mut batch = Batch::default();
                source.next(&mut batch).await.expect("what is between");
                seen += batch.inputs.len();
                if seen == 3 && batch.moment == Moment::Reading {
                    break;
                }
            }
            source.begin_closing(None);
            let mut batch = Batch::default();
            source.next(&mut batch).await.expect("the end");
            assert_eq!((batch.inputs.len(), batch.moment), (0, Moment::End));
        });
    }

    #[test]
    fn a_pace_goes_on_from_where_it_was() {
        let pace = Pace::new(5 * SECOND_NS, 100, true);
        assert_eq!(pace.at_ns(), 5 * SECOND_NS);
        pace.go(200, true);
        assert_eq!((pace.at_ns(), pace.until(9 * SECOND_NS)), (5 * SECOND_NS, None));
        pace.go(200, false);
        assert!(pace.at_ns() >= 5 * SECOND_NS);
        let wait = pace.until(9 * SECOND_NS).expect("it goes");
        assert!(wait <= Duration::from_secs(2), "{wait:?}");
    }
}
