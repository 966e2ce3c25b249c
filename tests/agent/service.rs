//! How the agent gets on with who runs it: a service manager, reloads, the end, what is wrong at the start.

use std::{
    os::unix::net::UnixDatagram,
    process::Stdio,
    time::{Duration, Instant},
};

use super::{
    cgroup::Cgroup,
    prometheus::Prometheus,
    running::{Agent, Killed, free_port, get, value_in},
    support::{binary, check_refused, reapwatch, require_root, signal, until, workload},
};

/// The socket of a service manager.
struct Manager {
    socket: UnixDatagram,
    told: Vec<String>,
}

impl Manager {
    fn new(path: &std::path::Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a time-out");
        Self { socket, told: Vec::new() }
    }

    /// Waits until a line that begins so was told, and forgets what came before.
    fn until(&mut self, beginning: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(place) = self.told.iter().position(|line| line.starts_with(beginning)) {
                return self.told.drain(..=place).next_back().expect("found");
            }
            assert!(Instant::now() < deadline, "{beginning} was not told");
            let mut message = [0; 4096];
            if let Ok(length) = self.socket.recv(&mut message) {
                let text = String::from_utf8_lossy(&message[..length]).into_owned();
                self.told.extend(text.lines().map(str::to_owned));
            }
        }
    }
}

#[test]
fn the_service_manager_is_told_that_it_is_ready_how_it_is_that_it_lives_and_that_it_ends() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("notify");
    let mut manager = Manager::new(&path);
    let environment = [("NOTIFY_SOCKET", path.to_str().expect("UTF-8")), ("WATCHDOG_USEC", "30000000")];
    let agent = Agent::start_in("", &environment);
    manager.until("READY=1");
    assert!(manager.until("STATUS=").contains(" unreaped"));
    for _ in 0..3 {
        manager.until("WATCHDOG=1");
    }
    signal(&agent.child, libc::SIGHUP);
    manager.until("RELOADING=1");
    manager.until("MONOTONIC_USEC=");
    manager.until("READY=1");
    assert_eq!(agent.end(), Some(0));
    manager.until("STOPPING=1");
}

#[test]
fn a_reload_loses_no_count_and_one_with_an_error_changes_nothing() {
    let agent = Agent::start("");
    let forked = || agent.value("reapwatch_children_forked_total", &[("workload", "short_lived")]);
    let script = "for i in 1 2 3 4 5; do true & done; wait";
    let status = std::process::Command::new("sh").args(["-c", script]).status().expect("a shell");
    assert!(status.success());
    let before = until("there are counts", || forked().filter(|count| *count >= 5.0));
    let cpu = agent.value("reapwatch_cpu_seconds_total", &[]).expect("its cost");
    agent.configure("intervall = \"5s\"\n");
    signal(&agent.child, libc::SIGHUP);
    // It goes on every second as before.
    until("it goes on", || agent.value("reapwatch_cpu_seconds_total", &[]).filter(|now| *now > cpu));
    assert!(forked() >= Some(before));
    // Its port moves.
    let port = free_port();
    let text = std::fs::read_to_string(agent.directory.path().join("agent.toml")).expect("the configuration");
    let text = text.replace(&format!("127.0.0.1:{}", agent.port), &format!("127.0.0.1:{port}"));
    std::fs::write(agent.directory.path().join("agent.toml"), text.replace("intervall", "#"))
        .expect("written");
    signal(&agent.child, libc::SIGHUP);
    let page = until("it answers there", || {
        get(port, "/metrics", "text/plain").filter(|(status, _)| *status == 200)
    });
    let after =
        super::running::value_in(&page.1, "reapwatch_children_forked_total", &[("workload", "short_lived")]);
    assert!(after >= Some(before), "{after:?} after {before}");
    until("nobody answers at the old one", || get(agent.port, "/healthz", "*/*").is_none().then_some(()));
    assert_eq!(agent.end(), Some(0));
}

#[test]
fn a_port_in_use_and_a_file_that_cannot_be_made_are_told_before_anything_is_attached() {
    require_root();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let refused = |arguments: &[&str], message: &str| {
        let output =
            reapwatch().arg("agent").args(arguments).stdin(Stdio::null()).output().expect("reapwatch");
        check_refused(&output, 1, message);
    };
    refused(&["--listen", &address], "another program has the port");
    refused(
        &["--listen", "none", "--alerts", "/nonexistent/a.jsonl"],
        "cannot open /nonexistent/a.jsonl for alerts: No such file or directory (os error 2): make the directory",
    );
    refused(&["--listen", "192.0.2.1:9", "--alerts", "none"], "give an address of this host");
}

