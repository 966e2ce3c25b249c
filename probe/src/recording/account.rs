//! Who a dead process was, and what it used: the end of an exit's payload (3.8). And which workload a cgroup is.
//!
//! Must not know frames or files.

use bytes::{Buf, BufMut};

use super::{
    decode::{bytes, flag, pid, time},
    encode::put_bytes,
    workload::{decode_workload, put_workload},
};
use crate::model::{Account, Input, TTY_MAX, is_tty};

/// More memory no process has: the address space of five levels.
const PEAK_RSS_MAX: u64 = 1 << 56;

fn put_optional(out: &mut Vec<u8>, value: Option<u64>) {
    out.put_u8(value.is_some().into());
    out.put_u64_le(value.unwrap_or_default());
}

fn optional(from: &mut &[u8]) -> Option<Option<u64>> {
    let is_known = flag(from)?;
    let value = from.try_get_u64_le().ok()?;
    Some(is_known.then_some(value))
}

pub(super) fn put_account(out: &mut Vec<u8>, account: Option<&Account>) {
    out.put_u8(account.is_some().into());
    let Some(account) = account else { return };
    out.put_u8(account.uid.is_some().into());
    out.put_u32_le(account.uid.unwrap_or_default());
    out.put_u32_le(account.session.unwrap_or_default());
    put_bytes(out, account.tty.as_deref().unwrap_or_default());
    out.put_u64_le(account.cgroup_id.unwrap_or_default());
    put_optional(out, account.cpu_ns);
    put_optional(out, account.peak_rss_bytes);
}

/// Before 3.8 there is none. `None` where it is impossible.
pub(super) fn decode_account(from: &mut &[u8]) -> Option<Option<Account>> {
    if from.is_empty() || !flag(from)? {
        return Some(None);
    }
    let (has_uid, uid) = (flag(from)?, from.try_get_u32_le().ok()?);
    let session = pid(from)?;
    let tty = bytes(from, TTY_MAX)?;
    if !tty.is_empty() && !is_tty(&tty) {
        return None;
    }
    let cgroup_id = from.try_get_u64_le().ok()?;
    let cpu_ns = optional(from)?;
    let peak_rss_bytes = optional(from)?;
    if cpu_ns.is_some_and(|cpu_ns| time(&mut cpu_ns.to_le_bytes().as_slice()).is_none())
        || peak_rss_bytes.is_some_and(|peak| peak > PEAK_RSS_MAX)
    {
        return None;
    }
    Some(Some(Account {
        uid: has_uid.then_some(uid),
        session: (session != 0).then_some(session),
        tty: (!tty.is_empty()).then(|| tty.into()),
        cgroup_id: (cgroup_id != 0).then_some(cgroup_id),
        cpu_ns,
        peak_rss_bytes,
    }))
}

/// Which workload a cgroup is.
pub(super) fn decode_cgroup(from: &mut &[u8]) -> Option<Input> {
    let id = from.try_get_u64_le().ok().filter(|id| *id != 0)?;
    Some(Input::Cgroup { id, workload: decode_workload(from)?.map(Into::into) })
}

/// The same, written.
pub(super) fn put_cgroup(out: &mut Vec<u8>, id: u64, workload: Option<&crate::model::Workload>) {
    out.put_u64_le(id);
    put_workload(out, workload);
}
