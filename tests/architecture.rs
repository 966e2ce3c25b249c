//! The one way, enforced: which module may name which, and what the pure ones must not touch.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Module, and the modules of this crate it may name.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("report", &[]),
    ("cli", &[]),
    ("engine", &["model"]),
    ("analysis", &["model", "engine", "report"]),
    ("render", &["report"]),
    ("agent", &["model", "engine", "analysis", "report"]),
    ("config", &["cli", "agent", "analysis", "report", "sink"]),
    ("sink", &["report", "render"]),
    ("recording", &["model"]),
    ("source", &["model", "recording"]),
    ("pipeline", &["model", "engine", "recording", "source"]),
    ("intervention", &["source"]),
    ("table", &["report", "render"]),
];
/// Modules of the kernel programs, top first: each may name only those after it.
const PROGRAM_LAYERS: &[&str] = &[
    "hook",
    "lifecycle",
    "killer",
    "event",
    "fork_site",
    "ledger",
    "parent_table",
    "cgroup_table",
    "dead_child_table",
    "filter",
    "kernel",
    "slot_table",
    "loss",
    "maps",
    "verifier",
    "atomic",
    "settings",
];
/// What the pure modules must not touch: clocks, files, tasks.
const IMPURE: &[&str] = &[
    "std::time",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::env",
    "tokio",
    "Instant",
    "SystemTime",
];
const PURE: &[&str] = &["model", "engine", "analysis", "report", "agent", "table"];
const DRAWERS: &[&str] = &["utils", "helpers", "manager", "core", "common"];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    for part in ["probe/src", "probe-common/src", "probe-ebpf/src", "xtask/src", "xtask/examples", "tests"] {
        sources(&root.join(part), &mut found);
    }
    assert!(found.len() > 40, "the sources were not found");
    found
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("UTF-8");
            (path, text)
        })
        .collect()
}

/// Top module of a file of the library.
fn module(path: &Path) -> Option<String> {
    module_in("probe/src/", path)
}

/// Top module of a file of the crate with these sources.
fn module_in(sources: &str, path: &Path) -> Option<String> {
    let text = path.to_str()?;
    let rest = text.split_once(&format!("/{sources}"))?.1;
    Some(rest.split('/').next()?.trim_end_matches(".rs").to_owned())
}

fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

/// Top names after every `crate::`.
fn imports(text: &str) -> Vec<String> {
    let joined: String = code(text).collect::<Vec<_>>().join(" ");
    let mut found = Vec::new();
    for (at, _) in joined.match_indices("crate::") {
        let rest = &joined[at + "crate::".len()..];
        let names: Vec<&str> = if let Some(group) = rest.strip_prefix('{') {
            // Top names of a grouped import: those at depth one.
            let mut depth = 0;
            let mut names = vec![];
            let mut start = 0;
            for (place, one) in group.char_indices() {
                match one {
                    '{' => depth += 1,
                    '}' if depth == 0 => {
                        names.push(&group[start..place]);
                        break;
                    }
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        names.push(&group[start..place]);
                        start = place + 1;
                    }
                    _ => {}
                }
            }
            names
        } else {
            vec![rest]
        };
        for name in names {
            let name: String =
                name.trim().chars().take_while(|one| one.is_alphanumeric() || *one == '_').collect();
            if !name.is_empty() {
                found.push(name);
            }
        }
    }
    found
}

#[test]
fn imports_go_one_way() {
    for (path, text) in all() {
        let Some(module) = module(&path) else { continue };
        let Some((_, allowed)) = MAY_NAME.iter().find(|(name, _)| *name == module) else { continue };
        for name in imports(&text) {
            assert!(
                name == module || allowed.contains(&name.as_str()),
                "{} names crate::{name}: {module} may name only {allowed:?}",
                path.display()
            );
        }
    }
}

