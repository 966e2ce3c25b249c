//! tracefs where nobody mounted it: a mount in a namespace of one thread's own, which leaves nothing behind.
//!
//! aya looks for tracefs under fixed paths, so whatever attaches a classic tracepoint runs inside [`with`]. Must not know
//! what is attached.

use std::{fs, io, path::Path, thread};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

const TRACEFS: &str = "/sys/kernel/tracing";

/// Runs `work` on a thread that sees tracefs. Where no thread can be had it cannot be seen: another way would leave the mount
/// behind.
pub fn with<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    if Path::new(TRACEFS).join("events/syscalls").exists() {
        return Ok(work());
    }
    thread::scope(|scope| {
        let worker = thread::Builder::new().spawn_scoped(scope, || {
            unshare(CloneFlags::CLONE_NEWNS)?;
            mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
            mount(Some("tracefs"), TRACEFS, Some("tracefs"), MsFlags::empty(), None::<&str>)?;
            Ok(work())
        })?;
        worker.join().map_err(|_| io::Error::other("the thread that mounted tracefs panicked"))?
    })
}

/// Offset of a field of a tracepoint's record, from its format file.
pub fn field_offset(tracepoint: &str, field: &str) -> Option<u32> {
    let (category, name) = tracepoint.split_once(':')?;
    offset_in(&fs::read_to_string(format!("{TRACEFS}/events/{category}/{name}/format")).ok()?, field)
}

/// The same, of the file's text. A line that is no field is none.
pub fn offset_in(format: &str, field: &str) -> Option<u32> {
    format.lines().find_map(|line| {
        let mut parts = line.trim().strip_prefix("field:")?.split(';');
        let declared = parts.next()?.rsplit([' ', '*']).next()?;
        let offset = parts.next()?.trim().strip_prefix("offset:")?;
        (declared == field).then(|| offset.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_the_offset_of_its_line() {
        let format = "name: sys_enter_waitid\nID: 9\nformat:\n\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n\n\
                      \tfield:struct siginfo *infop;\toffset:32;\tsize:8;\tsigned:0;\n\tfield:int which;\toffset:-1;\n";
        assert_eq!(offset_in(format, "__syscall_nr"), Some(8));
        assert_eq!(offset_in(format, "infop"), Some(32));
        assert_eq!(offset_in(format, "which"), None);
        assert_eq!(offset_in(format, "upid"), None);
    }
}
