//! CPython in a process: where its interpreter keeps frames, and what a frame runs.
//!
//! Owns which versions are known. What is read is the process's own memory, so it may say anything: reads are bounded, and
//! what makes no sense is not known. Must not know how frames get here.

use std::{fs::File, os::unix::fs::FileExt};

use probe_common::interpreter::{Interpreter, NO_MEMBER, PythonFrame};

use super::python_lines;
use crate::model::{Frame, FrameKind, NAME_MAX};

/// Longest table of lines read.
const LINES_MAX: u64 = 256 << 10;
/// Offsets in any structure of an interpreter are smaller.
const OFFSET_MAX: u64 = 1 << 20;
/// The frames of code that is not Python's, from 3.12 on: entries from C. There is another kind with a higher number in 3.14.
const OWNED_BY_C: u8 = 3;
/// From 3.14 on, the address of the code in a frame has a tag in its lowest bits, which are zero in any object's address.
const TAG: u64 = 7;
/// Longest code of a function, in instructions.
const INSTRUCTIONS_MAX: u64 = 16 << 20;
/// What the table of offsets that is in the process itself, from 3.13 on, begins with.
const COOKIE: u64 = u64::from_le_bytes(*b"xdebugpy");

/// The memory of a process.
pub struct Memory(File);

impl Memory {
    pub fn new(file: File) -> Self {
        Self(file)
    }

    fn bytes(&self, address: u64, length: u64) -> Option<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        self.0.read_exact_at(&mut bytes, address).ok().map(|()| bytes)
    }

    fn word(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, address).ok().map(|()| u64::from_le_bytes(bytes))
    }

    fn half(&self, address: u64) -> Option<u32> {
        let mut bytes = [0; 4];
        self.0.read_exact_at(&mut bytes, address).ok().map(|()| u32::from_le_bytes(bytes))
    }
}

/// Where a version keeps what is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The minor version of 3.x.
    pub minor: u32,
    /// In the runtime: the main interpreter, which follows the newest one.
    interpreter: u32,
    /// Offsets as the programs want them; its addresses are of no process.
    frames: Interpreter,
    filename: u32,
    name: u32,
    first_line: u32,
    lines: u32,
    /// Where the instructions begin; [`NO_MEMBER`] where a frame counts them itself.
    instructions: u32,
}

