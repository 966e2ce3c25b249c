//! Holds one thread of another process by ptrace, has it make system calls, and lets it go as it was.
//!
//! Owns the requests, the stops and what a stop means. The thread is seized and not attached to, so that no SIGSTOP is
//! sent; calls are made between stops at entry and exit, so that no SIGTRAP is, whose handler the kernel would take away
//! where it is blocked or ignored. Signals that come meanwhile stay pending: all are blocked until the end. Only SIGSTOP
//! cannot be; it is passed on at once, and takes the thread back when it is let go. Must not know what the calls are for.

use std::{
    marker::PhantomData,
    mem::size_of,
    ptr,
    time::{Duration, Instant},
};

use nix::{errno::Errno, libc};

use super::architecture::{AUDIT_ARCHITECTURE, Registers};

/// Reads and writes of a request for the registers of a call (include/uapi/linux/elf.h).
const NT_PRSTATUS: usize = 1;
/// The event of a thread that stops because it was interrupted, or together with its process.
const EVENT_STOP: i32 = 128;
/// Set in the signal of a stop at a system call (PTRACE_O_TRACESYSGOOD).
const AT_CALL: i32 = 0x80;
/// Takes the thread's seccomp filters out of force while it is held.
const SUSPEND_SECCOMP: usize = 1 << 21;
const GET_SYSCALL_INFO: u32 = 0x420e;
const GET_RSEQ_CONFIGURATION: u32 = 0x420f;
const GET_SYSCALL_USER_DISPATCH: u32 = 0x4211;

/// Signals that the kernel sends a thread for what it has just executed.
const FAULTS: [i32; 6] =
    [libc::SIGSEGV, libc::SIGILL, libc::SIGBUS, libc::SIGFPE, libc::SIGTRAP, libc::SIGSYS];

/// Why a thread does not do what it is asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The thread has ended meanwhile, or was taken.
    Gone,
    /// The kernel refused a request.
    Refused(Errno),
    /// The thread received this signal for what it executed; it was put back as it was.
    Fault(i32),
    /// It stopped elsewhere than at the call.
    Astray,
}

impl From<Errno> for Broken {
    fn from(error: Errno) -> Self {
        if error == Errno::ESRCH || error == Errno::ECHILD { Self::Gone } else { Self::Refused(error) }
    }
}

/// What the kernel says about a stop (struct ptrace_syscall_info).
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CallInfo {
    kind: u8,
    padding: [u8; 3],
    architecture: u32,
    instruction_pointer: u64,
    stack_pointer: u64,
    /// At an entry the number and the arguments, at an exit the result.
    rest: [u64; 8],
}

const AT_ENTRY: u8 = 1;
const AT_EXIT: u8 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Call,
    Event,
    Signal(i32),
}

/// A thread that is held. The kernel knows the holder by its own thread, so this stays on one. Dropped while the thread
/// runs, nothing is undone: the kernel lets go of it when the holder's thread ends, and takes back an interruption that it has
/// not come to.
pub struct Held {
    thread: i32,
    one_thread: PhantomData<*const ()>,
}

impl Held {
    /// Seizes the thread, which goes on running.
    pub fn seize(thread: u32, suspend_seccomp: bool) -> Result<Self, Errno> {
        let options =
            libc::PTRACE_O_TRACESYSGOOD as usize | if suspend_seccomp { SUSPEND_SECCOMP } else { 0 };
        let held = Self { thread: thread as i32, one_thread: PhantomData };
        held.request(libc::PTRACE_SEIZE, 0, options).map(|_| held)
    }

