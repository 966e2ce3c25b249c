//! The kernel's types, as its BTF has them: where each begins, who bears a name, which members it has.
//!
//! The format is include/uapi/linux/btf.h. btf-rs reads it too, and serves the tests: by one search for each name, which
//! are 7 ms more of each start. Must not know which types are wanted, nor load anything.
//!
//! The file may be anybody's (`--btf`): every place in it is checked before it is looked at. What a type refers to may be
//! the type itself; whoever follows has to stop.

use std::{
    fs::File,
    io::{self, Read},
    ops::Range,
    os::unix::fs::FileTypeExt,
    path::Path,
};

use memmap2::{Mmap, MmapOptions};

/// No kernel's is larger: the kernel itself takes 16 MiB.
const BYTES_MAX: u64 = 64 << 20;
const MAGIC: u32 = 0xeb9f;
const HEADER_BYTES: usize = 24;
/// Name, kind and number of members, size or next type.
const TYPE_BYTES: usize = 12;
const MEMBER_BYTES: usize = 12;

/// What a type is, as far as anybody here asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Int,
    Pointer,
    Array,
    Struct,
    Union,
    Typedef,
    /// volatile, const, restrict, a type tag: the next type, qualified.
    Qualifier,
    Function,
    Other,
}

/// One type. Where it says `next`, that is the id of the type it refers to.
#[derive(Clone, Copy, Debug)]
pub struct Type {
    pub kind: Kind,
    /// Size in bytes, or the next type's id, as the kind has it.
    size_or_next: u32,
    members: u32,
    /// Members of 32 bits of offset, of which 8 say how many bits wide they are.
    has_bitfields: bool,
    /// Where in the file what follows the type begins.
    rest: usize,
}

impl Type {
    pub fn size(&self) -> u32 {
        self.size_or_next
    }
    pub fn next(&self) -> u32 {
        self.size_or_next
    }
}

/// A member of a struct or union.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    pub name: &'a [u8],
    pub type_id: u32,
    pub bit_offset: u32,
}

/// A whole BTF.
pub struct Types {
    bytes: Bytes,
    strings: Range<usize>,
    /// Where each type begins; the first has id 1.
    starts: Vec<u32>,
}

enum Bytes {
    Mapped(Mmap),
    Read(Vec<u8>),
}

impl Types {
    /// Reads it without copying, or, where it cannot be mapped (before 6.16), with copying.
    pub fn open(path: &Path) -> io::Result<Self> {
        // Opening a pipe would wait for somebody to write to it, whatever signal comes.
        if path.metadata()?.file_type().is_fifo() {
            return Err(malformed("it is a pipe: write it to a file first"));
        }
        let file = File::open(path)?;
        if file.metadata()?.len() > BYTES_MAX {
            return Err(malformed("it is larger than any kernel's"));
        }
        // SAFETY: the kernel's own never changes; of a file that somebody cuts meanwhile reading ends with a signal.
        if let Ok(map) = unsafe { MmapOptions::new().map_copy_read_only(&file) } {
            return Self::index(Bytes::Mapped(map));
        }
        let mut bytes = Vec::new();
        file.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
        Self::read(bytes)
    }

    /// Reads one from memory.
    pub fn read(bytes: Vec<u8>) -> io::Result<Self> {
        Self::index(Bytes::Read(bytes))
    }

    fn index(bytes: Bytes) -> io::Result<Self> {
        let all: &[u8] = bytes.as_slice();
        let header: [u32; HEADER_BYTES / 4] = std::array::from_fn(|word| word_at(all, word * 4).unwrap_or(0));
        if all.len() < HEADER_BYTES || header[0] & 0xffff != MAGIC {
            return Err(malformed("this is no BTF of this machine"));
        }
        if all.len() as u64 > BYTES_MAX {
            return Err(malformed("it is larger than any kernel's"));
        }
        let [_, header_len, types_at, types_len, strings_at, strings_len] = header.map(|word| word as usize);
        let section = |at: usize, len: usize| {
            let start = header_len.checked_add(at);
            start
                .and_then(|start| Some(start..start.checked_add(len)?))
                .filter(|section| section.end <= all.len())
                .ok_or_else(|| malformed("it is cut short"))
        };
        let (types, strings) = (section(types_at, types_len)?, section(strings_at, strings_len)?);
        // A type takes 24 bytes in the mean of a kernel; the rest of the room is never touched.
        let mut starts = Vec::with_capacity(types_len / 16);
        let mut at = types.start;
        while at < types.end {
            starts.push(at as u32);
            let info = word_at(all, at + 4).ok_or_else(|| malformed("its last type is cut short"))?;
            let rest = rest_bytes(info)
                .ok_or_else(|| malformed("it has a kind of type that this reapwatch does not know"))?;
            at += TYPE_BYTES + rest;
        }
        if at != types.end {
            return Err(malformed("its last type is cut short"));
        }
        Ok(Self { bytes, strings, starts })
    }

