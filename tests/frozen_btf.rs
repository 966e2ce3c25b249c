//! The offsets and prototypes of many kernels, without root and without those kernels: from their BTF, cut down by
//! `cargo xtask vm --freeze` to what is looked up in it.

use std::{fs, path::PathBuf};

use btf_rs::{Btf, BtfType, Type};
use probe::source::bpf::offsets::{find, open};

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// (kernel, path) of every frozen BTF.
fn frozen() -> Vec<(String, PathBuf)> {
    let directory = root().join("tests/data/btf");
    let mut found: Vec<_> = fs::read_dir(&directory)
        .expect("tests/data/btf")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.file_stem().expect("a name").to_string_lossy().into_owned(), path))
        .collect();
    found.sort();
    assert!(found.len() >= 7, "the matrix has seven kernels: {found:?}");
    found
}

#[test]
fn every_kernel_has_every_member_and_only_registers_differ() {
    for (kernel, path) in frozen() {
        let found = find(&open(&path).expect("BTF")).unwrap_or_else(|error| panic!("{kernel}: {error}"));
        assert!(found.lost.is_empty(), "{kernel}: {:?}", found.lost);
        let offsets = found.offsets;
        // What the C declarations themselves promise, whatever the kernel.
        assert!(offsets.task_tgid == offsets.task_pid + 4, "{kernel}: tgid follows pid: {offsets:?}");
        assert!(offsets.task_parent == offsets.task_real_parent + 8, "{kernel}: parent follows real_parent");
        assert_eq!(offsets.siginfo_code, 8, "{kernel}: si_signo, si_errno, si_code are the ABI");
        assert_eq!(offsets.siginfo_pid, 16, "{kernel}: _sigchld._pid is the ABI");
        assert_eq!(offsets.upid_nr, 0, "{kernel}");
        assert_eq!(offsets.upid_size, 16, "{kernel}");
        let argument = if kernel.contains("arm64") { 0 } else { 112 };
        assert_eq!(offsets.regs_argument, argument, "{kernel}: the first argument's register");
        // What the ABI promises of the registers that a system call is made with.
        let call = [offsets.regs_third, offsets.regs_fourth, offsets.regs_size];
        if kernel.contains("arm64") {
            assert_eq!(call[..2], [16, 24], "{kernel}: x2 and x3");
        } else {
            assert_eq!((call, offsets.regs_syscall), ([96, 56, 168], 120), "{kernel}: dx, r10, all; orig_ax");
        }
        assert_eq!((offsets.list_next, offsets.siginfo_signo), (0, 0), "{kernel}");
        // action[16] of 32 bytes each, with sa_handler first: apart by the 8 bytes of a pointer.
        assert_eq!(offsets.sighand_sigchld_flags, offsets.sighand_sigchld_handler + 8, "{kernel}");
    }
}

/// Replaces a name by one of the same length that nobody looks up.
fn without(bytes: &[u8], name: &str) -> Vec<u8> {
    let wanted = [b"\0", name.as_bytes(), b"\0"].concat();
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(wanted.len()).position(|window| window == wanted) {
        bytes[at + found + 1] = b'~';
        at += found + 1;
    }
    assert!(at > 0, "{name} is not in this BTF");
    bytes
}

#[test]
fn a_missing_member_names_the_feature_that_goes() {
    let (_, path) = frozen().swap_remove(0);
    let whole = fs::read(path).expect("BTF");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("btf");
    for (member, feature) in [
        ("arg_start", "command lines"),
        ("filename", "paths of programs"),
        ("pids", "PID namespaces"),
        ("action", "autoreap"),
        ("orig_ax", "arguments of wait calls"),
        ("shared_pending", "signals that were merged"),
    ] {
        fs::write(&path, without(&whole, member)).expect("written");
        let found = find(&open(&path).expect("BTF")).expect("works without it");
        assert!(found.lost.keys().any(|lost| lost.contains(feature)), "{member}: {:?}", found.lost);
    }
    for member in ["real_parent", "group_exit_code", "live"] {
        fs::write(&path, without(&whole, member)).expect("written");
        let error = find(&open(&path).expect("BTF")).expect_err("cannot work without it");
        assert!(error.what.contains(member), "{member}: {error}");
    }
}

