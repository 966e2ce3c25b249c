//! The payload of limits on processes (3.6), as it is written and as it is read.
//!
//! Must not know frames or files.

use bytes::{Buf, BufMut};

use super::{
    decode::{bytes, count, flag, identity, tally, time},
    encode::{put_bytes, put_identity},
};
use crate::model::{CGROUP_PATH_MAX, PID_LIMITS_MAX, PID_LIMITS_OF_MAX, PidLimit, PidLimits, PidScope};

const PID_MAX: u8 = 0;
const THREADS_MAX: u8 = 1;
const CGROUP: u8 = 2;
const USER: u8 = 3;

/// Fewest bytes of a limit, and of a process that is under some.
const LIMIT_LEN: usize = 26;
const UNDER_LEN: usize = 16;

pub(super) fn put_pid_limits(out: &mut Vec<u8>, read: &PidLimits) {
    out.put_u64_le(read.time_ns);
    out.put_u64_le(read.left_out);
    out.put_u32_le(read.limits.len() as u32);
    for PidLimit { scope, used, limit, refused } in &read.limits {
        match scope {
            PidScope::PidMax => out.put_u8(PID_MAX),
            PidScope::ThreadsMax => out.put_u8(THREADS_MAX),
            PidScope::Cgroup(path) => {
                out.put_u8(CGROUP);
                put_bytes(out, path);
            }
            PidScope::User(user) => {
                out.put_u8(USER);
                out.put_u32_le(*user);
            }
        }
        out.put_u64_le(*used);
        out.put_u64_le(*limit);
        out.put_u8(refused.is_some().into());
        out.put_u64_le(refused.unwrap_or(0));
    }
    out.put_u32_le(read.under.len() as u32);
    for (process, places) in &read.under {
        put_identity(out, process);
        out.put_u32_le(places.len() as u32);
        places.iter().for_each(|place| out.put_u16_le(*place));
    }
}

pub(super) fn decode_pid_limits(from: &mut &[u8]) -> Option<PidLimits> {
    let (time_ns, left_out) = (time(from)?, tally(from)?);
    let limits = count(from, LIMIT_LEN).filter(|limits| *limits <= PID_LIMITS_MAX)?;
    let limits: Vec<PidLimit> = (0..limits).map(|_| decode_limit(from)).collect::<Option<_>>()?;
    let under = count(from, UNDER_LEN).filter(|under| *under <= PID_LIMITS_OF_MAX)?;
    let under = (0..under).map(|_| {
        let process = identity(from)?;
        let places = count(from, 2).filter(|places| *places <= limits.len())?;
        let place = |_| from.try_get_u16_le().ok().filter(|place| usize::from(*place) < limits.len());
        Some((process, (0..places).map(place).collect::<Option<_>>()?))
    });
    let under = under.collect::<Option<_>>()?;
    Some(PidLimits { time_ns, limits, under, left_out })
}

fn decode_limit(from: &mut &[u8]) -> Option<PidLimit> {
    let scope = match from.try_get_u8().ok()? {
        PID_MAX => PidScope::PidMax,
        THREADS_MAX => PidScope::ThreadsMax,
        CGROUP => PidScope::Cgroup(bytes(from, CGROUP_PATH_MAX)?),
        USER => PidScope::User(from.try_get_u32_le().ok()?),
        _ => return None,
    };
    let (used, limit) = (tally(from)?, tally(from)?);
    let is_counted = flag(from)?;
    Some(PidLimit { scope, used, limit, refused: Some(tally(from)?).filter(|_| is_counted) })
}
