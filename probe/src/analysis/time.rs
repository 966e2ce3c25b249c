//! Converts boot-time ns to wall-clock text. Must not ask what time it is.

use std::cell::Cell;

use jiff::Timestamp;

use crate::{model::Session, report::Rfc3339};

const SECOND_NS: i128 = 1_000_000_000;
/// Bytes of `2023-11-14T22:13:25`.
const TO_THE_SECOND: usize = 19;

thread_local! {
    /// The last second that was asked for, as text. A stream of events asks for the same second thousands of times.
    static LAST: Cell<(i64, [u8; TO_THE_SECOND])> = const { Cell::new((i64::MIN, [0; TO_THE_SECOND])) };
}

/// The same time in ns since the epoch.
pub fn epoch_ns(session: &Session, boottime_ns: u64) -> i128 {
    i128::from(boottime_ns) + i128::from(session.anchor.realtime_minus_boottime_ns)
}

/// RFC 3339, UTC, with ns; empty if it lies beyond the calendar.
pub fn rfc3339(session: &Session, boottime_ns: u64) -> Rfc3339 {
    let epoch_ns = epoch_ns(session, boottime_ns);
    // Nearly every time fits 64 bits, which a processor divides fast.
    let second = match i64::try_from(epoch_ns) {
        Ok(epoch_ns) => Some(epoch_ns.div_euclid(SECOND_NS as i64)),
        Err(_) => i64::try_from(epoch_ns.div_euclid(SECOND_NS)).ok(),
    };
    let Some((second, name)) = second.and_then(|second| Some((second, to_the_second(second)?))) else {
        return Rfc3339::new_const();
    };
    let mut text = *b"0000-00-00T00:00:00.000000000Z";
    text[..TO_THE_SECOND].copy_from_slice(&name);
    let mut rest_ns = (epoch_ns - i128::from(second) * SECOND_NS) as u32;
    for digit in text[TO_THE_SECOND + 1..TO_THE_SECOND + 10].iter_mut().rev() {
        *digit += (rest_ns % 10) as u8;
        rest_ns /= 10;
    }
    Rfc3339::from_byte_string(&text).unwrap_or_default()
}

fn to_the_second(second: i64) -> Option<[u8; TO_THE_SECOND]> {
    let (last, name) = LAST.get();
    if last == second {
        return Some(name);
    }
    let text = Timestamp::from_second(second).ok()?.to_string();
    let name = text.as_bytes().get(..TO_THE_SECOND)?.try_into().ok()?;
    LAST.set((second, name));
    Some(name)
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
        for (boottime_ns, expected) in [
            (5_000_000_001, "2023-11-14T22:13:25.000000001Z"),
            (5_987_654_321, "2023-11-14T22:13:25.987654321Z"),
            (6_000_000_000, "2023-11-14T22:13:26.000000000Z"),
            (5_000_000_001, "2023-11-14T22:13:25.000000001Z"),
        ] {
            assert_eq!(&rfc3339(&session, boottime_ns)[..], expected);
        }
    }

    #[test]
    fn a_time_before_the_epoch_is_one_too() {
        let session = Session {
            anchor: TimeAnchor { realtime_minus_boottime_ns: -1_500_000_000 },
            ..Session::default()
        };
        assert_eq!(&rfc3339(&session, 0)[..], "1969-12-31T23:59:58.500000000Z");
    }
}
