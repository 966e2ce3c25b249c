//! The unwind information of files, in memory: read when a stack has a function of the file, and bounded.
//!
//! Owns how many bytes are kept. Must not know which files there are, nor how a stack is unwound.

use std::{cell::RefCell, fs::File, ops::Range, os::unix::fs::FileExt, rc::Rc, sync::Arc};

use foldhash::{HashMap, HashSet};

/// Most bytes of unwind information kept: of a file, and of all. The largest files that are in use have 10 MB.
const FILE_MAX: u64 = 16 << 20;
const ALL_MAX: u64 = 32 << 20;

/// A section: where it is in the file's own addresses, and what is in it.
pub type Section = (Range<u64>, Arc<[u8]>);

/// Where the unwind information of a file is: addresses, and offset and length in the file.
#[derive(Default)]
pub struct Places {
    pub eh_frame: Option<(Range<u64>, (u64, u64))>,
    pub eh_frame_hdr: Option<(Range<u64>, (u64, u64))>,
    pub debug_frame: Option<(u64, u64)>,
}

impl Places {
    pub fn is_any(&self) -> bool {
        self.eh_frame.is_some() || self.debug_frame.is_some()
    }
}

/// The unwind information of a file.
pub struct Sections {
    pub eh_frame: Option<Section>,
    pub eh_frame_hdr: Option<Section>,
    pub debug_frame: Option<Arc<[u8]>>,
}

impl Sections {
    pub const NONE: Self = Self { eh_frame: None, eh_frame_hdr: None, debug_frame: None };

    fn length(&self) -> u64 {
        let placed = |section: &Option<Section>| section.as_ref().map_or(0, |(_, bytes)| bytes.len());
        let alone = self.debug_frame.as_ref().map_or(0, |bytes| bytes.len());
        (placed(&self.eh_frame) + placed(&self.eh_frame_hdr) + alone) as u64
    }
}

/// That of all files, by number.
#[derive(Default)]
pub struct Kept(RefCell<(HashMap<u32, Rc<Sections>>, u64)>);

impl Kept {
    /// Bytes in all.
    pub fn bytes(&self) -> u64 {
        self.0.borrow().1
    }

    /// Forgets all but that of these files.
    pub fn keep(&mut self, files: &HashSet<u32>) {
        let (kept, bytes) = self.0.get_mut();
        kept.retain(|number, _| files.contains(number));
        *bytes = kept.values().map(|sections| sections.length()).sum();
    }

    /// That of a file, which is read if it has not been; `None` where there is none, or no room.
    pub fn of(&self, number: u32, file: &File, places: &Places) -> Option<Rc<Sections>> {
        let (kept, bytes) = &mut *self.0.borrow_mut();
        if let Some(known) = kept.get(&number) {
            return Some(Rc::clone(known));
        }
        if !places.is_any() {
            return None;
        }
        let mut left = ALL_MAX.saturating_sub(*bytes).min(FILE_MAX);
        let mut read = |(offset, length): (u64, u64)| -> Option<Arc<[u8]>> {
            left = left.checked_sub(length)?;
            let mut section = vec![0; usize::try_from(length).ok()?];
            file.read_exact_at(&mut section, offset).ok()?;
            *bytes += length;
            Some(section.into())
        };
        let mut placed = |place: &Option<(Range<u64>, (u64, u64))>| {
            let (range, in_file) = place.as_ref()?;
            Some((range.clone(), read(*in_file)?))
        };
        // The table is of no use without what it leads to.
        let eh_frame = placed(&places.eh_frame);
        let eh_frame_hdr = if eh_frame.is_some() { placed(&places.eh_frame_hdr) } else { None };
        let debug_frame = if places.eh_frame.is_none() { places.debug_frame.and_then(read) } else { None };
        if eh_frame.is_none() && debug_frame.is_none() {
            return None;
        }
        let found = Rc::new(Sections { eh_frame, eh_frame_hdr, debug_frame });
        kept.insert(number, Rc::clone(&found));
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_not_read_and_what_was_read_is_counted_once() {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(64 << 20).expect("a hole");
        let kept = Kept::default();
        let places = |length| Places { eh_frame: Some((0..length, (0, length))), ..Places::default() };
        assert!(kept.of(0, &file, &Places::default()).is_none());
        assert!(kept.of(1, &file, &places(FILE_MAX + 1)).is_none());
        assert!(
            kept.of(2, &file, &places(FILE_MAX)).is_some() && kept.of(3, &file, &places(FILE_MAX)).is_some()
        );
        assert!(kept.of(2, &file, &places(FILE_MAX)).is_some());
        assert_eq!(kept.bytes(), ALL_MAX);
        assert!(kept.of(4, &file, &places(1)).is_none(), "no room");
        assert_eq!(kept.bytes(), ALL_MAX);
        let mut kept = kept;
        kept.keep(&HashSet::from_iter([3]));
        assert_eq!(kept.bytes(), FILE_MAX);
        assert!(kept.of(4, &file, &places(1)).is_some());
    }
}