/// A type as C writes it, without the space before a pointer's star.
fn text(btf: &Btf, id: u32) -> String {
    if id == 0 {
        return "void".into();
    }
    let name = |named: &dyn BtfType| btf.resolve_name(named).expect("a name");
    match btf.resolve_type_by_id(id).expect("a type") {
        Type::Ptr(inner) => format!("{}*", text(btf, inner.get_type_id().expect("an id"))),
        Type::Fwd(named) => format!("struct {}", name(&named)),
        Type::Int(named) if named.is_bool() || name(&named) == "_Bool" => "bool".into(),
        Type::Int(named) => name(&named),
        Type::Typedef(named) => name(&named),
        other => other.name().to_owned(),
    }
}

/// Parameter types of a function, or of a tracepoint after the first, which is the kernel's own.
fn parameters(btf: &Btf, function: &str) -> Option<(Vec<String>, String)> {
    let func = btf.resolve_types_by_name(function).ok().and_then(|found| {
        found.into_iter().find_map(|one| if let Type::Func(func) = one { func.get_type_id() } else { None })
    });
    let (prototype, skip) = match func {
        Some(id) => (id, 0),
        None => {
            let types = btf.resolve_types_by_name(&format!("btf_trace_{function}")).ok()?;
            let typedef = types.into_iter().find(|one| matches!(one, Type::Typedef(_)))?;
            let pointer = btf.resolve_chained_type(typedef.as_btf_type()?).ok()?;
            (pointer.as_btf_type()?.get_type_id()?, 1)
        }
    };
    let Type::FuncProto(prototype) = btf.resolve_type_by_id(prototype).ok()? else { return None };
    let types = prototype.parameters.iter().skip(skip).map(|one| text(btf, one.get_type_id().unwrap_or(0)));
    Some((types.collect(), text(btf, prototype.return_type_id())))
}

/// (function, parameter types, return type) of a `match-proto` line.
fn promised(line: &str) -> Option<(String, Vec<String>, Option<String>)> {
    let prototype = line.split_once("match-proto: ")?.1.split_once(": ")?.1.trim();
    let (head, rest) = prototype.split_once('(')?;
    let (function, result) = match head.rsplit_once(' ') {
        Some((result, function)) => (function, Some(result.to_owned())),
        None => (head, None),
    };
    let types = rest.trim_end_matches(')').split(", ").map(|parameter| {
        let (kind, name) = parameter.rsplit_once(' ').unwrap_or((parameter, ""));
        format!("{}{}", kind.trim_end(), "*".repeat(name.matches('*').count())).replace(" *", "*")
    });
    Some((function.to_owned(), types.collect(), result))
}

#[test]
fn every_match_proto_line_is_what_every_kernel_has() {
    let mut lines = Vec::new();
    for entry in fs::read_dir(root().join("probe-ebpf/src/hook")).expect("sources") {
        let source = fs::read_to_string(entry.expect("an entry").path()).expect("UTF-8");
        lines.extend(source.lines().filter(|line| line.contains("match-proto: ")).map(str::to_owned));
    }
    // System calls have no prototype in BTF that says their parameters; the iterator's context is no function.
    lines.retain(|line| !line.contains("SYSCALL_DEFINE") && !line.contains("struct bpf_iter__task"));
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), 8, "{lines:#?}");
    for (kernel, path) in frozen() {
        let btf = Btf::from_file(&path).expect("BTF");
        for line in &lines {
            let (function, promised, result) = promised(line).unwrap_or_else(|| panic!("malformed: {line}"));
            let (found, returned) =
                parameters(&btf, &function).unwrap_or_else(|| panic!("{kernel} has no {function}"));
            // Later kernels may append parameters.
            assert!(found.starts_with(&promised), "{kernel}: {function}({}), not {line}", found.join(", "));
            if let Some(result) = result {
                assert_eq!(returned, result, "{kernel}: {function}");
            }
        }
    }
}
