//! What answers mean.

use bytes::Bytes;
use hyper::HeaderMap;

use super::*;

fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &'static [u8]) -> Answer {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, value.parse().expect("a value"));
    }
    Answer {
        status: StatusCode::from_u16(status).expect("a status"),
        headers: map,
        body: Bytes::from_static(body),
    }
}

fn judged(outcome: Result<Vec<u8>, Failed>) -> String {
    match outcome {
        Ok(message) => format!("good {message:?}"),
        Err(Failed::Now(why)) => format!("again: {why}"),
        Err(Failed::ForGood(why)) => format!("never: {why}"),
    }
}

#[test]
fn over_http_only_what_the_specification_names_is_sent_again() {
    assert_eq!(judged(of_http(answer(200, &[], b"x"))), "good [120]");
    for status in [429, 502, 503, 504] {
        assert!(judged(of_http(answer(status, &[], b""))).starts_with("again: it answers"), "{status}");
    }
    for status in [301, 400, 401, 404, 413, 500] {
        assert!(judged(of_http(answer(status, &[], b""))).starts_with("never: it answers"), "{status}");
    }
}

#[test]
fn over_grpc_the_status_is_in_the_trailers_and_a_message_has_a_prefix() {
    let good: &[(&str, &str)] = &[("grpc-status", "0")];
    assert_eq!(judged(of_grpc(answer(200, good, b"\0\0\0\0\x01x"))), "good [120]");
    assert_eq!(judged(of_grpc(answer(200, good, b"\0\0\0\0\0"))), "good []");
    // Packed, cut, or none.
    for body in [&b"\x01\0\0\0\x01x"[..], b"\0\0", b""] {
        assert!(
            judged(of_grpc(answer(200, good, body))).starts_with("again: its answer is no message"),
            "{body:?}"
        );
    }
    assert!(judged(of_grpc(answer(404, &[], b"<html>"))).starts_with("again: it answers 404"));
    assert!(judged(of_grpc(answer(200, &[("grpc-status", "no")], b""))).starts_with("again"));
    for status in ["1", "4", "8", "10", "11", "14", "15"] {
        let headers = [("grpc-status", status)];
        assert!(judged(of_grpc(answer(200, &headers, b""))).starts_with("again: it answers with status"));
    }
    for status in ["2", "3", "5", "6", "7", "9", "12", "13", "16", "99"] {
        let headers = [("grpc-status", status), ("grpc-message", "no such method")];
        let said = judged(of_grpc(answer(200, &headers, b"")));
        assert_eq!(said, format!("never: it answers with status {status} of gRPC: no such method"));
    }
}
