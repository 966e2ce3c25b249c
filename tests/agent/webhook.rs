//! Receivers of a webhook, good and bad.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    alerts::leaker,
    cgroup::Cgroup,
    running::{Agent, free_port},
    secured::{Authority, Secured},
    support::{signal, until, validate},
};

/// What a receiver does with a connection.
type Behaviour = Box<dyn FnMut(TcpStream) + Send>;

/// Serves each connection with the next behaviour; with the last one from then on.
fn serve(port: u16, behaviours: Vec<Behaviour>) -> Arc<Mutex<usize>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a port");
    let served = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&served);
    std::thread::spawn(move || {
        let mut behaviours = behaviours.into_iter().peekable();
        let mut current = behaviours.next().expect("one at least");
        for stream in listener.incoming().flatten() {
            current(stream);
            *counted.lock().expect("no panic") += 1;
            if behaviours.peek().is_some() {
                current = behaviours.next().expect("peeked");
            }
        }
    });
    served
}

/// Reads a request to its end: its head and its body.
fn request(stream: &TcpStream) -> (String, String) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).expect("a request") > 0, "{head}");
    }
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.trim().parse().ok());
    let mut body = vec![0; length.expect("its length")];
    reader.read_exact(&mut body).expect("the body");
    (head, String::from_utf8(body).expect("UTF-8"))
}

fn answers(answer: &'static str) -> Behaviour {
    Box::new(move |mut stream| {
        request(&stream);
        let _ = stream.write_all(answer.as_bytes());
    })
}

fn hangs(held: &Arc<Mutex<Vec<TcpStream>>>) -> Behaviour {
    let held = Arc::clone(held);
    Box::new(move |stream| held.lock().expect("no panic").push(stream))
}

/// Keeps what it is sent.
fn takes(received: &Arc<Mutex<Vec<(String, Value)>>>) -> Behaviour {
    let received = Arc::clone(received);
    Box::new(move |mut stream| {
        let (head, body) = request(&stream);
        let alert = serde_json::from_str(&body).expect("JSON");
        received.lock().expect("no panic").push((head, alert));
        let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
    })
}

fn about(received: &Mutex<Vec<(String, Value)>>, pid: &Value) -> Vec<Value> {
    let received = received.lock().expect("no panic");
    received.iter().map(|(_, alert)| alert.clone()).filter(|alert| alert["pid"] == *pid).collect()
}

