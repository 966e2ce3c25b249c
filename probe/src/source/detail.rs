//! What a process runs, from /proc: for those that were there before us. A process that has gone is no error.

use std::{fs, os::unix::ffi::OsStrExt};

use super::decode::split_args;
use crate::model::{COMMAND_LINE_MAX, Detail, Identity};

/// Reads it, if the pid still belongs to that identity (compared in clock ticks: /proc knows no finer).
pub fn read(identity: Identity, ticks_per_second: u64) -> Option<Detail> {
    let process = procfs::process::Process::new(identity.tgid as i32).ok()?;
    let start_ticks = process.stat().ok()?.starttime;
    let tick_ns = 1_000_000_000 / ticks_per_second.max(1);
    if (identity.start_boottime_ns / tick_ns).abs_diff(start_ticks) > 1 {
        return None;
    }
    let directory = format!("/proc/{}", identity.tgid);
    let mut command_line = fs::read(format!("{directory}/cmdline")).unwrap_or_default();
    let cut = command_line.len() > COMMAND_LINE_MAX;
    command_line.truncate(COMMAND_LINE_MAX);
    let executable = fs::read_link(format!("{directory}/exe"))
        .map(|path| path.as_os_str().as_bytes().to_vec())
        .unwrap_or_default();
    let unit = fs::read(format!("{directory}/cgroup")).map(|text| unit(&text)).unwrap_or_default();
    Some(Detail { command_line: split_args(&command_line, !cut), executable, unit })
}

/// The innermost systemd unit of a cgroup file.
pub fn unit(cgroup: &[u8]) -> Vec<u8> {
    let is_unit = |part: &&[u8]| part.ends_with(b".service") || part.ends_with(b".scope");
    cgroup
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b'/').rev().find(is_unit))
        .next()
        .unwrap_or_default()
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_the_innermost_service_of_the_cgroup_path() {
        assert_eq!(unit(b"0::/system.slice/worker-manager.service\n"), b"worker-manager.service");
        assert_eq!(
            unit(b"12:cpu:/\n0::/user.slice/user-0.slice/user@0.service/app.slice/a.service/sub\n"),
            b"a.service"
        );
        assert_eq!(unit(b"0::/\n"), b"");
    }
}