#[test]
fn the_kernel_programs_name_only_what_is_below_them() {
    let place = |module: &str| PROGRAM_LAYERS.iter().position(|layer| *layer == module);
    for (path, text) in all() {
        let Some(module) = module_in("probe-ebpf/src/", &path) else { continue };
        if ["main", "empty"].contains(&module.as_str()) {
            continue;
        }
        let own = place(&module).unwrap_or_else(|| panic!("{module} has no place in PROGRAM_LAYERS"));
        for name in imports(&text) {
            assert!(
                place(&name).is_some_and(|other| other >= own),
                "{} names crate::{name}, which is not below {module}",
                path.display()
            );
        }
    }
}

#[test]
fn no_crate_has_a_circle() {
    let all = all();
    for sources in ["probe/src/", "probe-common/src/", "probe-ebpf/src/", "xtask/src/"] {
        let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (path, text) in &all {
            if let Some(module) = module_in(sources, path)
                && !["main", "lib"].contains(&module.as_str())
            {
                names.entry(module.clone()).or_default().extend(imports(text));
            }
        }
        assert!(!names.is_empty(), "{sources} was not found");
        let modules: BTreeSet<String> = names.keys().cloned().collect();
        for (module, named) in &mut names {
            named.retain(|name| name != module && modules.contains(name));
        }
        // Takes away, again and again, the modules that name none of the others.
        loop {
            let leaves: Vec<String> = names
                .iter()
                .filter(|(_, named)| named.is_empty())
                .map(|(module, _)| module.clone())
                .collect();
            if leaves.is_empty() {
                break;
            }
            for leaf in leaves {
                names.remove(&leaf);
                for named in names.values_mut() {
                    named.remove(&leaf);
                }
            }
        }
        assert!(names.is_empty(), "a circle in {sources}: {names:?}");
    }
}

#[test]
fn the_pure_modules_have_no_clock_and_no_io() {
    for (path, text) in all() {
        if module(&path).is_some_and(|module| PURE.contains(&module.as_str())) {
            for line in code(&text) {
                for word in IMPURE {
                    assert!(!line.contains(word), "{}: {word}: {line}", path.display());
                }
            }
        }
    }
}

