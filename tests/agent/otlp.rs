//! A real receiver of OTLP, which hands on what it has received, read with OpenTelemetry's own types.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest},
    common::v1::{KeyValue, any_value::Value as Any},
    logs::v1::LogRecord,
    metrics::v1::{AggregationTemporality, Metric, metric::Data, number_data_point::Value as Number},
};
use prost::Message;
use serde_json::Value;

use super::{
    alerts::leaker,
    cgroup::Cgroup,
    running::{Agent, free_port},
    secured::{Authority, Secured},
    support::{binary, until, workload},
};

/// A running rotel, and what it has handed on. Killed when dropped.
struct Rotel {
    child: Child,
    received: Arc<Mutex<Received>>,
    _directory: tempfile::TempDir,
}

#[derive(Default)]
struct Received {
    /// The last request of metrics.
    metrics: ExportMetricsServiceRequest,
    records: Vec<LogRecord>,
}

impl Rotel {
    /// On these ports.
    fn start((grpc_port, http_port): (u16, u16)) -> Self {
        let received = Arc::default();
        let directory = tempfile::tempdir().expect("a directory");
        let to = hand_on_to(&received);
        let file = |name: &str| directory.path().join(name);
        let child = Command::new(program())
            .arg("start")
            .args(["--exporter", "otlp", "--otlp-exporter-protocol", "http"])
            .args(["--batch-timeout", "50ms"])
            .args(["--otlp-exporter-endpoint", &format!("http://127.0.0.1:{to}")])
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc_port}")])
            .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http_port}")])
            .arg("--pid-file")
            .arg(file("pid"))
            .arg("--log-file")
            .arg(file("log"))
            .stdin(Stdio::null())
            .spawn()
            .expect("rotel");
        Self { child, received, _directory: directory }
    }

    /// What it has received of logs about a process.
    fn records_about(&self, pid: &Value) -> Vec<LogRecord> {
        let received = self.received.lock().expect("no panic");
        let pid = pid.to_string();
        let is_about = |record: &&LogRecord| text_of(&record.attributes, "process.pid") == pid;
        received.records.iter().filter(is_about).cloned().collect()
    }

    /// The last metrics.
    fn metrics(&self) -> Vec<Metric> {
        let received = self.received.lock().expect("no panic");
        let of_resources = received.metrics.resource_metrics.iter();
        of_resources.flat_map(|one| &one.scope_metrics).flat_map(|one| one.metrics.clone()).collect()
    }

    fn resource(&self) -> Vec<KeyValue> {
        let received = self.received.lock().expect("no panic");
        let first = received.metrics.resource_metrics.first().and_then(|one| one.resource.clone());
        first.map(|resource| resource.attributes).unwrap_or_default()
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In the virtual environment that `cargo xtask setup` makes.
fn program() -> PathBuf {
    let target = binary().ancestors().nth(2).expect("a target directory").join("rotel/lib");
    let versions = std::fs::read_dir(&target).into_iter().flatten().flatten();
    versions
        .map(|version| version.path().join("site-packages/rotel/rotel-agent"))
        .find(|program| program.exists())
        .unwrap_or_else(|| panic!("no rotel below {}: run `cargo xtask setup`", target.display()))
}

/// The port to which everything is handed on.
fn hand_on_to(received: &Arc<Mutex<Received>>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let received = Arc::clone(received);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let received = Arc::clone(&received);
            std::thread::spawn(move || take(&stream, &received));
        }
    });
    port
}

