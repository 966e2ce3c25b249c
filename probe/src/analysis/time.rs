//! Boot-time ns to the wall clock's words. Must not ask what time it is.

use jiff::Timestamp;

use crate::model::Session;

/// RFC 3339, UTC, with ns.
pub fn rfc3339(session: &Session, boottime_ns: u64) -> String {
    let epoch_ns = i128::from(boottime_ns) + i128::from(session.anchor.realtime_minus_boottime_ns);
    Timestamp::from_nanosecond(epoch_ns).map(|time| format!("{time:.9}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TimeAnchor;

    #[test]
    fn nine_digits_and_utc() {
        let session = Session {
            anchor: TimeAnchor { realtime_minus_boottime_ns: 1_700_000_000_000_000_000 },
            ..Session::default()
        };
        assert_eq!(rfc3339(&session, 5_000_000_001), "2023-11-14T22:13:25.000000001Z");
    }
}
