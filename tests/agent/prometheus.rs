//! A real Prometheus, with a directory of its own, that scrapes one agent.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use super::{
    running::{free_port, get},
    support::until,
};

/// A running Prometheus. Killed when dropped.
pub struct Prometheus {
    child: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    /// Scrapes this port every second.
    pub fn scraping(agent_port: u16) -> Self {
        Self::scraping_with(agent_port, "")
    }

    /// The same, with more lines of its configuration for that, indented by two.
    pub fn scraping_with(agent_port: u16, more: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let config = directory.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             scrape_configs:\n- job_name: reapwatch\n  static_configs:\n  - targets: ['127.0.0.1:{agent_port}']\n{more}"
        );
        std::fs::write(&config, text).expect("a configuration");
        let port = free_port();
        let child = start(&config, &directory.path().join("data"), port);
        let mut prometheus = Self { child, port, _directory: directory };
        until("Prometheus is ready", || {
            assert!(prometheus.child.try_wait().expect("our own child").is_none(), "Prometheus ended early");
            get(port, "/-/ready", "*/*").filter(|(status, _)| *status == 200)
        });
        prometheus
    }

    /// What a query gives now: labels and value of each series.
    pub fn query(&self, query: &str) -> Vec<(Value, f64)> {
        let escaped: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let (status, body) =
            get(self.port, &format!("/api/v1/query?query={escaped}"), "*/*").expect("an answer");
        let answer: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!((status, &answer["status"]), (200, &Value::from("success")), "{query}: {answer:#}");
        let results = answer["data"]["result"].as_array().expect("a vector").clone();
        results
            .into_iter()
            .map(|one| {
                let value = one["value"][1].as_str().and_then(|value| value.parse().ok()).expect("a number");
                (one["metric"].clone(), value)
            })
            .collect()
    }

    /// The only series of a query, once there is one.
    pub fn only(&self, query: &str) -> (Value, f64) {
        let mut all = until(&format!("Prometheus has {query}"), || {
            Some(self.query(query)).filter(|all| !all.is_empty())
        });
        assert_eq!(all.len(), 1, "{query}: {all:#?}");
        all.remove(0)
    }

    /// What it says of the last scrape; empty where nothing was wrong.
    pub fn last_error(&self) -> String {
        let (_, body) = get(self.port, "/api/v1/targets", "*/*").expect("an answer");
        let answer: Value = serde_json::from_str(&body).expect("JSON");
        answer["data"]["activeTargets"][0]["lastError"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until a query gives this number.
    pub fn until(&self, query: &str, expected: f64) {
        until(&format!("{query} is {expected}; it is {:?}", self.query(query)), || {
            (self.query(query).first().map(|(_, value)| *value) == Some(expected)).then_some(())
        });
    }
}

fn start(config: &Path, data: &Path, port: u16) -> Child {
    Command::new("prometheus")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", data.display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--log.level=warn")
        .stdin(Stdio::null())
        .spawn()
        .expect("Debian's package prometheus, which `cargo xtask setup` installs")
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
