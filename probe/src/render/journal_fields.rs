//! An alert as fields of the journal, in its native protocol (systemd.journal-fields(7)).
//!
//! Owns names of the fields, which are stable. Must not know where the journal is.

use super::{label, snake_case, terminal::escape};
use crate::report::alert::{Alert, AlertKind};

/// Longest text of a message, in bytes, so that an entry fits into a datagram.
const TEXT_MAX: usize = 16 * 1024;

/// The entry, as one datagram.
pub fn entry(alert: &Alert) -> Vec<u8> {
    let mut text = escape(&alert.text);
    text.truncate(text.floor_char_boundary(TEXT_MAX));
    let mut entry = Vec::with_capacity(1_024);
    let mut field = |name: &str, value: &str| add(&mut entry, name, value);
    field("MESSAGE", &text);
    field("PRIORITY", &(alert.severity() as u8).to_string());
    field("SYSLOG_IDENTIFIER", "reapwatch");
    field("MESSAGE_ID", message_id(alert.alert));
    field("REAPWATCH_ALERT", alert.alert.name());
    field("REAPWATCH_STATE", alert.state.name());
    field("REAPWATCH_ID", &alert.id);
    if let Some(parent) = &alert.parent {
        if let Some(workload) = &parent.workload {
            field("REAPWATCH_WORKLOAD_KIND", workload.kind.name());
            field("REAPWATCH_WORKLOAD", &label(&workload.name));
            if let Some(container) = &workload.container {
                field("REAPWATCH_CONTAINER", &label(container));
            }
        }
        field("REAPWATCH_PID", &parent.pid.to_string());
        field("REAPWATCH_COMMAND", &label(&parent.comm));
        field("REAPWATCH_EXECUTABLE", &label(&parent.executable));
        field("REAPWATCH_VERDICT", &snake_case(&parent.verdict));
        field("REAPWATCH_UNREAPED", &parent.unreaped.to_string());
        if let Some(cause) = &parent.cause {
            field("REAPWATCH_CAUSE", &snake_case(&cause.kind));
            field("REAPWATCH_FIX", &label(&cause.fix));
        }
    }
    if let Some(lasted_ns) = alert.lasted_ns {
        field("REAPWATCH_LASTED_NS", &lasted_ns.to_string());
    }
    entry
}

/// What makes all entries of one kind easy to find; stable.
fn message_id(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Leak => "d093a4eaedb54f15bb6e72f60af75ec5",
        AlertKind::Slow => "ce17d11dda974c50b17036fafc86398d",
        AlertKind::Loss => "d79cfdc7b2c24d9f9ea917b31c82c2e5",
        AlertKind::Pids => "14af9d777b40440095a0b6e4af04b15d",
    }
}

/// A value with a newline has its length before it, so it can hold anything.
fn add(entry: &mut Vec<u8>, name: &str, value: &str) {
    entry.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn an_entry_has_a_line_for_each_field() {
        let entry = String::from_utf8(entry(&sample::leak("python3", "python3 leaves 100 dead children")));
        let entry = entry.expect("UTF-8");
        for line in [
            "MESSAGE=python3 leaves 100 dead children",
            "PRIORITY=4",
            "REAPWATCH_WORKLOAD=worker-manager.service",
            "REAPWATCH_PID=4242",
            "REAPWATCH_CAUSE=never_waits",
        ] {
            assert!(entry.lines().any(|one| one == line), "{line} is not in {entry}");
        }
    }

    #[test]
    fn a_hostile_name_is_no_field_of_its_own_and_an_entry_is_bounded() {
        let evil = "a\nPRIORITY=0\nREAPWATCH_PID=1";
        let text = String::from_utf8(entry(&sample::leak(evil, &evil.repeat(9_000)))).expect("UTF-8");
        assert_eq!(text.lines().filter(|line| line.starts_with("PRIORITY=")).count(), 1);
        assert_eq!(text.lines().filter(|line| line.starts_with("REAPWATCH_PID=")).count(), 1);
        assert!(text.len() < 2 * TEXT_MAX);
    }

    #[test]
    fn a_value_with_a_newline_has_its_length() {
        let mut entry = Vec::new();
        add(&mut entry, "A", "b\nc");
        assert_eq!(entry, b"A\n\x03\0\0\0\0\0\0\0b\nc\n");
    }
}
