//! Reads the memory of a process that may be traced, and finds the instruction that makes a system call in its vDSO.
//!
//! Owns where a call can be made from. Must not write to any memory.

use std::{fs, io};

use nix::libc;

use super::architecture::{CALL_INSTRUCTION, INSTRUCTION_ALIGNMENT};

/// The kernel's vDSO is a few pages long.
const VDSO_MAX: usize = 1 << 20;

/// Reads this many bytes at this address in the memory of a living thread; `None` where not all of them can be read. A main
/// thread that has ended has no memory, though other threads of the process live.
pub fn read(thread: u32, address: u64, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0u8; length];
    let own = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: length };
    let theirs = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: length };
    // SAFETY: own describes `bytes`, which is ours to write; the kernel checks the other's address.
    let got = unsafe { libc::process_vm_readv(thread as i32, &raw const own, 1, &raw const theirs, 1, 0) };
    (got == length as isize).then_some(bytes)
}

/// A number at this address.
pub fn read_u64(thread: u32, address: u64) -> Option<u64> {
    read(thread, address, 8)?.try_into().ok().map(u64::from_ne_bytes)
}

/// A list of mappings can end early while the process changes it: that a vDSO is not in it is believed the third time.
const LOOKS: usize = 3;

/// Address of an instruction in the vDSO of a process that makes a system call; `None` where it has none. Looked for by the
/// first of its threads that has memory. Fails where that may not be read, and with ESRCH where no thread has any.
pub fn call_instruction(pid: u32, threads: &[u32]) -> io::Result<Option<u64>> {
    let mut has_memory = false;
    for thread in threads.iter().cycle().take(LOOKS * threads.len()) {
        let maps = match fs::read(format!("/proc/{pid}/task/{thread}/maps")) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ESRCH | libc::ENOENT)) => continue,
            read => read?,
        };
        has_memory |= !maps.is_empty();
        let Some((begin, end)) = maps.split(|byte| *byte == b'\n').find_map(vdso) else { continue };
        let Some(length) = usize::try_from(end - begin).ok().filter(|length| *length <= VDSO_MAX) else {
            return Ok(None);
        };
        let code = read(*thread, begin, length).ok_or_else(io::Error::last_os_error)?;
        return Ok(find_call(&code).map(|place| begin + place as u64));
    }
    if has_memory { Ok(None) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
}

/// Whether the kernel can write at this address for a thread, so far as its list of mappings says.
pub fn is_writable(pid: u32, thread: u32, address: u64) -> bool {
    let maps = fs::read(format!("/proc/{pid}/task/{thread}/maps")).unwrap_or_default();
    maps.split(|byte| *byte == b'\n').any(|line| maps_writable(line, address))
}

fn maps_writable(line: &[u8], address: u64) -> bool {
    let line = String::from_utf8_lossy(line);
    let mut fields = line.split_ascii_whitespace();
    let (Some((begin, end)), Some(rights)) = (fields.next().and_then(range), fields.next()) else {
        return false;
    };
    (begin..end).contains(&address) && rights.as_bytes().get(1) == Some(&b'w')
}

fn range(text: &str) -> Option<(u64, u64)> {
    let (begin, end) = text.split_once('-')?;
    let (begin, end) = (u64::from_str_radix(begin, 16).ok()?, u64::from_str_radix(end, 16).ok()?);
    (begin < end).then_some((begin, end))
}

/// Where the vDSO is, if this line of a list of mappings is its. The path of a file begins with a slash, and may hold anything.
fn vdso(line: &[u8]) -> Option<(u64, u64)> {
    let line = String::from_utf8_lossy(line);
    let mut fields = line.split_ascii_whitespace();
    let range = fields.next().and_then(range)?;
    fields.nth(4).filter(|name| *name == "[vdso]")?;
    Some(range)
}

fn find_call(code: &[u8]) -> Option<usize> {
    (0..code.len()).step_by(INSTRUCTION_ALIGNMENT).find(|place| code[*place..].starts_with(&CALL_INSTRUCTION))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vdso_of_our_own_has_the_instruction() {
        let own = std::process::id();
        let address = call_instruction(own, &[own]).expect("our own").expect("a vDSO");
        assert_eq!(read(own, address, CALL_INSTRUCTION.len()).as_deref(), Some(&CALL_INSTRUCTION[..]));
        assert_eq!(read(own, 0, 8), None);
        let known = 0x1234_5678_9abc_def0_u64;
        assert_eq!(read_u64(own, &raw const known as u64), Some(known));
        assert!(is_writable(own, own, &raw const known as u64) && !is_writable(own, own, address));
    }

    #[test]
    fn ranges_and_code() {
        assert_eq!(vdso(b"7ffd1000-7ffd3000 r-xp 0 00:00 0  [vdso]"), Some((0x7ffd_1000, 0x7ffd_3000)));
        for none in [&b"7ffd1000 r-xp"[..], b"7ffd1000-7ffd3000 r-xp 0 08:01 7   /tmp/\xff [vdso]", b""] {
            assert_eq!(vdso(none), None);
        }
        let line = b"1000-2000 rw-p 0 00:00 0";
        assert!(maps_writable(line, 0x1000) && !maps_writable(line, 0x2000));
        assert!(!maps_writable(b"1000-2000 r--p 0 00:00 0", 0x1000) && !maps_writable(b"", 0));
        assert_eq!(find_call(&[0; 64]), None);
        let mut code = vec![0; 64];
        code[16..16 + CALL_INSTRUCTION.len()].copy_from_slice(&CALL_INSTRUCTION);
        assert_eq!(find_call(&code), Some(16));
    }
}
