//! Who a dead process was and what it used, from the wire to the model.
//!
//! Must not know where the bytes come from.

use std::sync::OnceLock;

use nix::unistd::{SysconfVar, sysconf};
use probe_common::wire;

use crate::model::{Account, is_tty};

/// The kernel's word for "none" is 0 but for the user: 0 is root.
pub(super) fn account(wire: &wire::Account) -> Account {
    let some = |value: u64| (value != 0).then_some(value);
    let end = wire.tty.iter().position(|byte| *byte == 0).unwrap_or(wire.tty.len());
    Account {
        uid: (wire.uid != wire::Account::UID_UNKNOWN).then_some(wire.uid),
        session: (wire.session != 0).then_some(wire.session),
        tty: Some(terminal(&wire.tty[..end])).filter(|name| is_tty(name)),
        cgroup_id: some(wire.cgroup_id),
        cpu_ns: (wire.cpu_ns != wire::Account::CPU_UNKNOWN).then_some(wire.cpu_ns),
        peak_rss_bytes: some(wire.peak_rss_pages.saturating_mul(page_bytes())),
    }
}

/// The kernel calls `pts7` what is in /dev as `pts/7`.
fn terminal(name: &[u8]) -> Box<[u8]> {
    match name.strip_prefix(b"pts") {
        Some(number) if number.iter().all(u8::is_ascii_digit) => [b"pts/", number].concat().into(),
        _ => name.into(),
    }
}

/// The kernel counts memory in these.
fn page_bytes() -> u64 {
    static PAGE_BYTES: OnceLock<u64> = OnceLock::new();
    *PAGE_BYTES.get_or_init(|| {
        let asked = sysconf(SysconfVar::PAGE_SIZE);
        asked.ok().flatten().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(4_096)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_says_only_what_was_read_and_terminals_are_called_as_in_dev() {
        let nothing = wire::Account {
            cpu_ns: wire::Account::CPU_UNKNOWN,
            uid: wire::Account::UID_UNKNOWN,
            ..wire::Account::default()
        };
        assert_eq!(account(&nothing), Account::default());
        let root = account(&wire::Account { peak_rss_pages: 3, ..wire::Account::default() });
        assert_eq!((root.uid, root.cpu_ns), (Some(0), Some(0)));
        assert_eq!(root.peak_rss_bytes, Some(3 * page_bytes()));
        for (kernels, ours) in
            [("pts12", Some("pts/12")), ("ttyS0", Some("ttyS0")), ("", None), ("\u{1b}[2J", None)]
        {
            let mut wire = wire::Account::default();
            wire.tty[..kernels.len()].copy_from_slice(kernels.as_bytes());
            assert_eq!(account(&wire).tty.as_deref(), ours.map(str::as_bytes), "{kernels:?}");
        }
    }
}
