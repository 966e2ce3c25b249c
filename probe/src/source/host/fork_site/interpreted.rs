//! The Python of processes: their interpreters, and their frames in the place of the interpreter's own functions.
//!
//! Must not know versions of CPython: that is `python`'s.

use probe_common::interpreter::Interpreter;
use procfs::process::Process;

use super::{
    Place, Sites,
    code::Code,
    mappings,
    python::{self, Layout, Memory},
    stack::Stack,
};
use crate::model::{Depth, Task};

/// Of how many processes, each forked by the next, the memory is tried.
const ANCESTORS_MAX: usize = 4;
/// No stack came of it yet.
const PROGRAM_UNKNOWN: u64 = u64::MAX;

impl Sites {
    /// Puts the interpreted functions in the place of the functions of the interpreter itself.
    pub(super) fn with_python(&mut self, stack: &Stack, places: &mut Vec<Place>, depth: Depth) -> Depth {
        if stack.python.is_empty() {
            return depth;
        }
        let Some((layout, _)) = self.processes.get(&stack.creator.identity).and_then(|known| known.python)
        else {
            return depth;
        };
        let Some(python) = self.python_places(stack, layout) else { return depth };
        let is_interpreter = |place: &Place| match place {
            Place::Module(number, _) => {
                self.modules.get(*number).is_some_and(|module| python::minor(&module.path).is_some())
            }
            _ => false,
        };
        let first = places.iter().position(is_interpreter);
        let last = places.iter().rposition(is_interpreter);
        let instead = match (first, last) {
            (Some(first), Some(last)) => first..last + 1,
            _ => places.len()..places.len(),
        };
        places.splice(instead, python);
        if stack.is_python_cut { Depth::TooDeep } else { depth }
    }

    /// The interpreted functions; `None` where their names cannot be read.
    fn python_places(&mut self, stack: &Stack, layout: Layout) -> Option<Vec<Place>> {
        let identity = stack.creator.identity;
        let mut memory = None;
        let mut places = Vec::new();
        for frame in &stack.python {
            let number = match self.python.lately(identity, frame) {
                Some(number) => number,
                None => {
                    if memory.is_none() {
                        memory = Some(self.memory_like_that_of(stack)?);
                    }
                    let found = layout.frame(memory.as_ref()?, frame);
                    self.python.enter(identity, frame, found)
                }
            };
            places.extend(number.map(Place::Python));
        }
        Some(places)
    }

    /// The memory of the process that forked or, where it has gone, of one that it is a copy of: code is at the same place.
    fn memory_like_that_of(&self, stack: &Stack) -> Option<Memory> {
        let mut task = stack.creator;
        for _ in 0..ANCESTORS_MAX {
            let file = self.directories.open(&task).and_then(|process| process.open_relative("mem").ok());
            if let Some(file) = file {
                return Some(Memory::new(file));
            }
            let identity = *self.creators.get(&task.identity)?;
            self.processes.get(&identity).filter(|known| known.program == stack.program)?;
            task = Task { identity, ns_pid: identity.tgid, ..stack.creator };
        }
        None
    }

    /// The Python of a process, if it has one that is known.
    pub(super) fn python(&mut self, process: &Process, code: &Code) -> Option<(Layout, u64)> {
        let found = code.mappings.iter().zip(&code.modules).find_map(|(mapping, module)| {
            let (minor, (number, bias)) = (python::minor(&mapping.path)?, (*module)?);
            let symbol = self
                .runtimes
                .entry(number)
                .or_insert_with(|| self.modules.get(number).and_then(|module| module.symbol(b"_PyRuntime")));
            Some((minor, symbol.as_ref()?.wrapping_add(bias)))
        });
        let (minor, runtime) = found?;
        let memory = Memory::new(process.open_relative("mem").ok()?);
        Some((Layout::of(minor, &memory, runtime)?, runtime))
    }

    /// Processes that have forked and have a Python, but no interpreter that is known.
    pub fn take_pythons(&mut self) -> Vec<Task> {
        std::mem::take(&mut self.pythons)
    }

    /// The interpreter of a process, if it has begun: for the programs.
    pub fn interpreter(&mut self, task: &Task) -> Option<Interpreter> {
        let process = self.directories.open(task)?;
        let is_read = self.processes.get(&task.identity).is_some_and(|known| known.python.is_some());
        if !is_read {
            // Most have none: their files stay closed.
            let (_, mappings) = mappings::of(&process)?;
            mappings.iter().find_map(|mapping| python::minor(&mapping.path))?;
            let known = self.known(task, PROGRAM_UNKNOWN)?;
            known.python?;
            self.keep(known);
        }
        let (layout, runtime) = self.processes.get(&task.identity)?.python?;
        let memory = Memory::new(process.open_relative("mem").ok()?);
        let interpreter = layout.interpreter(&memory, runtime)?;
        Some(Interpreter { start_boottime_ns: task.identity.start_boottime_ns, ..interpreter })
    }
}
