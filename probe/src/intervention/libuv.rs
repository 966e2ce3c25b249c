//! Whether a parent is built on libuv, as Node is: it waits for its children by pid and, where another has taken the status,
//! never reports their exit.
//!
//! Owns how it is recognised. Must not touch the process.

use std::fs;

use super::process::Process;

/// By the program, or by a library that it has loaded. A program that holds libuv under another name is not recognised.
pub fn is_in(process: &Process) -> bool {
    let program = fs::read_link(format!("/proc/{}/exe", process.pid)).unwrap_or_default();
    let maps = fs::read(format!("/proc/{}/maps", process.pid)).unwrap_or_default();
    is_node(program.to_string_lossy().as_bytes()) || maps.split(|byte| *byte == b'\n').any(names_libuv)
}

fn is_node(program: &[u8]) -> bool {
    let name = program.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let name = name.strip_suffix(b" (deleted)").unwrap_or(name);
    let letters = name.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(name.len());
    matches!(&name[..letters], b"node" | b"nodejs" | b"electron")
}

/// A line of a list of mappings, whose path may hold anything.
fn names_libuv(line: &[u8]) -> bool {
    let Some(path) = line.iter().position(|byte| *byte == b'/').map(|begin| &line[begin..]) else {
        return false;
    };
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    name.starts_with(b"libuv.so")
        || name.starts_with(b"libuv-")
        || path.windows(8).any(|part| part == b"/uvloop/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_and_what_loads_libuv() {
        for node in
            [&b"/usr/bin/node"[..], b"/opt/nodejs", b"/usr/bin/node20", b"/usr/lib/electron (deleted)"]
        {
            assert!(is_node(node));
        }
        assert!(!is_node(b"/usr/bin/nodepad") && !is_node(b"/node/bin/python3") && !is_node(b""));
        assert!(names_libuv(b"7f00-7f01 r-xp 0 08:01 7   /usr/lib/x86_64-linux-gnu/libuv.so.1.0.0"));
        assert!(names_libuv(b"7f00-7f01 r-xp 0 08:01 7   /venv/uvloop/loop.cpython-311-x86_64-linux-gnu.so"));
        assert!(!names_libuv(b"7f00-7f01 r-xp 0 08:01 7   /usr/lib/libuvc.so.0"));
        assert!(!is_in(&Process::open(std::process::id()).expect("we are here")));
    }
}
