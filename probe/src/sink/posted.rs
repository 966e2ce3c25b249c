//! What the answer to a post means where only its status counts.
//!
//! Must not know what was posted.

use hyper::StatusCode;

use super::forwarder::Failed;

/// A receiver that cannot take it now, by its own fault or for want of time, may take it later; who says that the request is wrong
/// will say so again.
pub fn judged(status: StatusCode) -> Result<(), Failed> {
    let why = || format!("it answers {status}");
    match status {
        _ if status.is_success() => Ok(()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(Failed::Now(why())),
        _ if status.is_server_error() => Err(Failed::Now(why())),
        _ => Err(Failed::ForGood(why())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_the_receiver_is_tried_again_and_one_of_the_request_is_not() {
        let kind = |status: u16| match judged(StatusCode::from_u16(status).expect("a status")) {
            Ok(()) => "good",
            Err(Failed::Now(_)) => "again",
            Err(Failed::ForGood(_)) => "never",
        };
        for (status, expected) in [
            (200, "good"),
            (204, "good"),
            (301, "never"),
            (401, "never"),
            (404, "never"),
            (408, "again"),
            (429, "again"),
            (500, "again"),
            (503, "again"),
        ] {
            assert_eq!(kind(status), expected, "{status}");
        }
    }
}
