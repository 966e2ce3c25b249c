//! A fork site for people: the functions of the program, without those of the runtime below them.
//!
//! Must not judge, nor know how a site is found.

use super::{file_name, frame_name, terminal::escape};
use crate::report::{
    ForkSite, SiteFrame,
    words::{count, duration},
};

/// Most functions shown.
const FRAMES_MAX: usize = 8;
/// Who forked, how many children, and what became of them: a line of text, to be wrapped.
pub fn sentence(site: &ForkSite) -> String {
    let mut text = format!("forked {} at ", count(site.forks));
    if site.forks == 0 {
        text = "forked at ".into();
    }
    let shown = site.program_frames();
    let callers: Vec<String> = shown.iter().take(FRAMES_MAX).map(|frame| function(frame)).collect();
    text.push_str(if callers.is_empty() { "a place that is not known" } else { "" });
    text.push_str(&callers.join(" < "));
    if shown.len() > FRAMES_MAX {
        text.push_str(" < …");
    }
    let left: Vec<String> = [(site.unreaped, "unreaped"), (site.abandoned, "left behind")]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{} {word}", count(number)))
        .collect();
    if !left.is_empty() {
        text.push_str(&format!(
            "; of these {}, zombies for {} in all",
            left.join(", "),
            duration(site.zombie_time_ns)
        ));
    }
    if !site.depth.words().is_empty() {
        text.push_str(&format!(" ({})", site.depth.words()));
    }
    if site.other_sites > 0 {
        let s = if site.other_sites == 1 { "" } else { "s" };
        text.push_str(&format!("; {} other site{s}", count(site.other_sites)));
    }
    text
}

/// `function (file:line)`, or where it is if it has no name.
fn function(frame: &SiteFrame) -> String {
    let text = frame_name(frame);
    let text = match (&frame.file, frame.line) {
        (Some(file), Some(line)) => format!("{text} ({}:{line})", file_name(file)),
        _ => text,
    };
    escape(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{SiteDepth, SiteFrameKind};

    fn frame(function: &str, module: &str, line: u32) -> SiteFrame {
        SiteFrame {
            function: (!function.is_empty()).then(|| function.into()),
            file: (line > 0).then(|| "/src/agent.c".into()),
            line: (line > 0).then_some(line),
            module: Some(module.into()),
            address: Some("0x10".into()),
            kind: SiteFrameKind::Native,
        }
    }

    #[test]
    fn the_program_is_shown_and_not_the_runtime_and_no_name_controls_the_terminal() {
        let frames = vec![
            frame("fork", "/lib/libc.so.6", 0),
            frame("start\u{1b}[2J", "/srv/agent", 12),
            frame("", "/srv/agent", 0),
            frame("main", "/srv/agent", 30),
            frame("__libc_start_main", "/lib/libc.so.6", 0),
            frame("_start", "/srv/agent", 0),
        ];
        let mut site = ForkSite {
            forks: 7,
            unreaped: 5,
            abandoned: 0,
            zombie_time_ns: 41_000_000_000,
            other_sites: 1,
            depth: SiteDepth::Whole,
            frames,
        };
        assert_eq!(
            sentence(&site),
            "forked 7 at start\\x1b[2J (agent.c:12) < agent+0x10 < main (agent.c:30); of these 5 unreaped, zombies for \
             41 s in all; 1 other site"
        );
        site.frames[3].kind = SiteFrameKind::Python;
        (site.unreaped, site.other_sites, site.depth) = (0, 0, SiteDepth::CopyEnded);
        assert_eq!(
            sentence(&site),
            "forked 7 at main (agent.c:30) (the callers beyond are not known: the stack is deeper than the part that is copied)"
        );
    }
}
