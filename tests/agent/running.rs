//! An agent under test, and what it answers.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};

use serde_json::Value;

use super::support::{GRACE, reapwatch, require_root, signal, until};

/// A port that nobody has.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("bound").port()
}

/// Status and body of what is answered; `None` while nobody answers.
pub fn get(port: u16, path: &str, accept: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8(answer).expect("UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Some((status, if is_chunked { unchunked(body) } else { body.to_owned() }))
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).expect("a length");
        if length == 0 {
            break;
        }
        whole.push_str(&rest[..length]);
        body = &rest[length + 2..];
    }
    whole
}

/// A running agent. Killed when dropped.
pub struct Agent {
    pub child: Child,
    pub port: u16,
    pub directory: tempfile::TempDir,
}

impl Agent {
    /// With what `more` adds to its configuration; ready.
    pub fn start(more: &str) -> Self {
        Self::start_in(more, &[])
    }

    /// The same, with these variables in its environment.
    pub fn start_in(more: &str, environment: &[(&str, &str)]) -> Self {
        Self::start_on(free_port(), more, environment)
    }

    /// The same, with its metrics on this port.
    pub fn start_on(port: u16, more: &str, environment: &[(&str, &str)]) -> Self {
        require_root();
        let directory = tempfile::tempdir().expect("a directory");
        let config = directory.path().join("agent.toml");
        write_config(&config, port, directory.path(), more);
        let errors = std::fs::File::create(directory.path().join("stderr")).expect("a file");
        let child = reapwatch()
            .arg("agent")
            .arg("--config")
            .arg(&config)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stderr(errors)
            .spawn()
            .expect("reapwatch");
        let mut agent = Self { child, port, directory };
        until("the agent is ready", || {
            assert!(agent.child.try_wait().expect("our own child").is_none(), "{}", agent.said());
            get(port, "/readyz", "*/*").filter(|(status, _)| *status == 200)
        });
        agent
    }

    /// One whose metrics are protected by what is in this file; it listens.
    pub fn start_protected(web_config: &Path) -> Self {
        require_root();
        let (port, directory) = (free_port(), tempfile::tempdir().expect("a directory"));
        let config = directory.path().join("agent.toml");
        let more = format!("prometheus.web_config = {:?}", web_config.display().to_string());
        write_config(&config, port, directory.path(), &more);
        let errors = std::fs::File::create(directory.path().join("stderr")).expect("a file");
        let mut command = reapwatch();
        command.arg("agent").arg("--config").arg(&config).stdin(Stdio::null()).stderr(errors);
        let child = command.spawn().expect("reapwatch");
        let mut agent = Self { child, port, directory };
        until("the agent listens", || {
            assert!(agent.child.try_wait().expect("our own child").is_none(), "{}", agent.said());
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
        });
        agent
    }

    /// What it has said on standard error.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("stderr")).unwrap_or_default()
    }

    /// Another configuration, which it reads when it is told to.
    pub fn configure(&self, more: &str) {
        write_config(&self.directory.path().join("agent.toml"), self.port, self.directory.path(), more);
    }

    pub fn alerts_path(&self) -> PathBuf {
        self.directory.path().join("alerts.jsonl")
    }

    /// What it has told so far.
    pub fn alerts(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.alerts_path()).unwrap_or_default();
        // The last line may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// The alerts about a process, once there is one in this state.
    pub fn alerts_about(&self, pid: &Value, state: &str) -> Vec<Value> {
        until(&format!("an alert is {state}"), || {
            let of_it: Vec<Value> = self.alerts().into_iter().filter(|one| one["pid"] == *pid).collect();
            of_it.iter().any(|one| one["state"] == state).then_some(of_it)
        })
    }

    pub fn page(&self) -> String {
        let (status, body) = get(self.port, "/metrics", "text/plain").expect("an answer");
        assert_eq!(status, 200, "{body}");
        body
    }

    /// The value of a series with these labels, among others.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        value_in(&self.page(), name, labels)
    }

    /// Waits until the agent says this of a series.
    pub fn until_value(&self, name: &str, labels: &[(&str, &str)], expected: f64) {
        until(&format!("{name}{labels:?} is {expected}; it is {:?}", self.value(name, labels)), || {
            (self.value(name, labels) == Some(expected)).then_some(())
        });
    }

    /// Tells it to end, and waits; its exit code.
    pub fn end(mut self) -> Option<i32> {
        signal(&self.child, libc::SIGINT);
        until("it ends", || self.child.try_wait().expect("our own child")).code()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the agent has said: {}", self.said());
        }
    }
}

/// A process that is killed when dropped.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `more`: keys of the top first, then tables.
fn write_config(path: &Path, port: u16, directory: &Path, more: &str) {
    let alerts = directory.join("alerts.jsonl");
    let text = format!(
        "interval = \"1s\"\ngrace = \"{GRACE}\"\nprometheus.listen = \"127.0.0.1:{port}\"\n\
         alerts.output = {:?}\nalerts.over_after = \"2s\"\n{more}\n",
        alerts.display().to_string()
    );
    std::fs::write(path, text).expect("a configuration");
}

pub fn value_in(page: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let is_it = |line: &&str| {
        line.split(['{', ' ']).next() == Some(name)
            && labels.iter().all(|(label, value)| line.contains(&format!("{label}=\"{value}\"")))
    };
    page.lines().find(is_it)?.rsplit(' ').next()?.parse().ok()
}
