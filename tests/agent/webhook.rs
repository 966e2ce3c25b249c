//! Receivers of a webhook, good and bad, and a program that is run.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    alerts::leaker,
    cgroup::Cgroup,
    running::{Agent, free_port},
    support::{check_refused, reapwatch, require_root, until, validate},
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

/// A directory that only root can change, as a program to run must be in.
fn of_root() -> tempfile::TempDir {
    require_root();
    tempfile::tempdir_in("/usr/local").expect("a directory")
}

fn program(directory: &tempfile::TempDir, script: &str) -> String {
    let path = directory.path().join("told");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a program");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("ours");
    path.display().to_string()
}

#[test]
fn a_program_is_run_for_each_alert_one_at_a_time_and_not_for_longer_than_it_may() {
    let directory = of_root();
    let cgroup = Cgroup::new("system.slice/reapwatch-test-exec.service");
    let out = directory.path().join("out");
    let lock = directory.path().join("lock");
    // The first one hangs. Who finds another one running says so.
    let script = format!(
        "mkdir {lock} || echo '\"two at once\"' >> {out}\n\
         grep -E 'CapEff|NoNewPrivs' /proc/self/status > {out}.status\n\
         cat >> {out}\n\
         [ -e {out}.hung ] || {{ touch {out}.hung; rmdir {lock}; sleep 600; }}\n\
         rmdir {lock}",
        lock = lock.display(),
        out = out.display()
    );
    let program = program(&directory, &script);
    let agent = Agent::start(&format!("exec.program = \"{program}\"\nexec.within = \"1s\""));
    let leaker = leaker(&cgroup, "60000");
    let pid = Value::from(leaker.child.id());
    agent.alerts_about(&pid, "found");
    drop(leaker);
    let alerts = agent.alerts_about(&pid, "over");
    let told = until("each was told", || {
        let text = std::fs::read_to_string(&out).unwrap_or_default();
        let all: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert!(!all.contains(&"two at once".into()), "{all:#?}");
        let told: Vec<Value> = all.into_iter().filter(|one| one["pid"] == pid).collect();
        (told.len() >= alerts.len()).then_some(told)
    });
    assert_eq!(told, alerts);
    let sink = format!("exec {program}");
    let labels = [("sink", sink.as_str()), ("reason", "refused")];
    agent.until_value("reapwatch_sink_dropped_total", &labels, 1.0);
    // It has no more privileges than the agent: CAP_SYS_PTRACE and CAP_BPF.
    let status = std::fs::read_to_string(format!("{}.status", out.display())).expect("its status");
    let capabilities =
        status.lines().find_map(|line| line.strip_prefix("CapEff:\t")).expect("its capabilities");
    let capabilities = u64::from_str_radix(capabilities, 16).expect("a number");
    assert_eq!(capabilities & !(1 << 19 | 1 << 39), 0, "{status}");
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
}

#[test]
fn a_program_that_others_can_change_is_refused_before_anything_is_attached() {
    let directory = of_root();
    let path = program(&directory, "true");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o775)).expect("ours");
    let config = directory.path().join("agent.toml");
    let text = format!("prometheus.listen = \"none\"\nexec.program = \"{path}\"\n");
    std::fs::write(&config, text).expect("a configuration");
    let output = reapwatch().args(["agent", "--config"]).arg(&config).output().expect("reapwatch");
    check_refused(&output, 1, &format!("others than root can change {path}: chown root, chmod go-w"));
}

#[test]
fn no_thread_of_the_agent_keeps_more_privileges_than_reading_needs() {
    let agent = Agent::start("");
    let tasks = std::fs::read_dir(format!("/proc/{}/task", agent.child.id())).expect("our own child");
    let mut threads = 0;
    for task in tasks.flatten() {
        let status = std::fs::read_to_string(task.path().join("status")).expect("a thread");
        let of = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        let capabilities = u64::from_str_radix(of("CapEff:\t"), 16).expect("a number");
        assert_eq!(capabilities & !(1 << 19 | 1 << 39), 0, "{status}");
        threads += 1;
    }
    assert!(threads > 1, "the thread that writes alerts is among them");
}
