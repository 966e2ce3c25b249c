//! The payloads of fork sites.
//!
//! Must not know frames of the file, versions or files.

use bytes::{Buf, BufMut};

use super::{
    decode::{bytes, count, identity, number, tally, task, time},
    encode::{put_bytes, put_identity, put_task},
    kind,
};
use crate::model::{Depth, FRAMES_MAX, Frame, FrameKind, Identity, Input, NAME_MAX, SITES_MAX, Site, Task};

const KINDS: [FrameKind; 3] = [FrameKind::Native, FrameKind::Jit, FrameKind::Python];
/// A frame without any text.
const FRAME_LEAST: usize = 1 + 3 * 4 + 4 + 8;

pub(super) fn put_fork_site(out: &mut Vec<u8>, time_ns: u64, child: &Identity, creator: &Task, site: u32) {
    out.put_u64_le(time_ns);
    put_identity(out, child);
    put_task(out, creator);
    out.put_u32_le(site);
}

pub(super) fn decode_fork_sites(kind: u8, from: &mut &[u8]) -> Option<Input> {
    match kind {
        kind::FORK_SITE => decode_fork_site(from),
        kind::SITE => decode_site(from),
        _ => tally(from).map(Input::ForkSitesMissed),
    }
}

fn decode_fork_site(from: &mut &[u8]) -> Option<Input> {
    let (time_ns, child, creator) = (time(from)?, identity(from)?, task(from)?);
    (child != creator.identity).then_some(())?;
    Some(Input::ForkSite { time_ns, child, creator, site: site_number(from)? })
}

pub(super) fn put_site(out: &mut Vec<u8>, number: u32, site: &Site) {
    out.put_u32_le(number);
    out.put_u8(Depth::ALL.iter().position(|depth| *depth == site.depth).unwrap_or(0) as u8);
    out.put_u32_le(site.frames.len() as u32);
    for frame in &site.frames {
        out.put_u8(KINDS.iter().position(|kind| *kind == frame.kind).unwrap_or(0) as u8);
        put_bytes(out, &frame.function);
        put_bytes(out, &frame.file);
        out.put_u32_le(frame.line);
        put_bytes(out, &frame.module);
        out.put_u64_le(frame.address);
    }
}

fn decode_site(from: &mut &[u8]) -> Option<Input> {
    let number = site_number(from)?;
    let depth = *Depth::ALL.get(usize::from(from.try_get_u8().ok()?))?;
    let frames = count(from, FRAME_LEAST).filter(|frames| *frames <= FRAMES_MAX)?;
    let frames = (0..frames).map(|_| frame(from)).collect::<Option<_>>()?;
    Some(Input::Site { number, site: Box::new(Site { frames, depth }) })
}

fn frame(from: &mut &[u8]) -> Option<Frame> {
    Some(Frame {
        kind: *KINDS.get(usize::from(from.try_get_u8().ok()?))?,
        function: bytes(from, NAME_MAX)?,
        file: bytes(from, NAME_MAX)?,
        line: from.try_get_u32_le().ok()?,
        module: bytes(from, NAME_MAX)?,
        address: number(from, u64::MAX)?,
    })
}

fn site_number(from: &mut &[u8]) -> Option<u32> {
    from.try_get_u32_le().ok().filter(|number| *number as usize <= SITES_MAX)
}
