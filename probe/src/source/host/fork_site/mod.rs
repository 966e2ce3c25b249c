//! Fork sites: from copied stacks to functions with files and lines.
//!
//! A stack gets the number of its site at once. Names, which take a hundred times as long, follow when there is time; the
//! files they come from stay open until then. Owns how many sites, processes and files are kept, for how long after the last
//! stack, and how long names may take. Must not know who asks for a site, nor what it is good for.

mod code;
mod debug_info;
mod interpreted;
pub mod mappings;
mod module;
mod names;
pub mod perf_map;
mod python;
mod python_frames;
pub mod python_lines;
mod sections;
mod signal_frame;
mod stack;
mod unwind;

use std::{
    collections::VecDeque,
    os::unix::ffi::OsStrExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    rc::Rc,
    time::{Duration, Instant},
};

use foldhash::{HashMap, HashSet};

pub use stack::Stack;

use super::{process_directory::Directories, self_usage};
use crate::model::{Depth, FRAMES_MAX, Frame, FrameKind, Identity, SITES_MAX, Site, Task};
use code::Code;
use module::{Module, Modules};
use names::{Names, short};
use perf_map::PerfMap;
use python::Layout;
use python_frames::PythonFrames;
use unwind::Rules;

/// Most processes whose memory maps are kept.
const PROCESSES_MAX: usize = 256;
/// Most children whose creator is remembered.
const CREATORS_MAX: usize = 4_096;
/// An address that no map has may be of a library loaded since: the map is read again, at most so often.
const MAP_AGAIN: Duration = Duration::from_millis(200);
/// The same for the names that a program gives to its own code.
const NAMES_AGAIN: Duration = Duration::from_millis(100);
/// From so many bytes of unwind information on, all is read anew; at most so often, because that takes some ms.
const SECTIONS_KEPT: u64 = 12 << 20;
const SECTIONS_AGAIN: Duration = Duration::from_secs(1);
/// When a process has not forked for so long, what was read for it is given back; how often that is looked for.
const REST_AFTER: Duration = Duration::from_secs(10);
/// What looking up names takes is given back when none was looked up for so long; to make it again takes CPU time.
const NAMES_REST_AFTER: Duration = Duration::from_secs(2);

/// Of a process whose files are closed: it has run no such number of programs.
const CLOSED: u64 = u64::MAX - 1;

/// The number of all sites that are not told apart.
pub const OTHER: u32 = 0;

/// Finds sites.
pub struct Sites {
    directories: Directories,
    modules: Modules,
    /// Where files have their `_PyRuntime`.
    runtimes: HashMap<u32, Option<u64>>,
    processes: HashMap<Identity, Known>,
    /// Who forked whom: a child has the memory map of its creator until either runs another program.
    creators: HashMap<Identity, Identity>,
    numbers: HashMap<(Vec<Place>, Depth), u32>,
    /// Those whose names are not looked up yet.
    unnamed: VecDeque<(u32, Vec<Unnamed>, Depth)>,
    names: Names,
    python: PythonFrames,
    /// Processes with a Python that the programs were not told of.
    pythons: Vec<Task>,
    rules: Rules,
    /// When unwind information was last given back for want of room.
    sections_since: Instant,
    /// When it was last looked who has not forked for long.
    swept: Instant,
}

/// A place in a program, the same in all processes that run it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    Module(u32, u64),
    /// In code of its own, of this process.
    Own(Identity, u64),
    /// In an interpreted function: its number.
    Python(u32),
}

/// A frame whose name is still to be looked up, or not any more.
enum Unnamed {
    Module { number: u32, address: u64, module: Vec<u8> },
    Named(Frame),
}

/// What is known of a process.
struct Known {
    task: Task,
    program: u64,
    code: Rc<Code>,
    read: Instant,
    own_names: Option<(Instant, PerfMap)>,
    /// Its Python, and the address of the runtime.
    python: Option<(Layout, u64)>,
    /// When it last forked.
    used: Instant,
}

impl Sites {
    pub fn open() -> Self {
        Self {
            directories: Directories::learn(),
            modules: Modules::default(),
            runtimes: HashMap::default(),
            processes: HashMap::default(),
            creators: HashMap::default(),
            numbers: HashMap::default(),
            unnamed: VecDeque::new(),
            names: Names::default(),
            python: PythonFrames::default(),
            pythons: Vec::new(),
            rules: Rules::default(),
            sections_since: Instant::now(),
            swept: Instant::now(),
        }
    }

