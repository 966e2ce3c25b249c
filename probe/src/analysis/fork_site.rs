//! The fork site of a parent that matters, and all of them in their published form.
//!
//! Must not know how a site is found.

use super::text;
use crate::{
    engine::{AtSite, Parent as Known, View},
    model::{Depth, Frame, FrameKind},
    report::{ForkSite, SiteDepth, SiteFrame, SiteFrameKind},
};

/// The one that left the most children behind, or forked the most where none did.
pub fn worst(view: &View<'_>, known: &Known) -> Option<ForkSite> {
    let sites = view.fork_sites(known);
    Some(published(sites.first()?, sites.len() as u64 - 1))
}

/// Its published form. `other_sites`: how many other sites of the parent are known.
pub fn published(at: &AtSite, other_sites: u64) -> ForkSite {
    let depth = at.site.as_ref().map_or(SiteDepth::Other, |site| match site.depth {
        Depth::Whole => SiteDepth::Whole,
        Depth::CopyEnded => SiteDepth::CopyEnded,
        Depth::NoUnwindInformation => SiteDepth::NoUnwindInformation,
        Depth::TooDeep => SiteDepth::TooDeep,
        Depth::Scanned => SiteDepth::Scanned,
        Depth::Gone => SiteDepth::Gone,
    });
    ForkSite {
        forks: at.forks,
        unreaped: at.unreaped,
        abandoned: at.abandoned,
        zombie_time_ns: at.zombie_time_ns,
        other_sites,
        depth,
        frames: at.site.as_ref().map(|site| site.frames.iter().map(frame).collect()).unwrap_or_default(),
    }
}

fn frame(frame: &Frame) -> SiteFrame {
    let known = |bytes: &[u8]| (!bytes.is_empty()).then(|| text(bytes).into_owned());
    SiteFrame {
        function: known(&frame.function),
        file: known(&frame.file),
        line: (frame.line != 0).then_some(frame.line),
        module: known(&frame.module),
        address: (frame.kind != FrameKind::Python).then(|| format!("{:#x}", frame.address)),
        kind: match frame.kind {
            FrameKind::Native => SiteFrameKind::Native,
            FrameKind::Jit => SiteFrameKind::Jit,
            FrameKind::Python => SiteFrameKind::Python,
        },
    }
}