    /// Stops it; false where it has not stopped within this time.
    pub fn interrupt(&self, within: Duration) -> Result<bool, Broken> {
        self.request(libc::PTRACE_INTERRUPT, 0, 0)?;
        let deadline = Instant::now() + within;
        let mut pause = Duration::from_micros(20);
        loop {
            match self.wait(libc::WNOHANG)? {
                Some(Stop::Event) => return Ok(true),
                // A signal that was on its way: it is delivered. Its stop has taken the place of the interruption.
                Some(Stop::Signal(signal)) => {
                    self.request(libc::PTRACE_INTERRUPT, 0, 0)?;
                    self.request(libc::PTRACE_CONT, 0, signal as usize)?;
                }
                Some(Stop::Call) => return Err(Broken::Astray),
                None if Instant::now() > deadline => return Ok(false),
                None => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_micros(200));
                }
            }
        }
    }

    /// Lets a stopped thread run on, and keeps it.
    pub fn go_on(&self) -> Result<(), Broken> {
        self.request(libc::PTRACE_CONT, 0, 0)?;
        Ok(())
    }

    /// Lets a stopped thread go.
    pub fn release(self) -> Result<(), Broken> {
        self.request(libc::PTRACE_DETACH, 0, 0)?;
        Ok(())
    }

    /// Has it make a call from where the registers say; the result of the call, which may be a negative errno.
    pub fn call(&self, registers: &Registers) -> Result<i64, Broken> {
        registers.write(self)?;
        self.until_entry()?;
        self.until_exit()
    }

    /// On to the next entry of a system call; the number of the call.
    pub fn until_entry(&self) -> Result<u64, Broken> {
        self.resume_until(libc::PTRACE_SYSCALL, Stop::Call)?;
        let info = self.call_info()?;
        if info.kind == AT_ENTRY { Ok(info.rest[0]) } else { Err(Broken::Astray) }
    }

    /// On to the exit of the call it is in; the result.
    pub fn until_exit(&self) -> Result<i64, Broken> {
        self.resume_until(libc::PTRACE_SYSCALL, Stop::Call)?;
        let info = self.call_info()?;
        if info.kind == AT_EXIT { Ok(info.rest[0] as i64) } else { Err(Broken::Astray) }
    }

    /// From the exit of a call to where an interruption stops it: on the way there, nothing of the program is executed.
    pub fn until_interrupted(&self) -> Result<(), Broken> {
        self.request(libc::PTRACE_INTERRUPT, 0, 0)?;
        self.resume_until(libc::PTRACE_CONT, Stop::Event)
    }

    fn resume_until(&self, how: u32, wanted: Stop) -> Result<(), Broken> {
        let mut signal = 0;
        loop {
            self.request(how, 0, signal as usize)?;
            signal = match self.wait(0)?.ok_or(Broken::Gone)? {
                stop if stop == wanted => return Ok(()),
                // The whole process is being stopped: this thread is taken back when it is let go.
                Stop::Event => 0,
                Stop::Call => return Err(Broken::Astray),
                Stop::Signal(fault) if FAULTS.contains(&fault) => return Err(Broken::Fault(fault)),
                Stop::Signal(other) => {
                    if wanted == Stop::Event {
                        // Its stop has taken the place of the interruption.
                        self.request(libc::PTRACE_INTERRUPT, 0, 0)?;
                    }
                    other
                }
            };
        }
    }

    fn wait(&self, flags: i32) -> Result<Option<Stop>, Broken> {
        let mut status = 0;
        loop {
            // SAFETY: status is ours to write.
            let got = unsafe { libc::waitpid(self.thread, &raw mut status, flags | libc::__WALL) };
            match got {
                0 => return Ok(None),
                -1 if Errno::last() == Errno::EINTR => {}
                -1 => return Err(Errno::last().into()),
                _ if !libc::WIFSTOPPED(status) => return Err(Broken::Gone),
                _ => return Ok(Some(stop(status))),
            }
        }
    }

    /// Whether it is in a call of another architecture (32 bits), or would return to such code.
    pub fn is_foreign(&self) -> Result<bool, Broken> {
        let foreign = self.call_info()?.architecture != AUDIT_ARCHITECTURE;
        Ok(foreign || Registers::read(self)?.is_none_or(|registers| registers.are_foreign()))
    }

    fn call_info(&self) -> Result<CallInfo, Broken> {
        let mut info = CallInfo::default();
        self.request(GET_SYSCALL_INFO, size_of::<CallInfo>(), (&raw mut info) as usize)?;
        Ok(info)
    }

    /// Whether a handler of its own takes its system calls (prctl PR_SET_SYSCALL_USER_DISPATCH).
    pub fn dispatches_calls(&self) -> bool {
        let mut mode_and_range = [0u64; 4];
        let size = size_of_val(&mode_and_range);
        // A kernel that does not know the request (before 6.4) says so.
        self.request(GET_SYSCALL_USER_DISPATCH, size, mode_and_range.as_mut_ptr() as usize).is_ok()
            && mode_and_range[0] != 0
    }

    /// Address of the word by which it says that it is in a restartable sequence (rseq); `None` where it has none, or the
    /// kernel cannot tell (before 5.13).
    pub fn sequence_pointer(&self) -> Option<u64> {
        let mut address_and_sizes = [0u64; 3];
        let size = size_of_val(&address_and_sizes);
        self.request(GET_RSEQ_CONFIGURATION, size, address_and_sizes.as_mut_ptr() as usize).ok()?;
        // struct rseq: two numbers of 32 bits, then the pointer.
        Some(address_and_sizes[0]).filter(|address| *address != 0).map(|address| address + 8)
    }

    /// Its signal mask: the one that it has outside of calls that change it for their duration.
    pub fn signal_mask(&self) -> Result<u64, Broken> {
        let mut mask = 0u64;
        self.request(libc::PTRACE_GETSIGMASK, size_of::<u64>(), (&raw mut mask) as usize)?;
        Ok(mask)
    }

    /// Sets it. The kernel leaves SIGKILL and SIGSTOP out.
    pub fn set_signal_mask(&self, mask: u64) -> Result<(), Broken> {
        self.request(libc::PTRACE_SETSIGMASK, size_of::<u64>(), (&raw const mask) as usize)?;
        Ok(())
    }

    /// Reads its registers of this kind into `value`; how many bytes there were.
    pub fn read_registers<T>(&self, kind: usize, value: &mut T) -> Result<usize, Broken> {
        let mut place = libc::iovec { iov_base: ptr::from_mut(value).cast(), iov_len: size_of::<T>() };
        self.request(libc::PTRACE_GETREGSET, kind, (&raw mut place) as usize)?;
        Ok(place.iov_len)
    }

    /// Writes its registers of this kind.
    pub fn write_registers<T>(&self, kind: usize, value: &T) -> Result<(), Broken> {
        let mut place =
            libc::iovec { iov_base: ptr::from_ref(value).cast_mut().cast(), iov_len: size_of::<T>() };
        self.request(libc::PTRACE_SETREGSET, kind, (&raw mut place) as usize)?;
        Ok(())
    }

    /// All general registers; `None` where there are fewer than this architecture has: a program of 32 bits.
    pub fn general_registers<T>(&self, mut value: T) -> Result<Option<T>, Broken> {
        let got = self.read_registers(NT_PRSTATUS, &mut value)?;
        Ok((got == size_of::<T>()).then_some(value))
    }

    /// Writes all general registers.
    pub fn set_general_registers<T>(&self, value: &T) -> Result<(), Broken> {
        self.write_registers(NT_PRSTATUS, value)
    }

    fn request(&self, what: u32, address: usize, data: usize) -> Result<i64, Errno> {
        // SAFETY: the callers above pass numbers, or the address of a live variable of theirs and its size; the kernel
        // writes no more than that.
        let got = unsafe {
            libc::ptrace(
                what as _,
                self.thread,
                ptr::without_provenance_mut::<libc::c_void>(address),
                ptr::with_exposed_provenance_mut::<libc::c_void>(data),
            )
        };
        if got == -1 { Err(Errno::last()) } else { Ok(got) }
    }
}

fn stop(status: i32) -> Stop {
    match (libc::WSTOPSIG(status), status >> 16) {
        (_, EVENT_STOP) => Stop::Event,
        (signal, _) if signal == libc::SIGTRAP | AT_CALL => Stop::Call,
        (signal, _) => Stop::Signal(signal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_are_told_apart() {
        let status = |event: i32, signal: i32| event << 16 | signal << 8 | 0x7f;
        assert_eq!(stop(status(EVENT_STOP, libc::SIGTRAP)), Stop::Event);
        assert_eq!(stop(status(EVENT_STOP, libc::SIGSTOP)), Stop::Event);
        assert_eq!(stop(status(0, libc::SIGTRAP | AT_CALL)), Stop::Call);
        assert_eq!(stop(status(0, libc::SIGSTOP)), Stop::Signal(libc::SIGSTOP));
    }
}