#[test]
fn a_reader_of_alerts_that_leaves_does_not_end_it() {
    require_root();
    let port = free_port();
    let mut child = reapwatch()
        .args(["agent", "--interval", "1s", "--grace", "100ms", "--listen", &format!("127.0.0.1:{port}")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("reapwatch");
    drop(child.stdout.take());
    until("it is ready", || get(port, "/readyz", "*/*").filter(|(status, _)| *status == 200));
    let mut leaker = std::process::Command::new(workload());
    let mut leaker = leaker
        .args(["leak-all", "--count", "2", "--hold-ms", "60000"])
        .stdout(Stdio::null())
        .spawn()
        .expect("the workload");
    until("the alert was lost and counted", || {
        // The second one finds out that the reader of the first has left.
        let page = get(port, "/metrics", "text/plain")?.1;
        let sent = super::running::value_in(&page, "reapwatch_alerts_total", &[("outcome", "sent")])?;
        (sent >= 1.0).then_some(())
    });
    leaker.kill().expect("our own child");
    leaker.wait().expect("our own child");
    until("the loss is counted", || {
        let page = get(port, "/metrics", "text/plain")?.1;
        let labels = [("sink", "standard output"), ("reason", "failed")];
        super::running::value_in(&page, "reapwatch_sink_dropped_total", &labels).filter(|lost| *lost >= 1.0)
    });
    assert!(child.try_wait().expect("our own child").is_none());
    signal(&child, libc::SIGTERM);
    assert_eq!(until("it ends", || child.try_wait().expect("our own child")).code(), Some(0));
}

#[test]
fn one_that_was_killed_and_started_again_counts_from_zero_and_prometheus_sees_a_reset_and_nothing_invented() {
    let cgroup = Cgroup::new("system.slice/reapwatch-test-restart.service");
    let exited = r#"reapwatch_children_exited_total{kind="unit",workload="reapwatch-test-restart.service"}"#;
    let storm = |agent: &Agent, count: &str| {
        let command = ["storm", "--count", count, "--hold-ms", "6000"];
        let mut storm =
            cgroup.command(workload()).args(command).stdout(Stdio::null()).spawn().expect("a workload");
        let labels = [("workload", "reapwatch-test-restart.service")];
        agent.until_value("reapwatch_children_exited_total", &labels, count.parse().expect("a number"));
        assert!(storm.wait().expect("our own child").success());
    };
    let first = Agent::start("");
    let prometheus = Prometheus::scraping(first.port);
    storm(&first, "50");
    prometheus.until(exited, 50.0);
    let port = first.port;
    // SIGKILL.
    drop(first);
    let second = Agent::start_on(port, "", &[]);
    storm(&second, "20");
    prometheus.until(exited, 20.0);
    let (_, resets) = prometheus.only(&format!("resets({exited}[5m])"));
    assert_eq!(resets, 1.0);
}

#[test]
fn a_name_server_that_does_not_answer_holds_up_neither_the_agent_nor_its_end() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let silent = std::net::UdpSocket::bind("127.0.0.77:53").expect("the port of a name server");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let resolv = file("resolv.conf", "nameserver 127.0.0.77\n");
    let switch = file("nsswitch.conf", "hosts: dns\n");
    let port = free_port();
    let text = format!(
        "interval = \"1s\"\nprometheus.listen = \"127.0.0.1:{port}\"\n\
         otlp.endpoint = \"http://collector.example.com:4318\"\n"
    );
    let config = file("agent.toml", &text);
    // It alone has these for names.
    let script = "mount --bind \"$1\" /etc/resolv.conf && mount --bind \"$2\" /etc/nsswitch.conf && shift 2 && exec \"$@\"";
    let child = std::process::Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"])
        .args([&resolv, &switch])
        .arg(binary())
        .args(["agent", "--alerts", "none", "--config"])
        .arg(&config)
        .spawn()
        .expect("unshare");
    let mut child = Killed(child);
    silent.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out");
    silent.recv(&mut [0; 512]).expect("it is asked for the name");
    let page = until("there are metrics", || {
        get(port, "/metrics", "text/plain").filter(|(status, _)| *status == 200)
    });
    let cpu = |page: &str| value_in(page, "reapwatch_cpu_seconds_total", &[]);
    until("it goes on", || {
        let now = get(port, "/metrics", "text/plain")?.1;
        (cpu(&now) > cpu(&page.1)).then_some(())
    });
    let asked = Instant::now();
    signal(&child.0, libc::SIGTERM);
    let status = until("it ends", || child.0.try_wait().expect("our own child"));
    assert_eq!(status.code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
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
