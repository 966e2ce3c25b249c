//! What this host is called. Must not know who wants to know.

use std::fs;

/// The name of the host; empty where it cannot be read.
pub fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// The same for who needs one: `localhost` where it cannot be read.
pub fn host_name_or_localhost() -> String {
    let name = host_name();
    if name.is_empty() { "localhost".into() } else { name }
}

/// The machine id (machine-id(5)); empty where there is none.
pub fn machine_id() -> String {
    let text = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let id = text.trim();
    let is_one = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_one { id.to_owned() } else { String::new() }
}
