//! A real rsyslogd that takes alerts: over UDP, over TCP, from a socket.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use super::{
    alerts::leaker,
    cgroup::Cgroup,
    running::{Agent, free_port},
    support::until,
};

/// A running rsyslogd with a directory of its own. Killed when dropped.
struct Rsyslog {
    child: Child,
    out: PathBuf,
}

/// What it is to be told, and where it listens.
struct Setup {
    directory: tempfile::TempDir,
    port: u16,
}

impl Setup {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory"), port: free_port() }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    fn start(&self) -> Rsyslog {
        let (path, port) = (self.directory.path().display(), self.port);
        let config = self.directory.path().join("rsyslog.conf");
        let text = format!(
            r#"
            global(workDirectory="{path}")
            module(load="imuxsock" SysSock.Use="off")
            module(load="imudp")
            module(load="imtcp")
            input(type="imuxsock" Socket="{path}/log" UseSpecialParser="off" ParseHostname="on"
                  UseSysTimeStamp="off" IgnoreTimestamp="off")
            input(type="imudp" address="127.0.0.1" port="{port}")
            input(type="imtcp" address="127.0.0.1" port="{port}")
            template(name="fields" type="list" option.jsonf="on") {{
                property(outname="version" name="protocol-version" format="jsonf")
                property(outname="priority" name="pri" format="jsonf")
                property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
                property(outname="host" name="hostname" format="jsonf")
                property(outname="program" name="app-name" format="jsonf")
                property(outname="pid" name="procid" format="jsonf")
                property(outname="message_id" name="msgid" format="jsonf")
                property(outname="data" name="structured-data" format="jsonf")
                property(outname="message" name="msg" format="jsonf")
            }}
            action(type="omfile" file="{path}/out" template="fields")
            "#
        );
        std::fs::write(&config, text).expect("a configuration");
        let child = Command::new("rsyslogd")
            .args(["-n", "-f"])
            .arg(&config)
            .arg("-i")
            .arg(self.directory.path().join("pid"))
            .stdin(Stdio::null())
            .spawn()
            .expect("Debian's package rsyslog, which `cargo xtask setup` installs");
        Rsyslog { child, out: self.directory.path().join("out") }
    }
}

impl Rsyslog {
    /// What it has received about a process.
    fn about(&self, pid: &Value) -> Vec<Value> {
        let data = format!(" pid=\"{pid}\" ");
        all(&self.out)
            .into_iter()
            .filter(|one| one["data"].as_str().is_some_and(|text| text.contains(&data)))
            .collect()
    }
}

fn all(out: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(out).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every alert about a leaker comes as it is in the lines of JSON, and in their order.
fn every_alert_comes(name: &str, receiver: &str, start: impl FnOnce(&Agent, &Value) -> Rsyslog) {
    let cgroup = Cgroup::new(&format!("system.slice/reapwatch-test-{name}.service"));
    let agent = Agent::start(&format!("syslog.to = \"{receiver}\"\nsyslog.facility = \"local3\""));
    let leaker = leaker(&cgroup, "60000");
    let pid = Value::from(leaker.child.id());
    let rsyslog = start(&agent, &pid);
    agent.alerts_about(&pid, "found");
    drop(leaker);
    let alerts = agent.alerts_about(&pid, "over");
    let received = until("rsyslog has all", || {
        Some(rsyslog.about(&pid)).filter(|received| received.len() >= alerts.len())
    });
    assert_eq!(received.len(), alerts.len(), "{received:#?}");
    for (received, alert) in received.iter().zip(&alerts) {
        let text = alert["text"].as_str().expect("a text");
        assert_eq!(received["message"].as_str().map(str::trim_start), Some(text));
        assert_eq!((&received["version"], &received["program"]), (&"1".into(), &"reapwatch".into()));
        assert_eq!(
            (&received["pid"], &received["message_id"]),
            (&agent.child.id().to_string().into(), &"leak".into())
        );
        let time = alert["time"].as_str().expect("a time");
        assert_eq!(received["time"], format!("{}Z", &time[..26]));
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
        assert_eq!(received["host"], host.trim());
        // local3 is 19; what is over is informational, and a leak a warning.
        let severity = if alert["state"] == "over" { 6 } else { 4 };
        assert_eq!(received["priority"], (19 * 8 + severity).to_string());
        let data = received["data"].as_str().expect("structured data");
        for part in [
            format!("workload=\"reapwatch-test-{name}.service\""),
            format!("state={}", alert["state"]),
            format!("id={}", alert["id"]),
        ] {
            assert!(data.contains(&part), "{part} is not in {data}");
        }
        let cause = alert["cause"]["kind"].as_str().map(|kind| format!("cause=\"{kind}\""));
        assert!(cause.is_none_or(|cause| data.contains(&cause)), "{data}");
    }
    let sink = format!("syslog {receiver}");
    for reason in ["no_room", "failed", "refused"] {
        let labels = [("sink", sink.as_str()), ("reason", reason)];
        assert_eq!(agent.value("reapwatch_sink_dropped_total", &labels), Some(0.0), "{reason}");
    }
}

#[test]
fn rsyslog_takes_alerts_over_udp() {
    let setup = Setup::new();
    let receiver = format!("udp://127.0.0.1:{}", setup.port);
    every_alert_comes("udp", &receiver, |_, _| setup.start());
}

#[test]
fn rsyslog_takes_alerts_from_a_socket() {
    let setup = Setup::new();
    let receiver = format!("unix:{}", setup.socket().display());
    every_alert_comes("socket", &receiver, |_, _| setup.start());
}

#[test]
fn rsyslog_takes_alerts_over_tcp_also_those_of_before_it_was_there() {
    let setup = Setup::new();
    let receiver = format!("tcp://localhost:{}", setup.port);
    every_alert_comes("tcp", &receiver, |agent, pid| {
        agent.alerts_about(pid, "found");
        setup.start()
    });
}
