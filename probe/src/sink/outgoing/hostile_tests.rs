//! Receivers that answer garbage, too much, too little or nothing.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use super::*;

/// What a request gets from who answers this after some of it, within 2 s.
fn posted(
    protocol: Protocol,
    answer: impl FnOnce(&mut TcpStream) + Send + 'static,
) -> Result<Answer, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let receiver = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let _ = stream.read(&mut [0; 512]);
        answer(&mut stream);
        let _ = stream.shutdown(Shutdown::Write);
        // Read to the end, so that nothing is reset that was not read.
        let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let url: HttpUrl = format!("http://127.0.0.1:{port}/x").parse().expect("a URL");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let began = Instant::now();
    let answer = runtime.block_on(async {
        let receiver = Receiver {
            url: url.clone(),
            tls: TlsFiles::default(),
            headers: Headers::default(),
            headers_file: None,
        };
        let destination = Destination::open(receiver, protocol).expect("no files");
        let answer = destination.post(&url, "text/plain", &[], b"hello".to_vec());
        let answer = tokio::time::timeout(Duration::from_secs(2), answer).await;
        answer.unwrap_or_else(|_| Err("it hangs".into()))
    });
    assert!(began.elapsed() < Duration::from_secs(30));
    drop(runtime);
    receiver.join().expect("no panic");
    answer
}

fn text(answer: &'static str) -> impl FnOnce(&mut TcpStream) + Send {
    move |stream: &mut TcpStream| {
        let _ = stream.write_all(answer.as_bytes());
    }
}

#[test]
fn an_answer_is_taken_as_it_is() {
    let answer = posted(Protocol::Http1, text("HTTP/1.1 429 Slow Down\r\nContent-Length: 3\r\n\r\nnow"));
    let answer = answer.expect("an answer");
    assert_eq!((answer.status.as_u16(), &*answer.body), (429, &b"now"[..]));
}

#[test]
fn garbage_is_an_error_and_nothing_else() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        for garbage in
            ["", "\0\0\0\0", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"]
        {
            let failed = posted(protocol, text(garbage)).expect_err(garbage);
            assert!(failed.contains("http://127.0.0.1:"), "{protocol:?} {garbage:?}: {failed}");
            assert!(!failed.contains("/x"), "the path is not shown: {failed}");
        }
    }
}

#[test]
fn who_speaks_something_else_is_told_so() {
    let failed = posted(Protocol::Http1, text("SSH-2.0-OpenSSH_9.2\r\n")).expect_err("no HTTP");
    assert!(
        failed.starts_with("what http://127.0.0.1:") && failed.contains(" answers is no HTTP ("),
        "{failed}"
    );
}

/// Takes everything, and ends as a TLS connection that was not closed as it should be.
struct Broken;

impl tokio::io::AsyncRead for Broken {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "https://docs.rs/for-authors-of-servers",
        )))
    }
}

impl tokio::io::AsyncWrite for Broken {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn who_closes_a_connection_in_the_middle_is_told_so() {
    let url: HttpUrl = "https://localhost:1/x".parse().expect("a URL");
    let request = http::Request {
        protocol: Protocol::Http1,
        url: &url,
        content_type: "text/plain",
        more: &[],
        secret: &Headers::default(),
        body: Vec::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let failed = runtime.block_on(http::exchange(request, Broken)).expect_err("it is broken");
    assert_eq!(failed, "no answer from https://localhost:1: it closed the connection");
}

#[test]
fn who_answers_without_end_is_not_read_without_end() {
    for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nX: "] {
        let failed = posted(Protocol::Http1, move |stream| {
            let _ = stream.write_all(head.as_bytes());
            while stream.write_all(&[b'x'; 4_096]).is_ok() {}
        });
        let failed = failed.expect_err("too long");
        assert!(!failed.contains("hangs"), "{failed}");
    }
}

#[test]
fn who_does_not_answer_is_waited_for_only_as_long_as_there_is_time() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let hanging = posted(protocol, |_| std::thread::sleep(Duration::from_secs(3)));
        assert_eq!(hanging.expect_err("no answer"), "it hangs");
    }
}
