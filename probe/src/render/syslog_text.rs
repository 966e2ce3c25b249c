//! An alert as a message of syslog (RFC 5424).
//!
//! Owns names of its parameters, which are stable, and how long a message is. Must not know who receives it.

use std::fmt::Write;

use super::{label, snake_case, terminal::escape};
use crate::report::{alert::Alert, origin::Origin};

/// Longest message in bytes: what rsyslog takes unless it is told otherwise.
pub const MESSAGE_MAX: usize = 8_192;
/// The structured data of reapwatch. 32473 is the number for who has none of their own (RFC 5612).
const DATA_ID: &str = "reapwatch@32473";
/// Bytes of `2023-11-14T22:13:25.000001`: RFC 5424 allows no more digits.
const TO_THE_MICROSECOND: usize = 26;

/// The message, without a frame. `facility`: its number.
pub fn message(alert: &Alert, origin: &Origin, facility: u8) -> Vec<u8> {
    let priority = u32::from(facility) * 8 + alert.severity() as u32;
    let time = alert.time.get(..TO_THE_MICROSECOND).map_or_else(|| "-".to_owned(), |time| format!("{time}Z"));
    let host = host_name(&origin.host_name);
    let mut message =
        format!("<{priority}>1 {time} {host} reapwatch {} {} [{DATA_ID}", origin.pid, alert.alert.name());
    for (name, value) in parameters(alert) {
        // A String takes everything.
        let _ = write!(message, " {name}=\"{}\"", quoted(&label(&value)));
    }
    message.push_str("] ");
    message.push_str(&escape(&alert.text));
    cut(&mut message);
    message.into_bytes()
}

/// Names are in the order in which people look for them.
fn parameters(alert: &Alert) -> Vec<(&'static str, String)> {
    let mut all = vec![("state", alert.state.name().to_owned())];
    if let Some(parent) = &alert.parent {
        if let Some(workload) = &parent.workload {
            all.push(("kind", workload.kind.name().to_owned()));
            all.push(("workload", workload.name.clone().into_owned()));
            all.extend(workload.container.clone().map(|container| ("container", container)));
        }
        all.push(("pid", parent.pid.to_string()));
        all.push(("command", parent.comm.clone()));
        all.push(("verdict", snake_case(&parent.verdict)));
        all.extend(parent.cause.as_ref().map(|cause| ("cause", snake_case(&cause.kind))));
        all.push(("unreaped", parent.unreaped.to_string()));
    }
    all.push(("id", alert.id.clone()));
    all
}

/// As the value of a parameter.
fn quoted(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len());
    for character in value.chars() {
        if matches!(character, '"' | '\\' | ']') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted
}

/// A host name is printable ASCII of at most 255 bytes.
fn host_name(name: &str) -> &str {
    let is_possible = (1..=255).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
    if is_possible { name } else { "-" }
}

/// To the longest that a message may be, where a character begins.
fn cut(message: &mut String) {
    const MARK: &str = "…";
    if message.len() > MESSAGE_MAX {
        message.truncate(message.floor_char_boundary(MESSAGE_MAX - MARK.len()));
        message.push_str(MARK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn origin() -> Origin {
        Origin { host_name: "node-1".into(), pid: 7, ..Origin::default() }
    }

    fn text(alert: &Alert) -> String {
        String::from_utf8(message(alert, &origin(), 3)).expect("UTF-8")
    }

    #[test]
    fn a_message_has_header_structured_data_and_text() {
        assert_eq!(
            text(&sample::leak("python3", "python3 leaves 100 dead children")),
            "<28>1 2026-01-01T00:00:00.000000Z node-1 reapwatch 7 leak [reapwatch@32473 state=\"found\" \
             kind=\"unit\" workload=\"worker-manager.service\" pid=\"4242\" command=\"python3\" \
             verdict=\"never_reaps\" cause=\"never_waits\" unreaped=\"100\" id=\"leak-4242-4242\"] \
             python3 leaves 100 dead children"
        );
        assert!(
            text(&sample::alert("x")).contains(" loss [reapwatch@32473 state=\"found\" id=\"loss-1\"] x")
        );
    }

    #[test]
    fn a_hostile_name_ends_no_value_and_no_message() {
        let said = text(&sample::leak("a\"] <0>1\n\\\u{1b}", "line one\nline two\u{202e}"));
        assert!(said.contains("command=\"a\\\"\\] <0>1\\\\x0a\\\\\\\\\\\\x1b\""), "{said}");
        assert!(said.ends_with("] line one\\x0aline two\\u{202e}"), "{said}");
        assert!(!said.contains(['\n', '\u{1b}']));
    }

    #[test]
    fn a_message_is_never_too_long_and_a_host_without_a_name_has_none() {
        let long = message(&sample::alert(&"é".repeat(9_000)), &Origin::default(), 3);
        assert!((MESSAGE_MAX - 4..=MESSAGE_MAX).contains(&long.len()), "{}", long.len());
        let long = String::from_utf8(long).expect("cut where a character begins");
        assert!(long.ends_with("é…") && long.contains("Z - reapwatch 0 "), "{long}");
    }
}
