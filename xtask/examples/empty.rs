//! Programs that do nothing, on the hooks of the tracepoint rung, attached until a signal ends it: `empty OBJECT [--hash] [--briefly]`.
//!
//! An example, because it needs the collector's code, for which nobody who builds xtask is to wait. Must not know who measures.

use std::{path::Path, process::ExitCode, thread};

use aya::{
    Btf, Ebpf,
    programs::{BtfTracePoint, TracePoint},
};

use probe::source::{bpf::programs::tracepoints, host::tracefs};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |option: &str| arguments.iter().any(|one| one == option);
    let object = arguments.first().map_or("", String::as_str);
    match empty(Path::new(object), has("--hash"), has("--briefly")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("empty: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Attaches them and stays, or goes `briefly`; with `hash` one of them makes an entry and takes it away.
fn empty(object: &Path, hash: bool, briefly: bool) -> Result<(), String> {
    let fail = |error: &dyn std::fmt::Display| format!("cannot attach the empty programs: {error}");
    let mut ebpf = Ebpf::load_file(object).map_err(|error| fail(&error))?;
    let btf = Btf::from_sys_fs().map_err(|error| fail(&error))?;
    for hook in tracepoints() {
        let name = if hash && hook == "sched_process_exit" { "insert_and_delete" } else { hook };
        let program: &mut BtfTracePoint =
            ebpf.program_mut(name).ok_or("missing")?.try_into().map_err(|error| fail(&error))?;
        program.load(hook, &btf).and_then(|()| program.attach().map(drop)).map_err(|error| fail(&error))?;
    }
    let calls = tracefs::with(|| {
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
