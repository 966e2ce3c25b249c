//! Profiles that are written as time goes by, opened by the program that people open profiles with.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use super::{
    cgroup::Cgroup,
    running::{Agent, Killed},
    support::{check_refused, reapwatch, require_root, until, workload},
};

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(directory).expect("a directory").flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "gz"));
    files.sort();
    files
}

/// Forks for ever, and never waits.
fn leaker(cgroup: &Cgroup) -> Killed {
    let mut command = cgroup.command(workload());
    command.args(["fork-leak-for-ever", "--every-ms", "100"]).stdout(Stdio::null());
    Killed(command.spawn().expect("the workload"))
}

/// What pprof reads in a profile; it keeps things of its own in `home`.
fn raw(profile: &Path, home: &Path) -> String {
    let mut pprof = Command::new("go");
    pprof.args(["tool", "pprof", "-raw"]).arg(profile).env("HOME", home);
    let raw = pprof.output().expect("go: `cargo xtask setup` installs it");
    String::from_utf8_lossy(&raw.stdout).into_owned()
}

#[test]
fn a_profile_of_suspects_is_written_each_time_and_the_newest_are_kept() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let cgroup = Cgroup::new("system.slice/reapwatch-test-profile.service");
    let shown = directory.path().display();
    let _agent = Agent::start(&format!(
        "profiles.directory = \"{shown}\"\nprofiles.every = \"1s\"\nprofiles.keep = 3"
    ));
    let leaker = leaker(&cgroup);
    let raw = until("the leaker is in it", || {
        let newest = files(directory.path()).pop()?;
        let raw = raw(&newest, directory.path());
        raw.contains("careless_place").then_some(raw)
    });
    assert!(raw.contains(&format!("parent:[workload ({})]", leaker.0.id())), "{raw}");
    let first = files(directory.path());
    until("others have come", || {
        let now = files(directory.path());
        // The oldest is removed after the newest has come.
        assert!(now.len() <= 4, "{now:?}");
        (now.len() == 3 && !now.iter().any(|file| first.contains(file))).then_some(())
    });
}

/// Heads of requests, and their profiles.
type Pushed = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A server of profiles: its port, and what it is sent.
fn profile_server() -> (u16, Pushed) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let received = Pushed::default();
    let to = Arc::clone(&received);
    std::thread::spawn(move || {
        // It cannot take the first one.
        let first = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
        let answers =
            std::iter::once(first).chain(std::iter::repeat("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
        for (stream, answer) in listener.incoming().flatten().zip(answers) {
            let mut reader = BufReader::new(&stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                assert!(reader.read_line(&mut head).expect("a request") > 0, "{head}");
            }
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.expect("its length")];
            reader.read_exact(&mut body).expect("the body");
            to.lock().expect("no panic").push((head, body));
            let _ = (&stream).write_all(answer.as_bytes());
        }
    });
    (port, received)
}

#[test]
fn a_server_gets_each_profile_with_its_host_and_time() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let cgroup = Cgroup::new("system.slice/reapwatch-test-push.service");
    let (port, received) = profile_server();
    let agent = Agent::start(&format!(
        "profiles.url = \"http://127.0.0.1:{port}/ingest\"\nprofiles.every = \"1s\"\n\
         profiles.headers = {{ X-Scope-OrgID = \"ops\" }}"
    ));
    let leaker = leaker(&cgroup);
    let (head, raw) = until("the leaker is in one", || {
        let (head, body) = received.lock().expect("no panic").last().cloned()?;
        let file = directory.path().join("profile.pb.gz");
        std::fs::write(&file, body).expect("written");
        let raw = raw(&file, directory.path());
        raw.contains("careless_place").then_some((head, raw))
    });
    assert!(raw.contains(&format!("parent:[workload ({})]", leaker.0.id())), "{raw}");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let expected = format!("POST /ingest?name=reapwatch%7Bhostname%3D{}%7D&from=", host.trim());
    assert!(head.starts_with(&expected) && head.contains("&format=pprof&"), "{head}");
    assert!(head.contains("x-scope-orgid: ops\r\n"), "{head}");
    let time = |key: &str| -> u64 {
        let rest = head.split_once(&format!("&{key}=")).expect("it is told").1;
        rest.split('&').next().and_then(|time| time.parse().ok()).expect("a time")
    };
    assert!(time("from") < time("until"), "{head}");
    let sink = format!("profiles http://127.0.0.1:{port}");
    let labels = [("sink", sink.as_str()), ("reason", "refused")];
    assert_eq!(agent.value("reapwatch_sink_dropped_total", &labels), Some(0.0));
}

#[test]
fn a_directory_that_is_none_is_told_before_anything_is_attached() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("agent.toml");
    std::fs::write(&config, "prometheus.listen = \"none\"\nprofiles.directory = \"/nonexistent\"\n")
        .expect("a configuration");
    let output = reapwatch().args(["agent", "--config"]).arg(&config).output().expect("reapwatch");
    check_refused(&output, 1, "cannot write profiles to the directory /nonexistent: No such file");
}
