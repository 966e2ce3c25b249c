//! The embedded eBPF object, made to fit the running kernel before it is loaded: the offsets of members go into the
//! instructions that load them, and what an old kernel refuses to read is replaced.
//!
//! Must not load anything.

use object::{Object, ObjectSection, SectionFlags, elf::SHF_EXECINSTR};
use probe_common::offsets::{MISSING, Offsets, PLACEHOLDERS, placed};

/// struct bpf_insn (include/uapi/linux/bpf.h): code, two registers of four bits, 16 bits of offset, 32 of immediate.
const INSTRUCTION_BYTES: usize = 8;
/// BPF_LDX | BPF_MEM | BPF_W and BPF_DW.
const LOADS: [u8; 2] = [0x61, 0x79];
/// BPF_ALU64 | BPF_MOV | BPF_K.
const MOVE: u8 = 0xb7;
/// BPF_STX | BPF_ATOMIC | BPF_DW, and the immediates of its compare-and-exchange and its addition.
const ATOMIC_64: u8 = 0xdb;
const CMPXCHG: [u8; 4] = 0xf1_u32.to_le_bytes();
const ADD: [u8; 4] = 0_u32.to_le_bytes();

/// `object` for a kernel with these offsets. A load of a member the kernel lacks becomes a zero. Without `exchange`, an
/// addition stands where a compare-and-exchange was: kernels before 5.12 refuse to read one, also where it is never
/// reached.
pub fn relocate(object: &[u8], offsets: &Offsets, exchange: bool) -> Result<Vec<u8>, String> {
    let mut offsets = *offsets;
    let members = offsets.paths();
    let mut relocated = object.to_vec();
    let parsed = object::File::parse(object).map_err(|error| error.to_string())?;
    for section in parsed.sections() {
        let SectionFlags::Elf { sh_flags } = section.flags() else { continue };
        let Some((start, length)) = section.file_range().filter(|_| sh_flags & u64::from(SHF_EXECINSTR) != 0)
        else {
            continue;
        };
        let code = usize::try_from(start)
            .ok()
            .zip(usize::try_from(start.saturating_add(length)).ok())
            .and_then(|(start, end)| relocated.get_mut(start..end))
            .ok_or("a section lies outside the file")?;
        for instruction in code.as_chunks_mut::<INSTRUCTION_BYTES>().0 {
            if LOADS.contains(&instruction[0]) {
                let found = i16::from_le_bytes([instruction[2], instruction[3]]);
                if let Some((member, word)) = placed(found) {
                    let (path, offset) = &members[member];
                    patch_load(instruction, **offset, word).map_err(|why| format!("{path}: {why}"))?;
                }
            } else if !exchange && instruction[0] == ATOMIC_64 && instruction[4..] == CMPXCHG {
                instruction[4..].copy_from_slice(&ADD);
            }
        }
    }
    Ok(relocated)
}

fn patch_load(load: &mut [u8; INSTRUCTION_BYTES], offset: u32, word: usize) -> Result<(), String> {
    if offset == MISSING {
        let destination = load[1] & 0x0f;
        *load = [MOVE, destination, 0, 0, 0, 0, 0, 0];
        return Ok(());
    }
    let place = u64::from(offset) + 8 * word as u64;
    match i16::try_from(place) {
        Ok(place) if place < PLACEHOLDERS => {
            load[2..4].copy_from_slice(&place.to_le_bytes());
            Ok(())
        }
        _ => Err(format!("{place} bytes into its structure, more than an instruction can hold")),
    }
}

#[cfg(test)]
mod tests {
    use probe_common::offsets::placeholder;

    use super::*;

    #[test]
    fn a_load_gets_its_offset_and_one_of_a_missing_member_becomes_zero() {
        let [low, high] = placeholder(0, 1).to_le_bytes();
        let load = [0x79, 0x53, low, high, 0, 0, 0, 0];
        let mut found = load;
        patch_load(&mut found, 1_288, 1).expect("it fits");
        assert_eq!(found, [0x79, 0x53, 0x10, 0x05, 0, 0, 0, 0]);
        let mut missing = load;
        patch_load(&mut missing, MISSING, 0).expect("it fits");
        assert_eq!(missing, [MOVE, 3, 0, 0, 0, 0, 0, 0]);
        assert!(patch_load(&mut { load }, 0x7000, 0).is_err());
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert!(relocate(b"no object", &Offsets::NONE, true).is_err());
    }
}