    /// The number of the site that this stack is of. A library that panics over a stranger's file must not end the
    /// measurement.
    pub fn number(&mut self, stack: &Stack) -> u32 {
        let numbered = catch_unwind(AssertUnwindSafe(|| self.number_of(stack)));
        numbered.unwrap_or_else(|_| {
            self.processes.remove(&stack.creator.identity);
            OTHER
        })
    }

    fn number_of(&mut self, stack: &Stack) -> u32 {
        if self.creators.len() >= CREATORS_MAX {
            self.creators.clear();
        }
        self.creators.insert(stack.child, stack.creator.identity);
        let (addresses, depth) = match self.read_map(stack) {
            Some(()) => self.unwind(stack),
            None => (Vec::new(), Depth::Gone),
        };
        let identity = stack.creator.identity;
        let known = self.processes.get(&identity);
        let mut places: Vec<Place> = addresses
            .iter()
            .map(|address| match known.and_then(|known| known.code.place(*address)) {
                Some((number, bias)) => Place::Module(number, address.wrapping_sub(bias)),
                None => Place::Own(identity, *address),
            })
            .collect();
        let depth = self.with_python(stack, &mut places, depth);
        let key = (places, depth);
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        if self.numbers.len() >= SITES_MAX {
            return OTHER;
        }
        let number = self.numbers.len() as u32 + 1;
        let unnamed = key.0.iter().map(|place| self.unnamed(stack, place)).collect();
        self.unnamed.push_back((number, unnamed, depth));
        self.numbers.insert(key, number);
        number
    }

    /// Sites with names, as many as can be looked up by that time; at least one, if any is left.
    pub fn named(&mut self, by: Instant) -> Vec<(u32, Site)> {
        let mut named = Vec::new();
        if self.unnamed.is_empty() {
            self.names.rest(NAMES_REST_AFTER);
            if self.swept.elapsed() >= REST_AFTER {
                self.close(REST_AFTER);
            }
        }
        while let Some((number, frames, depth)) = self.unnamed.pop_front() {
            let mut site = Site { frames: Vec::new(), depth };
            for frame in frames {
                match frame {
                    Unnamed::Named(frame) => site.frames.push(frame),
                    Unnamed::Module { number, address, module } => {
                        let names = self.modules.get(number).map(Module::names);
                        let names = names.unwrap_or(std::path::Path::new(""));
                        site.frames.extend(self.names.of(number, names, &module, address));
                    }
                }
            }
            if site.frames.len() > FRAMES_MAX {
                site.frames.truncate(FRAMES_MAX);
                site.depth = Depth::TooDeep;
            }
            named.push((number, site));
            if Instant::now() >= by {
                break;
            }
        }
        if !named.is_empty() {
            self_usage::give_mapped_files_back();
        }
        named
    }

    /// Gives back the memory that sites of more stacks would need.
    pub fn rest(&mut self) {
        self.close(Duration::ZERO);
        self.names.rest(Duration::ZERO);
    }

    /// Gives back what was read for processes that have not forked for so long, and what is known of those that have gone.
    fn close(&mut self, unused_for: Duration) {
        self.swept = Instant::now();
        let (directories, mut changed) = (&self.directories, false);
        let mut files = HashSet::default();
        self.processes.retain(|_, known| {
            if known.used.elapsed() < unused_for {
                files.extend(known.code.files());
                return true;
            }
            changed |= known.program != CLOSED;
            known.own_names = None;
            // Its files are opened again with its map.
            known.program = CLOSED;
            known.code.forget_rules();
            directories.open(&known.task).is_some()
        });
        if changed {
            self.modules.close_all_but(&files);
            self.names.forget_all_but(&files);
            self_usage::give_small_pieces_back();
        }
    }

    /// Whether the names of a site are still to be looked up.
    pub fn has_unnamed(&self) -> bool {
        !self.unnamed.is_empty()
    }

    fn unwind(&mut self, stack: &Stack) -> (Vec<u64>, Depth) {
        if self.modules.section_bytes() > SECTIONS_KEPT && self.sections_since.elapsed() >= SECTIONS_AGAIN {
            self.sections_since = Instant::now();
            self.processes.values().for_each(|known| known.code.forget_rules());
            self.modules.forget_sections();
        }
        let mut again = true;
        loop {
            let Some(known) = self.processes.get(&stack.creator.identity) else {
                return (Vec::new(), Depth::Gone);
            };
            let (addresses, depth) = unwind::unwind(&known.code, &self.modules, &mut self.rules, stack);
            let is_new_code = depth == Depth::NoUnwindInformation || addresses.is_empty();
            if !again || !is_new_code || known.read.elapsed() < MAP_AGAIN {
                return (addresses, depth);
            }
            // A library may have been loaded since.
            again = false;
            if let Some(fresh) = self.known(&stack.creator, stack.program) {
                self.keep(fresh);
            }
        }
    }

