//! Errors of loading and attaching: from what aya and the kernel say to one sentence and what to do.
//!
//! Must not decide whether something else is tried.

use nix::errno::Errno;

use crate::source::{SetupError, shortage};

/// An error with all its sources, on one line.
pub fn cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    one_line(text)
}

/// Of the verifier's log, which has many lines, the end says why; statistics follow it.
fn one_line(mut text: String) -> String {
    const STATISTICS: &[&str] = &["processed ", "stack depth ", "verification time ", "subprog "];
    // Where the kernel refuses before verifying, the log that is promised is empty.
    if let Some(before) = text.trim_end().strip_suffix("Verifier output:") {
        text.truncate(before.trim_end().trim_end_matches('.').len());
    }
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.split(" processed ").next().unwrap_or(line).trim())
        .filter(|line| !line.is_empty() && !STATISTICS.iter().any(|word| line.starts_with(word)))
        .collect();
    match lines.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first, .., prior, last] => format!("{first} … {prior}; {last}"),
        [first, last] => format!("{first} … {last}"),
    }
}

/// The error number of a system call among an error and its sources.
pub fn errno(error: &(dyn std::error::Error + 'static)) -> Option<Errno> {
    let mut current: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = current {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return io.raw_os_error().map(Errno::from_raw);
        }
        current = inner.source();
    }
    None
}

pub fn load_error(error: &(dyn std::error::Error + 'static)) -> SetupError {
    let errno = errno(error);
    let permitted = !matches!(errno, Some(Errno::EPERM | Errno::EACCES));
    SetupError {
        what: format!("cannot load the programs into the kernel: {}", cause(error)),
        remedy: if let Some(remedy) = errno.and_then(shortage) {
            remedy.into()
        } else if permitted {
            "run `reapwatch doctor`; the kernel must be 5.10 or newer with CONFIG_BPF_SYSCALL and CONFIG_DEBUG_INFO_BTF"
                .into()
        } else {
            "run as root (sudo reapwatch …), or with CAP_BPF and CAP_PERFMON (before Linux 5.11 also ulimit -l unlimited)"
                .into()
        },
    }
}

pub fn attach_error(hook: &impl std::fmt::Display, error: &(dyn std::error::Error + 'static)) -> SetupError {
    SetupError { what: format!("cannot attach {hook}: {}", cause(error)), ..load_error(error) }
}

pub fn broken_object(what: &str) -> SetupError {
    SetupError {
        what: format!("the embedded eBPF object is not the one this binary was built for: {what}"),
        remedy: "rebuild: cargo xtask build-ebpf && cargo build --release".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_verifiers_log_the_first_line_and_the_last_two_stay() {
        let log = "the BPF_PROG_LOAD syscall returned EACCES. Verifier output: 0: R1=ctx\n1: exit\nR0 !read_ok\n\
                   processed 2 insns (limit 1000000)\nstack depth 0";
        assert_eq!(
            one_line(log.into()),
            "the BPF_PROG_LOAD syscall returned EACCES. Verifier output: 0: R1=ctx … 1: exit; R0 !read_ok"
        );
        assert_eq!(one_line("refused. Verifier output:\n".into()), "refused");
    }
}