/// Takes requests of one connection, to its end.
fn take(mut stream: &TcpStream, received: &Mutex<Received>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.trim().parse().ok());
        let mut body = vec![0; length.expect("its length")];
        reader.read_exact(&mut body).expect("the body");
        if head.to_ascii_lowercase().contains("content-encoding: gzip") {
            let packed = std::mem::take(&mut body);
            flate2::read::GzDecoder::new(&*packed).read_to_end(&mut body).expect("gzip");
        }
        let mut received = received.lock().expect("no panic");
        if head.contains("/v1/metrics") {
            received.metrics = ExportMetricsServiceRequest::decode(&*body).expect("metrics");
        } else {
            let request = ExportLogsServiceRequest::decode(&*body).expect("logs");
            let scopes = request.resource_logs.into_iter().flat_map(|one| one.scope_logs);
            received.records.extend(scopes.flat_map(|one| one.log_records));
        }
        drop(received);
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn text_of(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|one| one.key == key).and_then(|one| one.value.clone()?.value);
    match found {
        Some(Any::StringValue(text)) => text,
        Some(Any::IntValue(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// The series of a workload as the page of metrics has them: name, with the bound where there is one, and value.
fn series(metrics: &[Metric], name: &str) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    let is_of = |attributes: &[KeyValue]| text_of(attributes, "reapwatch.workload.name") == name;
    for metric in metrics {
        let unit = if metric.unit == "s" { "_seconds" } else { "" };
        let called = format!("{}{unit}", metric.name.replace('.', "_"));
        match &metric.data {
            Some(Data::Histogram(histogram)) => {
                assert_eq!(histogram.aggregation_temporality(), AggregationTemporality::Cumulative);
                for point in histogram.data_points.iter().filter(|point| is_of(&point.attributes)) {
                    found.insert(format!("{called}_sum"), point.sum.expect("a sum"));
                    found.insert(format!("{called}_count"), point.count as f64);
                    let bounds = point.explicit_bounds.iter().copied().chain([f64::INFINITY]);
                    let mut below = 0;
                    for (bound, count) in bounds.zip(&point.bucket_counts) {
                        below += count;
                        found.insert(format!("{called}_bucket {bound:e}"), below as f64);
                    }
                }
            }
            Some(Data::Sum(sum)) => {
                for point in sum.data_points.iter().filter(|point| is_of(&point.attributes)) {
                    found.insert(format!("{called}_total"), number(point.value));
                }
            }
            Some(Data::Gauge(gauge)) => {
                for point in gauge.data_points.iter().filter(|point| is_of(&point.attributes)) {
                    found.insert(called.clone(), number(point.value));
                }
            }
            other => panic!("{other:?}"),
        }
    }
    found
}

fn number(value: Option<Number>) -> f64 {
    match value {
        Some(Number::AsInt(whole)) => whole as f64,
        Some(Number::AsDouble(real)) => real,
        None => panic!("a point without a number"),
    }
}

/// The same from the page.
fn on_page(page: &str, name: &str) -> BTreeMap<String, f64> {
    let label = format!("workload=\"{name}\"");
    let mut found = BTreeMap::new();
    for line in page.lines().filter(|line| line.contains(&label)) {
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let called = series.split('{').next().expect("a name");
        let bound = series.split_once("le=\"").and_then(|(_, rest)| rest.split('"').next());
        let called = match bound {
            Some("+Inf") => format!("{called} {:e}", f64::INFINITY),
            Some(bound) => format!("{called} {:e}", bound.parse::<f64>().expect("a bound")),
            None => called.to_owned(),
        };
        found.insert(called, value.parse().expect("a number"));
    }
    found
}

fn epoch_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64
}

/// Counts, latencies and alerts of a unit, by one transport, to a receiver that is started late. Where there is an authority, packed and
/// over TLS that asks for the agent's certificate.
fn everything_comes(transport: &str, authority: Option<&Authority>) {
    let kind = if authority.is_some() { "tls" } else { "plain" };
    let name = format!("reapwatch-test-otlp-{transport}-{kind}.service");
    let cgroup = Cgroup::new(&format!("system.slice/{name}"));
    let ports = (free_port(), free_port());
    let port = if transport == "grpc" { ports.0 } else { ports.1 };
    let began_ns = epoch_ns();
    let (url, more) = match authority {
        None => (format!("http://127.0.0.1:{port}"), String::new()),
        Some(authority) => {
            authority.issue_for_the_agent();
            let secured = Secured::before(port, authority, 30, true);
            let file = |name: &str| authority.file(name).display().to_string();
            let more = format!(
                "otlp.compression = \"gzip\"\notlp.headers = {{ Authorization = \"Bearer s3cr3t\" }}\n\
                 otlp.tls = {{ ca_file = {:?}, cert_file = {:?}, key_file = {:?} }}",
                file("ca.pem"),
                file("client.crt"),
                file("client.key")
            );
            (format!("https://127.0.0.1:{}", secured.port), more)
        }
    };
    let agent = Agent::start(&format!("otlp.endpoint = \"{url}\"\notlp.transport = \"{transport}\"\n{more}"));
    let leaker = leaker(&cgroup, "60000");
    let pid = Value::from(leaker.child.id());
    agent.alerts_about(&pid, "found");
    let rotel = Rotel::start(ports);
    let storm = ["storm", "--count", "200", "--hold-ms", "6000"];
    let storm = cgroup.command(workload()).args(storm).output().expect("the workload");
    assert!(storm.status.success());
    drop(leaker);
    let alerts = agent.alerts_about(&pid, "over");
    let records = until("it has all alerts", || {
        Some(rotel.records_about(&pid)).filter(|records| records.len() >= alerts.len())
    });
    assert_eq!(records.len(), alerts.len(), "{records:#?}");
    for (record, alert) in records.iter().zip(&alerts) {
        let body = record.body.clone().and_then(|body| body.value);
        assert_eq!(body, Some(Any::StringValue(alert["text"].as_str().expect("a text").into())));
        let state = alert["state"].as_str().expect("a state");
        assert_eq!(record.event_name, format!("reapwatch.leak.{state}"));
        assert_eq!(record.severity_number, if state == "over" { 9 } else { 13 });
        assert_eq!(text_of(&record.attributes, "reapwatch.workload.name"), name);
        assert_eq!(text_of(&record.attributes, "process.executable.name"), "workload");
        let cause = alert["cause"]["kind"].as_str().unwrap_or_default();
        assert_eq!(text_of(&record.attributes, "reapwatch.cause"), cause);
    }
    // The workload is at rest: what one says the other says too, to the last bucket.
    let labels = [("workload", name.as_str())];
    agent.until_value("reapwatch_children_exited_total", &labels, 205.0);
    agent.until_value("reapwatch_unreaped_children", &labels, 0.0);
    let page = until("both say the same", || {
        let page = on_page(&agent.page(), &name);
        (series(&rotel.metrics(), &name) == page).then_some(page)
    });
    assert_eq!(page.get("reapwatch_children_reaped_total"), Some(&200.0), "{page:#?}");
    assert_eq!(page.get("reapwatch_reap_latency_seconds_count"), Some(&200.0), "{page:#?}");
    assert_eq!(page.keys().filter(|key| key.contains("_bucket ")).count(), 2 * 14, "{page:#?}");
    // All counts began with the agent, but those of the kernel.
    let starts: Vec<u64> = rotel
        .metrics()
        .iter()
        .filter(|metric| metric.name != "reapwatch.pids_forks_refused")
        .filter_map(|metric| match &metric.data {
            Some(Data::Sum(sum)) => Some(sum.data_points.iter().map(|point| point.start_time_unix_nano)),
            _ => None,
        })
        .flatten()
        .collect();
    assert!(starts.iter().all(|start| *start == starts[0]), "{starts:?}");
    assert!((began_ns..epoch_ns()).contains(&starts[0]), "{began_ns} {starts:?}");
    let resource = rotel.resource();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    assert_eq!(text_of(&resource, "service.name"), "reapwatch");
    assert_eq!(text_of(&resource, "host.name"), host.trim());
    let sink = format!("otlp {url}");
    for reason in ["no_room", "failed", "refused"] {
        let labels = [("sink", sink.as_str()), ("reason", reason)];
        assert_eq!(agent.value("reapwatch_sink_dropped_total", &labels), Some(0.0), "{reason}");
    }
}

#[test]
fn a_receiver_of_otlp_over_grpc_has_what_prometheus_has_and_every_alert() {
    everything_comes("grpc", None);
}

#[test]
fn a_receiver_of_otlp_over_http_has_what_prometheus_has_and_every_alert() {
    everything_comes("http", None);
}

#[test]
fn a_receiver_of_otlp_over_grpc_gets_it_packed_over_tls_from_an_agent_that_it_knows() {
    everything_comes("grpc", Some(&Authority::new()));
}

#[test]
fn a_receiver_of_otlp_over_http_gets_it_packed_over_tls_from_an_agent_that_it_knows() {
    everything_comes("http", Some(&Authority::new()));
}
