//! `xtask empty`: programs that do nothing, on the hooks of the tracepoint rung, attached until a signal ends it.
//!
//! Owns the copy of their object that lasts for a bench. Must not know who measures.

use std::{fs, path::PathBuf, thread};

use aya::{
    Btf, Ebpf,
    programs::{BtfTracePoint, TracePoint},
};

use probe::source::bpf::programs::tracepoints;

use crate::shell::{Outcome, target_directory};

/// What `build-ebpf` leaves may be built anew while we measure.
fn object() -> PathBuf {
    target_directory().join("empty.bpf.o")
}

/// Takes what `build-ebpf` has just built.
pub fn keep_object() -> Outcome {
    let built = crate::build_ebpf::built("empty");
    fs::copy(&built, object()).map(drop).map_err(|error| format!("cannot copy {}: {error}", built.display()))
}

/// Attaches them and stays, or goes `briefly`; with `hash` one of them makes an entry and takes it away.
pub fn empty(hash: bool, briefly: bool) -> Outcome {
    let fail = |error: &dyn std::fmt::Display| format!("cannot attach the empty programs: {error}");
    let mut ebpf = Ebpf::load_file(object()).map_err(|error| fail(&error))?;
    let btf = Btf::from_sys_fs().map_err(|error| fail(&error))?;
    for hook in tracepoints() {
        let name = if hash && hook == "sched_process_exit" { "insert_and_delete" } else { hook };
        let program: &mut BtfTracePoint =
            ebpf.program_mut(name).ok_or("missing")?.try_into().map_err(|error| fail(&error))?;
        program.load(hook, &btf).and_then(|()| program.attach().map(drop)).map_err(|error| fail(&error))?;
    }
    let calls = probe::source::host::tracefs::with(|| {
        for name in ["sys_exit_wait4", "sys_exit_waitid"] {
            let program: &mut TracePoint =
                ebpf.program_mut(name).ok_or("missing")?.try_into().map_err(|error| fail(&error))?;
            program
                .load()
                .and_then(|()| program.attach("syscalls", name).map(drop))
                .map_err(|error| fail(&error))?;
        }
        Ok::<(), String>(())
    });
    calls.map_err(|error| fail(&error))??;
    if briefly {
        return Ok(());
    }
    // SIGINT does what it does to every program that does not catch it; the kernel detaches what we leave.
    loop {
        thread::park();
    }
}
