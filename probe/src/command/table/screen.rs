//! The terminal that the table is on: how it was before, what it is sent, and that it is put right, however this process ends.
//!
//! Owns its state. Nothing here waits for a terminal that takes nothing: a thread writes, and a frame that finds it busy is
//! left out. Must not know what is drawn.

use std::{
    cell::RefCell,
    io::{self, Write},
    os::fd::{AsFd, BorrowedFd},
    panic,
    rc::Rc,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use nix::{
    libc,
    sys::termios::{self, SetArg, Termios},
};
use ratatui::{
    Terminal, TerminalOptions, Viewport,
    backend::{Backend, CrosstermBackend},
    layout::Rect,
};

use crate::{
    command::{
        Failure,
        signals::{self, Signals},
    },
    intervention,
    table::{Table, draw},
};

/// Another screen, no cursor, clicks and the wheel.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?1000h\x1b[?1006h\x1b[2J";
/// The reverse, and no colours.
const LEAVE: &[u8] = b"\x1b[0m\x1b[?1006l\x1b[?1000l\x1b[?25h\x1b[?1049l";
/// A terminal that takes nothing for so long does not get the rest.
const LEAVES_WITHIN: Duration = Duration::from_millis(300);

/// How the terminal was. Set once; a handler may read it.
static BEFORE: OnceLock<libc::termios> = OnceLock::new();
/// Whether it is ours now.
static IS_OURS: AtomicBool = AtomicBool::new(false);

/// Puts the terminal right, if it is ours: one system call for its modes, one for the rest. A signal handler may call it.
fn put_right() {
    if !IS_OURS.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut output = libc::pollfd { fd: libc::STDOUT_FILENO, events: libc::POLLOUT, revents: 0 };
    // SAFETY: pollfd, bytes and termios are ours and as long as stated; nothing is called that a handler may not call. A
    // terminal that would block is left alone.
    unsafe {
        if libc::poll(&raw mut output, 1, 0) == 1 && output.revents & libc::POLLOUT != 0 {
            libc::write(libc::STDOUT_FILENO, LEAVE.as_ptr().cast(), LEAVE.len());
        }
        if let Some(before) = BEFORE.get() {
            libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, before);
        }
    }
}

/// What is drawn and not yet sent.
#[derive(Clone, Default)]
struct Bytes(Rc<RefCell<Vec<u8>>>);

impl Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A terminal that shows a table.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Bytes>>,
    bytes: Bytes,
    size: (u16, u16),
    frames: SyncSender<Vec<u8>>,
    is_writing: Arc<AtomicBool>,
    /// Writing has failed: there is no terminal any more.
    has_gone: Arc<AtomicBool>,
}

impl Screen {
    /// Takes the terminal, which standard input and output are.
    pub fn open(signals: &Signals) -> Result<Self, Failure> {
        let fail = |error: io::Error| Failure::other(format!("cannot use the terminal: {error}"));
        let before = termios::tcgetattr(io::stdin()).map_err(|error| fail(error.into()))?;
        let _ = BEFORE.set(before.clone().into());
        signals::before_the_end(put_right);
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            put_right();
            others(info);
        }));
        signals.hear_resizes().map_err(fail)?;
        let output = io::stdout().as_fd().try_clone_to_owned().map_err(fail)?;
        let (frames, received) = sync_channel::<Vec<u8>>(1);
        let (is_writing, has_gone) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (writing, gone) = (Arc::clone(&is_writing), Arc::clone(&has_gone));
        // A thread is born with those signals blocked that its maker blocks. This one has all of them blocked: while a thread
        // of a parent is stopped, none may end this process, and the main thread holds them back alone.
        let held_back = intervention::reap::Signals::keep();
        let spawned = thread::Builder::new().name("screen".into()).spawn(move || {
            let mut output = std::fs::File::from(output);
            while let Ok(frame) = received.recv() {
                if output.write_all(&frame).is_err() {
                    gone.store(true, Ordering::Relaxed);
                }
                writing.store(false, Ordering::Release);
            }
        });
        drop(held_back);
        spawned.map_err(fail)?;
        let bytes = Bytes::default();
        let size = size();
        let mut screen = Self {
            terminal: terminal(bytes.clone(), size).map_err(fail)?,
            bytes,
            size,
            frames,
            is_writing,
            has_gone,
        };
        screen.enter(&before).map_err(fail)?;
        Ok(screen)
    }

    fn enter(&mut self, before: &Termios) -> io::Result<()> {
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        IS_OURS.store(true, Ordering::SeqCst);
        termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &raw)?;
        self.bytes.write_all(ENTER)?;
        self.terminal.resize(rect(self.size))
    }

    /// Columns and rows.
    pub fn size(&self) -> (u16, u16) {
        self.size
    }

    /// Whether the terminal has gone.
    pub fn has_gone(&self) -> bool {
        self.has_gone.load(Ordering::Relaxed)
    }

    /// Looks whether the terminal has another size now.
    pub fn resize(&mut self) -> bool {
        let now = size();
        if now == self.size {
            return false;
        }
        self.size = now;
        self.redraw();
        true
    }

    /// The next frame is drawn in whole, whatever the terminal shows.
    pub fn redraw(&mut self) {
        // It writes to memory.
        let _ = self.terminal.resize(rect(self.size));
    }

    /// Draws what has changed. False if the terminal has not taken the last frame yet.
    pub fn draw(&mut self, table: &Table) -> bool {
        if self.is_writing.load(Ordering::Acquire) {
            return false;
        }
        let area = rect(self.size);
        let mut frame = self.terminal.get_frame();
        if frame.area() == area {
            draw::draw(table, frame.buffer_mut());
        }
        let drawn = self.terminal.flush();
        self.terminal.swap_buffers();
        let frame = std::mem::take(&mut *self.bytes.0.borrow_mut());
        if drawn.is_ok() && !frame.is_empty() {
            self.is_writing.store(true, Ordering::Relaxed);
            if self.frames.try_send(frame).is_err() {
                self.has_gone.store(true, Ordering::Relaxed);
            }
        }
        true
    }

    /// Stops this process and all of its job, as a shell's ^Z does; returns when it goes on.
    pub fn suspend(&mut self) -> io::Result<()> {
        self.leave();
        // SAFETY: plain numbers; the default of this signal stops a process.
        unsafe { libc::kill(0, libc::SIGTSTP) };
        let before = termios::tcgetattr(io::stdin())?;
        self.size = size();
        self.enter(&before)
    }

    /// Puts the terminal right, once it has taken the last frame or has not for a while.
    pub fn leave(&mut self) {
        let deadline = Instant::now() + LEAVES_WITHIN;
        while self.is_writing.load(Ordering::Acquire) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(2));
        }
        put_right();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.leave();
    }
}

fn terminal(bytes: Bytes, size: (u16, u16)) -> io::Result<Terminal<CrosstermBackend<Bytes>>> {
    let mut backend = CrosstermBackend::new(bytes);
    backend.hide_cursor()?;
    Terminal::with_options(backend, TerminalOptions { viewport: Viewport::Fixed(rect(size)) })
}

fn rect((width, height): (u16, u16)) -> Rect {
    Rect { x: 0, y: 0, width, height }
}

fn size() -> (u16, u16) {
    let of = |fd: BorrowedFd<'_>| terminal_size::terminal_size_of(fd);
    of(io::stdout().as_fd()).map_or((80, 24), |(width, height)| (width.0.max(1), height.0.max(1)))
}
