//! In which namespaces we are: pids in events are the host's, and only a process of the host's own PID namespace sees all.
//!
//! Must not know what is done about it.

use std::{fs, io, path::Path};

use super::SetupError;

/// The inode of the initial namespace of each kind (include/uapi/linux/nsfs.h, the same since Linux 3.8).
const INITIAL: [(&str, u64); 2] = [("cgroup", 0xEFFF_FFFB), ("pid", 0xEFFF_FFFC)];

/// Whether ours of this kind is the initial one. A kernel without such namespaces has no other.
pub fn is_initial(kind: &str) -> io::Result<bool> {
    Ok(own(kind)?.is_none_or(|inode| INITIAL.contains(&(kind, inode))))
}

/// The inode of our namespace of this kind; `None` where the kernel has no such kind.
fn own(kind: &str) -> io::Result<Option<u64>> {
    let directory = Path::new("/proc/self/ns");
    match fs::read_link(directory.join(kind)) {
        Ok(link) => parse(kind, &link.to_string_lossy())
            .map(Some)
            .ok_or_else(|| io::Error::other(format!("it reads {}", link.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound && directory.is_dir() => Ok(None),
        Err(error) => Err(error),
    }
}

/// `pid:[4026531836]`.
fn parse(kind: &str, link: &str) -> Option<u64> {
    link.strip_prefix(kind)?.strip_prefix(":[")?.strip_suffix(']')?.parse().ok()
}

/// Fails in a PID namespace other than the initial one: events name processes by the host's pids, but the task list and
/// /proc show only those of this namespace, under other pids. Zombies would be taken for reaped, the living for dead.
pub fn require_initial_pid() -> Result<(), SetupError> {
    match is_initial("pid") {
        Ok(true) => Ok(()),
        Ok(false) => Err(SetupError {
            what: "reapwatch runs in a PID namespace of its own (a container, or unshare --pid), where it sees neither \
                   the other processes of the host nor the pids that the kernel knows them by"
                .into(),
            remedy: "run it on the host, or start the container with the host's PID namespace (docker and podman run \
                     --pid=host; in a pod, hostPID: true). `reapwatch replay` works here"
                .into(),
        }),
        Err(error) => Err(SetupError {
            what: format!("cannot tell which PID namespace this is: /proc/self/ns/pid: {error}"),
            remedy: "mount the proc file system of this PID namespace (mount -t proc proc /proc)".into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_read_from_its_link() {
        assert_eq!(parse("pid", "pid:[4026531836]"), Some(0xEFFF_FFFC));
        assert_eq!(parse("cgroup", "cgroup:[4026531835]"), Some(0xEFFF_FFFB));
        for damaged in ["", "pid", "pid:[", "pid:[]", "pid:[x]", "net:[1]", "pid:[1", "pid:[-1]"] {
            assert_eq!(parse("pid", damaged), None, "{damaged}");
        }
    }

    #[test]
    fn a_kind_that_the_kernel_does_not_have_is_no_other_namespace() {
        assert!(own("pid").is_ok_and(|inode| inode.is_some()));
        assert!(own("no-such-kind").is_ok_and(|inode| inode.is_none()));
        assert!(is_initial("no-such-kind").is_ok_and(|initial| initial));
    }
}
