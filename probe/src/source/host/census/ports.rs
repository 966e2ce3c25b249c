//! The TCP ports on which the processes of a network namespace listen, by the inodes of their sockets.
//!
//! Must not know whose the sockets are.

use foldhash::{HashMap, HashMapExt};
use procfs::process::Process;

use crate::source::host::process_directory::part;

/// How much of a list of sockets is read.
const SOCKETS_MAX: usize = 4 << 20;
/// Most namespaces whose lists are kept.
const NAMESPACES_MAX: usize = 256;
/// The state of a socket that listens (include/net/tcp_states.h).
const LISTENS: &str = "0A";

/// Lists of namespaces that were read.
#[derive(Default)]
pub struct Ports(HashMap<Vec<u8>, HashMap<u64, u16>>);

impl Ports {
    /// The ports of these sockets of a process, in order, once each.
    pub fn of(&mut self, process: &Process, sockets: &[u64]) -> Vec<u16> {
        if sockets.is_empty() {
            return Vec::new();
        }
        use std::os::unix::ffi::OsStrExt;
        let link = std::fs::read_link(format!("/proc/{}/ns/net", process.pid)).unwrap_or_default();
        let namespace = link.as_os_str().as_bytes().to_vec();
        if namespace.is_empty() || (self.0.len() >= NAMESPACES_MAX && !self.0.contains_key(&namespace)) {
            return Vec::new();
        }
        let listening = self.0.entry(namespace).or_insert_with(|| {
            let mut all = HashMap::new();
            for name in ["net/tcp", "net/tcp6"] {
                let list = part(process, name, SOCKETS_MAX);
                all.extend(String::from_utf8_lossy(&list).lines().filter_map(parse));
            }
            all
        });
        let mut ports: Vec<u16> =
            sockets.iter().filter_map(|socket| listening.get(socket).copied()).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }
}

/// The inode and port of a line that is of a listening socket.
pub fn parse(line: &str) -> Option<(u64, u16)> {
    let mut fields = line.split_ascii_whitespace();
    let port = fields.nth(1)?.rsplit_once(':')?.1;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?;
    (state == LISTENS).then_some((inode.parse().ok()?, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_listening_socket_is_read_and_no_other() {
        let line = |state: &str| {
            format!(
                "   0: 0100007F:1F90 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0"
            )
        };
        assert_eq!(parse(&line("0A")), Some((4711, 8080)));
        assert_eq!(parse(&line("01")), None);
        assert_eq!(parse("  sl  local_address rem_address   st tx_queue"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn our_own_port_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let sockets = super::super::descriptors::read(std::process::id()).expect("our own").sockets;
        let found = Ports::default().of(&Process::myself().expect("/proc"), &sockets);
        assert!(found.contains(&port), "{port} {found:?}");
    }
}
