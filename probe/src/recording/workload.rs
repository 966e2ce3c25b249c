//! The workload at the end of what a process runs (3.5).
//!
//! Must not know frames or files.

use bytes::{Buf, BufMut};

use super::{
    decode::{TEXT_MAX, bytes},
    encode::put_bytes,
};
use crate::model::{Runtime, WORKLOAD_NAME_MAX, Workload, is_workload_name};

const UNIT: u8 = 1;
const CONTAINER: u8 = 2;
const POD: u8 = 3;
const SESSION: u8 = 4;
const PROGRAM: u8 = 5;

pub(super) fn put_workload(out: &mut Vec<u8>, workload: Option<&Workload>) {
    match workload {
        None => out.put_u8(0),
        Some(Workload::Unit(name)) => {
            out.put_u8(UNIT);
            put_bytes(out, name.as_bytes());
        }
        Some(Workload::Container { runtime, id }) => {
            out.put_u8(CONTAINER);
            let number = Runtime::ALL.iter().position(|one| one == runtime).unwrap_or_default();
            out.put_u8(number as u8);
            put_bytes(out, id.as_bytes());
        }
        Some(Workload::Pod { uid, container }) => {
            out.put_u8(POD);
            put_bytes(out, uid.as_bytes());
            put_bytes(out, container.as_deref().unwrap_or_default().as_bytes());
        }
        Some(Workload::Session { user }) => {
            out.put_u8(SESSION);
            out.put_u32_le(*user);
        }
        Some(Workload::Program { user, executable }) => {
            out.put_u8(PROGRAM);
            out.put_u32_le(*user);
            put_bytes(out, executable);
        }
    }
}

/// Before 3.5 there is none. `None` where it is impossible.
pub(super) fn decode_workload(from: &mut &[u8]) -> Option<Option<Workload>> {
    if from.is_empty() {
        return Some(None);
    }
    let workload = match from.try_get_u8().ok()? {
        0 => return Some(None),
        UNIT => Workload::Unit(name(from)?),
        CONTAINER => {
            let runtime = *Runtime::ALL.get(usize::from(from.try_get_u8().ok()?))?;
            Workload::Container { runtime, id: name(from)? }
        }
        POD => {
            let uid = name(from)?;
            let container = bytes(from, WORKLOAD_NAME_MAX)?;
            let container = if container.is_empty() { None } else { Some(checked(container)?) };
            Workload::Pod { uid, container }
        }
        SESSION => Workload::Session { user: from.try_get_u32_le().ok()? },
        PROGRAM => {
            let user = from.try_get_u32_le().ok()?;
            Workload::Program { user, executable: bytes(from, TEXT_MAX)? }
        }
        // One of a later version.
        _ => return Some(None),
    };
    Some(Some(workload))
}

fn name(from: &mut &[u8]) -> Option<String> {
    checked(bytes(from, WORKLOAD_NAME_MAX)?)
}

fn checked(name: Vec<u8>) -> Option<String> {
    if is_workload_name(&name) { String::from_utf8(name).ok() } else { None }
}
