//! The timeline and the histograms of a page: an inline picture, and bars that are elements.
//!
//! Must not know what the numbers mean beyond their units.

use std::io::{self, Write};

use super::{class, text};
use crate::report::{
    page::{Bar, Lane, Page, Step},
    words::{count, duration},
};

/// The height of the picture, in its own units; it is as wide as there are steps.
const HEIGHT: f64 = 100.0;

/// What happened when, and how long the children of the worst parents waited.
pub fn timeline(out: &mut impl Write, page: &Page) -> io::Result<()> {
    let timeline = &page.timeline;
    let window_ns = page.report.window.duration_ns;
    writeln!(out, "<h2>Timeline</h2>")?;
    if timeline.steps.is_empty() {
        writeln!(
            out,
            "<p class=\"dim\">Not every event was asked for, so there is no curve: a recording has one.</p>"
        )?;
    } else {
        curve(out, &timeline.steps, timeline.step_ns)?;
        axis(out, timeline.step_ns.saturating_mul(timeline.steps.len() as u64))?;
    }
    if timeline.lanes.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<p class=\"dim\">Each parent with a finding, from its birth to its end; a line for each dead child, as long as it waited.</p>"
    )?;
    timeline.lanes.iter().try_for_each(|lane| self::lane(out, lane, window_ns))?;
    axis(out, window_ns)
}

fn axis(out: &mut impl Write, to_ns: u64) -> io::Result<()> {
    let half = duration(to_ns / 2);
    writeln!(
        out,
        "<div class=\"axis\"><span>0</span><span>{half}</span><span>{}</span></div>",
        duration(to_ns)
    )
}

/// Deaths as columns, and above them the zombies there were as a line.
fn curve(out: &mut impl Write, steps: &[Step], step_ns: u64) -> io::Result<()> {
    let most = |of: fn(&Step) -> u64| steps.iter().map(of).max().unwrap_or(0).max(1);
    let (died, zombies) = (most(|step| step.died), most(|step| step.zombies));
    writeln!(
        out,
        "<p class=\"dim\">Line: zombies, {} at most. Columns: deaths, {} at most in {}.</p>",
        count(steps.iter().map(|step| step.zombies).max().unwrap_or(0)),
        count(steps.iter().map(|step| step.died).max().unwrap_or(0)),
        duration(step_ns)
    )?;
    write!(
        out,
        "<svg role=\"img\" aria-label=\"zombies and deaths over time\" viewBox=\"0 0 {} {HEIGHT}\" preserveAspectRatio=\"none\">\
         <g fill=\"var(--bar)\">",
        steps.len()
    )?;
    for (place, step) in steps.iter().enumerate().filter(|(_, step)| step.died > 0) {
        let height = HEIGHT * 0.95 * step.died as f64 / died as f64;
        write!(
            out,
            "<rect x=\"{place}\" y=\"{:.1}\" width=\"0.9\" height=\"{height:.1}\"/>",
            HEIGHT - height
        )?;
    }
    write!(
        out,
        "</g><polyline fill=\"none\" stroke=\"var(--wait)\" stroke-width=\"2\" vector-effect=\"non-scaling-stroke\" points=\"0,{HEIGHT}"
    )?;
    for (place, step) in steps.iter().enumerate() {
        let y = HEIGHT - HEIGHT * 0.95 * step.zombies as f64 / zombies as f64;
        write!(out, " {},{y:.1}", place + 1)?;
    }
    writeln!(out, "\"/></svg>")
}

fn lane(out: &mut impl Write, lane: &Lane, window_ns: u64) -> io::Result<()> {
    let percent = |ns: u64| 100.0 * ns.min(window_ns) as f64 / window_ns.max(1) as f64;
    writeln!(
        out,
        "<div class=\"lane\"><small><span class=\"{}\">{}</span> {}</small><div class=\"track\">\
         <i style=\"left:{:.2}%;width:{:.2}%\"></i>",
        class(lane.verdict),
        lane.verdict.words(),
        text(&lane.name),
        percent(lane.from_ns),
        percent(lane.to_ns.saturating_sub(lane.from_ns))
    )?;
    for (place, (from_ns, to_ns)) in lane.waits.iter().enumerate() {
        write!(
            out,
            "<b style=\"left:{:.2}%;width:{:.2}%;top:{:.0}%\"></b>",
            percent(*from_ns),
            percent(to_ns.saturating_sub(*from_ns)),
            5.0 + 85.0 * place as f64 / lane.waits.len() as f64
        )?;
    }
    writeln!(out, "</div>")?;
    if lane.more > 0 {
        writeln!(out, "<small>… and {} shorter waits</small>", count(lane.more))?;
    }
    writeln!(out, "</div>")
}

/// How long children waited, and how long the kernel took to tear them down.
pub fn latencies(out: &mut impl Write, page: &Page) -> io::Result<()> {
    writeln!(out, "<h2>Latencies</h2><div class=\"two\">")?;
    histogram(out, "From zombie to reap: the parents’ doing", &page.reap_latency)?;
    histogram(out, "From exit to zombie: the kernel’s doing", &page.teardown)?;
    writeln!(out, "</div>")
}

fn histogram(out: &mut impl Write, title: &str, bars: &[Bar]) -> io::Result<()> {
    writeln!(out, "<div><h3>{title}</h3>")?;
    if bars.is_empty() {
        return writeln!(out, "<p class=\"dim\">None was seen.</p></div>");
    }
    let most = bars.iter().map(|bar| bar.count).max().unwrap_or(0).max(1);
    writeln!(out, "<div class=\"rows\">")?;
    for bar in bars {
        writeln!(
            out,
            "<span>{}</span><i style=\"width:{:.1}%\"></i><span>{}</span>",
            duration(bar.from_ns),
            100.0 * bar.count as f64 / most as f64,
            count(bar.count)
        )?;
    }
    writeln!(out, "</div><small>Each row: from this long to twice as long.</small></div>")
}
