//! The fork site of a parent that matters, and all of them in their published form.
//!
//! Must not know how a site is found.

use super::text;
use crate::{
    engine::{AtSite, Parent as Known, View},
    model::{Depth, Frame, FrameKind},
    report::{ForkSite, SiteDepth, SiteFrame, SiteFrameKind},
};

/// The one that left the most children unreaped. Of a parent that left none, the one whose children waited longest until it reaped
/// them. `None` where those left were forked before sites were asked for: another one has nothing to do with them.
pub fn worst(view: &View<'_>, known: &Known) -> Option<ForkSite> {
    let sites = view.fork_sites(known);
    let has_left = !known.zombies.is_empty() || known.ledger.abandoned > 0;
    let worst = if has_left {
        sites.first().filter(|at| at.unreaped + at.abandoned > 0)
    } else {
        sites.iter().max_by_key(|at| at.zombie_time_ns)
    };
    Some(published(worst?, sites.len() as u64 - 1))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::tests::{play_in, task},
        model::{Begin, Input},
    };

    /// How many the site left that is named of 2, and how many it forked. `sited`: the children of which the site was told, and which.
    fn named(script: &str, sited: &[(u32, u32)]) -> Option<(u64, u64)> {
        let forks = "10 fork 20 2\n 11 fork 21 2\n 12 fork 22 2\n";
        let mut engine = play_in(Begin { time_ns: 1, ..Begin::default() }, forks);
        let mut apply = |input| engine.apply(input, &mut Vec::new());
        for (child, site) in sited {
            let (child, creator) = (task(*child).identity, task(2));
            apply(Input::ForkSite { time_ns: 15, child, creator, site: *site });
        }
        crate::engine::tests::play_on(&mut engine, script);
        let view = engine.view();
        worst(&view, view.parent(task(2).identity).expect("a parent")).map(|site| (site.unreaped, site.forks))
    }

    #[test]
    fn a_site_that_left_none_is_not_named_of_a_parent_that_left_some() {
        let dead = "20 exit 20 2\n 21 zombie 20 2\n";
        assert_eq!(named(dead, &[(21, 7), (22, 7)]), None, "20 was forked before sites were told");
        assert_eq!(named(dead, &[(20, 8), (21, 7), (22, 7)]), Some((1, 1)));
        let reaped =
            "20 exit 20 2\n 21 zombie 20 2\n 90 reap 20 2\n 91 exit 21 2\n 92 zombie 21 2\n 93 reap 21 2\n";
        assert_eq!(named(reaped, &[(20, 8), (21, 7), (22, 7)]), Some((0, 1)), "20 waited longest");
    }
}