/// The minor version that the name of a file has, such as `libpython3.11.so.1.0`, if it is a Python 3.
pub fn minor(path: &[u8]) -> Option<u32> {
    let name = path.rsplit(|byte| *byte == b'/').next()?;
    let rest = name.strip_prefix(b"libpython3.").or_else(|| name.strip_prefix(b"python3."))?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

impl Layout {
    /// That of a version; from 3.13 on it is in the process itself. `runtime`: address of its `_PyRuntime`.
    pub fn of(minor: u32, memory: &Memory, runtime: u64) -> Option<Self> {
        let table = |interpreter, thread: [u32; 5], frame: [u32; 4], code: [u32; 5]| {
            let [threads, next, thread_id, innermost, frame_in] = thread;
            let [code_in_frame, previous, instruction, owner] = frame;
            let [filename, name, first_line, lines, instructions] = code;
            let frames = Interpreter {
                threads,
                next,
                thread_id,
                frame: innermost,
                frame_in,
                code: code_in_frame,
                previous,
                instruction,
                owner,
                ..Interpreter::default()
            };
            Self { minor, interpreter, frames, filename, name, first_line, lines, instructions }
        };
        let none = NO_MEMBER;
        match minor {
            9 => Some(table(40, [8, 8, 176, 24, none], [32, 24, 104, none], [104, 112, 40, 120, none])),
            10 => Some(table(40, [8, 8, 176, 24, none], [32, 24, 96, none], [104, 112, 40, 120, none])),
            11 => Some(table(48, [16, 8, 152, 56, 8], [32, 48, 56, 69], [112, 128, 72, 136, 184])),
            12 => Some(table(48, [72, 8, 136, 56, 0], [0, 8, 56, 70], [112, 128, 68, 136, 192])),
            13 | 14 => {
                let published = memory.bytes(runtime, 8 * 50)?;
                let (words, _) = published.as_chunks::<8>();
                let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
                // Of builds without the global lock, objects and instructions are elsewhere.
                let has_lock = words[2] == 0;
                if words[0] != COOKIE || words[1] >> 16 != u64::from(0x0300 | minor) || !has_lock {
                    return None;
                }
                let at = |place: usize| {
                    words.get(place).filter(|offset| **offset < OFFSET_MAX).map(|offset| *offset as u32)
                };
                // After cookie, version and lock: sizes and offsets of runtime, interpreter, thread, frame and code, in this
                // order. Each version has more of some.
                let (thread, frame, code) = if minor == 13 { (19, 28, 34) } else { (22, 31, 39) };
                Some(table(
                    at(5)? + 8,
                    [at(9)?, at(thread + 2)?, at(thread + 5)?, at(thread + 4)?, none],
                    [at(frame + 2)?, at(frame + 1)?, at(frame + 3)?, at(frame + 5)?],
                    [at(code + 1)?, at(code + 3)?, at(code + 5)?, at(code + 4)?, at(code + 9)?],
                ))
            }
            _ => None,
        }
    }

    /// The interpreter that has begun in a process, as the programs want it. `None`: not yet, or it is not like this.
    pub fn interpreter(&self, memory: &Memory, runtime: u64) -> Option<Interpreter> {
        let state = memory.word(runtime.checked_add(self.interpreter.into())?).filter(|state| *state != 0)?;
        let thread = memory.word(state.checked_add(self.frames.threads.into())?)?;
        // It follows the next thread, in every version.
        let owner = memory.word(thread.checked_add(u64::from(self.frames.next) + 8)?)?;
        (owner == state).then_some(Interpreter { state, ..self.frames })
    }

    /// What a frame runs; `None` where it is none of Python's. Without a name where the code could not be read, or is not
    /// what the frame ran any more.
    pub fn frame(&self, memory: &Memory, frame: &PythonFrame) -> Option<Frame> {
        if self.minor >= 12 && frame.owner as u8 >= OWNED_BY_C {
            return None;
        }
        let code = if self.minor >= 14 { frame.code & !TAG } else { frame.code };
        let bare = Frame { kind: FrameKind::Python, ..Frame::default() };
        let Some(unit) = self.unit(memory, code, frame.instruction) else { return Some(bare) };
        let at = |offset: u32| code.checked_add(offset.into());
        let text = |offset| at(offset).and_then(|at| memory.word(at)).and_then(|at| self.text(memory, at));
        Some(Frame {
            function: text(self.name).unwrap_or_default(),
            file: text(self.filename).unwrap_or_default(),
            line: self.line(memory, code, unit).unwrap_or(0),
            ..bare
        })
    }

    /// The place of an instruction in its code, counted as the version counts; `None` where it is not in that code.
    fn unit(&self, memory: &Memory, code: u64, instruction: u64) -> Option<u64> {
        /// Of a code object, whose instructions are a part of it: how many there are.
        const COUNT: u64 = 16;
        if self.minor < 11 {
            return Some(u64::from(instruction as u32));
        }
        let count = memory.word(code.checked_add(COUNT)?)?.min(INSTRUCTIONS_MAX);
        let unit = instruction.checked_sub(code.checked_add(self.instructions.into())?)? / 2;
        (unit < count).then_some(unit)
    }

    fn line(&self, memory: &Memory, code: u64, unit: u64) -> Option<u32> {
        /// Of a bytes object: its length and its bytes.
        const LENGTH: u64 = 16;
        const BYTES: u64 = 32;
        let at = |offset: u32| code.checked_add(offset.into());
        let first = memory.half(at(self.first_line)?)?;
        let table = memory.word(at(self.lines)?)?;
        let length = memory.word(table.checked_add(LENGTH)?)?;
        if length > LINES_MAX {
            return Some(first);
        }
        let table = memory.bytes(table.checked_add(BYTES)?, length)?;
        Some(match self.minor {
            9 => python_lines::of_3_9(&table, first, unit as u32),
            10 => python_lines::of_3_10(&table, first, unit as u32),
            _ => python_lines::of_3_11(&table, first, unit),
        })
    }

    /// A string, as UTF-8.
    fn text(&self, memory: &Memory, address: u64) -> Option<Vec<u8>> {
        /// Of a string: its length and its state.
        const LENGTH: u64 = 16;
        const STATE: u64 = 32;
        let length = memory.word(address.checked_add(LENGTH)?)?.min(NAME_MAX as u64);
        let state = memory.half(address.checked_add(STATE)?)?;
        let (width, is_compact, is_ascii) = (state >> 2 & 7, state >> 5 & 1 != 0, state >> 6 & 1 != 0);
        if !is_compact {
            return None;
        }
        // Of ASCII, the characters come after the head; of others, after two more members.
        let begins = match (self.minor >= 12, is_ascii) {
            (true, true) => 40,
            (true, false) => 56,
            (false, true) => 48,
            (false, false) => 72,
        };
        let bytes = memory.bytes(address.checked_add(begins)?, length.checked_mul(width.into())?)?;
        let mut text: String = match width {
            1 => bytes.iter().map(|byte| char::from(*byte)).collect(),
            2 => {
                let (units, _) = bytes.as_chunks::<2>();
                String::from_utf16_lossy(
                    &units.iter().map(|unit| u16::from_le_bytes(*unit)).collect::<Vec<_>>(),
                )
            }
            4 => {
                let (units, _) = bytes.as_chunks::<4>();
                units
                    .iter()
                    .map(|unit| char::from_u32(u32::from_le_bytes(*unit)).unwrap_or('\u{fffd}'))
                    .collect()
            }
            _ => return None,
        };
        text.truncate(text.floor_char_boundary(NAME_MAX));
        Some(text.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_in_the_name_of_the_file() {
        assert_eq!(minor(b"/usr/lib/libpython3.11.so.1.0"), Some(11));
        assert_eq!(minor(b"/usr/bin/python3.9"), Some(9));
        for none in [&b"/usr/bin/python2.7"[..], b"/usr/lib/python3.11/x.so", b"/usr/bin/perl", b""] {
            assert_eq!(minor(none), None);
        }
    }

    fn memory(bytes: &[u8]) -> Memory {
        let mut file = tempfile::tempfile().expect("a file");
        std::io::Write::write_all(&mut file, bytes).expect("written");
        Memory::new(file)
    }

    /// What 3.14.10 of Debian publishes, up to the code's members.
    const OF_3_14: [u64; 50] = [
        COOKIE,
        0x030e_0af0,
        0,
        316_616,
        784,
        808,
        225_864,
        7_280,
        7_272,
        7_344,
        7_360,
        7_408,
        7_688,
        7_672,
        7_680,
        16,
        7_784,
        0,
        7_800,
        7_792,
        7_992,
        0,
        832,
        0,
        8,
        16,
        72,
        152,
        160,
        232,
        32,
        88,
        8,
        0,
        56,
        80,
        74,
        64,
        0,
        216,
        112,
        120,
        128,
        136,
        68,
        52,
        96,
        104,
        208,
        0,
    ];

    #[test]
    fn the_table_in_a_process_is_read_if_it_is_of_a_version_that_is_known() {
        let bytes = |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        let of = |minor, words: &[u64]| Layout::of(minor, &memory(&bytes(words)), 0);
        let layout = of(14, &OF_3_14).expect("it is known");
        let frames = layout.frames;
        assert_eq!((layout.interpreter, frames.threads), (816, 7_344));
        assert_eq!((frames.next, frames.thread_id, frames.frame, frames.frame_in), (8, 152, 72, NO_MEMBER));
        assert_eq!((frames.code, frames.previous, frames.instruction, frames.owner), (0, 8, 56, 74));
        assert_eq!((layout.filename, layout.name, layout.lines), (112, 128, 136));
        assert_eq!((layout.first_line, layout.instructions), (68, 208));
        let with = |place: usize, word| {
            let mut words = OF_3_14;
            words[place] = word;
            words
        };
        for not_known in [with(0, 0), with(1, 0x030f_0000), with(2, 1), with(42, OFFSET_MAX)] {
            assert_eq!(of(14, &not_known), None);
        }
        assert_eq!((of(13, &OF_3_14), of(14, &OF_3_14[..40]), of(15, &OF_3_14)), (None, None, None));
    }

    #[test]
    fn code_is_found_behind_its_tag_and_not_named_where_the_instruction_is_not_in_it() {
        const CODE: usize = 512;
        const NAME: usize = 1_024;
        let mut bytes = vec![0; 2_048];
        let mut put = |at: usize, word: u64| bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        OF_3_14.iter().enumerate().for_each(|(place, word)| put(8 * place, *word));
        put(CODE + 16, 3);
        put(CODE + 128, NAME as u64);
        put(NAME + 16, 4);
        // One byte a character, compact, ASCII.
        put(NAME + 32, 0x66);
        put(NAME + 40, u64::from_le_bytes(*b"work\0\0\0\0"));
        let memory = memory(&bytes);
        let layout = Layout::of(14, &memory, 0).expect("it is known");
        let name = |tag: u64, unit: u64, owner: u64| {
            let instruction = CODE as u64 + 208 + 2 * unit;
            let frame = PythonFrame { code: CODE as u64 | tag, instruction, owner };
            layout.frame(&memory, &frame).map(|frame| frame.function)
        };
        assert_eq!([name(0, 0, 0), name(1, 2, 1), name(3, 0, 2)], [(); 3].map(|()| Some(b"work".to_vec())));
        assert_eq!(name(1, 3, 0), Some(Vec::new()), "beyond its instructions");
        assert_eq!([name(0, 0, 3), name(0, 0, 4)], [None, None], "no function of Python's");
    }
}
