//! A thread on every CPU that has nothing to do, at idle priority: a virtual CPU that halts takes long to wake, and a
//! tracer that keeps it awake would look like speed. Must not know what is measured.

use std::{
    hint,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// Ends its threads when dropped; being threads, they do not outlive the process either.
pub struct Spinners {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Spinners {
    /// One on each of so many CPUs.
    pub fn start(count: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..count)
            .map(|cpu| {
                let stop = Arc::clone(&stop);
                thread::spawn(move || {
                    if !to_idle_priority() {
                        // At normal priority it would take what it is to leave alone.
                        return;
                    }
                    pin(cpu);
                    while !stop.load(Ordering::Relaxed) {
                        hint::spin_loop();
                    }
                })
            })
            .collect();
        Self { stop, threads }
    }
}

impl Drop for Spinners {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn to_idle_priority() -> bool {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 is the calling thread; the parameters outlive the call.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &parameters) == 0 }
}

/// Where there is no such CPU, the thread stays where it is.
fn pin(cpu: usize) {
    let mut set = std::mem::MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: all zero is a valid, empty set; the call reads as much as stated.
    unsafe {
        libc::CPU_SET(cpu, &mut *set.as_mut_ptr());
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), set.as_ptr());
    }
}
