//! A real systemd-journald, of a namespace of its own, that takes alerts with their fields.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use super::{
    alerts::leaker,
    cgroup::Cgroup,
    running::Agent,
    support::{require_root, until},
};

/// A running journald. Killed when dropped, and what it wrote removed.
struct Journald {
    namespace: String,
    child: Child,
}

impl Journald {
    fn start(name: &str) -> Self {
        require_root();
        let namespace = format!("reapwatch-{name}-{}", std::process::id());
        let child = Command::new("/lib/systemd/systemd-journald")
            .arg(&namespace)
            .stdin(Stdio::null())
            .spawn()
            .expect("Debian's package systemd, which `cargo xtask setup` installs");
        let journald = Self { namespace, child };
        until("journald listens", || journald.socket().exists().then_some(()));
        journald
    }

    fn directory(&self) -> PathBuf {
        format!("/run/systemd/journal.{}", self.namespace).into()
    }

    fn socket(&self) -> PathBuf {
        self.directory().join("socket")
    }

    /// The entries with this field.
    fn entries(&self, field: &str, value: &str) -> Vec<Value> {
        let output = Command::new("journalctl")
            .args(["--output=json", "--no-pager", "--quiet", "--all"])
            .arg(format!("--namespace={}", self.namespace))
            .arg(format!("{field}={value}"))
            .output()
            .expect("journalctl");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

impl Drop for Journald {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(self.directory());
        let Ok(machine) = std::fs::read_to_string("/etc/machine-id") else { return };
        for parent in ["/var/log/journal", "/run/log/journal"] {
            let of_namespace = format!("{parent}/{}.{}", machine.trim(), self.namespace);
            let _ = std::fs::remove_dir_all(of_namespace);
        }
    }
}

#[test]
fn the_journal_has_each_alert_with_its_fields() {
    let journald = Journald::start("fields");
    let cgroup = Cgroup::new("system.slice/reapwatch-test-journal.service");
    let agent = Agent::start(&format!(
        "journald.enabled = true\njournald.socket = \"{}\"",
        journald.socket().display()
    ));
    let leaker = leaker(&cgroup, "60000");
    let pid = Value::from(leaker.child.id());
    agent.alerts_about(&pid, "found");
    drop(leaker);
    let alerts = agent.alerts_about(&pid, "over");
    let entries = until("the journal has all", || {
        Some(journald.entries("REAPWATCH_PID", &pid.to_string())).filter(|all| all.len() >= alerts.len())
    });
    assert_eq!(entries.len(), alerts.len(), "{entries:#?}");
    for (entry, alert) in entries.iter().zip(&alerts) {
        for (field, expected) in [
            ("MESSAGE", &alert["text"]),
            ("REAPWATCH_STATE", &alert["state"]),
            ("REAPWATCH_ID", &alert["id"]),
            ("REAPWATCH_VERDICT", &alert["verdict"]),
            ("REAPWATCH_CAUSE", &alert["cause"]["kind"]),
            ("REAPWATCH_WORKLOAD", &"reapwatch-test-journal.service".into()),
            ("REAPWATCH_COMMAND", &"workload".into()),
            ("SYSLOG_IDENTIFIER", &"reapwatch".into()),
            ("PRIORITY", &if alert["state"] == "over" { "6".into() } else { "4".into() }),
            // journald's own word on who has sent it.
            ("_PID", &agent.child.id().to_string().into()),
        ] {
            assert_eq!(&entry[field], expected, "{field}");
        }
    }
    let found = journald.entries("MESSAGE_ID", "d093a4eaedb54f15bb6e72f60af75ec5");
    assert!(found.len() >= alerts.len(), "{found:#?}");
}
