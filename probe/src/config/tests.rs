//! What is accepted, what is refused, and how that is told.

use std::{path::PathBuf, time::Duration};

use super::*;

fn refused(text: &str) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("agent.toml");
    std::fs::write(&path, text).expect("a file");
    let args = AgentArgs { config: Some(path.clone()), ..AgentArgs::default() };
    let said = Config::load(&args).expect_err(text).to_string();
    said.strip_prefix(&path.display().to_string()).expect("it begins with the file").to_owned()
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(Config::parse(""), Ok(Config::default()));
    assert_eq!(Config::load(&AgentArgs::default()), Ok(Config::default()));
}

#[test]
fn every_key_can_be_set_and_what_is_printed_means_the_same() {
    let text = "interval = \"5s\"\ngrace = \"250ms\"\ncommand_lines = \"name\"\n\
                [prometheus]\nlisten = \"[::1]:9000\"\nweb_config = \"/etc/web.yml\"\n\
                [workloads]\nmax = 7\nmax_parents = 3\nidle_after = \"1m 30s\"\n\
                [pids]\nmax = 5\nused_over = 80\nexhausted_within = \"30m\"\n\
                [alerts]\noutput = \"/var/log/reapwatch.jsonl\"\nleast_unreaped = 10\nleast_late = 5\n\
                over_after = \"2m\"\n\
                [[alerts.silence]]\ncommand = \"cron*\"\ncause = \"never_waits\"\n\
                [[alerts.silence]]\nworkload = \"*.service\"\nuntil = \"2026-12-31T23:59:59Z\"\n\
                [syslog]\nto = \"tcp://[::1]:601\"\nfacility = \"local7\"\n\
                [journald]\nenabled = true\nsocket = \"/run/j\"\n\
                [otlp]\nendpoint = \"http://h/otlp\"\ntransport = \"grpc\"\ncompression = \"gzip\"\nlogs = false\n\
                headers_file = \"/run/token\"\n\
                [otlp.tls]\nca_file = \"/ca.pem\"\ncert_file = \"/c.pem\"\nkey_file = \"/k.pem\"\n\
                [webhook]\nurl = \"http://h:1/x?y\"\n\
                [exec]\nprogram = \"/usr/local/bin/page\"\narguments = [\"-v\"]\nwithin = \"1m30s\"\n\
                [profiles]\ndirectory = \"/var/lib/p\"\nevery = \"5m\"\nkeep = 3\n\
                url = \"https://h/ingest\"\n\
                [orphans]\nfile = \"/var/lib/o.json\"\n";
    let config = Config::parse(text).expect("valid");
    assert_eq!((config.interval, config.grace), (Duration::from_secs(5), Duration::from_millis(250)));
    assert_eq!(config.prometheus.listen.to_string(), "[::1]:9000");
    assert_eq!(config.prometheus.web_config, Some(PathBuf::from("/etc/web.yml")));
    assert_eq!(config.limits(), Limits { workloads: 7, parents: 3, pid_limits: 5, idle_ns: 90_000_000_000 });
    let rules = config.rules();
    assert_eq!(rules.command_lines, CommandLines::Name);
    assert_eq!((rules.least_unreaped, rules.least_late, rules.over_after_ns), (10, 5, 120_000_000_000));
    assert_eq!((rules.pids.used_over_percent, rules.pids.exhausted_within_ns), (80, 1_800_000_000_000));
    assert_eq!(rules.silences[0].cause, Some(CauseKind::NeverWaits));
    assert_eq!(rules.silences[1].until_ns, Some(1_798_761_599_000_000_000));
    for config in [config, Config::default()] {
        assert_eq!(Config::parse(&config.to_toml()), Ok(config));
    }
}

