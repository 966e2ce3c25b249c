//! Readers that are slow, stuck or gone: what they get, what they lose, and that nobody waits for them.

use std::{
    io::Read,
    sync::{
        Mutex,
        mpsc::{Sender, channel},
    },
};

use super::{
    super::batch::{lines_in, pieces},
    *,
};

/// Most a call may take that does not wait for the reader, on a busy machine.
const SOON: Duration = Duration::from_millis(900);

fn patience(unlimited: bool) -> Patience {
    Patience { unlimited, time_left: || None }
}

/// What a reader took, one entry per write.
type Taken = Arc<Mutex<Vec<Vec<u8>>>>;

/// A reader that takes a piece after `before` returns.
struct Reader<F> {
    before: F,
    taken: Taken,
}

impl<F: FnMut() -> io::Result<()>> Write for Reader<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.before)()?;
        self.taken.lock().expect("no panic").push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn writer(unlimited: bool, before: impl FnMut() -> io::Result<()> + Send + 'static) -> (LineWriter, Taken) {
    let taken = Taken::default();
    let reader = Reader { before, taken: Arc::clone(&taken) };
    (LineWriter::with_thread(reader, PIPE_PIECE_BYTES, patience(unlimited)).expect("a thread"), taken)
}

/// A reader that takes nothing until the sender is dropped.
fn stuck(unlimited: bool) -> (LineWriter, Taken, Sender<()>) {
    let (release, held) = channel::<()>();
    let (writer, taken) = writer(unlimited, move || {
        let _ = held.recv();
        Ok(())
    });
    (writer, taken, release)
}

fn lines_of(taken: &Taken) -> u64 {
    taken.lock().expect("no panic").iter().map(|piece| lines_in(piece)).sum()
}

/// Adds this many lines of 1 KiB.
fn add(writer: &mut LineWriter, lines: u64) -> io::Result<()> {
    for _ in 0..lines {
        writer.line(|out| out.write_all(&[b'x'; 1023]).and_then(|()| out.write_all(b"\n")))?;
    }
    writer.hand_over()
}

fn event() -> Delivery {
    let mut line = [b'x'; 1024];
    line[1023] = b'\n';
    Delivery::Event(Arc::from(line.as_slice()))
}

fn close(sink: LineWriter, within: Duration) -> SinkStatus {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on((Box::new(sink) as Box<dyn Sink>).close(within))
}

#[test]
fn pieces_are_whole_lines_and_together_what_was_cut() {
    let text = b"one\ntwo\na long line\nx\n";
    let cut: Vec<&[u8]> = pieces(text, 8).collect();
    assert_eq!(cut, [b"one\ntwo\n".as_slice(), b"a long line\n", b"x\n"]);
    assert_eq!(pieces(b"no end", 3).collect::<Vec<_>>(), [b"no end".as_slice()]);
    assert_eq!(pieces(b"", 3).count(), 0);
}

#[test]
fn a_pipe_gets_whole_lines_in_every_write() {
    let (mut writer, taken) = writer(false, || Ok(()));
    add(&mut writer, 1000).expect("a reader");
    assert_eq!(writer.finish().expect("a reader"), Lost { left_out: 0, not_taken: 0 });
    assert_eq!(lines_of(&taken), 1000);
    for piece in taken.lock().expect("no panic").iter() {
        assert!(piece.len() <= PIPE_PIECE_BYTES && piece.ends_with(b"\n"), "{}", piece.len());
    }
}

#[test]
fn a_reader_that_stands_still_for_a_while_loses_lines_and_is_told_how_many() {
    let (mut writer, taken, release) = stuck(false);
    add(&mut writer, 4000).expect("room in the queue");
    assert_eq!(writer.take_lost(), None);
    let begun = Instant::now();
    add(&mut writer, 4000).expect("the writer is alive");
    // Only the first batch that finds no room waits for some.
    assert!(begun.elapsed() < PATIENCE + SOON, "{:?}", begun.elapsed());
    // The reader takes no lines yet, so it cannot get the line about lost lines.
    assert_eq!(writer.take_lost(), None);
    drop(release);
    while lines_of(&taken) < 4000 {
        sleep(LOOK_EVERY);
    }
    add(&mut writer, 1).expect("a reader");
    let lost = writer.take_lost().expect("lines were lost");
    assert_eq!(writer.take_lost(), None);
    assert_eq!(writer.finish().expect("a reader"), Lost { left_out: lost, not_taken: 0 });
    assert_eq!(lines_of(&taken) + lost, 8001);
}

#[test]
fn a_reader_that_is_slow_to_the_end_gets_everything_while_it_moves() {
    let (mut writer, taken) = writer(false, || {
        sleep(Duration::from_millis(10));
        Ok(())
    });
    add(&mut writer, 600).expect("room in the queue");
    assert_eq!(writer.finish().expect("a reader"), Lost { left_out: 0, not_taken: 0 });
    assert_eq!(lines_of(&taken), 600);
}

#[test]
fn a_reader_that_takes_nothing_at_the_end_is_given_up() {
    let (mut writer, _, _release) = stuck(false);
    add(&mut writer, 10).expect("room in the queue");
    let begun = Instant::now();
    assert_eq!(writer.finish().expect("no error"), Lost { left_out: 0, not_taken: 10 });
    assert!(begun.elapsed() >= STANDSTILL && begun.elapsed() < STANDSTILL + SOON, "{:?}", begun.elapsed());
}

