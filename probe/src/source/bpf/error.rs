//! Errors of loading and attaching: from what aya and the kernel say to one sentence and what to do.
//!
//! Must not decide whether something else is tried.

use aya::{EbpfError, maps::MapError, programs::ProgramError};
use nix::errno::Errno;

use super::{attach::Refused, programs::Hook};
use crate::source::{SetupError, host::privileges, shortage};

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

/// Why the programs cannot be loaded, attached or read. Each error keeps its source.
#[derive(Debug, thiserror::Error)]
pub enum BpfError {
    #[error("cannot load the programs into the kernel: {}", cause(.0))]
    Load(#[source] EbpfError),
    #[error("cannot attach {hook}: {}", cause(.error))]
    Attach {
        hook: Hook,
        #[source]
        error: ProgramError,
    },
    #[error("the hooks asked for cannot be had: {}", list(.0))]
    HooksRefused(Vec<Refused>),
    #[error("cannot follow process {pid}: {}", cause(.error))]
    Follow {
        pid: u32,
        #[source]
        error: MapError,
    },
    #[error("--stats: the kernel does not count runs of programs: {0}")]
    CountRuns(#[source] Errno),
    /// The committed object lacks a part, or a part is not what this binary expects.
    #[error("the embedded eBPF object is not the one this binary was built for: {0}")]
    Object(String),
}

impl BpfError {
    /// What failed. Without privileges the kernel refuses now one map and now another: what is missing comes first.
    fn what(&self, may_load: bool) -> String {
        let errno = match self {
            Self::Load(error) => errno(error),
            Self::Attach { error, .. } => errno(error),
            _ => None,
        };
        let is_refused = matches!(errno, Some(Errno::EPERM | Errno::EACCES));
        let missing = if is_refused && !may_load { "needs root (or CAP_BPF and CAP_PERFMON): " } else { "" };
        format!("{missing}{self}")
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::Load(error) => load_remedy(errno(error)),
            Self::Attach { error, .. } => load_remedy(errno(error)),
            Self::HooksRefused(_) => "leave --hooks at auto: the tracepoint rung gives the same counts",
            Self::Follow { .. } => "run `reapwatch doctor`",
            Self::CountRuns(_) => "leave --stats out, or run with CAP_SYS_ADMIN on Linux 5.8 or newer",
            Self::Object(_) => "rebuild: cargo xtask build-ebpf && cargo build --release",
        }
    }
}

impl From<BpfError> for SetupError {
    fn from(error: BpfError) -> Self {
        Self { what: error.what(privileges::may_load()), remedy: error.remedy().into() }
    }
}

fn list(refused: &[Refused]) -> String {
    let refused: Vec<String> = refused.iter().map(|one| format!("{}: {}", one.hook, one.why)).collect();
    refused.join("; ")
}

fn load_remedy(errno: Option<Errno>) -> &'static str {
    if let Some(remedy) = errno.and_then(shortage) {
        remedy
    } else if matches!(errno, Some(Errno::EPERM | Errno::EACCES)) {
        "run as root (sudo reapwatch …), or with CAP_BPF and CAP_PERFMON (before Linux 5.11 also ulimit -l unlimited)"
    } else {
        "run `reapwatch doctor`; the kernel must be 5.10 or newer with CONFIG_BPF_SYSCALL and CONFIG_DEBUG_INFO_BTF"
    }
}

pub fn broken_object(what: impl Into<String>) -> BpfError {
    BpfError::Object(what.into())
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

    #[test]
    fn an_error_says_what_failed_and_what_to_do_and_keeps_its_source() {
        let io_error = std::io::Error::from_raw_os_error(Errno::EPERM as i32);
        let refused = aya::sys::SyscallError { call: "bpf_link_create", io_error };
        let error = BpfError::Attach { hook: Hook::TpBtf("x"), error: ProgramError::SyscallError(refused) };
        assert_eq!(errno(&error), Some(Errno::EPERM));
        assert!(error.what(false).starts_with("needs root (or CAP_BPF"), "{}", error.what(false));
        assert_eq!(error.what(true), error.to_string());
        let said = SetupError::from(error);
        assert!(said.what.starts_with("cannot attach tp_btf x: "), "{}", said.what);
        assert!(said.remedy.starts_with("run as root"), "{}", said.remedy);
    }
}