#[test]
fn a_fault_is_told_by_line_key_and_what_is_allowed() {
    for (text, expected) in [
        (
            "interval = \"5s\"\nintervall = \"5s\"\n",
            ":2: unknown key `intervall`: did you mean `interval`? Expected one of `interval`",
        ),
        ("[prometheus]\n\nport = 5\n", ":3: unknown key `port`, expected `listen` or `web_config`"),
        (
            "command_lines = \"none\"\n",
            ":1: command_lines: unknown variant `none`, expected one of `full`, `redacted`, `name`",
        ),
        ("[statsd]\n", ":1: unknown key `statsd`"),
        (
            "interval = 5\n",
            ":1: interval: invalid type: integer `5`, expected a duration in quotes from \"1s\" to \"1h\"",
        ),
        ("interval = \"5ms\"\n", ":1: interval: \"5ms\" is not possible: it must be from 1s to 1h"),
        (
            "grace = \"5 parsecs\"\n",
            ":1: grace: \"5 parsecs\" is not a duration: write a number with its unit",
        ),
        ("[workloads]\nmax = 0\n", ":2: max: 0 is not possible: it must be from 1 to 10000"),
        ("[workloads]\nmax = -1\n", ":2: max: -1 is not possible"),
        ("[prometheus]\nlisten = \"9779\"\n", ":2: listen: \"9779\" is not an address and port"),
        ("[alerts]\noutput = \"\"\n", ":2: output: \"\" is empty: write the name of a file"),
        (
            "[[alerts.silence]]\ncause = \"bad_luck\"\n",
            ":2: cause: unknown variant `bad_luck`, expected one of",
        ),
        ("[[alerts.silence]]\nuntil = \"tomorrow\"\n", ":2: until: \"tomorrow\" is not a time"),
        ("[[alerts.silence]]\n", ":1: a silence must name a command, a workload or a cause"),
        (
            "[[alerts.silence]]\ncommand = \"\"\n",
            ":2: command: \"\" is not a name: it must have 1 to 256 bytes",
        ),
        ("[syslog]\nto = \"127.0.0.1:514\"\n", ":2: to: \"127.0.0.1:514\" is not a receiver: write udp://"),
        ("[syslog]\nto = \"udp://host\"\n", ":2: to: \"udp://host\" is not a host and port"),
        ("[syslog]\nfacility = \"kern\"\n", ":2: facility: unknown variant `kern`, expected one of `user`"),
        ("[journald]\nsocket = \"run\"\n", ":2: socket: \"run\" is not a path from / on"),
        ("[otlp]\nendpoint = \"localhost:4317\"\n", ":2: endpoint: \"localhost:4317\" is not a URL"),
        ("[otlp]\ntransport = \"udp\"\n", ":2: transport: \"udp\" is not a transport"),
        (
            "[otlp]\nheader = {}\n",
            ":2: unknown key `header`: did you mean `headers`? Expected one of `endpoint`",
        ),
        (
            "[otlp]\ncompression = \"zstd\"\n",
            ":2: compression: \"zstd\" is not a compression: write none or gzip",
        ),
        ("[otlp.headers]\nHost = \"h\"\n", ":1: the header host is not possible"),
        ("[webhook.headers]\nA = \"s3c\\nr3t\"\n", ":1: the value of the header a is not possible"),
        ("[webhook.tls]\ncert_file = \"/c\"\n", ":1: cert_file and key_file belong together"),
        ("[profiles.tls]\nca_file = \"c\"\n", ":2: ca_file: \"c\" is not a path from / on"),
        ("[webhook]\nurl = 5\n", ":2: url: invalid type: integer `5`, expected a URL in quotes"),
        ("[webhook]\nurl = \"http://u:p@h/\"\n", ":2: url: \"http://u:p@h/\" is not possible"),
        ("[exec]\nprogram = \"page\"\n", ":2: program: \"page\" is not a path from / on"),
        ("[exec]\nwithin = \"1h\"\n", ":2: within: \"1h\" is not possible: it must be from 100ms to 10m"),
        ("[profiles]\nkeep = 0\n", ":2: keep: 0 is not possible: it must be from 1 to 10000"),
        ("interval = \"5s\"\ninterval = \"6s\"\n", ":2:"),
        ("interval = \n", ":1:"),
    ] {
        let said = refused(text);
        assert!(said.starts_with(expected), "{text:?}: {said}");
        assert!(!said.contains('\n'), "{said:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let args = AgentArgs { config: Some(PathBuf::from("/nonexistent/agent.toml")), ..AgentArgs::default() };
    let said = Config::load(&args).expect_err("no such file").to_string();
    assert!(said.starts_with("/nonexistent/agent.toml: cannot be read: the file does not exist"), "{said}");
}

#[test]
fn what_is_given_as_an_option_comes_before_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("agent.toml");
    std::fs::write(&path, "interval = \"5s\"\ngrace = \"1s\"\n").expect("a file");
    let args = AgentArgs {
        config: Some(path),
        interval: Some(Duration::from_secs(2)),
        listen: Some(Listen::Nowhere),
        ..AgentArgs::default()
    };
    let config = Config::load(&args).expect("valid");
    assert_eq!((config.interval, config.grace), (Duration::from_secs(2), Duration::from_secs(1)));
    assert_eq!(config.prometheus.listen, Listen::Nowhere);
    assert_eq!(config.alerts, Alerts::default());
}

#[test]
fn the_reference_names_every_key_with_its_default() {
    let page = include_str!("../../../docs/agent.md");
    for line in Config::default().to_toml().lines().filter(|line| line.contains('=')) {
        let (key, default) = line.split_once('=').expect("filtered");
        let row = format!("{}` | `{}`", key.trim(), default.trim());
        let is_there = [format!("| `{row}"), format!("| `tls.{row}")].iter().any(|row| page.contains(row));
        assert!(is_there, "docs/agent.md has no row with {row}");
    }
}

#[test]
fn the_values_of_headers_are_not_printed() {
    let text = "[otlp]\nendpoint = \"https://h\"\nheaders = { Authorization = \"Bearer s3cr3t\" }\n";
    let config = Config::parse(text).expect("valid");
    let sent = config.otlp.settings().expect("asked for").receiver.headers;
    assert_eq!(sent.iter().next().expect("one").1, "Bearer s3cr3t");
    let printed = config.to_toml();
    assert!(printed.contains("[otlp.headers]\nauthorization = \"(not shown)\"\n"), "{printed}");
    assert!(!printed.contains("s3cr3t") && !format!("{config:?}").contains("s3cr3t"));
}