#[test]
fn unlimited_patience_loses_nothing_and_ends_with_the_time_to_write() {
    let (mut patient, taken) = writer(true, || {
        sleep(Duration::from_micros(100));
        Ok(())
    });
    add(&mut patient, 6000).expect("a reader");
    assert_eq!(patient.finish().expect("a reader"), Lost { left_out: 0, not_taken: 0 });
    assert_eq!(lines_of(&taken), 6000);

    let (mut asked_to_end, _, _release) = stuck(true);
    asked_to_end.patience.time_left = || Some(Duration::ZERO);
    add(&mut asked_to_end, 10).expect("room in the queue");
    let begun = Instant::now();
    assert_eq!(asked_to_end.finish().expect("no error"), Lost { left_out: 0, not_taken: 10 });
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[test]
fn a_reader_that_has_left_and_a_full_disk_are_told_apart() {
    for kind in [io::ErrorKind::BrokenPipe, io::ErrorKind::StorageFull] {
        let (mut writer, _) = writer(false, move || Err(kind.into()));
        let error = loop {
            if let Err(error) = add(&mut writer, 1) {
                break error;
            }
        };
        assert_eq!(error.kind(), kind);
        let (mut ends_at_once, _) = self::writer(false, move || Err(kind.into()));
        let ended = add(&mut ends_at_once, 1).and_then(|()| ends_at_once.finish().map(drop));
        assert_eq!(ended.expect_err("nobody reads").kind(), kind);
    }
}

#[test]
fn without_a_thread_no_write_blocks_and_everything_arrives() {
    let (mut reader, out) = io::pipe().expect("a pipe");
    let out = File::from(std::os::fd::OwnedFd::from(out));
    let mut writer = LineWriter::without_thread(out, patience(false));
    let begun = Instant::now();
    add(&mut writer, 1000).expect("room in the queue");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let thread = std::thread::spawn(move || {
        let mut all = Vec::new();
        reader.read_to_end(&mut all).map(|_| all)
    });
    assert_eq!(writer.finish().expect("a reader"), Lost { left_out: 0, not_taken: 0 });
    assert_eq!(lines_in(&thread.join().expect("no panic").expect("all")), 1000);
}

#[test]
fn without_a_thread_a_reader_that_has_left_is_an_error() {
    let (reader, out) = io::pipe().expect("a pipe");
    drop(reader);
    let out = File::from(std::os::fd::OwnedFd::from(out));
    let mut writer = LineWriter::without_thread(out, patience(false));
    assert_eq!(add(&mut writer, 1).expect_err("nobody reads").kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn a_sink_drops_what_finds_no_room_and_never_blocks() {
    let (mut sink, taken, release) = stuck(true);
    assert!(sink.wants().events && sink.wants().alerts && sink.name() == "standard output");
    let begun = Instant::now();
    let (line, offered) = (event(), 6000);
    for _ in 0..offered {
        sink.offer(&line);
    }
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let status = sink.status();
    assert_eq!((status.delivered, status.last_error), (0, None));
    assert_eq!(status.queued + status.dropped.no_room, offered);
    assert!(status.dropped.no_room > 1000, "{:?}", status.dropped);
    drop(release);
    let closed = close(sink, Duration::from_secs(60));
    assert_eq!((closed.queued, closed.delivered), (0, status.queued));
    assert_eq!(closed.dropped, status.dropped);
    assert_eq!(lines_of(&taken), closed.delivered);
}

#[test]
fn a_sink_closes_in_time_and_says_what_was_not_written() {
    let (mut sink, _, _release) = stuck(true);
    for _ in 0..5 {
        sink.offer(&event());
    }
    let begun = Instant::now();
    let closed = close(sink, Duration::from_millis(50));
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert_eq!(closed.dropped, Dropped { not_written: 5, ..Dropped::default() });
    assert_eq!((closed.queued, closed.delivered, closed.last_error), (0, 0, None));
}

#[test]
fn a_sink_whose_reader_has_left_says_so_and_counts_what_it_drops() {
    let (mut sink, _) = writer(false, || Err(io::ErrorKind::BrokenPipe.into()));
    let mut offered = 0;
    while sink.status().last_error.is_none() {
        sink.offer(&event());
        offered += 1;
    }
    sink.offer(&event());
    let closed = close(sink, Duration::from_secs(60));
    assert_eq!((closed.queued, closed.delivered), (0, 0));
    // It may have filled the queue before the writer had its first turn.
    let Dropped { no_room, ended, .. } = closed.dropped;
    assert_eq!(closed.dropped, Dropped { no_room, ended, ..Dropped::default() });
    assert!(ended > 0 && no_room + ended == offered + 1, "{:?} of {}", closed.dropped, offered + 1);
    assert!(closed.last_error.expect("why").contains("broken pipe"));
}

#[test]
fn an_alert_is_delivered_as_a_line_of_json() {
    let (mut sink, taken) = writer(false, || Ok(()));
    sink.offer(&Delivery::Alert(Arc::new(crate::report::sample::alert("x"))));
    assert_eq!(close(sink, Duration::from_secs(60)).delivered, 1);
    let line = taken.lock().expect("no panic").concat();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&line).expect("JSON")["text"], "x");
    assert!(line.ends_with(b"}\n"));
}
