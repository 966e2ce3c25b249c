//! Reading the file in which an agent keeps where orphans come from, and whether something was written since this host was started.
//!
//! Must not know what is done with it.

use std::io::{self, Read};

use crate::report::orphans::{OrphanHistory, SCHEMA};

/// Longest file that is read, in bytes.
const FILE_MAX: u64 = 64 << 20;
/// How far two readings of when this host was started may be apart, in ns: clocks are set meanwhile, but hardly by more.
const SAME_BOOT_WITHIN_NS: u64 = 300_000_000_000;

/// What it says.
///
/// # Errors
///
/// Where it cannot be read, is too long, or is something else.
pub fn read(file: impl Read) -> io::Result<OrphanHistory> {
    let mut text = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > FILE_MAX {
        return Err(io::Error::other(format!("it is larger than {FILE_MAX} bytes")));
    }
    let history: OrphanHistory = serde_json::from_slice(&text)?;
    if history.schema != SCHEMA {
        return Err(io::Error::other(format!("its schema is not {SCHEMA}")));
    }
    Ok(history)
}

/// Whether both are of one boot: pids and times since boot of another one mean nothing here. Both say when the host was started, in
/// ns since 1970.
pub fn is_same_boot(one_ns: i64, other_ns: i64) -> bool {
    one_ns.abs_diff(other_ns) <= SAME_BOOT_WITHIN_NS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_such_file_is_told() {
        let good = br#"{"schema":"reapwatch.orphans/1","realtime_minus_boottime_ns":7,"orphans":[]}"#;
        assert_eq!(read(&good[..]).expect("good").realtime_minus_boottime_ns, 7);
        for (text, why) in [
            (&b"{"[..], "EOF"),
            (
                br#"{"schema":"reapwatch.orphans/2","realtime_minus_boottime_ns":7,"orphans":[]}"#,
                "schema is not",
            ),
            (br#"{"schema":"reapwatch.orphans/1"}"#, "missing field"),
        ] {
            let error = read(text).expect_err("it is none").to_string();
            assert!(error.contains(why), "{error}");
        }
        assert!(read(io::repeat(b' ')).expect_err("endless").to_string().contains("larger"));
    }
}