#[test]
fn a_webhook_gets_every_alert_whatever_its_receiver_did_before() {
    let cgroup = Cgroup::new("system.slice/reapwatch-test-webhook.service");
    let (received, held) = (Arc::default(), Arc::default());
    let port = free_port();
    let agent = Agent::start(&format!("webhook.url = \"http://127.0.0.1:{port}/hook?token=secret\""));
    let leaker = leaker(&cgroup, "120000");
    let pid = Value::from(leaker.child.id());
    // Nobody listens at first.
    agent.alerts_about(&pid, "found");
    let served = serve(
        port,
        vec![
            answers("\x00\x01 nonsense\r\n\r\n"),
            answers("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of"),
            hangs(&held),
            takes(&received),
        ],
    );
    drop(leaker);
    let alerts = agent.alerts_about(&pid, "over");
    let deadline = Instant::now() + Duration::from_secs(180);
    while about(&received, &pid).len() < alerts.len() {
        assert!(Instant::now() < deadline, "not in time; {} connections", served.lock().expect("no panic"));
        // It is never held up.
        assert!(agent.value("reapwatch_cpu_seconds_total", &[]).is_some());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(about(&received, &pid), alerts);
    for alert in &alerts {
        validate("alert", alert);
    }
    let (head, _) = received.lock().expect("no panic").first().cloned().expect("one");
    assert!(head.starts_with("POST /hook?token=secret HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("content-type: application/json\r\n"), "{head}");
    let sink = format!("webhook http://127.0.0.1:{port}");
    for reason in ["no_room", "failed", "refused"] {
        let labels = [("sink", sink.as_str()), ("reason", reason)];
        assert_eq!(agent.value("reapwatch_sink_dropped_total", &labels), Some(0.0), "{reason}");
    }
    assert!(!agent.page().contains("secret"));
}

#[test]
fn a_receiver_whose_certificate_has_expired_gets_nothing_until_it_is_renewed_and_then_everything() {
    let cgroup = Cgroup::new("system.slice/reapwatch-test-expired.service");
    let (received, authority, port) = (Arc::default(), Authority::new(), free_port());
    let served = serve(port, vec![takes(&received)]);
    let secured = Secured::before(port, &authority, -1, false);
    let headers = authority.file("headers");
    std::fs::write(&headers, "Authorization: Bearer s3cr3t\n").expect("written");
    let url = format!("https://127.0.0.1:{}", secured.port);
    let agent = Agent::start(&format!(
        "webhook = {{ url = \"{url}/hook\", headers_file = {headers:?}, tls.ca_file = {:?} }}",
        authority.file("ca.pem")
    ));
    let leaker = leaker(&cgroup, "60000");
    let pid = Value::from(leaker.child.id());
    drop(agent.alerts_about(&pid, "found"));
    until("it says why", || agent.said().contains("its certificate has expired").then_some(()));
    assert_eq!(*served.lock().expect("no panic"), 0);
    secured.renew(&authority, 30);
    drop(leaker);
    let alerts = agent.alerts_about(&pid, "over");
    until("all have come", || (about(&received, &pid) == alerts).then_some(()));
    let (head, _) = received.lock().expect("no panic").first().cloned().expect("one");
    assert!(head.contains("authorization: Bearer s3cr3t\r\n"), "{head}");
    let labels = [("sink", format!("webhook {url}"))];
    let labels: Vec<_> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for reason in ["no_room", "failed", "refused"] {
        let labels = [&labels[..], &[("reason", reason)]].concat();
        assert_eq!(agent.value("reapwatch_sink_dropped_total", &labels), Some(0.0), "{reason}");
    }
    let said = agent.said();
    assert!(said.contains("takes deliveries again"), "{said}");
    assert!(
        !said.contains("s3cr3t") && !said.contains("/hook") && !agent.page().contains("s3cr3t"),
        "{said}"
    );
    // A file that is none is told at the next delivery, and what it held before counts.
    std::fs::remove_file(&headers).expect("it was there");
    signal(&agent.child, libc::SIGHUP);
    let another = super::alerts::leaker(&cgroup, "60000");
    let pid = Value::from(another.child.id());
    until("it comes too", || about(&received, &pid).pop());
    assert!(agent.said().contains("headers: cannot be read"), "{}", agent.said());
}

#[test]
fn a_receiver_that_a_reload_adds_gets_what_comes_from_then_on() {
    let cgroup = Cgroup::new("system.slice/reapwatch-test-added.service");
    let received = Arc::default();
    let port = free_port();
    serve(port, vec![takes(&received)]);
    let agent = Agent::start("");
    // A program that cannot be run is left out, and what can be started is.
    agent.configure(&format!(
        "webhook.url = \"http://localhost:{port}\"\nexec.program = \"/nonexistent/program\""
    ));
    signal(&agent.child, libc::SIGHUP);
    let sink = format!("webhook http://localhost:{port}");
    let labels = [("sink", sink.as_str()), ("reason", "refused")];
    agent.until_value("reapwatch_sink_dropped_total", &labels, 0.0);
    let leaker = leaker(&cgroup, "60000");
    let pid = Value::from(leaker.child.id());
    drop(agent.alerts_about(&pid, "found"));
    drop(leaker);
    let alerts = agent.alerts_about(&pid, "over");
    until("all have come", || (about(&received, &pid) == alerts).then_some(()));
    // And one that a reload takes away gets nothing more, and is in no metric.
    agent.configure("");
    signal(&agent.child, libc::SIGHUP);
    until("it is gone", || agent.value("reapwatch_sink_dropped_total", &labels).is_none().then_some(()));
}

#[test]
fn what_a_webhook_refuses_is_counted_and_not_sent_again() {
    let cgroup = Cgroup::new("system.slice/reapwatch-test-refused.service");
    let port = free_port();
    let served = serve(port, vec![answers("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")]);
    let agent = Agent::start(&format!("webhook.url = \"http://127.0.0.1:{port}\""));
    let leaker = leaker(&cgroup, "60000");
    let pid = Value::from(leaker.child.id());
    agent.alerts_about(&pid, "found");
    drop(leaker);
    agent.alerts_about(&pid, "over");
    until("each is counted once", || {
        let sent = agent.value("reapwatch_alerts_total", &[("outcome", "sent")])?;
        let sink = format!("webhook http://127.0.0.1:{port}");
        let labels = [("reason", "refused"), ("sink", sink.as_str())];
        let refused = agent.value("reapwatch_sink_dropped_total", &labels)?;
        (sent == refused && refused == *served.lock().expect("no panic") as f64).then_some(())
    });
}