    /// Has the memory map of the process that forked; `None` where it cannot be had.
    fn read_map(&mut self, stack: &Stack) -> Option<()> {
        let identity = stack.creator.identity;
        if let Some(known) = self.processes.get_mut(&identity)
            && known.program == stack.program
        {
            known.used = Instant::now();
            return Some(());
        }
        let known = match self.inherited(stack) {
            Some(known) => known,
            None => self.known(&stack.creator, stack.program)?,
        };
        if known.python.is_some() && stack.python.is_empty() && self.pythons.len() < PROCESSES_MAX {
            self.pythons.push(stack.creator);
        }
        self.keep(known);
        Some(())
    }

    /// Keeps what is known of a process, in the place of who has not forked for longest if there is no room.
    fn keep(&mut self, known: Known) {
        let identity = known.task.identity;
        if self.processes.len() >= PROCESSES_MAX
            && !self.processes.contains_key(&identity)
            && let Some(eldest) =
                self.processes.iter().min_by_key(|(_, known)| known.used).map(|(one, _)| *one)
        {
            self.processes.remove(&eldest);
        }
        self.processes.insert(identity, known);
    }

    /// The memory map of the process that forked the creator, if both have run as many programs.
    fn inherited(&self, stack: &Stack) -> Option<Known> {
        let from = self.processes.get(self.creators.get(&stack.creator.identity)?)?;
        (stack.program != 0 && from.program == stack.program).then(|| Known {
            task: stack.creator,
            program: from.program,
            code: from.code.clone(),
            read: from.read,
            own_names: None,
            python: from.python,
            used: Instant::now(),
        })
    }

    fn known(&mut self, task: &Task, program: u64) -> Option<Known> {
        // Names that are still to be looked up need their files.
        if self.modules.is_many() && self.unnamed.is_empty() {
            self.close(Duration::ZERO);
        }
        let process = self.directories.open(task)?;
        let (directory, mappings) = mappings::of(&process)?;
        // Paths are from our root. Where its own is a directory below that, its files are found from there.
        let root = directory.join("root").read_link().unwrap_or_default();
        let files: Vec<Option<u32>> = mappings
            .iter()
            .map(|mapping| {
                if mapping.inode == 0 {
                    return None;
                }
                let path: PathBuf = std::ffi::OsStr::from_bytes(&mapping.path).into();
                let below = path.strip_prefix(&root).or_else(|_| path.strip_prefix("/")).unwrap_or(&path);
                // Its program can be opened by this name wherever it is, even if it has been deleted.
                let ways = [directory.join("root").join(below), directory.join("exe")];
                self.modules.open(&ways, mapping.inode, &path)
            })
            .collect();
        let code = Rc::new(Code::new(mappings, &files, &self.modules));
        let python = self.python(&process, &code);
        Some(Known {
            task: *task,
            program,
            code,
            read: Instant::now(),
            own_names: None,
            python,
            used: Instant::now(),
        })
    }

    fn unnamed(&mut self, stack: &Stack, place: &Place) -> Unnamed {
        match place {
            Place::Module(number, address) => {
                let module = self.modules.get(*number).map(|module| module.path.clone()).unwrap_or_default();
                Unnamed::Module { number: *number, address: *address, module }
            }
            Place::Own(_, address) => Unnamed::Named(self.own(stack, *address)),
            Place::Python(number) => Unnamed::Named(self.python.get(*number)),
        }
    }

    /// A frame of code that no file has.
    fn own(&mut self, stack: &Stack, address: u64) -> Frame {
        let bare = Frame { kind: FrameKind::Jit, address, ..Frame::default() };
        let Some(known) = self.processes.get_mut(&stack.creator.identity) else { return bare };
        let (path, byte) = known.code.mapped(address);
        if !path.is_empty() {
            return Frame { kind: FrameKind::Native, module: short(path), address: byte, ..bare };
        }
        let function = own_name(&self.directories, known, &stack.creator, address);
        Frame { function, ..bare }
    }
}

/// The name that a program gives to code of its own.
fn own_name(directories: &Directories, known: &mut Known, creator: &Task, address: u64) -> Vec<u8> {
    let name = |map: &PerfMap| map.name(address).map(<[u8]>::to_vec);
    if let Some((read, map)) = &known.own_names {
        if let Some(name) = name(map) {
            return name;
        }
        if read.elapsed() < NAMES_AGAIN {
            return Vec::new();
        }
    }
    let map =
        directories.open(creator).and_then(|process| perf_map::of_process(&process)).unwrap_or_default();
    let found = name(&map).unwrap_or_default();
    known.own_names = Some((Instant::now(), map));
    found
}