    /// Hands out every struct, typedef and function that bears one of these names: which name, the type's id, its kind.
    /// One pass for all of them. A name has three bytes at least.
    pub fn named(&self, names: &[&str], mut take: impl FnMut(usize, u32, Kind)) {
        let (bytes, strings) = (self.bytes.as_slice(), self.strings());
        let names: Vec<Vec<u8>> = names.iter().map(|name| [name.as_bytes(), b"\0"].concat()).collect();
        // Nearly all of a hundred thousand names are told from those wanted by how they begin.
        let mut beginnings: Vec<u32> = names.iter().filter_map(|name| word_at(name, 0)).collect();
        beginnings.sort_unstable();
        beginnings.dedup();
        for (id, start) in (1..).zip(&self.starts) {
            let start = *start as usize;
            let (Some(name), Some(info)) = (word_at(bytes, start), word_at(bytes, start + 4)) else { return };
            let kind = kind(info);
            if !matches!(kind, Kind::Struct | Kind::Typedef | Kind::Function) {
                continue;
            }
            let name = strings.get(name as usize..).unwrap_or_default();
            if word_at(name, 0).is_some_and(|beginning| beginnings.contains(&beginning))
                && let Some(which) = names.iter().position(|wanted| name.starts_with(wanted))
            {
                take(which, id, kind);
            }
        }
    }

    pub fn get(&self, id: u32) -> Option<Type> {
        let start = *self.starts.get(id.checked_sub(1)? as usize)? as usize;
        let bytes = self.bytes.as_slice();
        let (info, size_or_next) = (word_at(bytes, start + 4)?, word_at(bytes, start + 8)?);
        Some(Type {
            kind: kind(info),
            size_or_next,
            members: info & 0xffff,
            has_bitfields: info >> 31 != 0,
            rest: start + TYPE_BYTES,
        })
    }

    /// Members of a struct or union; of anything else none.
    pub fn members(&self, of: &Type) -> impl Iterator<Item = Member<'_>> {
        let count = if matches!(of.kind, Kind::Struct | Kind::Union) { of.members as usize } else { 0 };
        let (bytes, rest) = (self.bytes.as_slice(), of.rest);
        let offset_mask = if of.has_bitfields { 0x00ff_ffff } else { u32::MAX };
        (0..count).map_while(move |number| {
            let at = rest + number * MEMBER_BYTES;
            Some(Member {
                name: self.name(word_at(bytes, at)?),
                type_id: word_at(bytes, at + 4)?,
                bit_offset: word_at(bytes, at + 8)? & offset_mask,
            })
        })
    }

    /// What an array is made of: the type's id.
    pub fn element(&self, array: &Type) -> Option<u32> {
        if array.kind == Kind::Array { word_at(self.bytes.as_slice(), array.rest) } else { None }
    }

    fn strings(&self) -> &[u8] {
        &self.bytes.as_slice()[self.strings.clone()]
    }

    fn name(&self, offset: u32) -> &[u8] {
        let name = self.strings().get(offset as usize..).unwrap_or_default();
        &name[..name.iter().position(|byte| *byte == 0).unwrap_or(name.len())]
    }
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Read(bytes) => bytes,
        }
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

fn word_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

fn number(info: u32) -> u32 {
    info >> 24 & 0x1f
}

fn kind(info: u32) -> Kind {
    match number(info) {
        1 => Kind::Int,
        2 => Kind::Pointer,
        3 => Kind::Array,
        4 => Kind::Struct,
        5 => Kind::Union,
        8 => Kind::Typedef,
        9 | 10 | 11 | 18 => Kind::Qualifier,
        12 => Kind::Function,
        _ => Kind::Other,
    }
}

/// Bytes between a type and the next one.
fn rest_bytes(info: u32) -> Option<usize> {
    let each = (info & 0xffff) as usize;
    Some(match number(info) {
        // Pointer, forward, typedef, volatile, const, restrict, function, float, type tag.
        2 | 7..=12 | 16 | 18 => 0,
        // Integer, variable, declaration tag.
        1 | 14 | 17 => 4,
        // Array.
        3 => 12,
        // Struct, union, section, 64-bit enumeration.
        4 | 5 | 15 | 19 => MEMBER_BYTES * each,
        // Enumeration, prototype.
        6 | 13 => 8 * each,
        _ => return None,
    })
}