#[test]
fn only_the_room_of_the_programs_names_aya() {
    for (path, text) in all() {
        if module(&path).is_some() && !path.to_string_lossy().contains("probe/src/source/bpf/") {
            assert!(
                !code(&text).any(|line| line.contains("aya::") || line.contains("use aya")),
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn only_the_room_of_the_ways_out_traces_processes() {
    for (path, text) in all() {
        let Some(module) = module(&path) else { continue };
        if module != "intervention" {
            assert!(!code(&text).any(|line| line.contains("ptrace::")), "{} traces", path.display());
        }
        // What it needs must work where no program can be loaded.
        assert!(module != "intervention" || !text.contains("bpf::"), "{} names programs", path.display());
    }
}

#[test]
fn the_room_of_the_host_knows_no_programs() {
    for (path, text) in all() {
        if path.to_string_lossy().contains("probe/src/source/host/") {
            assert!(!code(&text).any(|line| line.contains("bpf::")), "{}", path.display());
        }
    }
}

#[test]
fn the_audit_needs_no_programs_and_touches_no_process() {
    let mut files = 0;
    for (path, text) in all() {
        let name = path.to_string_lossy();
        let Some((_, name)) = name.split_once("/probe/src/") else { continue };
        if name.contains("audit") || name.contains("/census") {
            files += 1;
            for word in ["bpf::", "intervention", "signal::"] {
                assert!(!code(&text).any(|line| line.contains(word)), "{name}: {word}");
            }
        }
    }
    assert!(files > 20, "the files of the audit were not found");
}

#[test]
fn only_the_rooms_that_need_them_know_unwinding_formats_of_profiles_tls_and_passwords() {
    for (path, text) in all() {
        let Some(module) = module(&path) else { continue };
        let is_there = path.to_string_lossy().contains("probe/src/source/host/fork_site/");
        for line in code(&text) {
            for library in ["framehop::", "blazesym::"] {
                assert!(is_there || !line.contains(library), "{}: {line}", path.display());
            }
            for library in ["prost", "inferno", "flate2", "prometheus_client"] {
                assert!(module == "render" || !line.contains(library), "{}: {line}", path.display());
            }
            let speaks_tls = ["sink/outgoing/", "sink/prometheus/", "sink/pem.rs"];
            for library in ["rustls::", "rustls_native_certs::"] {
                let is_there = speaks_tls.iter().any(|room| path.to_string_lossy().contains(room));
                assert!(is_there || !line.contains(library), "{}: {line}", path.display());
            }
            for library in ["bcrypt::", "webpki::", "hmac::", "serde_saphyr::"] {
                let is_there = path.to_string_lossy().contains("probe/src/sink/prometheus/");
                assert!(is_there || !line.contains(library), "{}: {line}", path.display());
            }
        }
    }
}

#[test]
fn only_outgoing_connects_over_the_network_and_only_exec_runs_programs_for_sinks() {
    for (path, text) in all() {
        if module(&path).as_deref() != Some("sink") || path.to_string_lossy().contains("test") {
            continue;
        }
        // What the tests within a file do is their own affair.
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let is_in = |place: &str| path.to_string_lossy().contains(&format!("probe/src/sink/{place}"));
        for (word, place) in
            [("TcpStream::connect", "outgoing"), ("client::conn", "outgoing"), ("Command::new", "exec")]
        {
            assert!(
                is_in(place) || !code(text).any(|line| line.contains(word)),
                "{}: {word}",
                path.display()
            );
        }
    }
}

#[test]
fn only_the_table_knows_terminals_and_only_its_screen_is_one() {
    for (path, text) in all() {
        let Some(module) = module(&path) else { continue };
        let is_command = path.to_string_lossy().contains("probe/src/command/table/");
        for line in code(&text) {
            assert!(
                module == "table" || is_command || !line.contains("ratatui"),
                "{}: {line}",
                path.display()
            );
            let is_screen = path.ends_with("command/table/screen.rs");
            // What a terminal of somebody else was told is asked before its reader is stopped.
            let asks = is_screen || path.ends_with("intervention/descriptor.rs");
            assert!(is_screen || !line.contains("Crossterm"), "{}: {line}", path.display());
            assert!(asks || !line.contains("termios"), "{}: {line}", path.display());
        }
    }
}

#[test]
fn only_the_folder_kernel_reads_kernel_memory() {
    for (path, text) in all() {
        if module_in("probe-ebpf/src/", &path).is_some_and(|module| module != "kernel") {
            assert!(!text.contains("probe_read"), "{}", path.display());
        }
    }
}

#[test]
fn only_the_ledger_and_the_event_module_do_their_work() {
    for (path, text) in all() {
        let Some(module) = module_in("probe-ebpf/src/", &path) else { continue };
        // Counts are added to atomically.
        assert!(
            !text.contains("add(&raw mut") || module == "ledger",
            "{} counts: only the ledger does",
            path.display()
        );
        assert!(
            !text.contains("EVENTS") || ["event", "maps"].contains(&module.as_str()),
            "{} sends: only the event module does",
            path.display()
        );
        // The loss has this name too.
        assert!(
            !text.replace("FORK_STACKS_FULL", "").contains("FORK_STACKS")
                || ["fork_site", "maps"].contains(&module.as_str()),
            "{} sends stacks: only the module of fork sites does",
            path.display()
        );
    }
}

#[test]
fn every_file_says_what_it_owns_and_none_is_a_drawer() {
    for (path, text) in all() {
        assert!(text.starts_with("//!"), "{} does not open with //!", path.display());
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        assert!(!DRAWERS.contains(&stem), "{} is a drawer", path.display());
    }
}

#[test]
fn every_program_names_the_kernel_function_it_relies_on() {
    for (path, text) in all() {
        if !path.to_string_lossy().contains("probe-ebpf") {
            continue;
        }
        let lines: Vec<&str> = text.lines().collect();
        for (place, line) in lines.iter().enumerate() {
            let program =
                ["#[btf_tracepoint", "#[fexit", "#[fentry", "#[kprobe", "#[kretprobe", "#[tracepoint"]
                    .iter()
                    .any(|attribute| line.starts_with(attribute));
            if program {
                assert!(lines[place - 1].starts_with("/// match-proto:"), "{}:{}", path.display(), place + 1);
            }
        }
    }
}
