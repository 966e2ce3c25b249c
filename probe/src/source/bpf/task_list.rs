//! Walks the kernel's task list with the iterator program.
//!
//! Must not know what the tasks mean.

use std::{
    error::Error,
    io::{BufReader, ErrorKind, Read},
};

use aya::{Ebpf, programs::Iter};
use probe_common::wire;

use super::{
    decode,
    error::{cause, errno},
    programs::TASK_LIST,
};
use crate::{
    model::Snapshot,
    source::{SetupError, host::clock, shortage},
};

/// What is read of the list at once: as much as the kernel hands over in one go.
const READ_BYTES: usize = 32 << 10;

/// One walk. Zombies whose death no hook has seen are entered into the maps as they are passed.
pub fn snapshot(ebpf: &mut Ebpf, settle_after_ns: u64) -> Result<Snapshot, SetupError> {
    let began_ns = clock::boottime_ns();
    let mut tasks = Vec::new();
    each_task(ebpf, |seen| tasks.extend(decode::seen_task(seen))).map_err(|error| SetupError {
        what: format!("cannot walk the kernel's task list: {}", cause(&*error)),
        remedy: errno(&*error).and_then(shortage).unwrap_or("run `reapwatch doctor`").into(),
    })?;
    let ended_ns = clock::boottime_ns();
    Ok(Snapshot { began_ns, ended_ns, settle_after_ns, tasks })
}

/// Calls `take` with each record as it is read: tens of thousands of them take megabytes.
fn each_task(ebpf: &mut Ebpf, mut take: impl FnMut(&[u8])) -> Result<(), Box<dyn Error>> {
    let program: &mut Iter = ebpf.program_mut(TASK_LIST).ok_or("its program is missing")?.try_into()?;
    let link = program.attach()?;
    let file = program.take_link(link)?.into_file()?;
    let mut records = BufReader::with_capacity(READ_BYTES, file);
    let mut record = [0; size_of::<wire::TaskEntry>()];
    loop {
        match records.read_exact(&mut record) {
            Ok(()) => take(&record),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
