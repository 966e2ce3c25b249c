//! Loads programs into the kernel side by side: what its verifier does is most of what starting costs.
//!
//! Must not attach anything, nor decide which programs are needed.

use std::{num::NonZero, sync::Mutex, thread};

use aya::{
    Btf, Ebpf,
    programs::{Program, ProgramError},
};

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
            scope.spawn(work);
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
