//! Loads programs into the kernel side by side: what its verifier does is most of what starting costs. Where no thread can
//! be had, one after the other: a host that has run out of PIDs is one that has to be looked at.
//!
//! Must not attach anything, nor decide which programs are needed.

use std::{
    num::NonZero,
    sync::Mutex,
    thread::{self, Builder},
};

use aya::{
    Btf, Ebpf,
    programs::{Program, ProgramError},
};
use nix::{
    errno::Errno,
    sys::resource::{RLIM_INFINITY, Resource, getrlimit, rlim_t, setrlimit},
};

/// The verifier gives up where a signal comes, a stop among them.
const TRIES_MAX: u32 = 8;

/// Does `aside` beside `here`, on a thread of its own where one can be had, and after it where not. `Err` where `aside`
/// panicked.
pub fn beside<A: Send, B>(
    aside: impl FnOnce() -> A + Send,
    here: impl FnOnce() -> B,
) -> (thread::Result<A>, B) {
    let aside = Mutex::new(Some(aside));
    // Once: whoever comes first takes it.
    let work = || aside.lock().ok().and_then(|mut aside| aside.take()).map(|aside| aside());
    let panicked = || -> Box<dyn std::any::Any + Send> { Box::new("it was done already") };
    thread::scope(|scope| {
        let worker = Builder::new().spawn_scoped(scope, work);
        let here = here();
        let aside = match worker {
            Ok(worker) => worker.join(),
            Err(_) => Ok(work()),
        };
        (aside.and_then(|done| done.ok_or_else(panicked)), here)
    })
}

/// Memory for maps is charged to RLIMIT_MEMLOCK before Linux 5.11. While this lives, the limit is as high as we may set it;
/// then it is what it was: a command inherits it.
pub struct MemlockRaised(Option<(rlim_t, rlim_t)>);

impl MemlockRaised {
    /// Harmless where it fails: from 5.11 on nothing is charged.
    pub fn new() -> Self {
        let before = getrlimit(Resource::RLIMIT_MEMLOCK).ok();
        let raised = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY).is_ok();
        Self(before.filter(|_| raised))
    }
}

impl Drop for MemlockRaised {
    fn drop(&mut self) {
        if let Some((soft, hard)) = self.0 {
            let _ = setrlimit(Resource::RLIMIT_MEMLOCK, soft, hard);
        }
    }
}

/// Loads the named programs, each for its target, as many at a time as there are CPUs; the first are begun first. A
/// failure is met again, and told, by whoever attaches.
pub fn load_all(ebpf: &mut Ebpf, btf: &Btf, wanted: &[(&str, &str)]) {
    let mut programs: Vec<(usize, &str, &mut Program)> = ebpf
        .programs_mut()
        .filter_map(|(name, program)| {
            let place = wanted.iter().position(|(wanted, _)| *wanted == name)?;
            Some((place, wanted[place].1, program))
        })
        .collect();
    programs.sort_by_key(|(place, ..)| std::cmp::Reverse(*place));
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(programs.len());
    let programs = Mutex::new(programs);
    let work = || {
        loop {
            let next = programs.lock().ok().and_then(|mut programs| programs.pop());
            let Some((_, target, program)) = next else { return };
            let _ = load(program, target, btf);
        }
    };
    thread::scope(|scope| {
        for _ in 1..workers {
            // One fewer, where none can be had.
            let _ = Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
}

/// Loads one, unless it is loaded. `target`: the tracepoint, function or iterator it is for; those that are not bound to
/// a type learn it only when they are attached.
pub fn load(program: &mut Program, target: &str, btf: &Btf) -> Result<(), ProgramError> {
    // aya would search for the type again before it finds that there is nothing to do.
    if program.fd().is_ok() {
        return Ok(());
    }
    let mut tries = 1;
    loop {
        match load_once(program, target, btf) {
            Err(ProgramError::LoadError { io_error, .. })
                if io_error.raw_os_error() == Some(Errno::EAGAIN as i32) && tries < TRIES_MAX =>
            {
                tries += 1;
            }
            loaded => return loaded,
        }
    }
}

fn load_once(program: &mut Program, target: &str, btf: &Btf) -> Result<(), ProgramError> {
    match program {
        Program::BtfTracePoint(hook) => hook.load(target, btf),
        Program::FEntry(hook) => hook.load(target, btf),
        Program::FExit(hook) => hook.load(target, btf),
        Program::Iter(hook) => hook.load(target, btf),
        Program::RawTracePoint(hook) => hook.load(),
        Program::KProbe(hook) => hook.load(),
        Program::TracePoint(hook) => hook.load(),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}
