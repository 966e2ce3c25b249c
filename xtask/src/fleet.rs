//! `fleet`: what one agent's metrics come to, and what a Prometheus needs for many nodes like it. It serves a real page of an agent as so many
//! nodes, each with an `instance` of its own, to a real Prometheus, and reads what that uses.
//!
//! Owns how a page is made to look as if it were another one each time. Must not know what a metric means.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::shell::Outcome;

#[derive(clap::Args)]
pub struct FleetArgs {
    /// A page of metrics of an agent, such as `curl http://127.0.0.1:9779/metrics` has written to a file
    #[arg(long)]
    page: PathBuf,
    /// Nodes; 0: only says what the page comes to
    #[arg(long, default_value_t = 1_000)]
    nodes: u32,
    /// How often each is scraped, in seconds
    #[arg(long, default_value_t = 15)]
    interval_s: u64,
    /// How long Prometheus runs, in seconds
    #[arg(long, default_value_t = 300)]
    seconds: u64,
}

/// A sample, and whether it is a count: counts grow each time.
struct Sample {
    series: String,
    value: f64,
    grows: bool,
}

struct Page {
    /// Lines that are the same each time: names, types, gauges.
    samples: Vec<Result<Sample, String>>,
    bytes: usize,
}

impl Page {
    fn parse(text: &str) -> Self {
        let sample = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            let name = series.split('{').next()?;
            let value: f64 = value.parse().ok()?;
            let counts = ["_total", "_bucket", "_count", "_sum"].iter().any(|end| name.ends_with(end));
            Some(Sample { series: series.to_owned(), value, grows: counts && value != 0.0 })
        };
        let of = |line: &str| match sample(line) {
            Some(found) if !line.starts_with('#') => Ok(found),
            _ => Err(line.to_owned()),
        };
        Self { samples: text.lines().map(of).collect(), bytes: text.len() }
    }

    fn series(&self) -> usize {
        self.samples.iter().flatten().count()
    }

    /// As it is after so many scrapes.
    fn after(&self, scrapes: u64) -> String {
        let mut text = String::with_capacity(self.bytes + 4_096);
        for line in &self.samples {
            match line {
                Err(line) => text.push_str(line),
                Ok(sample) => {
                    let grown = if sample.grows { scrapes as f64 } else { 0.0 };
                    text.push_str(&format!("{} {}", sample.series, sample.value + grown));
                }
            }
            text.push('\n');
        }
        text
    }

    /// Series by metric, most first.
    fn by_metric(&self) -> Vec<(String, usize)> {
        let mut counts = BTreeMap::<String, usize>::new();
        for sample in self.samples.iter().flatten() {
            let name = sample.series.split('{').next().unwrap_or_default();
            let family = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end));
            *counts.entry(family.unwrap_or(name).to_owned()).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts
    }
}

pub fn fleet(args: &FleetArgs) -> Outcome<()> {
    let text = fs::read_to_string(&args.page)
        .map_err(|error| format!("cannot read {}: {error}", args.page.display()))?;
    let page = Arc::new(Page::parse(&text));
    let workloads: std::collections::BTreeSet<_> =
        text.lines().filter_map(|line| line.split("workload=\"").nth(1)?.split('"').next()).collect();
    println!("| one node | |\n| --- | --- |");
    println!("| workloads on the page | {} |", workloads.len());
    println!("| series | {} |", page.series());
    println!("| bytes a scrape | {} |", page.bytes);
    println!(
        "| samples a second, every {} s | {:.0} |",
        args.interval_s,
        page.series() as f64 / args.interval_s as f64
    );
    for (metric, series) in page.by_metric().into_iter().take(6) {
        println!("| series of `{metric}` | {series} |");
    }
    if args.nodes > 0 {
        scraped(args, &page)?;
    }
    Ok(())
}

