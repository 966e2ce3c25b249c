//! What clients get, also hostile ones, over real connections.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    sync::mpsc::{Sender, channel},
    thread::JoinHandle as Thread,
};

use super::{
    server::{CONNECTIONS_MAX, REQUEST_MAX, REQUEST_WITHIN},
    *,
};
use crate::report::{metrics::Metrics, sample};

/// A sink that answers until it is dropped.
struct Running {
    address: SocketAddr,
    offers: Option<Sender<Delivery>>,
    thread: Option<Thread<()>>,
}

impl Running {
    fn start() -> Self {
        let listener = Prometheus::listen(([127, 0, 0, 1], 0).into()).expect("a port");
        let address = listener.local_addr().expect("bound");
        let (offers, offered) = channel::<Delivery>();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let mut sink = Prometheus::start(listener, Protection::default(), None).expect("a server");
                loop {
                    match offered.try_recv() {
                        Ok(delivery) => sink.offer(&delivery),
                        Err(std::sync::mpsc::TryRecvError::Empty) => {}
                        Err(std::sync::mpsc::TryRecvError::Disconnected) => return,
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            });
        });
        Self { address, offers: Some(offers), thread: Some(thread) }
    }

    fn offer(&self, cpu_ns: u64) {
        self.send(metrics(cpu_ns));
    }

    fn send(&self, metrics: Metrics) {
        let offers = self.offers.as_ref().expect("not dropped");
        offers.send(Delivery::Metrics(Arc::new(metrics))).expect("the server lives");
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out");
        stream
    }

    /// Everything that is answered to these bytes.
    fn ask(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("sent");
        everything(stream)
    }

    fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
    }

    fn until(&self, path: &str, status: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = self.get(path);
            if answer.starts_with(&format!("HTTP/1.1 {status}")) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{answer}");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.offers = None;
        let _ = self.thread.take().map(Thread::join);
    }
}

/// To the end. A connection that was reset has one.
fn everything(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error}"),
        }
    }
    String::from_utf8(answer).expect("UTF-8")
}

fn metrics(cpu_ns: u64) -> Metrics {
    Metrics { cpu_ns, ..sample::metrics() }
}

#[test]
fn before_the_first_metrics_it_is_alive_and_not_ready_and_then_it_gives_the_last() {
    let server = Running::start();
    assert!(server.get("/healthz").starts_with("HTTP/1.1 200"));
    assert!(server.get("/readyz").starts_with("HTTP/1.1 503"));
    assert!(server.get("/metrics").starts_with("HTTP/1.1 503"));
    server.offer(1_000_000_000);
    server.until("/readyz", "200");
    server.offer(2_000_000_000);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !server.get("/metrics").contains("reapwatch_cpu_seconds_total 2.0\n") {
        assert!(Instant::now() < deadline, "{}", server.get("/metrics"));
    }
}

#[test]
fn metrics_that_are_too_old_are_not_healthy() {
    let server = Running::start();
    server.send(Metrics { stale_after_ns: 1, ..metrics(1) });
    server.until("/healthz", "503");
    server.send(metrics(1));
    server.until("/healthz", "200");
}

#[test]
fn the_format_is_the_one_that_was_asked_for() {
    let server = Running::start();
    server.offer(1);
    let text = server.until("/metrics", "200");
    assert!(text.contains("content-type: text/plain; version=0.0.4") && !text.contains("# EOF"), "{text}");
    let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    let open_metrics = server.ask(&format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{accept}\r\n\r\n"));
    assert!(
        open_metrics.contains("content-type: application/openmetrics-text; version=1.0.0"),
        "{open_metrics}"
    );
    assert!(open_metrics.ends_with("# EOF\n"), "{open_metrics}");
}

#[test]
fn what_is_not_there_or_not_allowed_is_refused() {
    let server = Running::start();
    assert!(server.get("/etc/passwd").starts_with("HTTP/1.1 404"));
    assert!(server.get("/metrics/../x").starts_with("HTTP/1.1 404"));
    let posted = server.ask("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert!(posted.starts_with("HTTP/1.1 405") && posted.contains("allow: GET, HEAD"), "{posted}");
    let head = server.ask("HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(server.ask("nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
}

#[test]
fn a_request_that_is_too_long_is_refused() {
    let server = Running::start();
    let mut stream = server.connect();
    let line = format!("X: {}\r\n", "x".repeat(REQUEST_MAX));
    // The server may end the connection before all of it is sent.
    let _ = stream.write_all(format!("GET / HTTP/1.1\r\n{line}{line}\r\n").as_bytes());
    let answer = everything(stream);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert!(server.get("/healthz").starts_with("HTTP/1.1 200"));
}

#[test]
fn who_sends_half_a_request_is_given_up() {
    let server = Running::start();
    let mut stream = server.connect();
    stream.write_all(b"GET /metrics HT").expect("sent");
    let began = Instant::now();
    everything(stream);
    assert!(began.elapsed() >= REQUEST_WITHIN / 2, "not before its time");
}

#[test]
fn any_number_of_silent_connections_keeps_nobody_from_being_answered() {
    let server = Running::start();
    server.offer(1);
    server.until("/readyz", "200");
    let silent: Vec<TcpStream> = (0..3 * CONNECTIONS_MAX).map(|_| server.connect()).collect();
    let began = Instant::now();
    assert!(server.get("/metrics").starts_with("HTTP/1.1 200"));
    assert!(began.elapsed() < REQUEST_WITHIN, "it did not wait for those to be given up");
    drop(silent);
}

#[test]
fn who_leaves_in_the_middle_harms_nobody() {
    let server = Running::start();
    for _ in 0..100 {
        let mut stream = server.connect();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
        let _ = stream.shutdown(Shutdown::Both);
    }
    assert!(server.get("/healthz").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_port_in_use_is_an_error() {
    let taken = Prometheus::listen(([127, 0, 0, 1], 0).into()).expect("a port");
    let error = Prometheus::listen(taken.local_addr().expect("bound")).expect_err("in use");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}