fn scraped(args: &FleetArgs, page: &Arc<Page>) -> Outcome<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
    let nodes_port = listener.local_addr().map_err(|error| error.to_string())?.port();
    let served = Arc::new(AtomicU64::new(0));
    let (nodes, count, of_nodes) = (u64::from(args.nodes), Arc::clone(&served), Arc::clone(page));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (page, count) = (Arc::clone(&of_nodes), Arc::clone(&count));
            thread::spawn(move || serve(&stream, &page, &count, nodes));
        }
    });
    let directory = std::env::temp_dir().join(format!("reapwatch-fleet-{}", std::process::id()));
    let prometheus = Prometheus::start(&directory, nodes_port, args)?;
    let (began, cpu_before) = (Instant::now(), prometheus.cpu_s());
    let mut most_rss = 0.0f64;
    while began.elapsed() < Duration::from_secs(args.seconds) {
        thread::sleep(Duration::from_secs(5));
        most_rss = most_rss.max(prometheus.rss_mb());
    }
    let took_s = began.elapsed().as_secs_f64();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let ask = |query: &str| prometheus.ask(query).unwrap_or(f64::NAN);
    println!("\n| {} nodes, every {} s, for {took_s:.0} s | |\n| --- | --- |", args.nodes, args.interval_s);
    println!("| series in Prometheus' head | {:.0} |", ask("prometheus_tsdb_head_series"));
    println!("| targets that are up | {:.0} |", ask("sum(up{job=\"reapwatch\"})"));
    println!("| samples a second | {:.0} |", ask("rate(prometheus_tsdb_head_samples_appended_total[2m])"));
    println!("| Prometheus' RSS at the end, MB | {:.0} |", prometheus.rss_mb());
    println!("| its highest RSS, MB | {most_rss:.0} |");
    println!(
        "| its RSS per series, bytes | {:.0} |",
        prometheus.rss_mb() * 1e6 / ask("prometheus_tsdb_head_series")
    );
    println!("| its CPU, of one | {:.2} |", (prometheus.cpu_s() - cpu_before) / took_s);
    println!(
        "| a scrape takes, s, the slowest of 100 | {:.3} |",
        ask("quantile(0.99, scrape_duration_seconds{job=\"reapwatch\"})")
    );
    println!("| its files, MB | {:.0} |", directory_bytes(&directory) as f64 / 1e6);
    println!("| scrapes served | {} |", served.load(Ordering::Relaxed));
    println!(
        "| load average of this host (1, 5, 15 minutes) | {} |",
        load.split(' ').take(3).collect::<Vec<_>>().join(", ")
    );
    Ok(())
}

/// Answers all requests of a connection. Every node has counted so many more things as it has been asked times.
fn serve(stream: &TcpStream, page: &Page, count: &AtomicU64, nodes: u64) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            match reader.read_line(&mut head) {
                Ok(length) if length > 0 => {}
                _ => return,
            }
        }
        let text = page.after(count.fetch_add(1, Ordering::Relaxed) / nodes);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\r\n",
            text.len()
        );
        let mut writer = stream;
        if writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(text.as_bytes())).is_err() {
            return;
        }
    }
}

/// A running Prometheus with a directory of its own, which goes with it.
struct Prometheus {
    child: Child,
    port: u16,
    directory: PathBuf,
}

impl Prometheus {
    fn start(directory: &PathBuf, nodes_port: u16, args: &FleetArgs) -> Outcome<Self> {
        let port = {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
            free.local_addr().map_err(|error| error.to_string())?.port()
        };
        let targets: Vec<String> = (0..args.nodes).map(|node| format!("'node-{node:04}:9779'")).collect();
        let config = format!(
            "global: {{scrape_interval: {0}s, scrape_timeout: {0}s}}\n\
             scrape_configs:\n- job_name: prometheus\n  static_configs:\n  - targets: ['127.0.0.1:{port}']\n\
             - job_name: reapwatch\n  static_configs:\n  - targets: [{1}]\n  relabel_configs:\n\
             \x20 - {{source_labels: [__address__], target_label: instance}}\n\
             \x20 - {{target_label: __address__, replacement: '127.0.0.1:{nodes_port}'}}\n",
            args.interval_s,
            targets.join(", ")
        );
        fs::create_dir_all(directory).map_err(|error| error.to_string())?;
        fs::write(directory.join("prometheus.yml"), config).map_err(|error| error.to_string())?;
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", directory.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=warn")
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start prometheus: {error}: `cargo xtask setup` installs it"))?;
        Ok(Self { child, port, directory: directory.clone() })
    }

    /// The first number that a query gives.
    fn ask(&self, query: &str) -> Option<f64> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        let query: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        write!(stream, "GET /api/v1/query?query={query} HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let body: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
        body["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }

    fn rss_mb(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let kb = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().split(' ').next()?.parse::<f64>().ok());
        kb.unwrap_or(0.0) * 1_024.0 / 1e6
    }

    /// CPU time so far.
    fn cpu_s(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks =
            |at: usize| after_name.split_whitespace().nth(at).and_then(|field| field.parse::<f64>().ok());
        // A tick is 10 ms on every kernel that reapwatch supports.
        (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn directory_bytes(path: &PathBuf) -> u64 {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => directory_bytes(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        })
        .sum()
}
